//! An explanation as text, for people.
//!
//! Must never: let what policies or requests hold steer a terminal.

use crate::decision::explain::{ClauseTold, In, PolicyTold};
use crate::decision::{Combined, Reason, Verdict};
use crate::evaluation::Explanation;

/// What is told of an answer.
pub(super) fn text(combined: &Combined, explanation: &Explanation) -> String {
    let verdict = if combined.verdict == Verdict::Allow { "allow" } else { "deny" };
    let reasons: Vec<_> = combined.reasons.iter().map(|reason| shown(&Reason::text(reason))).collect();
    let mut lines = vec![format!("{verdict}: {}", reasons.join(", "))];
    policies(&mut lines, "determined by:", &explanation.policies);
    policies(&mut lines, "permits that come nearest:", &explanation.nearest);
    if explanation.further_permits > 0 {
        lines.push(format!("  and {} further permits", explanation.further_permits));
    }
    for failed in &explanation.errors {
        lines.push(format!("failed: {}: {}", shown(&failed.policy), shown(&failed.message)));
    }
    if !explanation.mattered.is_empty() {
        lines.push("what they read:".to_owned());
    }
    for one in &explanation.mattered {
        let value = one.value.as_ref().map_or_else(|| "not there".to_owned(), ToString::to_string);
        lines.push(format!("  {}: {}", shown(&one.read), shown(&value)));
    }
    if !explanation.changes.is_empty() {
        lines.push("each of these would permit:".to_owned());
    }
    for set in &explanation.changes {
        let texts: Vec<_> = set.iter().map(|change| shown(&change.text)).collect();
        lines.push(format!("  - {}", texts.join(", and ")));
    }
    if explanation.cut {
        lines.push("There is more: a bound was met.".to_owned());
    }
    lines.join("\n")
}

fn policies(lines: &mut Vec<String>, title: &str, policies: &[PolicyTold]) {
    if !policies.is_empty() {
        lines.push(title.to_owned());
    }
    for policy in policies {
        let place = format!("{}:{}:{}", shown(&policy.file), policy.line, policy.span.start.column);
        let failing = match policy.failing {
            0 => "every clause holds".to_owned(),
            1 => "1 clause fails".to_owned(),
            more => format!("{more} clauses fail"),
        };
        lines.push(format!("  {} {} ({place}): {failing}", policy.effect, shown(&policy.id)));
        lines.extend(policy.clauses.iter().map(clause));
    }
}

fn clause(clause: &ClauseTold) -> String {
    let mark = if clause.holds { "ok  " } else { "FAIL" };
    let unless = if clause.stands_in == In::Unless { "unless " } else { "" };
    let error = clause.error.as_ref().map(|error| format!(" ({})", shown(error))).unwrap_or_default();
    format!("    {mark} {unless}{}{error}", shown(&clause.text))
}

/// On one line, and without signs that steer a terminal.
fn shown(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

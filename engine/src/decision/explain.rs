//! Why an answer is what it is, for those who ask: clauses with their values, what they read, and what would change it.
//!
//! Promises: it is worked out after the answer, and never changes one. Each change that is told was tried: the whole question,
//! asked again with it, is allowed. The work is bounded by a [`Budget`], and what was left out is said. Must never: show more
//! of an entity than policies read.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

mod change;
mod clause;
mod judge;
mod mattered;
mod path;
mod place;
mod search;
mod shown;
#[cfg(test)]
mod tests;
mod ways;

pub use change::{ChangeKind, ChangeTold, Of};
pub use clause::{ClauseTold, In};
pub use mattered::Mattered;
pub use place::{Position, Span};
pub use shown::EntityTold;

use super::rules::{Rule, Rules};
use super::{Combined, Findings, OnPolicyError, Question, Reason, Verdict};
use crate::entity::View;
use judge::Judge;

/// What is to be explained.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The policies.
    pub rules: &'a Rules,
    /// Entities, as the answer saw them.
    pub view: &'a View<'a>,
    /// What was asked.
    pub question: &'a Question,
    /// What a failed forbid does.
    pub on_error: OnPolicyError,
    /// Which kinds of obligation the caller will carry out.
    pub understands: &'a dyn Fn(&str) -> bool,
    /// How much work it may be.
    pub budget: &'a Budget,
}

/// How much work explanations may be: those of one request share it. A unit is about a microsecond.
#[derive(Debug)]
pub struct Budget {
    left: AtomicU64,
}

impl Budget {
    /// For one request.
    pub const fn new() -> Self {
        Self::of(300_000)
    }

    /// This many units.
    pub const fn of(units: u64) -> Self {
        Self { left: AtomicU64::new(units) }
    }

    /// Takes from it; false when it is used up.
    fn take(&self, units: usize) -> bool {
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let left = self.left.load(Ordering::Relaxed).checked_sub(units);
        self.left.store(left.unwrap_or_default(), Ordering::Relaxed);
        left.is_some()
    }

    /// Whether nothing is left of it.
    fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// Why an answer is what it is.
#[derive(Clone, Debug, Default)]
pub struct Why {
    /// The policies that determined it.
    pub policies: Vec<PolicyTold>,
    /// When nothing permits: the permits that come nearest.
    pub nearest: Vec<PolicyTold>,
    /// How many more permits could be about the action.
    pub further: usize,
    /// What the clauses of these policies read.
    pub mattered: Vec<Mattered>,
    /// For a deny: sets of changes, each of which would permit.
    pub changes: Vec<Vec<ChangeTold>>,
    /// Whether a bound was met, so that something is left out.
    pub cut: bool,
}

/// A policy as it stands in its file, and what its clauses say.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedPolicy)]
pub struct PolicyTold {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// The file's name.
    pub file: String,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Where it stands in the file.
    pub span: Span,
    /// Its text; a long one is cut.
    pub text: String,
    /// The parts of scope and conditions that must all hold, each with its value.
    pub clauses: Vec<ClauseTold>,
    /// How many of its clauses do not hold.
    pub failing: usize,
}

/// How many policies are shown that determined an answer, and how many that come near.
const SHOWN: usize = 100;
const NEAREST: usize = 10;

/// Explains an answer.
pub fn explain(asking: &Asking<'_>, findings: &Findings, combined: &Combined) -> Why {
    let mut why = Why::default();
    if findings.unevaluated {
        return why;
    }
    let (rules, mut shown) = (asking.rules, Vec::new());
    let said = findings.permits.iter().chain(&findings.forbids);
    let mut places: Vec<usize> =
        said.chain(findings.errors.iter().map(|(place, _)| place)).copied().collect();
    places.sort_unstable();
    let named: HashSet<&str> = combined.reasons.iter().filter_map(policy).collect();
    // What was permitted is denied by what the permits oblige to.
    let failed = [Reason::ObligationConflict, Reason::ObligationUnsupported];
    let obliges = combined.reasons.iter().any(|reason| failed.contains(reason));
    for (place, rule) in places.into_iter().filter_map(|place| Some((place, rules.all.get(place)?))) {
        let is_obliging = obliges && findings.permits.binary_search(&place).is_ok();
        if !is_obliging && !named.contains(rule.id.as_str()) {
            continue;
        }
        if why.policies.len() == SHOWN || !asking.budget.take(cost(rule)) {
            why.cut = true;
            break;
        }
        let judge = Judge::new(asking, rule);
        why.policies.push(judge.tell(&mut why.cut));
        shown.push(rule);
    }
    let mut ranked = Vec::new();
    if combined.verdict == Verdict::Deny && findings.permits.is_empty() && !findings.reads_left_out {
        let (nearest, count) = search::nearest(asking, &mut why.cut);
        if combined.reasons.contains(&Reason::NoPermit) {
            for rule in nearest.iter().take(NEAREST).filter_map(|place| rules.all.get(*place)) {
                if !asking.budget.take(cost(rule)) {
                    break;
                }
                why.nearest.push(Judge::new(asking, rule).tell(&mut why.cut));
                shown.push(rule);
            }
            why.further = count - why.nearest.len();
        }
        ranked = nearest;
    }
    why.mattered = mattered::of(asking, &shown, &mut why.cut);
    if combined.verdict == Verdict::Deny {
        why.changes = search::changes(asking, findings, &ranked, &mut why.cut);
    }
    why.cut |= asking.budget.is_spent();
    why
}

/// What it takes to show a policy: answers are in memory before they are sent.
fn cost(rule: &Rule) -> usize {
    50 + rule.text.len().min(shown::POLICY) / 16
}

fn policy(reason: &Reason) -> Option<&str> {
    if let Reason::Policy(id) = reason { Some(id) } else { None }
}

impl Judge<'_, '_> {
    /// Its policy, with what its clauses say.
    fn tell(&self, cut: &mut bool) -> PolicyTold {
        let rule = self.rule;
        let (clauses, failing) = clause::tell(self, cut);
        PolicyTold {
            id: rule.id.to_string(),
            effect: rule.effect.to_string(),
            // The folder is the operator's business.
            file: rule.file.rsplit('/').next().unwrap_or_default().to_owned(),
            line: rule.line,
            span: place::span(rule, 0..rule.text.len()),
            text: shown::excerpt(&rule.text, shown::POLICY),
            clauses,
            failing,
        }
    }
}

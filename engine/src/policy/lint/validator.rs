//! What Cedar's validator says against the schema, under the names of the rules here.

use std::collections::{HashMap, HashSet};

use cedar_policy::{PolicyId, PolicySet, ValidationError, ValidationMode, ValidationWarning, Validator};
use miette::Diagnostic;

use super::super::problem::Problem;
use super::{Finding, Known, Linted, Rule};

/// More of it is not told: each is looked up in the text.
const MOST: usize = 100;

/// Nothing without a schema.
pub(super) fn check(known: &Known<'_>, policies: &[Linted<'_>]) -> Vec<Finding> {
    let Some(schema) = known.schema else { return Vec::new() };
    let mut set = PolicySet::new();
    let mut by_id = HashMap::new();
    for linted in policies {
        by_id.insert(linted.id(), linted);
        // No two share an id, which was looked at before.
        set.add(linted.policy.clone().into()).ok();
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::default());
    let errors = result.validation_errors().map(|error| {
        let linted = by_id.get(AsRef::<str>::as_ref(error.policy_id()));
        let linted = linted.copied();
        (linted, linted.map_or(Rule::Invalid, |linted| of_error(error, linted)), error as &dyn Diagnostic)
    });
    // What has an error often matches nothing for that reason alone.
    let failed: HashSet<&PolicyId> = result.validation_errors().map(ValidationError::policy_id).collect();
    let whole = result.validation_warnings().filter(|warning| !failed.contains(warning.policy_id()));
    let warnings = whole.filter_map(|warning| {
        let rule = of_warning(warning)?;
        Some((
            by_id.get(AsRef::<str>::as_ref(warning.policy_id())).copied(),
            rule,
            warning as &dyn Diagnostic,
        ))
    });
    let all = errors.chain(warnings).take(MOST);
    all.filter_map(|(linted, rule, diagnostic)| Some(finding(known, (rule, linted?), diagnostic))).collect()
}

fn of_error(error: &ValidationError, linted: &Linted<'_>) -> Rule {
    use ValidationError as Error;
    match error {
        Error::UnrecognizedActionId(_) => Rule::UnknownEntity,
        Error::InvalidActionApplication(_) => Rule::NeverMatches,
        Error::UnsafeOptionalAttributeAccess(_) | Error::UnsafeTagAccess(_) if linted.permits() => {
            Rule::MissingAttribute
        }
        Error::UnsafeOptionalAttributeAccess(_) | Error::UnsafeTagAccess(_) => Rule::ErrorForbid,
        _ => Rule::Invalid,
    }
}

fn of_warning(warning: &ValidationWarning) -> Option<Rule> {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
            Some(Rule::NeverMatches)
        }
        // Letters that look like others are a matter of `policy check`.
        _ => None,
    }
}

fn finding(known: &Known<'_>, (rule, linted): (Rule, &Linted<'_>), diagnostic: &dyn Diagnostic) -> Finding {
    let text = known.texts.get(&linted.sourced.file).copied().unwrap_or_default();
    let problem = Problem::from_cedar(&linted.sourced.file, text, diagnostic);
    let help = match rule {
        Rule::NeverMatches => "mend its scope or its condition, or take the policy away",
        Rule::MissingAttribute | Rule::ErrorForbid => "guard it: `… has attribute && …`",
        Rule::UnknownEntity => "mend the name, or add the action to the schema",
        _ => "mend it: servers do not load it",
    };
    let mut finding =
        known.finding((rule, linted), None, format!("does not fit the schema: {}", problem.message), help);
    if problem.line > 0 {
        (finding.line, finding.column) = (problem.line, problem.column);
    }
    finding
}

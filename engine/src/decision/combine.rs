//! One answer from what each policy said.
//!
//! A `forbid` that holds denies; else a `permit` that holds allows; else the answer is deny. A `forbid` that errors denies too,
//! since skipping it, as Cedar does, would open access. Each further step can only restrict.

use cedar_policy_core::ast::Effect;

use super::Findings;
use super::obligation::{self, Obligation};
use super::reason::Reason;
use super::rules::Rules;

/// What a failed `forbid` does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicyError {
    /// It denies.
    #[default]
    Deny,
    /// It is skipped: Cedar's own rule.
    Skip,
}

/// Allow or deny.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may not.
    Deny,
    /// It may.
    Allow,
}

/// The answer of the policies.
#[derive(Clone, Debug)]
pub struct Combined {
    /// Allow or deny.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What the caller must do; empty with a deny.
    pub obligations: Vec<Obligation>,
}

impl Combined {
    /// A deny.
    pub fn deny(reasons: Vec<Reason>) -> Self {
        Self { verdict: Verdict::Deny, reasons, obligations: Vec::new() }
    }
}

/// Makes one answer. `understands` tells which kinds of obligation the caller will carry out.
pub fn combine(
    rules: &Rules,
    findings: &Findings,
    on_error: OnPolicyError,
    understands: &dyn Fn(&str) -> bool,
) -> Combined {
    if findings.unevaluated {
        return Combined::deny(vec![Reason::EvaluationFailed]);
    }
    let policies = |places: &[usize]| {
        let known = places.iter().filter_map(|place| rules.all.get(*place));
        known.map(|rule| Reason::Policy(rule.id.clone())).collect::<Vec<_>>()
    };
    let is_forbid = |place: &usize| rules.all.get(*place).is_some_and(|rule| rule.effect == Effect::Forbid);
    let failed: Vec<usize> =
        findings.errors.iter().map(|(place, _)| *place).filter(|place| is_forbid(place)).collect();
    let mut denied = policies(&findings.forbids);
    if on_error == OnPolicyError::Deny && !failed.is_empty() {
        denied.push(Reason::PolicyError);
        denied.extend(policies(&failed));
    }
    if findings.reads_left_out {
        denied.push(Reason::ValueUnrepresentable);
    }
    if !denied.is_empty() {
        return Combined::deny(denied);
    }
    if findings.permits.is_empty() {
        return Combined::deny(vec![Reason::NoPermit]);
    }
    let determining = findings.permits.iter().filter_map(|place| rules.all.get(*place));
    match obligation::merge(determining.flat_map(|rule| &rule.obligations)) {
        Err(obligation::Conflict) => Combined::deny(vec![Reason::ObligationConflict]),
        Ok(all) if all.iter().any(|one| one.mandatory && !understands(one.duty.kind())) => {
            Combined::deny(vec![Reason::ObligationUnsupported])
        }
        Ok(obligations) => {
            Combined { verdict: Verdict::Allow, reasons: policies(&findings.permits), obligations }
        }
    }
}

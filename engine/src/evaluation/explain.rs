//! More about why, for those who ask.

use serde::Serialize;
use smol_str::SmolStr;

use crate::decision::explain::{Asking, ChangeTold, Mattered, PolicyTold, explain};
use crate::decision::{Combined, Findings, Question, Reason};
use crate::entity::View;
use crate::policy::Pack;
use crate::record::PolicyFailure;

pub(crate) use crate::decision::explain::{Budget, Why};

/// Why an answer is what it is.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The policies that determined it.
    pub policies: Vec<PolicyTold>,
    /// Those that failed.
    pub errors: Vec<PolicyFailure>,
    /// When nothing permits: the permits that come nearest, those first of which the fewest clauses fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub nearest: Vec<PolicyTold>,
    /// How many more permits could be about the action.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub further_permits: usize,
    /// What the clauses of these policies read, with the values that it had.
    pub mattered: Vec<Mattered>,
    /// For a deny: sets of changes, each of which would permit. Each was tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub changes: Vec<Vec<ChangeTold>>,
    /// Whether a bound was met, so that something is left out.
    pub cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// More policies that failed are not shown.
const ERRORS: usize = 100;

impl Explanation {
    /// The explanation of one answer of a pack.
    pub fn of(why: Why, pack: Option<&Pack>, findings: &Findings) -> Self {
        let Why { policies, nearest, further, mattered, changes, mut cut } = why;
        let errors = pack.map(|pack| failures(pack, findings)).unwrap_or_default();
        cut |= errors.len() > ERRORS;
        let errors = errors.into_iter().take(ERRORS);
        let errors = errors.map(|(policy, message)| PolicyFailure { policy: policy.to_string(), message });
        let errors = errors.collect();
        Self { policies, errors, nearest, further_permits: further, mattered, changes, cut }
    }
}

/// The policies that failed, by id.
pub(super) fn failures(pack: &Pack, findings: &Findings) -> Vec<(SmolStr, String)> {
    let rule = |place: &usize| pack.rules.all.get(*place);
    findings
        .errors
        .iter()
        .filter_map(|(place, message)| Some((rule(place)?.id.clone(), message.clone())))
        .collect()
}

/// Explains one answer of a pack; nothing, when policies had no say in it.
pub(crate) fn why(
    pack: &Pack,
    (question, view): (&Question, &View<'_>),
    understands: &dyn Fn(&str) -> bool,
    budget: &Budget,
    (findings, combined): (&Findings, &Combined),
) -> Option<Why> {
    let inactive = [Reason::PrincipalLocked, Reason::PrincipalDisabled];
    if combined.reasons.iter().any(|reason| inactive.contains(reason)) {
        return None;
    }
    let (rules, on_error) = (&pack.rules, pack.settings.on_policy_error);
    let asking = Asking { rules, view, question, on_error, understands, budget };
    Some(explain(&asking, findings, combined))
}

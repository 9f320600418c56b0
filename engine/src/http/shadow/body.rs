//! How packs in shadow are shown.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::App;
use crate::decision::obligation::Obligation;
use crate::http::listing::shown_time;
use crate::policy::replay::{Obstacle, Side};
use crate::policy::shadow::{Counts, Difference};

/// What is in shadow.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ShadowResponse {
    /// What it is called, to be promoted; null when nothing is in shadow.
    revision: Option<String>,
    /// Since when; the counts are from then on.
    since: Option<String>,
    /// Why what is in the folder of candidates is not in shadow.
    problem: Option<String>,
    /// Counts of this node, by pack.
    packs: Vec<ShadowPack>,
    /// The latest differences of the caller's own tenant, the latest first.
    samples: Vec<ShadowSample>,
}

/// Counts of a pack.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShadowPack {
    /// Its name; empty for what no pack judged.
    name: String,
    /// Answered the same in all.
    same: u64,
    /// Answered the same, for other reasons or with other obligations.
    changed: u64,
    /// Answered otherwise.
    flipped: u64,
    /// Of those, allowed by the candidate.
    to_allow: u64,
    /// Not compared, by why.
    #[schema(value_type = BTreeMap<String, u64>)]
    not_compared: BTreeMap<Obstacle, u64>,
    /// Not looked at: too many were waiting.
    dropped: u64,
    /// How often each policy, or code, determined an answer that flips.
    policies: Vec<ShadowPolicy>,
}

/// How often a policy determined an answer that flips.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShadowPolicy {
    /// The policy, or a code.
    id: String,
    /// By what is served.
    before: u64,
    /// By the candidate.
    after: u64,
}

/// A decision that the candidate would have made otherwise.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShadowSample {
    /// The decision's id.
    decision_id: String,
    /// When it was decided.
    time: Option<String>,
    /// The pack.
    pack: String,
    /// Who, as `type:id`.
    subject: String,
    /// Does what.
    action: String,
    /// To what, as `type:id`.
    resource: String,
    /// What is served says.
    before: ShadowSide,
    /// The candidate says.
    after: ShadowSide,
}

/// What one side says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShadowSide {
    /// `allow` or `deny`.
    #[schema(value_type = String)]
    decision: crate::decision::Verdict,
    /// Policies and codes.
    reasons: Vec<String>,
    /// What the caller must do.
    #[schema(value_type = Vec<Object>)]
    obligations: Vec<Obligation>,
}

impl ShadowResponse {
    pub(super) fn of(app: &App, tenant: &str) -> Self {
        let (candidate, problem) = (app.shadowed.candidate(), app.shadowed.problem());
        let Some(candidate) = candidate else {
            return Self { revision: None, since: None, problem, packs: Vec::new(), samples: Vec::new() };
        };
        Self {
            revision: Some(candidate.loaded.id().to_string()),
            since: shown_time(Some(candidate.since)),
            problem,
            packs: candidate.counts().into_iter().map(ShadowPack::of).collect(),
            samples: candidate.differences(tenant).into_iter().map(ShadowSample::of).collect(),
        }
    }
}

impl ShadowPack {
    fn of((name, counts): (String, Counts)) -> Self {
        let Counts { same, changed, flipped, to_allow, not_compared, dropped, policies } = counts;
        let policies = policies.into_iter().map(|(id, [before, after])| ShadowPolicy { id, before, after });
        Self { name, same, changed, flipped, to_allow, not_compared, dropped, policies: policies.collect() }
    }
}

impl ShadowSample {
    fn of(difference: Difference) -> Self {
        let Difference { time, sample, sides: [before, after], obligations: [must, would] } = difference;
        Self {
            decision_id: sample.id.clone(),
            time: shown_time(Some(time)),
            pack: sample.pack.clone(),
            subject: sample.subject.clone(),
            action: sample.action.clone(),
            resource: sample.resource.clone(),
            before: ShadowSide::of(before, must),
            after: ShadowSide::of(after, would),
        }
    }
}

impl ShadowSide {
    fn of(side: Side, obligations: Vec<Obligation>) -> Self {
        let reasons = side.reasons.iter().map(ToString::to_string).collect();
        Self { decision: side.decision, reasons, obligations }
    }
}

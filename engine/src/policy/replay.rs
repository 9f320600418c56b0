//! Recorded decisions, made again by other policies.
//!
//! Promises: the question is made of what the record holds, by the same steps as a request's. What can't be made again is
//! said to be so, and why; it never counts as the same. Must never: take what policies say now for what was answered then.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::Pack;
use crate::clock::Timestamp;
use crate::decision::obligation::Obligation;
use crate::decision::{Combined, Reason, Verdict, combine, evaluate};
use crate::entity::Data;
use crate::evaluation::{Noticed, Risk, SHOWN, recorded};
use crate::question::{Act, Asked, Assertions, Party};
use crate::record::VERSION;

mod tally;

pub use tally::{Group, PolicyCount, Sample, Side, Tally, sorted};

/// Why a record can't be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// It was answered before policies were asked.
    BeforePolicies,
    /// It judged a call of the management API.
    Management,
    /// No pack judged it.
    NoPack,
    /// Its pack is not on both sides.
    PackMissing,
    /// It holds no whole question.
    NoQuestion,
    /// The findings that it holds are not all that there were.
    FindingsCut,
    /// The record that its findings stand in was not met.
    FindingsMissing,
    /// Policies read the risk, and it does not say whether there was none or one of zero.
    RiskUnknown,
    /// It can't be read.
    Unreadable,
    /// A later version of this program wrote it.
    Newer,
}

impl Obstacle {
    /// For people.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::BeforePolicies => {
                "were answered before any policy was asked (a locked principal, a plugin)"
            }
            Self::Management => "judged calls of the management API",
            Self::NoPack => "were judged by no pack",
            Self::PackMissing => "were judged by a pack that is not in both folders",
            Self::NoQuestion => "hold no whole question (an item of a batch that was none)",
            Self::FindingsCut => "hold only a part of the findings that policies saw",
            Self::FindingsMissing => "name findings of a record that is not in what was read of the log",
            Self::RiskUnknown => "do not say whether there was a risk, which policies read",
            Self::Unreadable => "can't be read",
            Self::Newer => "were written by a newer version of this program",
        }
    }
}

/// What a record says.
#[derive(Debug, Deserialize)]
pub struct Recorded<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    action_id: u8,
    #[serde(borrow)]
    actor: Actor<'a>,
    #[serde(borrow)]
    api: Api<'a>,
    #[serde(borrow, default)]
    resources: Vec<Named<'a>>,
    #[serde(borrow)]
    unmapped: Own<'a>,
}

#[derive(Debug, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Actor<'a> {
    #[serde(borrow, default)]
    user: Option<Named<'a>>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Api<'a> {
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow, default)]
    service: Option<Service<'a>>,
}

#[derive(Debug, Deserialize)]
struct Service<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Own<'a> {
    v: u32,
    #[serde(borrow)]
    via: Cow<'a, str>,
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    #[serde(borrow)]
    revision: Cow<'a, str>,
    reasons: Vec<String>,
    #[serde(default)]
    understands: Vec<String>,
    #[serde(borrow, default)]
    subject_properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action_properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(default)]
    findings: Vec<Noticed>,
    #[serde(default)]
    risk: Option<Risk>,
    #[serde(borrow, default)]
    inspected_with: Option<Cow<'a, str>>,
    #[serde(default)]
    stages_ns: BTreeMap<String, u64>,
}

/// What stages in front of the policies found, as a record shows it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    ran: bool,
    detected: bool,
    findings: Vec<Noticed>,
    risk: Option<Risk>,
}

/// What policies say of a recorded question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Allow or deny.
    pub verdict: Verdict,
    /// Why: policies and codes, sorted.
    pub reasons: Vec<SmolStr>,
    /// What the caller must do.
    pub obligations: Vec<Obligation>,
}

/// Reasons that come from stages in front of the policies.
const BEFORE: [&str; 7] = [
    "principal_locked",
    "principal_disabled",
    "request_invalid",
    "route_unknown",
    "rejected",
    "plugin_failed",
    "log_unavailable",
];

impl<'a> Recorded<'a> {
    /// Reads a decision's record.
    ///
    /// # Errors
    /// When it is none that can be replayed, whatever the policies.
    pub fn read(event: &'a [u8]) -> Result<Self, Obstacle> {
        let recorded: Self = serde_json::from_slice(event).map_err(|_| Obstacle::Unreadable)?;
        let own = &recorded.unmapped;
        let is_before = |reason: &String| {
            BEFORE.contains(&reason.split_once(':').map_or(reason.as_str(), |(code, _)| code))
        };
        match () {
            () if own.v > VERSION => Err(Obstacle::Newer),
            () if own.via == "management" => Err(Obstacle::Management),
            () if own.reasons.iter().any(is_before) => Err(Obstacle::BeforePolicies),
            () if recorded.api.service.is_none() => Err(Obstacle::NoPack),
            () if recorded.actor.user.is_none() || recorded.resources.len() != 1 => Err(Obstacle::NoQuestion),
            () => Ok(recorded),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.metadata.uid
    }

    /// Whose matter it was.
    pub fn tenant(&self) -> &str {
        &self.unmapped.tenant
    }

    /// The pack that judged.
    pub fn pack(&self) -> &str {
        self.api.service.as_ref().map_or("", |service| &service.name)
    }

    /// What was answered.
    pub fn verdict(&self) -> Verdict {
        if self.action_id == 1 { Verdict::Allow } else { Verdict::Deny }
    }

    /// The number of the last change in the store that it saw.
    pub fn sequence(&self) -> u64 {
        let revision = self.unmapped.revision.split_once('.').map(|(sequence, _)| sequence);
        revision.and_then(|sequence| sequence.parse().ok()).unwrap_or(0)
    }

    /// The record that holds what was found of the request, when it is another one.
    pub fn inspected_with(&self) -> Option<&str> {
        self.unmapped.inspected_with.as_deref()
    }

    /// What was found of the request, as this record shows it.
    pub fn seen(&self) -> Seen {
        let own = &self.unmapped;
        let detected = own.stages_ns.contains_key("detect");
        let ran = detected || own.stages_ns.contains_key("validate") || !own.findings.is_empty();
        Seen { ran, detected, findings: own.findings.clone(), risk: own.risk.clone() }
    }

    /// The question: subject, action and resource, as `type:id`.
    pub fn asked_in_words(&self) -> [String; 3] {
        let named = |named: Option<&Named<'_>>| {
            named.map(|named| format!("{}:{}", named.type_name, named.uid)).unwrap_or_default()
        };
        [named(self.actor.user.as_ref()), self.api.operation.to_string(), named(self.resources.first())]
    }

    /// What a pack says of it, over these entities.
    ///
    /// # Errors
    /// When the record does not hold all that the pack's policies read.
    pub fn judge(&self, pack: &Pack, data: &Data, at: Timestamp, seen: &Seen) -> Result<Said, Obstacle> {
        let asked = self.asked().ok_or(Obstacle::NoQuestion)?;
        let mut assertions = Assertions::parse(&asked).map_err(|_| Obstacle::Unreadable)?;
        if seen.ran {
            if seen.findings.len() >= SHOWN {
                return Err(Obstacle::FindingsCut);
            }
            if seen.detected && seen.risk.is_none() && reads_risk(pack) {
                return Err(Obstacle::RiskUnknown);
            }
            assertions.verify(recorded(&seen.findings, seen.risk.as_ref()));
        }
        let facts = pack.facts(data, self.tenant(), at);
        let Some(question) = assertions.question(&asked, pack, facts) else {
            return Ok(Combined::deny(vec![Reason::TypeUnrepresentable]).into());
        };
        let findings = evaluate(&pack.rules, &facts.about(&question.resource), &question);
        let understands = |kind: &str| self.unmapped.understands.iter().any(|known| known == kind);
        Ok(combine(&pack.rules, &findings, pack.settings.on_policy_error, &understands).into())
    }

    fn asked(&self) -> Option<Asked<'_>> {
        let own = &self.unmapped;
        let subject = self.actor.user.as_ref()?;
        let resource = self.resources.first()?;
        Some(Asked {
            subject: to_party(subject, own.subject_properties),
            action: Act { name: Cow::Borrowed(&self.api.operation), properties: own.action_properties },
            resource: to_party(resource, own.resource_properties),
            context: own.context,
        })
    }
}

fn to_party<'r>(named: &'r Named<'_>, properties: Option<&'r RawValue>) -> Party<'r> {
    Party { type_name: Cow::Borrowed(&named.type_name), id: Cow::Borrowed(&named.uid), properties }
}

fn reads_risk(pack: &Pack) -> bool {
    let risk = [SmolStr::from("verified"), "risk".into()];
    pack.rules.all.iter().any(|rule| rule.reach.reads_context(&risk))
}

impl From<Combined> for Said {
    fn from(combined: Combined) -> Self {
        let mut reasons: Vec<SmolStr> = combined.reasons.iter().map(Reason::text).collect();
        reasons.sort();
        reasons.dedup();
        Self { verdict: combined.verdict, reasons, obligations: combined.obligations }
    }
}

//! What a caller may do, as the management pack has it.

use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use smol_str::SmolStr;

use super::{Caller, EVERY};
use crate::clock::Timestamp;
use crate::decision::slice::lay_over;
use crate::decision::value::Record;
use crate::decision::{Combined, Question, Reason, Verdict, combine, evaluate};
use crate::entity::{Facts, Window};
use crate::policy::{Pack, Snapshot};

/// An action of the management pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Ask for decisions.
    Decide,
    /// Vouch for who the subject is.
    AssertSubject,
    /// Evaluate policies that are not served.
    Simulate,
    /// Read recorded decisions.
    ReadDecisions,
    /// Read the metrics.
    ReadMetrics,
    /// Read the details of readiness.
    ReadReadiness,
    /// Read the description of the API.
    ReadApi,
    /// Change the service.
    Manage,
}

impl Right {
    /// The name that policies, rights and messages have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::AssertSubject => "assert_subject",
            Self::Simulate => "simulate",
            Self::ReadDecisions => "read_decisions",
            Self::ReadMetrics => "read_metrics",
            Self::ReadReadiness => "read_readiness",
            Self::ReadApi => "read_api",
            Self::Manage => "manage",
        }
    }

    /// Whether such a call goes on when it can't be recorded: what operators need to see why nothing can be. The
    /// missing record is counted.
    pub fn goes_unrecorded(self) -> bool {
        matches!(self, Self::ReadMetrics | Self::ReadReadiness)
    }

    /// The rights that a caller can be given; what others ask for, policies derive.
    pub const GIVEN: [Self; 6] = [
        Self::AssertSubject,
        Self::Simulate,
        Self::ReadDecisions,
        Self::ReadMetrics,
        Self::ReadReadiness,
        Self::Manage,
    ];
}

/// What a right is about.
#[derive(Clone, Copy, Debug)]
pub enum RightOn<'a> {
    /// A pack.
    Pack(&'a str),
    /// A tenant.
    Tenant(&'a str),
}

/// Whether a caller may, now. Remembered for as long as caller, management pack and the tenant's data for it stand, and
/// until an assignment that came in the way starts or ends.
pub fn may(snapshot: &Snapshot, caller: &Caller, right: Right, on: RightOn<'_>, now: Timestamp) -> bool {
    let (RightOn::Pack(name) | RightOn::Tenant(name)) = on;
    let pack = snapshot.management();
    let facts = pack.facts(&snapshot.data, &caller.tenant, now);
    caller.remember(&facts, right, name, || {
        let (combined, window) = judge(pack, facts, caller, right, on);
        (combined.verdict == Verdict::Allow, window)
    })
}

/// The decision itself: of the management pack, with the roles that the caller's tenant has given it there.
pub fn decide(
    snapshot: &Snapshot,
    caller: &Caller,
    right: Right,
    on: RightOn<'_>,
    now: Timestamp,
) -> Combined {
    let pack = snapshot.management();
    judge(pack, pack.facts(&snapshot.data, &caller.tenant, now), caller, right, on).0
}

fn judge(
    pack: &Pack,
    facts: Facts<'_>,
    caller: &Caller,
    right: Right,
    on: RightOn<'_>,
) -> (Combined, Window) {
    let (type_name, id) = match on {
        RightOn::Pack(name) => ("pack", name),
        RightOn::Tenant(name) => ("tenant", name),
    };
    let (Some(principal), Some(resource)) = (pack.uid("caller", &caller.id), pack.uid(type_name, id)) else {
        return (Combined::deny(vec![Reason::TypeUnrepresentable]), Window::ALL);
    };
    let view = facts.about(&resource);
    let (Ok(stored_principal), Ok(stored_resource)) = (view.get(&principal), view.get(&resource)) else {
        return (Combined::deny(vec![Reason::EvaluationFailed]), Window::NEVER);
    };
    let settings = pack.settings.properties;
    let laid_over = [
        lay_over(stored_principal.as_ref(), &principal, &caller_record(caller), settings.subject),
        lay_over(stored_resource.as_ref(), &resource, &[member("name", text(id))].into(), settings.resource),
    ];
    let laid_over = laid_over.into_iter().flatten().collect();
    let question = Question {
        principal,
        action: pack.action(right.name()),
        resource: resource.clone(),
        context: Arc::default(),
        laid_over,
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
        unreadable: false,
    };
    let findings = evaluate(&pack.rules, &view, &question);
    // What could not be read may be read the next time.
    let window = if findings.unevaluated { Window::NEVER } else { view.window() };
    (combine(&pack.rules, &findings, pack.settings.on_policy_error, &|_| false), window)
}

fn caller_record(caller: &Caller) -> Record {
    [
        member("tenant", text(&caller.tenant)),
        member("name", text(&caller.name)),
        member("rights", set(&caller.rights)),
        member("packs", set(&caller.packs)),
        member("all_packs", literal(Literal::Bool(caller.packs.iter().any(|pack| pack == EVERY)))),
    ]
    .into()
}

fn member(name: &str, value: Value) -> (SmolStr, Value) {
    (name.into(), value)
}

fn literal(literal: Literal) -> Value {
    Value { value: ValueKind::Lit(literal), loc: None }
}

fn text(text: &str) -> Value {
    literal(Literal::String(text.into()))
}

fn set(texts: &[String]) -> Value {
    Value::set(texts.iter().map(|one| text(one)), None)
}

#[cfg(test)]
mod tests;

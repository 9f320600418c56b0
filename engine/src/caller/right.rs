//! What a caller may do, as the management pack has it.

use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use smol_str::SmolStr;

use super::{Caller, EVERY};
use crate::decision::slice::lay_over;
use crate::decision::value::Record;
use crate::decision::{Combined, Question, Reason, Verdict, combine, evaluate};
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

/// Whether a caller may. Remembered for as long as caller and management pack stand.
pub fn may(snapshot: &Snapshot, caller: &Caller, right: Right, on: RightOn<'_>) -> bool {
    let (RightOn::Pack(name) | RightOn::Tenant(name)) = on;
    let decide = || decide(snapshot.management(), caller, right, on).verdict == Verdict::Allow;
    caller.remember(snapshot.revision.hash, right, name, decide)
}

/// The decision itself.
pub fn decide(pack: &Pack, caller: &Caller, right: Right, on: RightOn<'_>) -> Combined {
    let (type_name, id) = match on {
        RightOn::Pack(name) => ("pack", name),
        RightOn::Tenant(name) => ("tenant", name),
    };
    let (Some(principal), Some(resource)) = (pack.uid("caller", &caller.id), pack.uid(type_name, id)) else {
        return Combined::deny(vec![Reason::TypeUnrepresentable]);
    };
    let settings = pack.settings.properties;
    let laid_over = [
        lay_over(pack.entities.get(&principal), &principal, &caller_record(caller), settings.subject),
        lay_over(
            pack.entities.get(&resource),
            &resource,
            &[member("name", text(id))].into(),
            settings.resource,
        ),
    ];
    let question = Question {
        principal,
        action: pack.action(right.name()),
        resource,
        context: Arc::default(),
        laid_over: laid_over.into_iter().flatten().collect(),
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
    };
    let findings = evaluate(&pack.rules, &pack.entities, &question);
    combine(&pack.rules, &findings, pack.settings.on_policy_error, &|_| false)
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

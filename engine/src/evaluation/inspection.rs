//! What the stages `validate` and `detect` found of a request.
//!
//! Promises: what policies see of it (`context.verified`) is whole; what answers and records show is bounded. A stage
//! that did not run leaves its part absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::decision::Reason;
use crate::decision::value::Record;
use crate::plugin::FailureKind;
use crate::plugin::output::{Assessment, Contribution, Finding};

/// The name that the host's own findings have in the place of a plugin's; no plugin can have it.
pub const HOST: &str = "portcullis";

/// How many findings an answer and a record show: those with the highest scores.
pub const SHOWN: usize = 64;

/// Something that a plugin or the host noticed.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Noticed {
    /// Which plugin noticed it; `portcullis` for the host itself.
    pub plugin: String,
    /// Which rule.
    pub rule: String,
    /// From 0 to 100: how sure it is that this is an attack.
    pub score: u8,
    /// Where: `request`, `path`, `query:name`, `header:name` or `body:/json/pointer`.
    #[serde(rename = "where")]
    pub location: String,
    /// For people.
    pub detail: String,
}

/// How bad it looks.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Risk {
    /// From 0 to 100.
    pub score: u8,
    /// What adds up to it.
    pub reasons: BTreeSet<String>,
}

/// A plugin that was called.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginCall {
    /// Its name.
    pub name: String,
    /// Which component.
    pub digest: String,
    /// How much fuel it used.
    pub fuel: u64,
    /// How it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Inspection {
    noticed: Vec<Noticed>,
    risk: Option<Risk>,
    /// Why the request must not go on.
    pub(super) denied: Option<Reason>,
    calls: Vec<PluginCall>,
    /// How long `validate` and `detect` took, in nanoseconds, where they ran.
    pub(super) took_ns: [Option<u64>; 2],
    /// The calls that are kept for a replay, sealed for the first decision's record.
    pub(super) kept: Option<String>,
}

impl Inspection {
    /// What is shown of the findings.
    pub fn findings(&self) -> &[Noticed] {
        &self.noticed
    }

    /// The risk, if it was estimated and is any.
    pub fn risk(&self) -> Option<&Risk> {
        self.risk.as_ref().filter(|risk| risk.score > 0 || !risk.reasons.is_empty())
    }

    /// The plugins that were called.
    pub fn calls(&self) -> &[PluginCall] {
        &self.calls
    }
}

/// What policies saw of findings and risk that a record shows: `context.verified`. None of the findings may be missing.
pub fn recorded(noticed: &[Noticed], risk: Option<&Risk>) -> Value {
    let mut gathered = Gathered::default();
    gathered.inspection.risk = risk.cloned();
    for Noticed { plugin, rule, score, .. } in noticed {
        gathered.count += 1;
        gathered.highest = gathered.highest.max(*score);
        gathered.rules.insert(rule.into());
        gathered.plugins.insert(plugin.into());
    }
    gathered.verified()
}

/// What is found so far, and what policies will see of it.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(super) inspection: Inspection,
    count: i64,
    highest: u8,
    rules: BTreeSet<SmolStr>,
    plugins: BTreeSet<SmolStr>,
}

impl Gathered {
    /// Takes a finding.
    pub(crate) fn notice(&mut self, plugin: &str, finding: Finding) {
        let Finding { rule, score, location, detail } = finding;
        self.count += 1;
        self.highest = self.highest.max(score);
        self.rules.insert(rule.as_str().into());
        self.plugins.insert(plugin.into());
        let location = location.to_string();
        self.inspection.noticed.push(Noticed { plugin: plugin.to_owned(), rule, score, location, detail });
    }

    /// Takes what a detector says. Without a detector that says something there is no risk, and not one of zero.
    pub(crate) fn assess(&mut self, plugin: &str, assessment: Assessment) {
        let risk = self.inspection.risk.get_or_insert_default();
        risk.score = risk.score.saturating_add(assessment.points()).min(100);
        for Contribution { points, reason } in assessment.risk {
            // What adds nothing is no reason.
            if points > 0 {
                risk.reasons.insert(reason);
            }
        }
        assessment.findings.into_iter().for_each(|finding| self.notice(plugin, finding));
    }

    /// Takes note of a call.
    pub(crate) fn called(&mut self, call: PluginCall) {
        self.inspection.calls.push(call);
    }

    /// What is shown, and `context.verified`.
    pub(crate) fn finish(mut self) -> (Inspection, Value) {
        let verified = self.verified();
        let noticed = &mut self.inspection.noticed;
        if noticed.len() > SHOWN {
            // Stable: equal scores stay in their order.
            noticed.sort_by_key(|noticed| std::cmp::Reverse(noticed.score));
            noticed.truncate(SHOWN);
        }
        (self.inspection, verified)
    }

    fn verified(&self) -> Value {
        let findings = Record::from([
            ("count".into(), Value::from(self.count)),
            ("highest".into(), Value::from(i64::from(self.highest))),
            ("rules".into(), texts(&self.rules)),
            ("plugins".into(), texts(&self.plugins)),
        ]);
        let mut verified = Record::from([("findings".into(), record(findings))]);
        if let Some(risk) = &self.inspection.risk {
            let risk = Record::from([
                ("score".into(), Value::from(i64::from(risk.score))),
                ("reasons".into(), texts(&risk.reasons)),
            ]);
            verified.insert("risk".into(), record(risk));
        }
        record(verified)
    }
}

fn record(members: BTreeMap<SmolStr, Value>) -> Value {
    Value { value: ValueKind::Record(Arc::new(members)), loc: None }
}

fn texts<T: AsRef<str>>(texts: &BTreeSet<T>) -> Value {
    let literal =
        |text: &T| Value { value: ValueKind::Lit(Literal::String(text.as_ref().into())), loc: None };
    Value::set(texts.iter().map(literal), None)
}

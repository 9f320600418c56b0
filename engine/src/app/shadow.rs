//! Calls in shadow mode: made one after another beside the requests, and what they would have done is recorded.
//!
//! Must never: stand on the path of a request.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use super::App;
use crate::plugin::input::{Observation, Observed};
use crate::plugin::output::{Contribution, Finding};
use crate::plugin::shadow::Waiting;
use crate::plugin::surroundings::Called;
use crate::plugin::{FailurePolicy, Input, Output};
use crate::policy::MANAGEMENT;
use crate::question::{Act, Asked, Party};
use crate::record::Record;

/// A plugin's answer may be long; the log holds so much of it.
const FINDINGS_SHOWN: usize = 16;
const DETAIL_CHARACTERS: usize = 200;

/// What a call in shadow mode would have done.
#[derive(Debug, Default, Serialize)]
struct Effect {
    plugin: String,
    digest: String,
    fuel: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    risk: Vec<Contribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<usize>,
}

impl App {
    /// Makes the calls that wait, until the server ends.
    pub async fn make_shadow_calls(self: Arc<Self>) {
        let Some(mut calls) = self.shadow.calls() else { return };
        while let Some(waiting) = calls.recv().await {
            // On a thread of its own: what a plugin computes must not keep a worker from its requests.
            let handle = tokio::runtime::Handle::current();
            let calling = tokio::task::spawn_blocking(move || {
                let called = handle.block_on(waiting.call());
                (waiting, called)
            });
            if let Ok((waiting, called)) = calling.await {
                self.record_effect(&waiting, &called).await;
            }
        }
    }

    async fn record_effect(&self, waiting: &Waiting, called: &Called) {
        let Some((effect, reason, denies)) = effect(waiting, called) else { return };
        let context = serde_json::value::to_raw_value(&effect).ok();
        let party = |type_name, id| Party {
            type_name: Cow::Borrowed(type_name),
            id: Cow::Borrowed(id),
            properties: None,
        };
        let asked = Asked {
            subject: party("plugin", &effect.plugin),
            action: Act { name: Cow::Borrowed(waiting.installed.hook().name()), properties: None },
            resource: party("decision", &waiting.decision_id),
            context: context.as_deref(),
        };
        let (snapshot, time) = (self.snapshot(), self.clock.now());
        let id = self.new_id("evt_", time);
        let record = Record {
            tenant: &waiting.surroundings.tenant,
            pack: Some(MANAGEMENT),
            allowed: !denies,
            reasons: &[reason],
            asked: Some(&asked),
            ..Record::denied(&id, time, &snapshot.revision_text)
        };
        // A failure is noted by the log itself.
        self.record_event(&record).await.ok();
    }
}

/// What it would have done, why, and whether that would have been a deny; none when it would have done nothing.
fn effect(waiting: &Waiting, called: &Called) -> Option<(Effect, SmolStr, bool)> {
    let installed = &waiting.installed;
    let name = installed.name();
    // What is found in an event comes after the answer, also of a plugin that is enforced.
    let how = match &waiting.input {
        Input::Detect(Observation { subject: Observed::Event(_), .. }) => "event",
        _ => "shadow",
    };
    let effect = Effect {
        plugin: name.to_owned(),
        digest: installed.plugin().digest().to_string(),
        fuel: called.fuel,
        ..Effect::default()
    };
    let findings = |found: &[Finding]| found.iter().take(FINDINGS_SHOWN).map(shortened).collect::<Vec<_>>();
    match &called.output {
        Err(failure) => {
            let kind = failure.kind.name();
            let denies = how == "shadow" && installed.on_failure() == FailurePolicy::Deny;
            Some((
                Effect { failure: Some(kind), ..effect },
                format_smolstr!("{how}_failed:{name}:{kind}"),
                denies,
            ))
        }
        Ok(Output::Validate(said)) => {
            let effect =
                Effect { rejection: said.rejection.clone(), findings: findings(&said.findings), ..effect };
            match &said.rejection {
                Some(code) => Some((effect, format_smolstr!("{how}_rejected:{name}:{code}"), true)),
                None if said.findings.is_empty() => None,
                None => Some((effect, format_smolstr!("{how}_findings:{name}"), false)),
            }
        }
        Ok(Output::Detect(said)) if said.points() == 0 && said.findings.is_empty() => None,
        Ok(Output::Detect(said)) => {
            let risk = said.risk.iter().take(FINDINGS_SHOWN).cloned().collect();
            let effect = Effect { findings: findings(&said.findings), risk, ..effect };
            Some((effect, format_smolstr!("{how}_findings:{name}"), false))
        }
        Ok(Output::Mask { edits }) if !edits.is_empty() => Some((
            Effect { edits: Some(edits.len()), ..effect },
            format_smolstr!("{how}_edits:{name}"),
            false,
        )),
        Ok(Output::Mask { .. } | Output::Sign { .. }) => None,
    }
}

fn shortened(finding: &Finding) -> Finding {
    let detail = finding.detail.chars().take(DETAIL_CHARACTERS).collect();
    Finding { detail, ..finding.clone() }
}

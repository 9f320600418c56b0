//! Decisions as events: each detector that wants them is called after the answer, and what it finds is an event of the
//! decision log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::counters::{Whose, readings};
use super::{DECISION, Happened, wants_decisions};
use crate::app::App;
use crate::evaluation::{Gathered, PluginCall};
use crate::plugin::input::{Event, Observation, Observed};
use crate::plugin::set::Installed;
use crate::plugin::{Hook, Input, Mode, Output, Surroundings};
use crate::question::{Act, Asked, Party};
use crate::record::{Found, Record};

/// Calls every detector that wants to hear of it.
pub(super) async fn tell(app: &App, happened: &Happened) {
    for installed in happened.snapshot.plugins().of(Hook::Detect) {
        let mode = installed.mode(&happened.tenant, &happened.route);
        if mode == Mode::Off || !wants_decisions(installed) {
            continue;
        }
        let mut seed = [0; 32];
        if app.rng.fill(&mut seed).is_err() {
            continue;
        }
        let Some(input) = happened.observed(app, installed).await else { continue };
        let tenant = Arc::clone(&happened.tenant);
        let surroundings = Surroundings { now: happened.time, seed, tenant, lookup: None, record: false };
        if mode == Mode::Shadow {
            app.shadow.offer(Arc::clone(installed), surroundings, input, happened.decision_id.clone());
        } else {
            happened.call(app, installed, &surroundings, &input).await;
        }
    }
}

impl Happened {
    async fn observed(&self, app: &App, installed: &Installed) -> Option<Input> {
        let party = self.asked.as_ref().map(|asked| party(&asked.subject));
        let whose = Whose { tenant: &self.tenant, subject: party.as_ref(), address: self.address };
        match readings(&app.state, &whose, installed).await {
            Ok(counters) => {
                let subject = Observed::Event(self.event());
                Some(Input::Detect(Observation { subject, counters }))
            }
            Err(error) => {
                let (plugin, decision_id) = (installed.name(), &self.decision_id);
                tracing::warn!(plugin, decision_id, %error, "a detector could not be told of a decision");
                None
            }
        }
    }

    fn event(&self) -> Event {
        let mut attributes = BTreeMap::from([
            ("decision_id", self.decision_id.clone()),
            ("outcome", if self.allowed { "allow" } else { "deny" }.to_owned()),
            ("reasons", self.reasons.clone()),
            ("caller_id", self.caller.clone()),
        ]);
        attributes.extend(self.pack.clone().map(|pack| ("pack", pack)));
        attributes.extend(self.address.map(|address| ("address", address.to_canonical().to_string())));
        if !self.route.is_empty() {
            attributes.insert("route", super::cut(&self.route));
        }
        if let Some(asked) = &self.asked {
            attributes.insert("subject_type", asked.subject.0.clone());
            attributes.insert("subject_id", asked.subject.1.clone());
            attributes.insert("action", asked.action.clone());
            attributes.insert("resource_type", asked.resource.0.clone());
            attributes.insert("resource_id", asked.resource.1.clone());
        }
        Event {
            kind: DECISION.to_owned(),
            at: u64::try_from(self.time.as_millis()).unwrap_or_default(),
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// Calls a detector; what it finds is recorded.
    async fn call(&self, app: &App, installed: &Installed, surroundings: &Surroundings, input: &Input) {
        let called = installed.call(surroundings, input).await;
        let failure = called.output.as_ref().err();
        if let Some(failure) = failure {
            let (plugin, decision_id) = (installed.name(), &self.decision_id);
            tracing::warn!(plugin, decision_id, %failure, "a detector failed at a decision");
        }
        let mut gathered = Gathered::default();
        gathered.called(PluginCall {
            name: installed.name().to_owned(),
            digest: installed.plugin().digest().to_string(),
            fuel: called.fuel,
            failure: failure.map(|failure| failure.kind),
        });
        if let Ok(Output::Detect(assessment)) = called.output {
            gathered.assess(installed.name(), assessment);
        }
        let (inspection, _) = gathered.finish();
        if inspection.findings().is_empty() && inspection.risk().is_none() {
            return;
        }
        let time = app.clock.now();
        let id = app.new_id("evt_", time);
        let nobody = (String::new(), String::new());
        let asked = Asked {
            subject: party(self.asked.as_ref().map_or(&nobody, |asked| &asked.subject)),
            action: Act { name: Cow::Borrowed("detected"), properties: None },
            resource: Party {
                type_name: Cow::Borrowed(DECISION),
                id: Cow::Borrowed(&self.decision_id),
                properties: None,
            },
            context: None,
        };
        let record = Record {
            tenant: &self.tenant,
            pack: self.pack.as_deref(),
            allowed: self.allowed,
            reasons: &[format!("detected:{}", installed.name()).into()],
            asked: Some(&asked),
            found: Some(Found::Here(&inspection)),
            ..Record::denied(&id, time, &self.snapshot.revision_text)
        };
        // That it can't be recorded is said where it is tried.
        app.record_event(&record).await.ok();
    }
}

fn party(named: &(String, String)) -> Party<'_> {
    Party { type_name: Cow::Borrowed(&named.0), id: Cow::Borrowed(&named.1), properties: None }
}

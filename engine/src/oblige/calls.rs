//! Calls of the plugins that carry an obligation out, and what the log is told of it.
//!
//! Promises: a plugin that fails gives nothing, whatever its failure policy says of requests; nothing goes on that can't
//! be recorded. Must never: record a document, a message or what stands in their place, save sealed.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::ObligeError;
use super::recorded::Decided;
use crate::app::App;
use crate::audit::RecordId;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::evaluation::{Circumstances, PackLookup};
use crate::plugin::hook::Mode;
use crate::plugin::sealed::{KeptCall, KeptCalls};
use crate::plugin::set::Installed;
use crate::plugin::{FailureKind, Hook, Input, Output, Surroundings};
use crate::policy::{MANAGEMENT, Snapshot};
use crate::question::{Act, Asked, Party};
use crate::record::Record;

/// One carrying out on its way.
pub(super) struct Calls<'a> {
    app: &'a App,
    snapshot: &'a Arc<Snapshot>,
    by: &'a Circumstances<'a>,
    hook: Hook,
    decision_id: &'a str,
    /// Of the event that tells of it.
    id: String,
    time: Timestamp,
    told: Told,
    kept: Vec<KeptCall>,
}

/// What the event says besides who and which decision.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    /// The pack of the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pack: Option<String>,
    /// How many edits were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edits: Option<usize>,
    /// Which key was signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// Which plugins were called.
    plugins: Vec<Made>,
}

/// A call.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    digest: String,
    fuel: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureKind>,
}

impl<'a> Calls<'a> {
    pub(super) fn begin(
        app: &'a App,
        snapshot: &'a Arc<Snapshot>,
        by: &'a Circumstances<'a>,
        (hook, decision_id): (Hook, &'a str),
    ) -> Self {
        let time = app.clock.now();
        let id = app.new_id("evt_", time);
        // What is no id can be long, and is of no use in the log.
        let decision_id = if RecordId::parse(decision_id).is_some() { decision_id } else { "" };
        Self { app, snapshot, by, hook, decision_id, id, time, told: Told::default(), kept: Vec::new() }
    }

    /// What the event says.
    pub(super) fn told(&mut self) -> &mut Told {
        &mut self.told
    }

    /// The plugins whose answers count, of those that `fits` takes. Those in shadow mode are given the same to do, off
    /// the path.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(super) fn enforced(
        &self,
        decided: &Decided,
        input: &Input,
        fits: impl Fn(&Installed) -> bool,
    ) -> Result<Vec<Arc<Installed>>, ObligeError> {
        let mut enforced = Vec::new();
        for installed in self.snapshot.plugins().of(self.hook).iter().filter(|installed| fits(installed)) {
            match installed.mode(&self.caller().tenant, &decided.route) {
                Mode::Enforce => enforced.push(Arc::clone(installed)),
                Mode::Shadow => {
                    let surroundings = self.surroundings(decided, installed, false)?;
                    let (installed, id) = (Arc::clone(installed), decided.id.clone());
                    self.app.shadow.offer(installed, surroundings, input.clone(), id);
                }
                Mode::Off => {}
            }
        }
        Ok(enforced)
    }

    /// One call.
    ///
    /// # Errors
    /// When it fails, or there is no randomness.
    pub(super) async fn call(
        &mut self,
        decided: &Decided,
        installed: &Installed,
        input: &Input,
    ) -> Result<Output, ObligeError> {
        let surroundings = self.surroundings(decided, installed, installed.records())?;
        let called = installed.call(&surroundings, input).await;
        let failure = called.output.as_ref().err();
        self.told.plugins.push(Made {
            name: installed.name().to_owned(),
            digest: installed.plugin().digest().to_string(),
            fuel: called.fuel,
            failure: failure.map(|failure| failure.kind),
        });
        if let Some(failure) = failure {
            let (plugin, decision_id) = (installed.name(), self.decision_id);
            tracing::warn!(plugin, decision_id, %failure, "a plugin failed: nothing is answered");
        }
        self.kept.extend(KeptCall::of(installed.plugin(), input, &called));
        called.output.map_err(|_| ObligeError::Failed(self.hook))
    }

    fn surroundings(
        &self,
        decided: &Decided,
        installed: &Installed,
        record: bool,
    ) -> Result<Surroundings, ObligeError> {
        let mut seed = [0; 32];
        self.app.rng.fill(&mut seed).map_err(|_| ObligeError::Unavailable)?;
        let (now, tenant) = (self.time, Arc::from(self.caller().tenant.as_str()));
        let entities = PackLookup { snapshot: self.snapshot, pack: &decided.pack, tenant: &tenant, now };
        let lookup = entities.of(installed);
        Ok(Surroundings { now, seed, tenant, lookup, record })
    }

    fn caller(&self) -> &Caller {
        self.by.caller
    }

    /// Tells the log how it went, and gives it: what can't be recorded does not leave.
    pub(super) async fn record<T>(self, went: Result<T, ObligeError>) -> Result<T, ObligeError> {
        let sealed = KeptCalls::seal(&self.kept, &self.id, &self.app.calls_key, &*self.app.rng);
        let sealed = sealed.map_err(|error| {
            tracing::error!(%error, "the calls of plugins could not be kept");
            ObligeError::Unavailable
        })?;
        let reasons: Vec<smol_str::SmolStr> =
            went.as_ref().err().map(|error| error.code().into()).into_iter().collect();
        let context = serde_json::value::to_raw_value(&self.told).ok();
        let party = |type_name, id| Party {
            type_name: Cow::Borrowed(type_name),
            id: Cow::Borrowed(id),
            properties: None,
        };
        let asked = Asked {
            subject: party("caller", &self.by.caller.id),
            action: Act { name: Cow::Borrowed(self.hook.name()), properties: None },
            resource: party("decision", self.decision_id),
            context: context.as_deref(),
        };
        let record = Record {
            caller: Some(self.by.caller),
            tenant: &self.by.caller.tenant,
            request_id: self.by.request_id,
            peer: self.by.peer,
            pack: Some(MANAGEMENT),
            allowed: went.is_ok(),
            reasons: &reasons,
            asked: Some(&asked),
            plugin_calls: sealed.as_deref(),
            ..Record::denied(&self.id, self.time, &self.snapshot.revision_text)
        };
        match self.app.record_event(&record).await {
            Ok(()) => went,
            Err(_) => Err(ObligeError::Unavailable),
        }
    }
}

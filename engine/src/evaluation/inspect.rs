//! Stages `validate` and `detect`: is the input sane, and does it look bad?
//!
//! ```text
//! the route's schema ► plugins that validate ► plugins that detect
//! ```
//!
//! They run once a call, for all items of a batch, and only when the application reports its own request. Promises: what
//! rejects, or fails under the policy `deny`, ends them, and the answer is deny; every call of a plugin that counts is
//! told to the log. Must never: let a plugin in shadow mode change an answer, or wait for one.

use std::sync::Arc;

use cedar_policy_core::ast::Value;

use super::inspection::{Gathered, HOST, Inspection, PluginCall};
use super::lookup::PackLookup;
use super::reported::Reported;
use super::{Walk, nanos};
use crate::decision::Reason;
use crate::detect::{self, Whose};
use crate::plugin::input::{Observation, Observed};
use crate::plugin::output::{Finding, Location};
use crate::plugin::sealed::{KeptCall, KeptCalls};
use crate::plugin::set::Installed;
use crate::plugin::{FailureKind, FailurePolicy, Hook, Input, Mode, Output, Surroundings};
use crate::policy::Pack;
use crate::question::Party;
use crate::validate::Checked;

/// What was found, and what policies see of it; none when nothing ran.
pub(super) async fn inspect(
    walk: &Walk<'_>,
    decision_id: &str,
    subject: Option<&Party<'_>>,
) -> Option<(Inspection, Value)> {
    let (reported, pack) = (walk.by.http?, walk.pack?);
    if walk.snapshot.plugins().is_empty() && !walk.app.validation.is_on() {
        walk.app.validation.skipped();
        return None;
    }
    let mut inspecting = Inspecting::begin(walk, reported, pack, decision_id);
    let validated = inspecting.timed(0, Stage::Validate, subject).await;
    let detected =
        inspecting.gathered.inspection.denied.is_none() && inspecting.timed(1, Stage::Detect, subject).await;
    (validated || detected).then(|| inspecting.finish())
}

#[derive(Clone, Copy)]
enum Stage {
    Validate,
    Detect,
}

struct Inspecting<'a> {
    walk: &'a Walk<'a>,
    reported: &'a Reported,
    pack: &'a Arc<Pack>,
    decision_id: &'a str,
    route: String,
    tenant: Arc<str>,
    /// What the seeds of all calls are made from; none when there is no randomness.
    seed: Option<[u8; 32]>,
    gathered: Gathered,
    kept: Vec<KeptCall>,
}

impl<'a> Inspecting<'a> {
    fn begin(walk: &'a Walk<'a>, reported: &'a Reported, pack: &'a Arc<Pack>, decision_id: &'a str) -> Self {
        let request = &reported.request;
        let half = || walk.app.rng.id_bytes().ok();
        let seed = half().zip(half()).map(|(first, second)| {
            let mut seed = [0; 32];
            let (left, right) = seed.split_at_mut(16);
            left.copy_from_slice(&first);
            right.copy_from_slice(&second);
            seed
        });
        Self {
            walk,
            reported,
            pack,
            decision_id,
            route: format!("{} {}", request.method, request.path),
            tenant: walk.by.caller.tenant.as_str().into(),
            seed,
            gathered: Gathered::default(),
            kept: Vec::new(),
        }
    }

    /// Runs a stage; whether anything of it ran.
    async fn timed(&mut self, place: usize, stage: Stage, subject: Option<&Party<'_>>) -> bool {
        let clock = &*self.walk.app.clock;
        let began_at = clock.monotonic();
        let ran = match stage {
            Stage::Validate => self.validate().await,
            Stage::Detect => self.detect(subject).await,
        };
        let took = clock.monotonic().saturating_sub(began_at);
        if let Some(kept) = self.gathered.inspection.took_ns.get_mut(place).filter(|_| ran) {
            *kept = Some(nanos(took));
        }
        ran
    }

    async fn validate(&mut self) -> bool {
        let mut ran = self.check_route();
        let input = Input::Validate { request: Arc::clone(&self.reported.request) };
        for installed in self.walk.snapshot.plugins().of(Hook::Validate) {
            if self.is_denied() {
                break;
            }
            if !self.counts(installed, &input) {
                continue;
            }
            ran = true;
            match self.call(installed, &input).await {
                Some(Output::Validate(validated)) => {
                    for finding in validated.findings {
                        self.gathered.notice(installed.name(), finding);
                    }
                    if let Some(code) = validated.rejection {
                        let plugin = installed.name().into();
                        self.gathered.inspection.denied =
                            Some(Reason::Rejected { plugin, code: code.into() });
                    }
                }
                Some(_) => self.failed(installed, FailureKind::BadAnswer),
                None => {}
            }
        }
        ran
    }

    /// The host's own: what the configuration says of this route.
    fn check_route(&mut self) -> bool {
        let denied = match self.walk.app.validation.check(&self.reported.request) {
            Checked::Off | Checked::Passed => return false,
            Checked::Valid => None,
            Checked::Invalid(findings) => Some((Reason::RequestInvalid, findings)),
            Checked::Unknown(finding) => Some((Reason::RouteUnknown, vec![finding])),
        };
        if let Some((reason, findings)) = denied {
            findings.into_iter().for_each(|finding| self.gathered.notice(HOST, finding));
            self.gathered.inspection.denied = Some(reason);
        }
        true
    }

    async fn detect(&mut self, subject: Option<&Party<'_>>) -> bool {
        let mut ran = false;
        for installed in self.walk.snapshot.plugins().of(Hook::Detect) {
            if self.is_denied() {
                break;
            }
            let request = &self.reported.request;
            if !installed.wants(&request.method, &request.path) || self.mode(installed) == Mode::Off {
                continue;
            }
            let whose = Whose { tenant: &self.tenant, subject, address: self.reported.address };
            let readings = detect::readings(&self.walk.app.state, &whose, installed).await;
            let Ok(counters) = readings else {
                if self.mode(installed) == Mode::Enforce {
                    ran = true;
                    self.not_called(installed);
                }
                continue;
            };
            let subject = Observed::Request(Arc::clone(request));
            let input = Input::Detect(Observation { subject, counters });
            if !self.counts(installed, &input) {
                continue;
            }
            ran = true;
            match self.call(installed, &input).await {
                Some(Output::Detect(assessment)) => self.gathered.assess(installed.name(), assessment),
                Some(_) => self.failed(installed, FailureKind::BadAnswer),
                None => {}
            }
        }
        ran
    }

    fn is_denied(&self) -> bool {
        self.gathered.inspection.denied.is_some()
    }

    fn mode(&self, installed: &Installed) -> Mode {
        installed.mode(&self.tenant, &self.route)
    }

    /// Whether a plugin's answer counts here. One in shadow mode is given the same to do, off the path.
    fn counts(&self, installed: &Arc<Installed>, input: &Input) -> bool {
        let request = &self.reported.request;
        if !installed.wants(&request.method, &request.path) {
            return false;
        }
        match self.mode(installed) {
            Mode::Enforce => true,
            Mode::Off => false,
            Mode::Shadow => {
                if let Some(surroundings) = self.surroundings(installed, false) {
                    let (installed, id) = (Arc::clone(installed), self.decision_id.to_owned());
                    self.walk.app.shadow.offer(installed, surroundings, input.clone(), id);
                }
                false
            }
        }
    }

    /// One call; none when it failed, which is taken note of.
    async fn call(&mut self, installed: &Installed, input: &Input) -> Option<Output> {
        let Some(surroundings) = self.surroundings(installed, installed.records()) else {
            self.not_called(installed);
            return None;
        };
        let called = installed.call(&surroundings, input).await;
        let failure = called.output.as_ref().err();
        self.told(installed, called.fuel, failure.map(|failure| failure.kind));
        if let Some(failure) = failure {
            let (plugin, decision_id) = (installed.name(), self.decision_id);
            tracing::warn!(plugin, decision_id, %failure, "a plugin failed");
            self.failed(installed, failure.kind);
        }
        self.kept.extend(KeptCall::of(installed.plugin(), input, &called));
        called.output.ok()
    }

    /// What the host owes a call can't be had.
    fn not_called(&mut self, installed: &Installed) {
        let (plugin, decision_id) = (installed.name(), self.decision_id);
        tracing::warn!(plugin, decision_id, "a plugin could not be called: the host lacks what it needs");
        self.told(installed, 0, Some(FailureKind::Unavailable));
        self.failed(installed, FailureKind::Unavailable);
    }

    fn told(&mut self, installed: &Installed, fuel: u64, failure: Option<FailureKind>) {
        let digest = installed.plugin().digest().to_string();
        self.gathered.called(PluginCall { name: installed.name().to_owned(), digest, fuel, failure });
    }

    fn failed(&mut self, installed: &Installed, kind: FailureKind) {
        let finding = Finding {
            rule: format!("plugin_failed.{}", kind.name()),
            score: 0,
            location: Location::Whole,
            detail: String::new(),
        };
        self.gathered.notice(installed.name(), finding);
        if installed.on_failure() == FailurePolicy::Deny {
            let plugin = installed.name().into();
            self.gathered.inspection.denied = Some(Reason::PluginFailed { plugin, kind: kind.name() });
        }
    }

    fn surroundings(&self, installed: &Installed, record: bool) -> Option<Surroundings> {
        // Two plugins must not be able to foresee each other's randomness.
        let seed = *blake3::keyed_hash(&self.seed?, installed.name().as_bytes()).as_bytes();
        let Walk { snapshot, now, .. } = *self.walk;
        let lookup = PackLookup { snapshot, pack: self.pack, tenant: &self.tenant, now }.of(installed);
        Some(Surroundings { now: self.walk.now, seed, tenant: Arc::clone(&self.tenant), lookup, record })
    }

    fn finish(mut self) -> (Inspection, Value) {
        let app = self.walk.app;
        let kept = KeptCalls::seal(&self.kept, self.decision_id, &app.calls_key, &*app.rng);
        match kept {
            Ok(kept) => self.gathered.inspection.kept = kept,
            Err(error) => {
                tracing::error!(%error, "the calls of plugins could not be kept");
                self.gathered.inspection.denied = Some(Reason::LogUnavailable);
            }
        }
        self.gathered.finish()
    }
}

//! A plugin that is loaded: what it is, what it may, how much it counts, and how its calls go.
//!
//! Promises: every call is counted, and none is made while the plugin's circuit is open. Must never: change while it is
//! served; a new build is another value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Breakers, Passage};
use super::modes::{Rules, resolve};
use super::stats::Stats;
use super::surroundings::{Called, LogLine, Surroundings};
use super::trust::Trust;
use super::{CallFailure, Digest, FailureKind, FailurePolicy, Hook, Input, Manifest, Mode, Plugin};
use crate::clock::{Clock, Timestamp};
use crate::config::PluginSection;
use crate::route::{Path, Route};

/// A plugin that is loaded, as of one snapshot.
#[derive(Clone, Debug)]
pub struct Installed {
    build: Arc<Build>,
    /// What the store says of its modes.
    stored: Arc<Rules>,
}

/// One build of a plugin, with what the operator gives it.
#[derive(Debug)]
pub struct Build {
    /// What is called.
    pub(super) plugin: Plugin,
    /// Which manifest.
    pub(super) manifest_digest: Digest,
    /// Its section in the configuration.
    pub(super) section: Arc<PluginSection>,
    /// The modes of its section, by whom they are for.
    pub(super) modes: Rules,
    /// The requests that it wants.
    pub(super) routes: Vec<Route>,
    /// Who vouches for it.
    pub(super) trust: Trust,
    /// Where it was loaded from; none is this binary.
    pub(super) folder: Option<PathBuf>,
    pub(super) in_bundle: bool,
    /// When it was loaded.
    pub(super) loaded_at: Timestamp,
    /// Of all its builds.
    pub(super) stats: Arc<Stats>,
    /// For calls that count.
    pub(super) enforced: Breakers,
    /// For calls in shadow mode: what fails there says nothing about others.
    pub(super) shadow: Breakers,
    pub(super) clock: Arc<dyn Clock>,
}

impl Installed {
    pub(super) fn new(build: Arc<Build>, stored: Option<&Arc<Rules>>) -> Self {
        Self { build, stored: stored.map(Arc::clone).unwrap_or_default() }
    }

    pub(super) fn build(&self) -> &Arc<Build> {
        &self.build
    }

    /// Whether both are one build.
    pub fn is_build_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.build, &other.build)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest().name
    }

    /// Its own description.
    pub fn manifest(&self) -> &Manifest {
        self.build.plugin.manifest()
    }

    /// Where it takes part.
    pub fn hook(&self) -> Hook {
        self.manifest().hook
    }

    /// What is called.
    pub fn plugin(&self) -> &Plugin {
        &self.build.plugin
    }

    /// Its section in the configuration.
    pub fn section(&self) -> &PluginSection {
        &self.build.section
    }

    /// What the store says of its modes.
    pub fn stored_modes(&self) -> &Rules {
        &self.stored
    }

    /// Who vouches for it.
    pub fn trust(&self) -> Trust {
        self.build.trust
    }

    /// Whether it came with this binary, and not from the folder or a bundle.
    pub fn is_embedded(&self) -> bool {
        self.build.folder.is_none() && !self.build.in_bundle
    }

    /// When this build was loaded.
    pub fn loaded_at(&self) -> Timestamp {
        self.build.loaded_at
    }

    /// What its calls came to.
    pub fn stats(&self) -> &Stats {
        &self.build.stats
    }

    /// A call in shadow mode found no room.
    pub(super) fn drop_one(&self) {
        self.build.stats.drop_one();
    }

    /// For how many tenants its circuit is open.
    pub fn open_circuits(&self) -> usize {
        self.build.enforced.open(self.build.clock.monotonic())
    }

    /// How much it counts; `route` is `METHOD /path` as the application reports it, or empty.
    pub fn mode(&self, tenant: &str, route: &str) -> Mode {
        let section = self.section();
        resolve(section.mode, &self.build.modes, &self.stored, (tenant, route))
    }

    /// Whether it wants to see such a request. One whose path servers read in two ways is for all to see, and letter case
    /// hides none: `/Admin` is `/admin` to many servers.
    pub fn wants(&self, method: &str, path: &str) -> bool {
        let routes = &self.build.routes;
        routes.is_empty()
            || match Path::read(path) {
                Path::Plain(segments) => routes.iter().any(|route| route.fit(method, &segments).is_some()),
                Path::Ambiguous => true,
            }
    }

    /// What follows when a call fails.
    pub fn on_failure(&self) -> FailurePolicy {
        self.section().on_failure
    }

    /// Whether its calls are kept for a replay.
    pub fn records(&self) -> bool {
        self.section().record
    }

    /// Calls it, and counts how that went. While its circuit is open, it fails with [`FailureKind::CircuitOpen`].
    pub async fn call(&self, surroundings: &Surroundings, input: &Input) -> Called {
        self.build.call((&self.build.enforced, false), surroundings, input).await
    }

    /// The same beside its request.
    pub(super) async fn call_in_shadow(&self, surroundings: &Surroundings, input: &Input) -> Called {
        self.build.call((&self.build.shadow, true), surroundings, input).await
    }
}

impl Build {
    async fn call(
        &self,
        (breakers, in_shadow): (&Breakers, bool),
        surroundings: &Surroundings,
        input: &Input,
    ) -> Called {
        let tenant = &surroundings.tenant;
        let passage = breakers.pass(tenant, self.clock.monotonic());
        let called = match passage {
            Passage::Open => not_called(),
            Passage::Closed | Passage::Probe => {
                let mut probing = Probing { breakers, tenant, is_open: passage == Passage::Probe };
                let called = self.plugin.call(surroundings, input).await;
                probing.is_open = false;
                let failure = called.output.as_ref().err().map(|failure| failure.kind);
                if breakers.note((tenant, passage), failure, self.clock.monotonic()) {
                    self.stats.circuit_opened();
                    tracing::error!(
                        plugin = %self.plugin.manifest().name, %tenant, in_shadow,
                        "the plugin fails too often: it is not called for a while"
                    );
                }
                called
            }
        };
        self.stats.note(&called, in_shadow, (tenant, surroundings.now));
        self.say(tenant, &called);
        called
    }

    /// What the plugin logged, for the operator. Quoted, since it comes from a plugin.
    fn say(&self, tenant: &str, called: &Called) {
        let plugin = self.plugin.manifest().name.as_str();
        for LogLine { level, message } in &called.logs {
            match level.as_str() {
                "error" => tracing::error!(target: "portcullis::plugin::log", plugin, tenant, ?message),
                "warn" => tracing::warn!(target: "portcullis::plugin::log", plugin, tenant, ?message),
                "info" => tracing::info!(target: "portcullis::plugin::log", plugin, tenant, ?message),
                _ => tracing::debug!(target: "portcullis::plugin::log", plugin, tenant, ?message),
            }
        }
        if called.logs_dropped > 0 {
            tracing::warn!(plugin, dropped = called.logs_dropped, "the plugin logged more than it may");
        }
    }
}

/// A probe under way. When whoever waits for the call goes away, it ends here, and is given back.
struct Probing<'a> {
    breakers: &'a Breakers,
    tenant: &'a str,
    is_open: bool,
}

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.breakers.give_back(self.tenant);
        }
    }
}

fn not_called() -> Called {
    let failure = CallFailure {
        kind: FailureKind::CircuitOpen,
        message: "it failed too often, and is not called for a while".into(),
    };
    Called {
        output: Err(failure),
        fuel: 0,
        took: Duration::ZERO,
        memory_bytes: 0,
        logs: Vec::new(),
        logs_dropped: 0,
        transcript: None,
    }
}

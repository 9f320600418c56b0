//! Plugins of a server: loaded before it serves, and again when their folder changes.
//!
//! Promises: a new set is swapped in whole, with the snapshot; a call in flight ends with the set that it began with. A
//! build that can't be loaded leaves the one before where it is, and is told of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bundle::plugins_of;
use super::{App, StartError};
use crate::bundle::Contents;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::plugin::archive::Archive;
use crate::plugin::install::{Installer, Loading, unconfigured};
use crate::plugin::set::Set;
use crate::plugin::{Cache, Services};
use crate::policy::watch::Watch;
use crate::protect::{KeyRing, Purpose, RootKey};
use crate::random::Rng;
use crate::state::State;

/// What loads plugins, and how that went.
#[derive(Debug)]
pub(super) struct Plugins {
    /// None when no plugin has a section: then nothing of the sandbox is there either.
    installer: Option<Arc<Installer>>,
    status: Mutex<PluginStatus>,
    /// One load at a time.
    turn: tokio::sync::Mutex<()>,
}

/// How the last load of plugins went.
#[derive(Clone, Debug, Default)]
pub struct PluginStatus {
    /// Plugins whose files are not what is served, why, and since when.
    pub failures: BTreeMap<String, (Timestamp, String)>,
    /// Folders that look like plugins and have no section.
    pub unconfigured: BTreeSet<String>,
}

/// How often a build that could not be loaded is tried again, though its files are the same.
const AGAIN: Duration = Duration::from_secs(60);
/// The folder of compiled code, within the data folder.
const CACHE: &str = "plugin-cache";

impl Plugins {
    /// Loads what is configured, or fails: a server that lacks a plugin does not start.
    pub(super) async fn start(
        config: &Config,
        root: &RootKey,
        services: (&Arc<dyn Clock>, &State, &Arc<KeyRing>),
        rng: &Arc<dyn Rng>,
        bundle: Option<&Contents>,
    ) -> Result<(Self, Arc<Set>), StartError> {
        let settings = &config.plugins;
        if settings.named.is_empty() {
            let unconfigured = unconfigured(settings, plugins_of(bundle));
            let status = PluginStatus { unconfigured, ..PluginStatus::default() };
            announce_unconfigured(&status.unconfigured);
            let none =
                Self { installer: None, status: Mutex::new(status), turn: tokio::sync::Mutex::default() };
            return Ok((none, Arc::default()));
        }
        let (clock, state, keys) = services;
        let services = Services {
            clock: Arc::clone(clock),
            state: Some(state.clone()),
            keys: Arc::clone(keys) as Arc<_>,
        };
        let cache = Cache::new(config.data.folder.join(CACHE), root.derive(Purpose::PluginCache));
        let homes = (cache, Archive::of(&config.data.folder));
        let installer = Arc::new(Installer::new(settings, services, homes, Arc::clone(rng))?);
        let loading = load(&installer, Arc::default(), bundle.cloned().map(Arc::new)).await?;
        if !loading.failures.is_empty() {
            let failed = |(name, error)| format!("`[plugins.{name}]`: {error}");
            return Err(StartError::Plugins(loading.failures.into_iter().map(failed).collect()));
        }
        announce(&loading.set);
        announce_unconfigured(&loading.unconfigured);
        let status = PluginStatus { failures: BTreeMap::new(), unconfigured: loading.unconfigured };
        let loaded = Self {
            installer: Some(installer),
            status: Mutex::new(status),
            turn: tokio::sync::Mutex::default(),
        };
        Ok((loaded, loading.set))
    }

    /// Loads a bundle's plugins; gives them, and those that failed with why.
    pub(super) async fn load_bundle(
        &self,
        bundle: Arc<Contents>,
        before: Arc<Set>,
    ) -> (Arc<Set>, Vec<String>) {
        let _turn = self.turn.lock().await;
        let Some(installer) = &self.installer else { return (before, Vec::new()) };
        match load(installer, Arc::clone(&before), Some(bundle)).await {
            Ok(loading) => {
                let failed = |(name, error)| format!("`[plugins.{name}]`: {error}");
                (loading.set, loading.failures.into_iter().map(failed).collect())
            }
            Err(error) => (before, vec![error.to_string()]),
        }
    }

    /// Every plugin's numbers, as Prometheus' text.
    pub(super) fn render(&self, out: &mut String) {
        if let Some(installer) = &self.installer {
            crate::plugin::stats::render(installer.stats(), out);
        }
    }
}

async fn load(
    installer: &Arc<Installer>,
    before: Arc<Set>,
    bundle: Option<Arc<Contents>>,
) -> Result<Loading, StartError> {
    let installer = Arc::clone(installer);
    let loading =
        tokio::task::spawn_blocking(move || installer.load_from(&before, plugins_of(bundle.as_deref())));
    loading
        .await
        .map_err(|_| StartError::Plugins(vec!["the loader failed, which is a defect of this program".into()]))
}

impl App {
    /// How the last load of plugins went.
    pub fn plugin_status(&self) -> PluginStatus {
        self.plugins.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every plugin's numbers, as Prometheus' text.
    pub fn render_plugins(&self, out: &mut String) {
        self.plugins.render(out);
    }

    /// Loads changed plugins for as long as it runs.
    pub async fn follow_plugins(self: Arc<Self>) {
        let mut watch = Watch::start(vec![self.config.plugins.folder.clone()]);
        // What changed between the first load and the watch's start.
        self.reload_plugins().await;
        loop {
            // What failed may have failed of a machine that was busy.
            let failing = !self.plugin_status().failures.is_empty();
            tokio::select! {
                () = watch.changed() => {}
                () = tokio::time::sleep(AGAIN), if failing => {}
            }
            self.reload_plugins().await;
        }
    }

    /// Loads the plugins; swaps in what is new and good.
    pub async fn reload_plugins(&self) {
        let _turn = self.plugins.turn.lock().await;
        let Some(installer) = &self.plugins.installer else {
            let unconfigured = unconfigured(&self.config.plugins, None);
            self.note_plugins(BTreeMap::new(), unconfigured);
            return;
        };
        let before = Arc::clone(self.snapshot().plugins());
        let loading = match load(installer, Arc::clone(&before), None).await {
            Ok(loading) => loading,
            Err(error) => return tracing::error!("{error}"),
        };
        if !loading.failures.is_empty() || loading.set.hash() != before.hash() {
            self.metrics.plugins_reloaded(loading.failures.is_empty());
        }
        let failures = loading.failures.into_iter().map(|(name, error)| (name, error.to_string())).collect();
        self.note_plugins(failures, loading.unconfigured);
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.snapshot.load();
        // The store's modes may have changed meanwhile; builds change here alone.
        let set = loading.set.with_overrides(served.plugins().overrides());
        if !same_builds(&set, served.plugins()) {
            let snapshot = (**served).clone().with_plugins(set);
            announce(snapshot.plugins());
            tracing::info!(revision = %snapshot.revision, "the plugins were loaded");
            self.snapshot.store(Arc::new(snapshot));
        }
        drop(serving);
    }

    fn note_plugins(&self, failures: BTreeMap<String, String>, unconfigured: BTreeSet<String>) {
        let now = self.clock.now();
        let mut status = self.plugins.status.lock().unwrap_or_else(PoisonError::into_inner);
        if unconfigured != status.unconfigured {
            announce_unconfigured(&unconfigured);
        }
        let told = std::mem::take(&mut status.failures);
        for (name, error) in failures {
            let known = told.get(&name).filter(|(_, known)| *known == error);
            if known.is_none() {
                tracing::error!(
                    plugin = name,
                    "the plugin's new build is not loaded; the one before serves on: {error}"
                );
            }
            let since = known.map_or(now, |(since, _)| *since);
            status.failures.insert(name, (since, error));
        }
        status.unconfigured = unconfigured;
    }
}

fn same_builds(one: &Set, other: &Set) -> bool {
    one.all().count() == other.all().count()
        && one.all().zip(other.all()).all(|(one, other)| one.is_build_of(other))
}

fn announce(set: &Set) {
    for installed in set.all() {
        let manifest = installed.manifest();
        tracing::info!(
            plugin = manifest.name, version = manifest.version, hook = manifest.hook.name(),
            digest = %installed.plugin().digest(), "a plugin is loaded"
        );
    }
}

fn announce_unconfigured(names: &BTreeSet<String>) {
    for name in names {
        tracing::warn!(
            "`{name}` is in the plugins folder and has no section `[plugins.{name}]`: it is not run"
        );
    }
}

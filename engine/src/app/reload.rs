//! Policy files that changed: loaded whole, or not at all.

use std::sync::{Arc, PoisonError};

use super::App;
use super::bundle::Following;
use crate::bundle::Contents;
use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::policy::watch::Watch;
use crate::policy::{LoadError, Loaded, MANAGEMENT, Snapshot, Sources};

/// How the last load went.
#[derive(Clone, Debug)]
pub struct ReloadStatus {
    /// When what is served was loaded.
    pub loaded_at: Timestamp,
    /// When files were last looked at.
    pub tried_at: Timestamp,
    /// Why they are not what is served.
    pub error: Option<String>,
}

impl ReloadStatus {
    pub(super) fn loaded(now: Timestamp) -> Self {
        Self { loaded_at: now, tried_at: now, error: None }
    }
}

impl App {
    /// How the last load went.
    pub fn reload_status(&self) -> ReloadStatus {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Loads changed files for as long as it runs.
    pub async fn follow_policies(self: Arc<Self>) {
        let own = Some(self.sources.folder.clone()).filter(|_| self.bundle.is_none());
        let folders = own.into_iter().chain(self.sources.management.clone());
        let mut watch = Watch::start(folders.collect());
        // What changed between the first load and the watch's start.
        self.reload().await;
        loop {
            watch.changed().await;
            self.reload().await;
        }
    }

    /// Loads the files; swaps them in if they are good and differ.
    pub async fn reload(&self) {
        // Packs of a bundle change in turn with it.
        let _turn = match &self.bundle {
            Some(following) => Some(following.turn().await),
            None => None,
        };
        let contents = self.bundle.as_ref().map(Following::contents);
        let (sources, served) = (self.sources.clone(), self.snapshot.load_full());
        let loading = tokio::task::spawn_blocking(move || load(&sources, contents.as_deref(), Some(&served)));
        let result = loading.await.unwrap_or(Err(LoadError::Defect));
        let now = self.clock.now();
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.status.tried_at = now;
        match result {
            Ok(loaded) if loaded.hash() == serving.loaded.hash() => serving.status.error = None,
            Ok(loaded) => {
                announce(&loaded, &self.metrics);
                self.metrics.reloaded(true);
                let served = self.snapshot.load();
                let snapshot = loaded
                    .at(served.revision.sequence, Arc::clone(&served.data))
                    .with_plugins(Arc::clone(served.plugins()));
                tracing::info!(revision = %snapshot.revision, "the policies were loaded");
                serving.loaded = loaded;
                serving.status = ReloadStatus::loaded(now);
                self.snapshot.store(Arc::new(snapshot));
            }
            Err(error) => {
                self.metrics.reloaded(false);
                complain(&error);
                serving.status.error = Some(error.to_string());
            }
        }
    }
}

/// Loads the packs of a bundle, or those of the folder.
pub(super) fn load(
    sources: &Sources,
    bundle: Option<&Contents>,
    before: Option<&Snapshot>,
) -> Result<Loaded, LoadError> {
    match bundle {
        Some(contents) => {
            let packs = contents.packs.values().cloned().collect();
            sources.with(packs)?.load_after(before)
        }
        None => sources.load_after(before),
    }
}

/// Says what is served, and what is worth a word.
pub(super) fn announce(loaded: &Loaded, metrics: &Metrics) {
    let asked = loaded.packs().filter(|pack| pack.name() != MANAGEMENT);
    let (packs, policies, not_compiled) = asked.fold((0, 0, 0), |(packs, policies, not_compiled), pack| {
        (packs + 1, policies + pack.rules.all.len(), not_compiled + pack.rules.not_compiled())
    });
    metrics.serving(packs, policies, not_compiled);
    for warning in loaded.packs().flat_map(|pack| &pack.warnings) {
        tracing::warn!("{warning}");
    }
}

fn complain(error: &LoadError) {
    tracing::error!("the policies do not load; what was served before is served on:\n{error}");
}

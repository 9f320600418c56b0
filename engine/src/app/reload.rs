//! Policy files that changed: loaded whole, or not at all. A set that is pinned is served in their place.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::App;
use crate::administration::revisions::{self, BUNDLE, FILES, RevisionError};
use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::policy::set::PackSet;
use crate::policy::watch::Watch;
use crate::policy::{LoadError, Loaded, MANAGEMENT, Snapshot, Sources};
use crate::store::Store;

/// How the last load went.
#[derive(Clone, Debug)]
pub struct ReloadStatus {
    /// When what is served was loaded.
    pub loaded_at: Timestamp,
    /// When files were last looked at.
    pub tried_at: Timestamp,
    /// Why they are not what is served.
    pub error: Option<String>,
    /// The files that are there and not served, since another set is pinned: what they are called.
    pub waiting: Option<String>,
}

impl ReloadStatus {
    pub(super) fn loaded(now: Timestamp) -> Self {
        Self { loaded_at: now, tried_at: now, error: None, waiting: None }
    }
}

/// What is to be served: the pinned set, or the folder's.
pub(super) async fn wanted(
    store: &Store,
    sources: &Sources,
    pin: Option<&str>,
) -> Result<PackSet, RevisionError> {
    match pin {
        Some(id) => revisions::read(store, sources, id).await,
        None => {
            let sources = sources.clone();
            let reading = tokio::task::spawn_blocking(move || sources.read());
            Ok(reading.await.map_err(|_| LoadError::Defect)??)
        }
    }
}

/// Makes packs of a set, on a thread of its own.
pub(super) async fn make(
    set: PackSet,
    served: Option<Arc<Snapshot>>,
) -> Result<(PackSet, Loaded), LoadError> {
    let making = tokio::task::spawn_blocking(move || {
        let loaded = set.load_after(served.as_deref())?;
        Ok((set, loaded))
    });
    making.await.unwrap_or(Err(LoadError::Defect))
}

impl App {
    /// How the last load went.
    pub fn reload_status(&self) -> ReloadStatus {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Which set of packs is served, and which is pinned.
    pub fn served_revision(&self) -> (Arc<str>, Option<Arc<str>>) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(serving.loaded.id()), serving.pin.clone())
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

    /// Whether a kept set, or the folder's, could be served now.
    ///
    /// # Errors
    /// Why not.
    pub async fn try_revision(&self, id: Option<&str>) -> Result<(), RevisionError> {
        let set = wanted(&self.store, &self.sources, id).await?;
        Ok(make(set, Some(self.snapshot.load_full())).await.map(drop)?)
    }

    /// Serves what is pinned, or no more pinned, for as long as it runs.
    pub async fn follow_pin(self: Arc<Self>) {
        /// A pinned set that did not load is tried again: the store may have been away.
        const AGAIN: Duration = Duration::from_secs(5);
        loop {
            let (served, pinned) = self.served_revision();
            let is_behind = pinned.is_some_and(|pinned| pinned != served);
            tokio::select! {
                () = self.pin_changed.notified() => {}
                () = tokio::time::sleep(AGAIN), if is_behind => {}
            }
            self.reload().await;
        }
    }

    /// Loads what is to be served; swaps it in if it is good and differs.
    pub async fn reload(&self) {
        let _turn = self.loading.lock().await;
        // A pin that changes meanwhile is honoured by this call, not only by the next.
        while !self.reload_once().await {}
    }

    /// False when the pin changed meanwhile, and nothing was done.
    async fn reload_once(&self) -> bool {
        let (_, pin) = self.served_revision();
        let result = match wanted(&self.store, &self.sources, pin.as_deref()).await {
            Ok(set) => make(set, Some(self.snapshot.load_full())).await.map_err(RevisionError::from),
            Err(error) => Err(error),
        };
        let waiting = match &pin {
            Some(pinned) => self.waiting_files(pinned).await,
            None => None,
        };
        let (set, loaded) = {
            let now = self.clock.now();
            let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
            if serving.pin != pin {
                return false;
            }
            serving.status.tried_at = now;
            if waiting.is_some() && waiting != serving.status.waiting {
                tracing::warn!(
                    pinned = pin.as_deref(),
                    "the policies that are there are not served: a revision is pinned"
                );
            }
            serving.status.waiting = waiting;
            match result {
                Ok((set, loaded)) => {
                    if loaded.hash() == serving.loaded.hash() {
                        serving.status.error = None;
                        serving.loaded = loaded.clone();
                    } else {
                        self.swap_in(&mut serving, loaded.clone(), now);
                    }
                    // While the pin can't change: what is served is by this one.
                    self.settle();
                    (set, loaded)
                }
                Err(error) => {
                    self.metrics.reloaded(false);
                    complain(&error);
                    serving.status.error = Some(error.to_string());
                    if pin.is_none() {
                        self.settle();
                    }
                    return true;
                }
            }
        };
        match pin {
            // Whoever pinned it has noted that; when the folder counts again, that is to be noted too.
            Some(_) => *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None,
            None => self.keep_revision(&set, &loaded).await,
        }
        true
    }

    /// What is served is what is to be: whoever waits for a revision may go on.
    pub(super) fn settle(&self) {
        if !self.settled.swap(true, Ordering::AcqRel) {
            self.revisions.send_modify(|_| ());
        }
    }

    fn swap_in(&self, serving: &mut super::Serving, loaded: Loaded, now: Timestamp) {
        announce(&loaded, &self.metrics);
        self.metrics.reloaded(true);
        let served = self.snapshot.load();
        let snapshot = loaded
            .at(served.revision.sequence, Arc::clone(&served.data))
            .with_plugins(Arc::clone(served.plugins()));
        tracing::info!(revision = %snapshot.revision, "the policies were loaded");
        serving.loaded = loaded;
        serving.status = ReloadStatus { waiting: serving.status.waiting.take(), ..ReloadStatus::loaded(now) };
        self.snapshot.store(Arc::new(snapshot));
    }

    /// What the folder holds, when that is not the pinned set.
    async fn waiting_files(&self, pinned: &str) -> Option<String> {
        let set = wanted(&self.store, &self.sources, None).await;
        let id = set.map_or_else(|_| "files that can't be read".to_owned(), |set| set.id());
        (id != pinned).then_some(id)
    }

    /// Keeps what was loaded from files. Without it, it can't be gone back to: no reason not to serve.
    pub(super) async fn keep_revision(&self, set: &PackSet, loaded: &Loaded) {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.as_ref() == Some(loaded.id()) {
                return;
            }
            *kept = Some(Arc::clone(loaded.id()));
        }
        let (now, most) = (self.clock.now(), self.config.policies.revisions_kept);
        let origin = if self.bundle.is_some() { BUNDLE } else { FILES };
        if let Err(error) = revisions::keep(&self.store, (set, loaded), origin, now, most).await {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::error!(%error, revision = %loaded.id(), "the revision could not be kept, to go back to");
        }
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

fn complain(error: &RevisionError) {
    tracing::error!("the policies do not load; what was served before is served on:\n{error}");
}

//! Asking the source again and again, and taking what is new.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;

use super::super::App;
use super::super::reload::{ReloadStatus, announce, make};
use super::{Following, Judged, TakeError, fetch, judge, kept};
use crate::bundle::Source;
use crate::outbound::Fetched;
use crate::plugin::set::Set;
use crate::policy::watch::Watch;
use crate::policy::{LoadError, Loaded};

/// How long a bundle that was refused is not looked at again: what failed may have failed of a machine that was busy.
const AGAIN: Duration = Duration::from_secs(60);

/// What came of asking.
enum Offered {
    /// What is served, or was refused a moment ago.
    Known,
    New(Judged, Option<HeaderValue>),
}

impl App {
    /// Follows the bundle for as long as it runs.
    pub async fn follow_bundle(self: Arc<Self>) {
        let Some(following) = &self.bundle else { return };
        let poll = Duration::from_secs(following.settings.poll_seconds);
        let file = match &following.source {
            Source::File(path) => Some(path.clone()),
            Source::Url(_) => None,
        };
        let mut watch = file.map(|path| Watch::start(vec![path]));
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::time::timeout(poll, changed).await.ok();
            self.poll_bundle().await;
        }
    }

    /// Asks the source once; takes what is new and good.
    pub async fn poll_bundle(&self) {
        let Some(following) = &self.bundle else { return };
        let result = self.take_offered(following).await;
        let now = self.clock.now();
        let mut state = following.lock();
        state.status.polled_at = now;
        let told = state.status.error.take();
        match result {
            Ok(is_known) => {
                // What was refused a moment ago is still what the source has.
                let still_refused = is_known && state.refused.is_some();
                if still_refused {
                    state.status.polls_failed += 1;
                    state.status.error = told;
                } else {
                    state.status.polls_ok += 1;
                    state.refused = None;
                }
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::error!(
                        "the bundle of `{}` is not served, and what is served stays: {error}",
                        following.source
                    );
                }
                state.status.polls_failed += 1;
                state.status.error = Some(error);
            }
        }
    }

    /// Whether what is offered is known already; if not, it is served now.
    async fn take_offered(&self, following: &Following) -> Result<bool, TakeError> {
        let (judged, tag) = match self.offered(following).await? {
            Offered::Known => return Ok(true),
            Offered::New(judged, tag) => (judged, tag),
        };
        let named = judged.named;
        match self.take(following, judged, tag.clone()).await {
            Ok(()) => Ok(false),
            Err(error) => {
                // A store that does not answer is no fault of the bundle.
                if !matches!(error, TakeError::Store(_)) {
                    let mut state = following.lock();
                    state.refused = Some((named, self.clock.monotonic()));
                    // Not asked for again, until it is looked at again.
                    state.tag = tag;
                }
                Err(error)
            }
        }
    }

    async fn offered(&self, following: &Following) -> Result<Offered, TakeError> {
        let is_recent = |at: Duration| self.clock.monotonic().saturating_sub(at) < AGAIN;
        let tag = {
            let state = following.lock();
            let is_due = state.refused.is_some_and(|(_, at)| !is_recent(at));
            state.tag.clone().filter(|_| !is_due)
        };
        let (bytes, tag) = match fetch(&following.source, &following.outbound, tag.as_ref()).await? {
            Fetched::NotModified => return Ok(Offered::Known),
            Fetched::Body(bytes, tag) => (bytes, tag),
        };
        let judged = judge(bytes, &following.settings).await?;
        let mut state = following.lock();
        let is_served = judged.named.digest.to_string() == state.status.digest;
        let is_refused = state.refused.is_some_and(|(named, at)| named == judged.named && is_recent(at));
        if is_served {
            state.refused = None;
        }
        if is_served || is_refused {
            state.tag = tag;
            return Ok(Offered::Known);
        }
        Ok(Offered::New(judged, tag))
    }

    async fn take(
        &self,
        following: &Following,
        judged: Judged,
        tag: Option<HeaderValue>,
    ) -> Result<(), TakeError> {
        let _turn = self.loading.lock().await;
        judged.named.may_follow(self.store.taken_bundle().await?.as_ref())?;
        let packs = judged.contents.packs();
        let offered = self.sources.with(packs.to_vec()).map_err(LoadError::from)?;
        let (offered, loaded) = make(offered, Some(self.snapshot())).await?;
        let before = Arc::clone(self.snapshot().plugins());
        let (set, failures) = self.plugins.load_bundle(Arc::clone(&judged.contents), before).await;
        if !failures.is_empty() {
            return Err(TakeError::Plugins(failures.join("\n")));
        }
        let newest = self.store.take_bundle(&judged.named).await?;
        judged.named.may_follow(Some(&newest))?;
        if self.serve_bundle(following, (&judged, tag), &loaded, set) {
            self.keep_revision(&offered, &loaded).await;
        }
        let (file, bytes) = (following.kept.clone(), judged.bytes);
        tokio::task::spawn_blocking(move || kept::keep(&file, &bytes)).await.map_err(|_| TakeError::Defect)
    }

    /// Swaps in packs and plugins at once. Packs that are pinned stay: then the bundle's are there for when they are not.
    /// Whether its packs are served.
    fn serve_bundle(
        &self,
        following: &Following,
        (judged, tag): (&Judged, Option<HeaderValue>),
        loaded: &Loaded,
        plugins: Arc<Set>,
    ) -> bool {
        let now = self.clock.now();
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        self.sources.held.store(Some(judged.contents.packs()));
        let served = self.snapshot.load();
        let plugins = plugins.with_overrides(served.plugins().overrides());
        let is_served = serving.pin.is_none();
        let packs = if is_served {
            announce(loaded, &self.metrics);
            self.metrics.reloaded(true);
            serving.loaded = loaded.clone();
            serving.status = ReloadStatus::loaded(now);
            loaded.at(served.revision.sequence, Arc::clone(&served.data))
        } else {
            let is_other = serving.pin.as_ref() != Some(loaded.id());
            if is_other {
                tracing::warn!(
                    pinned = serving.pin.as_deref(),
                    "the bundle's packs are not served: a revision is pinned"
                );
            }
            serving.status.waiting = is_other.then(|| loaded.id().to_string());
            (**served).clone()
        };
        let snapshot = packs.with_plugins(plugins);
        tracing::info!(
            revision = %snapshot.revision, version = judged.named.version, digest = %judged.named.digest,
            "the bundle is served"
        );
        self.snapshot.store(Arc::new(snapshot));
        // A pin that is not served yet is still waited for.
        if is_served {
            self.settle();
        }
        let mut state = following.lock();
        state.tag = tag;
        state.status.version = judged.named.version;
        state.status.digest = judged.named.digest.to_string();
        state.status.taken_at = now;
        state.status.error = None;
        is_served
    }
}

//! Packs in shadow: loaded beside what is served, and asked what was decided, off the path.
//!
//! Promises: without a candidate nothing is written or kept; what finds no room is dropped and counted. A candidate that does
//! not load is a problem that is shown, and no more. Must never: hold a request up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::{App, reload};
use crate::administration::revisions::{self, PROMOTION, RevisionError};
use crate::clock::Timestamp;
use crate::policy::shadow::Candidate;
use crate::policy::watch::Watch;
use crate::policy::{Snapshot, Sources};
use crate::record::Record;

/// Records that wait may be so long together.
const MOST_BYTES: usize = 64 << 20;
/// So many are compared in a row.
const AT_ONCE: usize = 64;

/// The packs in shadow, and the decisions that wait for them.
#[derive(Debug)]
pub struct Shadowed {
    sender: mpsc::Sender<Waiting>,
    receiver: Mutex<Option<mpsc::Receiver<Waiting>>>,
    bytes: Arc<AtomicUsize>,
    /// Whether there is a candidate: all that a decision asks when there is none.
    is_wanted: AtomicBool,
    now: Mutex<Now>,
}

#[derive(Clone, Debug, Default)]
struct Now {
    candidate: Option<Arc<Candidate>>,
    problem: Option<String>,
}

/// A decision that waits.
#[derive(Debug)]
struct Waiting {
    candidate: Arc<Candidate>,
    snapshot: Arc<Snapshot>,
    at: Timestamp,
    event: Vec<u8>,
    room: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.room.fetch_sub(self.event.len(), Ordering::Relaxed);
    }
}

impl Shadowed {
    /// Nothing is in shadow yet; so many decisions can wait.
    pub fn new(decisions: usize) -> Self {
        let (sender, receiver) = mpsc::channel(decisions.max(1));
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            bytes: Arc::default(),
            is_wanted: AtomicBool::new(false),
            now: Mutex::default(),
        }
    }

    fn now(&self) -> Now {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in shadow.
    pub fn candidate(&self) -> Option<Arc<Candidate>> {
        self.now().candidate
    }

    /// Why what is in the folder is not in shadow.
    pub fn problem(&self) -> Option<String> {
        self.now().problem
    }

    /// Whether decisions are to be offered.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Has a decision compared later, if there is room. False when it was dropped.
    pub fn offer(&self, snapshot: &Arc<Snapshot>, record: &Record<'_>) -> bool {
        let (Some(candidate), Some(pack)) = (self.candidate(), record.pack) else { return true };
        if self.sender.capacity() == 0 || self.bytes.load(Ordering::Relaxed) >= MOST_BYTES {
            candidate.drop_one(pack);
            return false;
        }
        let mut event = Vec::new();
        if record.write(&mut event).is_err() {
            return true;
        }
        self.bytes.fetch_add(event.len(), Ordering::Relaxed);
        let (snapshot, room) = (Arc::clone(snapshot), Arc::clone(&self.bytes));
        match self.sender.try_send(Waiting { candidate, snapshot, at: record.time, event, room }) {
            Ok(()) => true,
            Err(full) => {
                full.into_inner().candidate.drop_one(pack);
                false
            }
        }
    }
}

impl App {
    /// Compares what waits, until the server ends.
    pub async fn compare_shadowed(self: Arc<Self>) {
        let receiver = self.shadowed.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        loop {
            let mut some = Vec::new();
            if receiver.recv_many(&mut some, AT_ONCE).await == 0 {
                return;
            }
            let comparing = tokio::task::spawn_blocking(move || {
                let compare = |one: &Waiting| one.candidate.compare(&one.event, &one.snapshot, one.at);
                some.iter().map(compare).collect::<Vec<_>>()
            });
            match comparing.await {
                Ok(outcomes) => outcomes.into_iter().for_each(|outcome| self.metrics.shadowed(outcome)),
                Err(_) => tracing::error!("a comparison in shadow failed, which is a defect of this program"),
            }
        }
    }

    /// Loads what is in the folder of candidates, and again when it changes.
    pub async fn follow_candidate(self: Arc<Self>) {
        let Some(folder) = self.config.policies.shadow.clone() else { return };
        let mut watch = Watch::start(vec![folder]);
        loop {
            self.reload_candidate().await;
            if !self.config.policies.watch {
                return;
            }
            watch.changed().await;
        }
    }

    /// Loads what is in the folder of candidates. What does not load leaves the candidate before where it is.
    async fn reload_candidate(&self) {
        let Some(sources) = self.candidate_sources() else { return };
        let served = self.snapshot();
        let loading = async {
            let set = reload::wanted(&self.store, &sources, None).await?;
            Ok::<_, RevisionError>(reload::make(set, Some(Arc::clone(&served))).await?)
        };
        let result = loading.await;
        let now = self.clock.now();
        let mut state = self.shadowed.now.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok((set, _)) if set.named().is_empty() => *state = Now::default(),
            Ok((set, loaded)) => {
                state.problem = None;
                if state.candidate.as_ref().is_none_or(|present| present.loaded.id() != loaded.id()) {
                    tracing::info!(revision = %loaded.id(), "a candidate is in shadow");
                    state.candidate = Some(Arc::new(Candidate::new(set, loaded, &served, now)));
                }
            }
            Err(error) => {
                tracing::warn!("the candidate does not load, and nothing of it is in shadow:\n{error}");
                state.problem = Some(error.to_string());
            }
        }
        self.shadowed.is_wanted.store(state.candidate.is_some(), Ordering::Relaxed);
    }

    fn candidate_sources(&self) -> Option<Sources> {
        let folder = self.config.policies.shadow.clone()?;
        Some(Sources::of(folder, self.config.policies.management.clone()))
    }

    /// Keeps the candidate as a revision that can be pinned, if it is the one that was seen.
    ///
    /// # Errors
    /// When another one, or none, is in shadow, or the store fails.
    pub async fn keep_candidate(&self, seen: &str) -> Result<(), RevisionError> {
        let candidate = self.shadowed.candidate().filter(|candidate| **candidate.loaded.id() == *seen);
        let candidate = candidate.ok_or_else(|| RevisionError::NotInShadow(seen.to_owned()))?;
        let (now, most) = (self.clock.now(), self.config.policies.revisions_kept);
        let of = (&candidate.set, &candidate.loaded);
        Ok(revisions::keep(&self.store, of, PROMOTION, now, most).await?)
    }
}

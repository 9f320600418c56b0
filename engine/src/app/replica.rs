//! What this node knows of the store, and how fresh that is.
//!
//! Promises: what a decision sees was compared with the store, or heard of from those who change it, less than 700 ms
//! before; else the store is asked first, and when it does not answer there is no decision. Rows are taken over in the
//! order of their numbers, all of a change or nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::App;
use crate::caller::{Caller, Callers, is_well_formed};
use crate::clock::{Clock, SharedClock, Timestamp};
use crate::entity::Data;
use crate::plugin::modes::Overrides;
use crate::store::{Store, StoreError};

mod rows;

pub(super) use rows::{Batch, ModeUpdate, UnreadableRow, with_modes};

/// Knowledge older than this asks the store first.
const FRESH: Duration = Duration::from_millis(700);

/// A store that takes longer to say how far it is does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much of the store this node knows.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// The number of the last change that it has.
    sequence: AtomicU64,
    /// The monotonic time as of which that was the last one, in nanoseconds.
    fresh_at: AtomicU64,
    /// Whether a change may have been made that nobody knows of: then only the store can say what there is.
    unsure: AtomicBool,
    /// The monotonic time at which the last comparison that failed began, in nanoseconds.
    failed_at: AtomicU64,
    /// Held by whoever takes changes over or makes one.
    known: tokio::sync::Mutex<Known>,
}

/// All that is known, as of one change.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) data: Arc<Data>,
    /// What callers say of plugins' modes.
    pub(super) modes: Arc<Overrides>,
    /// The set of packs that is served whatever the folder holds.
    pub(super) pin: Option<Arc<str>>,
}

/// The turn to take changes over, or to make one.
pub(super) type Turn<'a> = tokio::sync::MutexGuard<'a, Known>;

impl Replica {
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    pub(super) fn fresh_at(&self) -> Duration {
        Duration::from_nanos(self.fresh_at.load(Ordering::Acquire))
    }

    /// What is known was all that there was at this time of the monotonic clock.
    pub(super) fn is_fresh_as_of(&self, at: Duration) {
        if self.unsure.load(Ordering::Acquire) {
            return;
        }
        self.fresh_at.fetch_max(nanos(at), Ordering::AcqRel);
    }

    /// What is known is not to be trusted before the store was asked.
    pub(super) fn doubt(&self) {
        self.unsure.store(true, Ordering::Release);
        self.fresh_at.store(1, Ordering::Release);
    }

    pub(super) async fn turn(&self) -> Turn<'_> {
        self.known.lock().await
    }

    /// Takes over what the store holds.
    pub(super) async fn refresh(
        &self,
        store: &Store,
        callers: &Callers,
        clock: &dyn Clock,
    ) -> Result<Known, StoreError> {
        let arrived_at = clock.monotonic();
        let mut known = self.known.lock().await;
        // Whoever waited shares the comparison that began meanwhile: strange keys, however many, cost one at a time.
        if self.fresh_at() > arrived_at {
            return Ok(known.clone());
        }
        // And its failure: whoever waits for a store that is away waits once.
        if self.failed_at.load(Ordering::Acquire) > nanos(arrived_at) {
            return Err(StoreError::Silent);
        }
        // Read before the store is: what is true then was true at least since.
        let asked_at = clock.monotonic();
        let compared = self.compare(&mut known, store, callers).await;
        match &compared {
            Ok(()) => {
                self.unsure.store(false, Ordering::Release);
                self.is_fresh_as_of(asked_at);
            }
            Err(_) => drop(self.failed_at.fetch_max(nanos(asked_at), Ordering::AcqRel)),
        }
        compared.map(|()| known.clone())
    }

    async fn compare(
        &self,
        known: &mut Turn<'_>,
        store: &Store,
        callers: &Callers,
    ) -> Result<(), StoreError> {
        let first = self.fresh_at().is_zero();
        let asking = tokio::time::timeout(PATIENCE, store.sequence());
        let sequence = asking.await.unwrap_or(Err(StoreError::Silent))?;
        // A database that was set back is another one: nothing that is known of it counts.
        let afresh = first || sequence < known.sequence;
        if afresh || sequence != known.sequence {
            let from = if afresh { Known::default() } else { known.clone() };
            let mut batch = Batch::over(&from);
            let sequence = store.changed_since(from.sequence, |changed| batch.add(changed)).await?;
            let (taken, rows) = batch.finish(sequence)?;
            callers.apply(rows, afresh);
            self.know(known, taken);
        }
        Ok(())
    }

    /// Takes a state over as what is known.
    pub(super) fn know(&self, turn: &mut Turn<'_>, known: Known) {
        self.sequence.store(known.sequence, Ordering::Release);
        **turn = known;
    }
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Sets the clock by the database's, which all nodes share.
pub(super) async fn set_clock(store: &Store, clock: &SharedClock) -> Result<(), StoreError> {
    let before = clock.own_now();
    let Some(shared) = store.shared_time().await? else { return Ok(()) };
    if let Some(offset_us) = clock.set(shared, (before, clock.own_now())) {
        let seconds = offset_us / 1_000_000;
        tracing::error!(seconds, "this machine's clock differs from the database's, by which all is judged");
    }
    Ok(())
}

impl App {
    /// Who presents this key. Asks the store when what is known is stale, or when the key is not known: it may have been
    /// made a moment ago.
    ///
    /// # Errors
    /// When the store must be asked and fails.
    pub async fn present(&self, presented: &str) -> Result<Option<Arc<Caller>>, StoreError> {
        if !is_well_formed(presented) {
            return Ok(None);
        }
        let age = self.knowledge_age();
        let mut found = self.callers.find(presented);
        if age > FRESH || found.is_none() {
            // Boxed, as all that is rare on the path of a decision: its future would be 31 kB, moved twice a request.
            Box::pin(self.refresh()).await?;
            found = self.callers.find(presented);
        }
        Ok(found.filter(|caller| caller.is_live_by(&*self.clock)))
    }

    /// How old what this node knows may be.
    pub fn knowledge_age(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.replica.fresh_at())
    }

    /// How far this machine's clock is behind the shared one, in microseconds.
    pub fn clock_offset_us(&self) -> i64 {
        self.shared_clock.offset_us()
    }

    /// Whether a decision could be made now: what is known is fresh, or becomes so.
    pub async fn is_fresh(&self) -> bool {
        self.knowledge_age() <= FRESH || self.refresh().await.is_ok()
    }

    /// Takes over what the store holds; gives its sequence number.
    ///
    /// # Errors
    /// When the store fails: what is known stays, and goes stale.
    pub async fn refresh(&self) -> Result<u64, StoreError> {
        let known = self.replica.refresh(&self.store, &self.callers, &*self.clock).await?;
        let sequence = known.sequence;
        self.serve(known);
        Ok(sequence)
    }

    /// Compares with the store until the server ends; a change gives a new revision.
    pub async fn follow_store(self: Arc<Self>) {
        // Well under the 700 ms after which what is known is not trusted.
        const EVERY: Duration = Duration::from_millis(200);
        const CLOCK_EVERY: u32 = 25;
        const SWEEP_EVERY: u32 = 5 * 60 * 60;
        let mut failing = false;
        let mut round = 0_u32;
        loop {
            round = round.wrapping_add(1);
            match self.refresh().await {
                Ok(_) => {
                    failing = false;
                    self.log_changes().await;
                    if round.is_multiple_of(CLOCK_EVERY) {
                        set_clock(&self.store, &self.shared_clock).await.ok();
                    }
                    if round % SWEEP_EVERY == 1 {
                        self.forget_answers().await;
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(%error, "the store can't be asked: what it must be asked for is refused");
                }
                Err(_) => {}
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Forgets what idempotency keys were answered, when their time is over.
    pub(super) async fn forget_answers(&self) {
        /// How long an answer is kept, as the API promises.
        const KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;
        let before = Timestamp(self.clock.now().0.saturating_sub(KEPT_US));
        if let Err(error) = self.store.forget_answers(before).await {
            tracing::warn!(%error, "old answers of idempotency keys could not be forgotten: tried again in an hour");
        }
    }

    /// Whether this node serves a sequence number, after waiting for it within bounds.
    pub async fn reaches(&self, wanted: u64) -> bool {
        let mut revisions = self.revisions.subscribe();
        // A node that knows of a pin, and does not serve by it yet, is not there.
        let is_settled = || self.settled.load(Ordering::Acquire);
        if self.snapshot.load().revision.sequence >= wanted && is_settled() {
            return true;
        }
        let patience = Duration::from_millis(self.config.limits.revision_wait_milliseconds);
        let reached = async {
            // The change may be there and only not heard of.
            self.refresh().await.ok();
            revisions.wait_for(|served| *served >= wanted && is_settled()).await.is_ok()
        };
        tokio::time::timeout(patience, reached).await.unwrap_or(false)
    }

    /// Serves what is known.
    pub(super) fn serve(&self, known: Known) {
        let served = self.snapshot.load();
        if served.revision.sequence == known.sequence {
            return;
        }
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever was later may be first here, and what is served never goes back: save to another database.
        let served = self.snapshot.load();
        if known.sequence < served.revision.sequence && known.sequence != self.replica.sequence() {
            return;
        }
        let plugins = served.plugins().with_overrides(&known.modes);
        let snapshot = serving.loaded.at(known.sequence, known.data).with_plugins(plugins);
        // Before the number is there to be seen: whoever waits for it waits for the pin too.
        if serving.pin != known.pin {
            serving.pin = known.pin;
            self.settled.store(false, Ordering::Release);
            self.pin_changed.notify_one();
        }
        self.snapshot.store(Arc::new(snapshot));
        self.revisions.send_replace(known.sequence);
    }
}

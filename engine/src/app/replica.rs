//! What this node knows of the store, and how fresh that is.
//!
//! Promises: what a decision sees was compared with the store, or heard of from those who change it, less than 700 ms
//! before; else the store is asked first, and when it does not answer there is no decision. Rows are taken over in the
//! order of their numbers, all of a change or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::App;
use crate::caller::{Caller, Callers, is_well_formed};
use crate::clock::Clock;
use crate::store::writing::Changed;
use crate::store::{Store, StoreError};

/// Knowledge older than this asks the store first.
const FRESH: Duration = Duration::from_millis(700);

/// How much of the store this node knows.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// The number of the last change that it has.
    sequence: AtomicU64,
    /// The monotonic time as of which that was the last one, in nanoseconds.
    compared_at: AtomicU64,
    /// Held by whoever takes changes over or makes one.
    turn: tokio::sync::Mutex<()>,
}

impl Replica {
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    fn compared_at(&self) -> Duration {
        Duration::from_nanos(self.compared_at.load(Ordering::Acquire))
    }

    /// Takes over what the store holds; gives its sequence number.
    pub(super) async fn refresh(
        &self,
        store: &Store,
        callers: &Callers,
        clock: &dyn Clock,
    ) -> Result<u64, StoreError> {
        let arrived_at = clock.monotonic();
        let _turn = self.turn.lock().await;
        // Whoever waited shares the comparison that began meanwhile: strange keys, however many, cost one at a time.
        if self.compared_at() > arrived_at {
            return Ok(self.sequence());
        }
        // Read before the store is: what is true then was true at least since.
        let asked_at = clock.monotonic();
        let known = self.sequence();
        let mut sequence = store.sequence().await?;
        // A database that was set back is another one: nothing that is known of it counts.
        let afresh = sequence < known || self.compared_at().is_zero();
        if sequence != known || afresh {
            let mut rows = Vec::new();
            let known = if afresh { 0 } else { known };
            sequence = store
                .changed_since(known, |changed| {
                    if let Changed::Caller(row) = changed {
                        rows.push(row);
                    }
                })
                .await?;
            callers.apply(rows, afresh);
            self.sequence.store(sequence, Ordering::Release);
        }
        let nanos = u64::try_from(asked_at.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.compared_at.fetch_max(nanos, Ordering::AcqRel);
        Ok(sequence)
    }
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
        let age = self.clock.monotonic().saturating_sub(self.replica.compared_at());
        let mut found = self.callers.find(presented);
        if age > FRESH || found.is_none() {
            self.refresh().await?;
            found = self.callers.find(presented);
        }
        Ok(found.filter(|caller| caller.is_live(self.clock.now())))
    }

    /// Takes over what the store holds; gives its sequence number.
    ///
    /// # Errors
    /// When the store fails: what is known stays, and goes stale.
    pub async fn refresh(&self) -> Result<u64, StoreError> {
        self.replica.refresh(&self.store, &self.callers, &*self.clock).await
    }

    /// Compares with the store until the server ends; a change gives a new revision.
    pub async fn follow_store(self: Arc<Self>) {
        // Well under the 700 ms after which what is known is not trusted.
        const EVERY: Duration = Duration::from_millis(200);
        let mut failing = false;
        self.log_changes().await;
        loop {
            tokio::time::sleep(EVERY).await;
            match self.refresh().await {
                Ok(sequence) => {
                    failing = false;
                    if self.at_sequence(sequence) {
                        self.log_changes().await;
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(%error, "the store can't be asked who may call: calls are refused");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes the known sequence number over into the revision.
    pub fn catch_up(&self) {
        self.at_sequence(self.replica.sequence());
    }

    /// Whether that was new.
    fn at_sequence(&self, sequence: u64) -> bool {
        if self.snapshot.load().revision.sequence >= sequence {
            return false;
        }
        let serving = self.serving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A reload may have come by with a later one meanwhile; a revision never goes back.
        let sequence = sequence.max(self.snapshot.load().revision.sequence);
        self.snapshot.store(Arc::new(serving.loaded.at(sequence)));
        true
    }
}

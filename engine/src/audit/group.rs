//! Mode `durable`: appends that are ready at the same moment go to the file in one write.
//!
//! Promises: an append answers only after its records were handed to the operating system; all of a group are
//! written, or none. An append that is given up before its answer leaves its records to the group. Must never: keep
//! records while nothing else happens and somebody waits for them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::AuditError;
use super::record::Batch;
use super::writer::Shared;

/// A group that has grown to this is written before anything joins it.
const RECORDS: usize = 1_024;
const BYTES: usize = 1 << 20;

/// How a group's write went. Every member holds its own group's, so that none can take another's for it.
type Outcome = Arc<OnceLock<Result<(), String>>>;

#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What has joined and is not written.
    open: Batch,
    /// The outcome of the group that can be joined.
    outcome: Outcome,
}

impl Group {
    /// Appends a batch with whatever else is ready; the batch is empty afterwards.
    pub(super) async fn append(&self, batch: &mut Batch, shared: &Shared) -> Result<(), AuditError> {
        let outcome = self.join(batch, shared);
        // Once around: every task that is ready by now joins before the first of them writes.
        tokio::task::yield_now().await;
        self.finish(&outcome, shared)
    }

    /// Writes what was left by appends that were given up.
    pub(super) fn flush(&self, shared: &Shared) {
        let mut state = self.lock();
        if !state.open.is_empty() {
            // Nobody waits for these any more; the failure is counted.
            state.write(shared).ok();
        }
    }

    fn join(&self, batch: &mut Batch, shared: &Shared) -> Outcome {
        let mut state = self.lock();
        let full = state.open.len() + batch.len() > RECORDS || state.open.bytes() + batch.bytes() > BYTES;
        if full && !state.open.is_empty() {
            // Its members find the failure, if it is one.
            state.write(shared).ok();
        }
        if state.open.is_empty() && !state.open.has_room(batch.bytes()) {
            std::mem::swap(&mut state.open, batch);
        } else {
            state.open.absorb(batch);
        }
        batch.clear();
        Arc::clone(&state.outcome)
    }

    fn finish(&self, outcome: &Outcome, shared: &Shared) -> Result<(), AuditError> {
        let mut state = self.lock();
        match outcome.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(AuditError::Unavailable(why.clone())),
            // Not written yet, so it is the open group still.
            None => state.write(shared),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between joining and writing leaves records that the next group carries.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes the open group and opens the next. Whoever waits for the mutex meanwhile would wait for the file too.
    fn write(&mut self, shared: &Shared) -> Result<(), AuditError> {
        let written = shared.lock_writer().append(&self.open, shared);
        let outcome = written.as_ref().copied().map_err(ToString::to_string);
        self.outcome.set(outcome).ok();
        self.outcome = Outcome::default();
        self.open.clear();
        written
    }
}

//! The modes `queued` and `gap`: a bounded queue in front of a thread that writes.
//!
//! Promises: `queued` waits for room, and refuses while the disk does; `gap` never waits, counts
//! what it drops, and records the exact count. Numbers are reserved for what is in the queue too.
//! Must never: lose a record without a gap that says so.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::record::{Batch, KEEP_BYTES};
use super::writer::{Known, Shared};
use super::{AuditError, Mode};

const QUEUE_BYTES: usize = 64 << 20;
const RETRY: Duration = Duration::from_millis(100);
/// How often the last records are tried again when the log is closed over a full disk.
const LAST_TRIES: u32 = 20;
/// Numbers for records of the log's own: a gap and new segments.
const OWN_RECORDS: u64 = 64;

#[derive(Debug)]
pub(super) struct Queue {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Wakes the thread.
    ready: Condvar,
    /// Wakes who waits for room, or for what is queued to be written.
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Batch>,
    records: usize,
    bytes: usize,
    /// Records queued, being written, or dropped and not yet recorded.
    unwritten: u64,
    dropped: u64,
    accepted: u64,
    done: u64,
    failing: Option<String>,
    closing: bool,
    abandoned: bool,
    lost: bool,
}

enum Admission {
    Taken,
    Full,
    Reserve(u64),
}

impl Queue {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, AuditError> {
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            ready: Condvar::new(),
            changed: tokio::sync::Notify::new(),
        });
        let (queue, log) = (Arc::clone(&inner), Arc::clone(shared));
        let thread = std::thread::Builder::new()
            .name("decision-log".into())
            .spawn(move || queue.run(&log))
            .map_err(|source| AuditError::io("start a thread for", &shared.folder, source))?;
        Ok(Self { inner, thread: Mutex::new(Some(thread)) })
    }

    /// Puts a batch in the queue, as the mode has it; the batch is empty afterwards.
    pub(super) async fn push(&self, batch: &mut Batch, shared: &Arc<Shared>) -> Result<(), AuditError> {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.inner.admit(batch, shared)? {
                Admission::Taken => return Ok(()),
                Admission::Full => changed.await,
                Admission::Reserve(_) if shared.options.mode == Mode::Gap => {
                    shared.wake.notify_one();
                    return Err(AuditError::Stalled);
                }
                Admission::Reserve(wanted) => {
                    let log = Arc::clone(shared);
                    super::blocking(move || log.reservation.ensure(wanted)).await??;
                }
            }
        }
    }

    /// Waits until what is in the queue now is in the file, or the disk refuses it.
    pub(super) async fn settled(&self) {
        let target = self.inner.lock().accepted;
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.inner.is_settled(target) {
                return;
            }
            changed.await;
        }
    }

    /// Lets the thread finish what is queued, and end.
    pub(super) async fn close(&self) -> Result<(), AuditError> {
        self.inner.lock().closing = true;
        self.inner.ready.notify_all();
        self.inner.changed.notify_waiters();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            super::blocking(move || thread.join().ok()).await?;
        }
        let state = self.inner.lock();
        if state.lost || state.unwritten > 0 {
            let detail = state.failing.clone().unwrap_or_else(|| "its thread ended".into());
            return Err(AuditError::Unavailable(detail));
        }
        Ok(())
    }
}

impl Drop for Queue {
    /// Not closed: what is queued is lost, as in a crash.
    fn drop(&mut self) {
        self.inner.lock().abandoned = true;
        self.inner.ready.notify_all();
        self.inner.changed.notify_waiters();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.join().ok();
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_settled(&self, target: u64) -> bool {
        let state = self.lock();
        state.done >= target || state.failing.is_some() || state.abandoned
    }

    fn admit(&self, batch: &mut Batch, shared: &Shared) -> Result<Admission, AuditError> {
        let count = batch.len() as u64;
        let mut state = self.lock();
        if state.closing || state.abandoned {
            return Err(AuditError::Closed);
        }
        let gaps = shared.options.mode == Mode::Gap;
        if let (Some(detail), false) = (&state.failing, gaps) {
            return Err(AuditError::Unavailable(detail.clone()));
        }
        let wanted = shared.last_seq() + state.unwritten + count + OWN_RECORDS;
        if wanted > shared.reservation.up_to() {
            return Ok(Admission::Reserve(wanted));
        }
        let full = state.records + batch.len() > shared.options.queue_records
            || state.bytes + batch.bytes() > QUEUE_BYTES;
        if full && !state.items.is_empty() {
            if !gaps {
                return Ok(Admission::Full);
            }
            state.dropped += count;
            state.unwritten += count;
            shared.counters.dropped.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            batch.clear();
        } else {
            state.records += batch.len();
            state.bytes += batch.bytes();
            state.unwritten += count;
            state.accepted += count;
            state.items.push_back(std::mem::take(batch));
        }
        self.ready.notify_one();
        Ok(Admission::Taken)
    }

    fn run(&self, shared: &Shared) {
        let mut chunk = Batch::new();
        while let Some(dropped) = self.take(&mut chunk) {
            let count = chunk.len() as u64;
            let mut chunk_written = chunk.is_empty();
            let mut gap_written = dropped == 0;
            let written = self.insist(|| {
                let mut writer = shared.lock_writer();
                if !chunk_written {
                    writer.append(&chunk, shared)?;
                    chunk_written = true;
                }
                if !gap_written {
                    writer.append_gap("queue_full", dropped, Known::Exactly, shared)?;
                    gap_written = true;
                }
                Ok(())
            });
            let mut state = self.lock();
            if chunk_written {
                state.done += count;
            }
            if !written {
                state.lost = true;
                self.changed.notify_waiters();
                return;
            }
            state.unwritten -= count + dropped;
            drop(state);
            self.changed.notify_waiters();
            chunk.clear();
            Self::reserve_ahead(shared);
        }
    }

    /// Waits for something to write; `None` when the log is closed or given up.
    fn take(&self, chunk: &mut Batch) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            if !state.items.is_empty() || state.dropped > 0 {
                break;
            }
            if state.closing {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while let Some(batch) = state.items.front() {
            if !chunk.is_empty() && chunk.bytes() + batch.bytes() > KEEP_BYTES {
                break;
            }
            if let Some(batch) = state.items.pop_front() {
                state.records -= batch.len();
                state.bytes -= batch.bytes();
                chunk.absorb(&batch);
            }
        }
        // There is room again: who waits for it need not wait for the disk.
        self.changed.notify_waiters();
        Some(std::mem::take(&mut state.dropped))
    }

    /// Tries until it succeeds; false when the log was given up, or closed and the disk refused.
    fn insist(&self, mut write: impl FnMut() -> Result<(), AuditError>) -> bool {
        let mut last_tries = 0;
        loop {
            let written = write();
            let mut state = self.lock();
            match written {
                Ok(()) => {
                    state.failing = None;
                    return true;
                }
                Err(error) => {
                    if state.failing.is_none() {
                        tracing::error!(%error, "the decision log can't be written");
                    }
                    state.failing = Some(error.to_string());
                }
            }
            last_tries += u32::from(state.closing);
            if state.abandoned || last_tries > LAST_TRIES {
                return false;
            }
            self.changed.notify_waiters();
            drop(self.ready.wait_timeout(state, RETRY));
        }
    }

    /// So that who appends need not wait for it.
    fn reserve_ahead(shared: &Shared) {
        let used = shared.last_seq();
        if shared.reservation.runs_low(used) {
            // A failure shows at the append that runs out of numbers.
            shared.reservation.ensure(shared.reservation.up_to() + 1).ok();
        }
    }
}

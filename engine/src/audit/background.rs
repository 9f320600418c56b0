//! What happens behind the appends: the index, syncing, checkpoints, reserving ahead, the end.
//!
//! Promises: nothing here is waited for by an append; a failure is logged once, counted, and
//! tried again. Must never: hold the writer's mutex over the disk.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::checkpoint::{self, Checkpoint};
use super::writer::Shared;
use super::{AuditError, DecisionLog, Sync, blocking, in_background};

const TURN: Duration = Duration::from_millis(250);
const FLUSH_BLOCKS: usize = 1_000;
/// A block that has been open for so long is stored although it is not full.
const OPEN_BLOCK_AGE_US: i64 = 60_000_000;

/// When each kind of work was last done, and whether it failed.
#[derive(Debug, Default)]
struct Turns {
    synced_at: Duration,
    checkpointed_at: Duration,
    failing: bool,
}

impl DecisionLog {
    /// Runs until `shutdown` is ready, then closes the log: what is queued is written, the index
    /// filled, a last checkpoint signed. Spawn it once; let `shutdown` be ready only when nothing
    /// appends any more.
    ///
    /// # Errors
    /// When the log could not be closed cleanly; the next start then records a gap.
    pub async fn run_background(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), AuditError> {
        tokio::pin!(shutdown);
        let now = self.shared().clock.monotonic();
        let mut turns = Turns { synced_at: now, checkpointed_at: now, failing: false };
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = tokio::time::sleep(TURN) => {}
                () = self.shared().wake.notified() => {}
            }
            self.turn(&mut turns).await;
        }
        self.close().await
    }

    async fn turn(&self, turns: &mut Turns) {
        let shared = self.shared();
        let done = [
            self.reserve_ahead().await,
            self.flush_index().await.map(|_| ()),
            self.sync_if_due(turns).await,
            self.checkpoint_if_due(turns).await,
        ];
        let mut failed = false;
        for error in done.into_iter().filter_map(Result::err) {
            failed = true;
            shared.counters.background_errors.fetch_add(1, Ordering::Relaxed);
            if !turns.failing {
                tracing::error!(%error, "the decision log's background work failed, and is tried again");
            }
        }
        turns.failing = failed;
    }

    async fn reserve_ahead(&self) -> Result<(), AuditError> {
        let log = Arc::clone(self.shared());
        blocking(move || {
            let in_place = log.lock_writer().check_place(&log)?;
            if !in_place {
                tracing::error!("the decision log's segment was moved or removed while it was written");
            }
            let used = log.last_seq();
            if log.reservation.runs_low(used) {
                log.reservation.ensure(log.reservation.up_to() + 1)?;
            }
            Ok(())
        })
        .await?
    }

    /// Stores the blocks that are closed; gives how many.
    pub(super) async fn flush_index(&self) -> Result<usize, AuditError> {
        let shared = self.shared();
        close_old_block(shared);
        let _guard = self.index_lock().lock().await;
        let mut stored = 0;
        loop {
            let blocks: Vec<_> = shared.lock_pending().iter().take(FLUSH_BLOCKS).cloned().collect();
            if blocks.is_empty() {
                return Ok(stored);
            }
            self.store().insert_log_blocks(&shared.node, &blocks).await?;
            // Only after they are stored, so that a reader finds each in one place or the other.
            shared.lock_pending().drain(..blocks.len());
            let records: u64 = blocks.iter().map(|block| block.records).sum();
            shared.counters.unindexed.fetch_sub(records, Ordering::Relaxed);
            stored += blocks.len();
        }
    }

    async fn sync_if_due(&self, turns: &mut Turns) -> Result<(), AuditError> {
        let now = self.shared().clock.monotonic();
        match self.shared().options.sync {
            Sync::Interval(every) if now.saturating_sub(turns.synced_at) >= every => {
                turns.synced_at = now;
                self.sync_now().await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    async fn checkpoint_if_due(&self, turns: &mut Turns) -> Result<(), AuditError> {
        let shared = self.shared();
        let now = shared.clock.monotonic();
        let due = now.saturating_sub(turns.checkpointed_at) >= shared.options.checkpoint_every;
        let rolled = shared.lock_writer().has_unsynced();
        if !due && !rolled {
            return Ok(());
        }
        turns.checkpointed_at = now;
        self.checkpoint_now().await.map(|_| ())
    }

    /// Signs a checkpoint of what is on the disk, when there is something new.
    ///
    /// # Errors
    /// When the log can't be synced, or the checkpoint not be written.
    pub async fn checkpoint_now(&self) -> Result<Option<Checkpoint>, AuditError> {
        let _guard = self.0.checkpoints.lock().await;
        let shared = self.shared();
        let before = shared.counters.checkpoint_seq.load(Ordering::Acquire);
        if shared.last_seq() == before {
            return Ok(None);
        }
        let (seq, mac) = self.sync_now().await?;
        let made = Checkpoint::sign(&shared.keys, &shared.node, (seq, &mac), shared.clock.now());
        let (log, signed) = (Arc::clone(shared), made.clone());
        blocking(move || checkpoint::append(&log.folder, &signed)).await??;
        shared.counters.checkpoint_seq.store(seq, Ordering::Release);
        Ok(Some(made))
    }

    /// Syncs what is written by now; gives the head that is then on the disk.
    async fn sync_now(&self) -> Result<(u64, super::chain::Mac), AuditError> {
        let log = Arc::clone(self.shared());
        in_background(move || {
            let position = log.lock_writer().position();
            for (done, file) in position.files.iter().enumerate() {
                if let Err(source) = file.sync_data() {
                    log.lock_writer().sync_failed(position.files.iter().skip(done).cloned().collect());
                    return Err(AuditError::io("sync", &log.folder, source));
                }
            }
            super::segment::sync_folder(&log.folder)
                .map_err(|source| AuditError::io("sync", &log.folder, source))?;
            Ok((position.seq, position.mac))
        })
        .await?
    }

    /// Ends the log: refuses further appends, writes what is queued, signs a last checkpoint, and
    /// marks the log as cleanly closed.
    ///
    /// # Errors
    /// When one of these fails; the next start then records a gap.
    pub async fn close(&self) -> Result<(), AuditError> {
        if let Some(queue) = self.queue() {
            queue.close().await?;
        }
        let shared = self.shared();
        self.0.group.flush(shared);
        {
            let mut writer = shared.lock_writer();
            writer.close();
            writer.close_block(shared);
        }
        // The index can be filled from the files at the next start; the log's end comes first.
        let indexed = self.flush_index().await;
        self.checkpoint_now().await?;
        let (seq, mac) = self.sync_now().await?;
        let log = Arc::clone(shared);
        blocking(move || log.reservation.close(seq, &mac)).await??;
        indexed.map(|_| ())
    }
}

fn close_old_block(shared: &Shared) {
    let now = shared.clock.now().0;
    let mut writer = shared.lock_writer();
    let opened_at = writer.builder().opened_at_us();
    if opened_at.is_some_and(|opened_at| now.saturating_sub(opened_at) > OPEN_BLOCK_AGE_US) {
        writer.close_block(shared);
    }
}

//! The decision log: every decision is recorded, or its absence is.
//!
//! Append-only segment files in `<data>/log`, one keyed hash chain a node, with signed
//! checkpoints; an index in the store is filled behind it and can be rebuilt from it.
//! Promises: what [`DecisionLog::append`] answered is in the file (mode `durable`), and is found
//! at once; an edited, removed or reordered record shows in [`verify()`], and where. Must never:
//! change a record, or go on behind one that does not verify.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use crate::store::{Store, StoreError};

mod background;
mod chain;
mod checkpoint;
mod group;
mod index;
pub mod offline;
mod open;
mod query;
mod queue;
mod record;
mod recover;
mod report;
mod reservation;
mod segment;
#[cfg(test)]
mod tests;
mod verify;
mod walk;
mod writer;

pub use chain::LogKeys;
pub use checkpoint::Checkpoint;
pub use open::Opened;
pub use query::{Page, Record, RecordRef, Scan};
pub use record::{BATCH_BYTES, BATCH_RECORDS, Batch, Kind, RecordId};
pub use report::{ChainHead, Finding, Place, Problem, Report};
pub use verify::{checkpoint, verify};

/// What an append waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The record was handed to the operating system: a killed process loses no answered decision.
    #[default]
    Durable,
    /// There is room in the queue.
    Queued,
    /// Nothing: a record that finds the queue full is dropped, and a gap record counts it.
    Gap,
}

/// When the log is forced to the disk, for the case of power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Only before a checkpoint is signed.
    Never,
    /// In the background, as often as this.
    Interval(Duration),
    /// Before an append answers.
    Always,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; the log is in its folder `log`.
    pub data_dir: PathBuf,
    /// What an append waits for.
    pub mode: Mode,
    /// When the log is forced to the disk.
    pub sync: Sync,
    /// A segment that has reached this size is ended.
    pub segment_bytes: u64,
    /// How often a checkpoint is signed when there is something new.
    pub checkpoint_every: Duration,
    /// How many records the queue holds (modes `queued` and `gap`).
    pub queue_records: usize,
}

impl Options {
    /// The defaults for a data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            mode: Mode::Durable,
            sync: Sync::Interval(Duration::from_secs(1)),
            segment_bytes: 64 << 20,
            checkpoint_every: Duration::from_secs(10),
            queue_records: 16_384,
        }
    }
}

/// Why the decision log could not do something.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Another process has the folder.
    #[error("another process writes the decision log in `{}`: stop it first", .0.display())]
    Locked(PathBuf),
    /// A file or folder could not be used.
    #[error("can't {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The last segment does not verify.
    #[error("the decision log does not verify at `{}` line {line}, byte {offset}: run `portcullis audit verify`; to start a new log, move its folder away", path.display())]
    Broken {
        /// The segment.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The byte at which it starts.
        offset: u64,
    },
    /// A record has a later version.
    #[error("`{}` was written by a newer version of this program: run that one", .0.display())]
    Newer(PathBuf),
    /// The log belongs to another root key.
    #[error("the decision log in `{}` was made with another root key: start with the root key that made it", .0.display())]
    OtherRootKey(PathBuf),
    /// The segments belong to another node.
    #[error("the decision log in `{}` has records that are not of its node `{node}`: restore its file `node`", folder.display())]
    OtherNode {
        /// The log's folder.
        folder: PathBuf,
        /// The node that its file names.
        node: String,
    },
    /// The node's file does not name one.
    #[error("`{}` does not name a node (`nod_` and 32 hex digits): restore it, or move the log's folder away", .0.display())]
    BadNode(PathBuf),
    /// There is no log.
    #[error("there is no decision log in `{}`", .0.display())]
    NoLog(PathBuf),
    /// A checkpoint was asked of a log that does not verify.
    #[error(
        "the decision log does not verify, so no checkpoint is signed: {findings} findings, the first: {first}"
    )]
    NotWhole {
        /// How many findings.
        findings: u64,
        /// The first.
        first: String,
    },
    /// Not a checkpoint.
    #[error("not a checkpoint: {0}")]
    BadCheckpoint(String),
    /// A record's id has another form.
    #[error("`{0}` is not a record id (three letters, `_`, 32 hex digits)")]
    BadId(String),
    /// An event could not be written.
    #[error("an event could not be written: {0}")]
    BadEvent(String),
    /// More than fits.
    #[error("a batch holds at most {BATCH_RECORDS} records and {BATCH_BYTES} bytes")]
    BatchTooLarge,
    /// The log was closed.
    #[error("the decision log is closed")]
    Closed,
    /// The queue's thread can't write.
    #[error("the decision log can't be written: {0}")]
    Unavailable(String),
    /// No number is reserved that could count what is missing.
    #[error("the decision log is stalled, and no sequence numbers are left to count what it misses")]
    Stalled,
    /// A key could not be made.
    #[error("the decision log's signing key can't be used")]
    SigningKey,
    /// A task of the runtime ended before its work did.
    #[error("the runtime is shutting down")]
    Runtime,
    /// The index failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There was no randomness for the node's id.
    #[error(transparent)]
    Random(#[from] crate::random::RandomError),
}

impl AuditError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// An open decision log; clones are the same log.
#[derive(Clone, Debug)]
pub struct DecisionLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Option<queue::Queue>,
    group: group::Group,
    shared: Arc<writer::Shared>,
    store: Store,
    /// Held by who changes the index.
    index: tokio::sync::Mutex<()>,
    /// Held by who adds to the folder's own checkpoints.
    checkpoints: tokio::sync::Mutex<()>,
    opened: Opened,
}

/// What has happened since the log was opened, and how far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The last sequence number.
    pub last_seq: u64,
    /// Records written, without the log's own.
    pub records: u64,
    /// Bytes written, the log's own records among them.
    pub bytes: u64,
    /// Gap records written.
    pub gaps: u64,
    /// Records dropped because the queue was full.
    pub dropped: u64,
    /// Appends that failed.
    pub write_errors: u64,
    /// Failures of syncing, indexing and checkpoints.
    pub background_errors: u64,
    /// Records that are written and not yet in the store's index.
    pub index_lag_records: u64,
    /// The last record that a checkpoint of this process covers.
    pub checkpoint_seq: u64,
}

impl DecisionLog {
    /// Appends a batch, all of it or nothing, as the mode has it; the batch is empty afterwards,
    /// and can be used again. In mode `durable` what is ready at the same moment goes in one write.
    ///
    /// # Errors
    /// When the records are not recorded: the caller must deny.
    pub async fn append(&self, batch: &mut Batch) -> Result<(), AuditError> {
        if batch.is_empty() {
            return Ok(());
        }
        if let Some(queue) = self.queue() {
            return queue.push(batch, self.shared()).await;
        }
        self.0.group.append(batch, self.shared()).await
    }

    /// The node whose log it is: `nod_` and 32 hex digits.
    pub fn node(&self) -> &str {
        &self.shared().node
    }

    /// What opening the log found.
    pub fn opened(&self) -> &Opened {
        &self.0.opened
    }

    /// The counters, for metrics.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared().counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            last_seq: read(&counters.last_seq),
            records: read(&counters.records),
            bytes: read(&counters.bytes),
            gaps: read(&counters.gaps),
            dropped: read(&counters.dropped),
            write_errors: read(&counters.write_errors),
            background_errors: read(&counters.background_errors),
            index_lag_records: read(&counters.unindexed),
            checkpoint_seq: read(&counters.checkpoint_seq),
        }
    }

    fn shared(&self) -> &Arc<writer::Shared> {
        &self.0.shared
    }

    fn queue(&self) -> Option<&queue::Queue> {
        self.0.queue.as_ref()
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn index_lock(&self) -> &tokio::sync::Mutex<()> {
        &self.0.index
    }
}

/// Runs what keeps the disk busy for long on a thread that stands back: on a machine with few cores, forcing
/// data to the disk would else take the processor from requests for milliseconds.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AuditError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let standing_back = move || {
        #[cfg(target_os = "linux")]
        // On Linux a thread has a priority of its own. Refused, the work is done all the same.
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), BACKGROUND_NICENESS).ok();
        done.send(work()).ok();
    };
    let thread = std::thread::Builder::new().name("log-background".into());
    thread.spawn(standing_back).map_err(|_| AuditError::Runtime)?;
    result.await.map_err(|_| AuditError::Runtime)
}

/// A tenth of the weight of an ordinary thread: it waits for requests, and does not starve.
#[cfg(target_os = "linux")]
const BACKGROUND_NICENESS: i32 = 10;

/// Runs what waits for the disk off the async workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuditError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| AuditError::Runtime)
}

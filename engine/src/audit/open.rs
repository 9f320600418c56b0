//! Opening a log: takes the folder, finds the chain's head, records what a crash left open, and
//! fills what the index lacks.
//!
//! Promises: after an end that was not clean the first record says at most how many are missing.
//! Must never: use a sequence number that may have been used.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::chain::{self, LogKeys, Mac};
use super::index::{self, Builder, Filler};
use super::queue::Queue;
use super::recover::{self, Head};
use super::reservation::{self, Found, Reservation};
use super::segment::{self, FOLDER, Segment};
use super::writer::{Counters, Known, Shared, Writer};
use super::{AuditError, DecisionLog, Inner, Mode, Mutex, Options, blocking};
use crate::clock::Clock;
use crate::random::Rng;
use crate::store::Store;

/// More than any process can have used beyond the last record on the disk.
const UNKNOWN_SKIP: u64 = 1 << 32;
const FILL_BLOCKS: usize = 1_000;

/// What opening a log found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many records at most are missing since the last end; 0 after a clean one.
    pub missing_at_most: u64,
    /// Sequence numbers could not be told, so nothing says how many are missing.
    pub missing_unknown: bool,
    /// How many bytes of an unfinished last record were cut off.
    pub cut_bytes: u64,
    /// How many blocks the index lacked.
    pub indexed_blocks: u64,
}

/// What must be said at the start.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    reason: &'static str,
    skip: u64,
    known: Known,
}

impl DecisionLog {
    /// Opens the log in `options.data_dir`, or makes it.
    ///
    /// # Errors
    /// When another process has it, its last segment does not verify, it was made with another
    /// root key, or a file or the store fails.
    pub async fn open(
        options: Options,
        keys: LogKeys,
        clock: Arc<dyn Clock>,
        rng: &dyn Rng,
        store: Store,
    ) -> Result<Self, AuditError> {
        let keys = Arc::new(keys);
        let folder = options.data_dir.join(FOLDER);
        segment::make_folder(&folder)?;
        let lock = recover::lock(&folder)?;
        let node = match recover::read_node(&folder)? {
            Some(node) => node,
            None => new_node(&folder, clock.as_ref(), rng)?,
        };
        let found = reservation::read(&folder, &keys, &node)?;
        let mut head = recover::head(&folder, &keys, &node)?;
        let missing = missing(&found, &mut head);
        let (builder, indexed_blocks) = fill_index(&folder, &head, &node, &store).await?;
        let unknown = missing.as_ref().is_some_and(|missing| missing.known == Known::Nothing);
        let opened = Opened {
            missing_at_most: missing.as_ref().filter(|_| !unknown).map_or(0, |missing| missing.skip),
            missing_unknown: unknown,
            cut_bytes: head.cut_bytes,
            indexed_blocks,
        };
        let clean = matches!(&found, Found::Copy(copy) if copy.clean) && missing.is_none();
        let turn = if let Found::Copy(copy) = &found { copy.turn() } else { 0 };
        let floor = head.seq + missing.as_ref().map_or(0, |missing| missing.skip);
        let reservation = Reservation::open(&folder, (&node, floor, turn), options.mode, (&keys, &clock))?;
        let segment = match head.segment {
            Some((first_seq, end)) => Some(Segment::resume(&folder, first_seq, end)?),
            None => None,
        };
        let writer = Writer::new(&node, segment, (head.seq, head.mac), builder);
        let state = State { folder, node, keys, clock, reservation, writer, lock };
        let shared = Arc::new(share(options, state, &head, clean));
        let log = Arc::clone(&shared);
        blocking(move || begin(&log, missing, head.cut_bytes)).await??;
        let queue = match shared.options.mode {
            Mode::Durable => None,
            Mode::Queued | Mode::Gap => Some(Queue::start(&shared)?),
        };
        let (index, checkpoints) = Default::default();
        Ok(Self(Arc::new(Inner {
            queue,
            group: super::group::Group::default(),
            shared,
            store,
            index,
            checkpoints,
            opened,
        })))
    }

    /// Rebuilds the index of what is written by now from the files.
    ///
    /// # Errors
    /// When a file can't be read, or the store fails; the index is then as it was.
    pub async fn reindex(&self) -> Result<u64, AuditError> {
        let shared = self.shared();
        let _guard = self.index_lock().lock().await;
        let (segment, end, last_seq) = shared.lock_writer().close_block(shared);
        let log = Arc::clone(shared);
        let blocks = blocking(move || {
            let segments = segment::list(&log.folder)?.segments;
            let mut filler = Filler::new(&log.folder, &segments, None, (segment, end))?;
            let mut blocks = filler.next_blocks(usize::MAX)?;
            blocks.extend(filler.into_builder().and_then(|mut builder| builder.close()));
            Ok::<_, AuditError>(blocks)
        })
        .await??;
        self.store().replace_log_blocks(&shared.node, last_seq, &blocks).await?;
        let mut pending = shared.lock_pending();
        let covered = |block: &crate::store::log_blocks::LogBlock| block.first_seq <= last_seq;
        let records: u64 = pending.iter().filter(|block| covered(block)).map(|block| block.records).sum();
        pending.retain(|block| !covered(block));
        shared.counters.unindexed.fetch_sub(records, Ordering::Relaxed);
        Ok(blocks.len() as u64)
    }
}

struct State {
    folder: std::path::PathBuf,
    node: String,
    keys: Arc<LogKeys>,
    clock: Arc<dyn Clock>,
    reservation: Reservation,
    writer: Writer,
    lock: File,
}

fn share(options: Options, state: State, head: &Head, clean: bool) -> Shared {
    let State { folder, node, keys, clock, reservation, writer, lock } = state;
    let counters = Counters::default();
    counters.last_seq.store(head.seq, Ordering::Release);
    counters.unindexed.store(writer.builder().open_records(), Ordering::Release);
    // A clean end has signed its last record.
    counters.checkpoint_seq.store(if clean { head.seq } else { 0 }, Ordering::Release);
    Shared {
        options,
        folder,
        node,
        keys,
        clock,
        reservation,
        writer: Mutex::new(writer),
        pending: Mutex::default(),
        counters,
        wake: tokio::sync::Notify::new(),
        _lock: lock,
    }
}

/// Segments without the file that names their node are not taken over by a new one.
fn new_node(folder: &Path, clock: &dyn Clock, rng: &dyn Rng) -> Result<String, AuditError> {
    if segment::list(folder)?.segments.is_empty() {
        recover::make_node(folder, clock, rng)
    } else {
        Err(AuditError::BadNode(folder.join(segment::NODE_FILE)))
    }
}

/// Writes what opens a segment, and what the last end left to say.
fn begin(shared: &Shared, missing: Option<Missing>, cut_bytes: u64) -> Result<(), AuditError> {
    let mut writer = shared.lock_writer();
    writer.start(shared)?;
    if let Some(Missing { reason, skip, known }) = missing {
        writer.append_gap(reason, skip, known, shared)?;
    }
    if cut_bytes > 0 {
        let event = json!({"kind": chain::RECOVERED, "cut_bytes": cut_bytes});
        writer.append_own(chain::RECOVERED, &event, 0, shared)?;
    }
    // Replaces the mark of a clean end, before anything is appended behind it.
    let used = shared.last_seq();
    shared.reservation.ensure(used.max(shared.reservation.up_to()) + 1)
}

/// What the reservation says about the end that was found. Without a segment the head moves to
/// where the numbers go on.
fn missing(found: &Found, head: &mut Head) -> Option<Missing> {
    let unknown = Missing { reason: "reservation_lost", skip: UNKNOWN_SKIP, known: Known::Nothing };
    let copy = match found {
        // Nothing but the first record of all: the log's making was cut short.
        Found::Absent | Found::Damaged if head.seq <= 1 => return None,
        Found::Absent | Found::Damaged => return Some(unknown),
        Found::Copy(copy) => copy,
    };
    if head.segment.is_none() {
        head.seq = copy.up_to;
        head.mac = copy.mac().unwrap_or(head.mac);
        return None;
    }
    let skip = match copy.up_to.checked_sub(head.seq) {
        None => return Some(unknown),
        Some(0) => {
            let other_end = copy.mac().is_some_and(|mac: Mac| mac != head.mac);
            return other_end.then_some(unknown);
        }
        Some(skip) => skip,
    };
    let reason = if copy.clean { "end_missing" } else { "unclean_end" };
    Some(Missing { reason, skip, known: Known::AtMost })
}

/// Stores what the index lacks; gives the block that is still open.
async fn fill_index(
    folder: &Path,
    head: &Head,
    node: &str,
    store: &Store,
) -> Result<(Builder, u64), AuditError> {
    store.trim_log_blocks(node, head.seq).await?;
    let Some(until) = head.segment else { return Ok((Builder::new(0), 0)) };
    let newest = store.newest_log_block(node).await?;
    let newest = newest.filter(|block| index::fits(folder, block));
    if newest.is_none() {
        store.replace_log_blocks(node, head.seq, &[]).await?;
    }
    let segments = segment::list(folder)?.segments;
    let mut filler = Filler::new(folder, &segments, newest.as_ref(), until)?;
    let mut stored = 0;
    loop {
        let (blocks, back) = blocking(move || (filler.next_blocks(FILL_BLOCKS), filler)).await?;
        filler = back;
        let blocks = blocks?;
        if blocks.is_empty() {
            break;
        }
        store.insert_log_blocks(node, &blocks).await?;
        stored += blocks.len() as u64;
    }
    Ok((filler.into_builder().unwrap_or_else(|| Builder::new(until.0)), stored))
}

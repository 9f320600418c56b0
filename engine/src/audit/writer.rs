//! Appending: one batch, one write, under one mutex.
//!
//! Promises: either all records of a batch are in the file and the chain's head has moved on, or
//! nothing has changed; a record's number was reserved before. Must never: allocate for a record,
//! or use a number twice.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::chain::{self, Head, LogKeys, Mac};
use super::index::{Builder, Mark};
use super::record::{Batch, KEEP_BYTES};
use super::reservation::Reservation;
use super::segment::{Segment, file_name, sync_folder};
use super::{AuditError, Options, Sync};
use crate::clock::Clock;
use crate::store::log_blocks::LogBlock;

/// What the parts of an open log share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) folder: PathBuf,
    pub(super) node: String,
    pub(super) keys: Arc<LogKeys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reservation: Reservation,
    pub(super) writer: Mutex<Writer>,
    /// Closed blocks that are not in the store yet, oldest first.
    pub(super) pending: Mutex<VecDeque<LogBlock>>,
    pub(super) counters: Counters,
    /// Tells the background task that there is something to do before its next turn.
    pub(super) wake: tokio::sync::Notify,
    /// Held as long as this process may write.
    pub(super) _lock: File,
}

/// What has happened since the log was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) last_seq: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) background_errors: AtomicU64,
    pub(super) unindexed: AtomicU64,
    pub(super) checkpoint_seq: AtomicU64,
}

impl Shared {
    pub(super) fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        // A panic can't leave half a change behind: the head moves only after the write, and a
        // file that was being written is cut back before the next one.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_pending(&self) -> MutexGuard<'_, VecDeque<LogBlock>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.counters.last_seq.load(Ordering::Acquire)
    }

    fn push_pending(&self, block: Option<LogBlock>) {
        if let Some(block) = block {
            self.lock_pending().push_back(block);
        }
    }
}

/// The head of the chain, and the segment that it is in.
#[derive(Debug)]
pub(super) struct Writer {
    segment: Option<Segment>,
    seq: u64,
    mac: Mac,
    builder: Builder,
    prefix: Vec<u8>,
    out: Vec<u8>,
    marks: Vec<Mark>,
    /// Earlier segments whose bytes may not be on the disk yet.
    unsynced: Vec<Arc<File>>,
    sync_failed: bool,
    /// The open file is not the one that its name leads to.
    misplaced: bool,
    closed: bool,
}

/// The head of the chain, for a checkpoint.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) mac: Mac,
    /// What must be synced before this position is on the disk.
    pub(super) files: Vec<Arc<File>>,
}

impl Writer {
    pub(super) fn new(
        node: &str,
        segment: Option<Segment>,
        (seq, mac): (u64, Mac),
        builder: Builder,
    ) -> Self {
        Self {
            segment,
            seq,
            mac,
            builder,
            prefix: chain::line_prefix(node),
            out: Vec::new(),
            marks: Vec::new(),
            unsynced: Vec::new(),
            sync_failed: false,
            misplaced: false,
            closed: false,
        }
    }

    /// Makes the first segment when there is none.
    pub(super) fn start(&mut self, shared: &Shared) -> Result<(), AuditError> {
        if self.segment.is_none() { self.roll(shared) } else { Ok(()) }
    }

    /// Appends a batch, all of it or nothing.
    pub(super) fn append(&mut self, batch: &Batch, shared: &Shared) -> Result<(), AuditError> {
        let appended = self.prepare(shared).and_then(|()| self.write(batch, 0, shared));
        if appended.is_err() {
            shared.counters.write_errors.fetch_add(1, Ordering::Relaxed);
        }
        appended
    }

    /// Appends a record of the log's own, in front of which `skip` numbers are left out.
    pub(super) fn append_own(
        &mut self,
        kind: &'static str,
        event: &serde_json::Value,
        skip: u64,
        shared: &Shared,
    ) -> Result<(), AuditError> {
        let mut batch = Batch::new();
        batch.push_own(kind, shared.clock.now(), event);
        self.write(&batch, skip, shared)?;
        if kind == chain::GAP {
            shared.counters.gaps.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Appends the record that says that `missing` records were left out.
    pub(super) fn append_gap(
        &mut self,
        reason: &str,
        missing: u64,
        known: Known,
        shared: &Shared,
    ) -> Result<(), AuditError> {
        let event = json!({
            "kind": chain::GAP,
            "reason": reason,
            "missing_from": self.seq + 1,
            "missing_to": self.seq + missing,
            "at_most": if known == Known::Nothing { None } else { Some(missing) },
            "exact": known == Known::Exactly,
        });
        self.append_own(chain::GAP, &event, missing, shared)
    }

    fn prepare(&mut self, shared: &Shared) -> Result<(), AuditError> {
        if self.closed {
            return Err(AuditError::Closed);
        }
        if self.sync_failed {
            self.retry_sync()?;
        }
        let full = self.segment.as_ref().is_none_or(|segment| segment.end() >= shared.options.segment_bytes);
        if full || self.misplaced { self.roll(shared) } else { Ok(()) }
    }

    fn retry_sync(&mut self) -> Result<(), AuditError> {
        if let Some(segment) = &self.segment {
            let synced = segment.file().sync_data();
            synced.map_err(|source| AuditError::io("sync", segment.path(), source))?;
        }
        self.sync_failed = false;
        Ok(())
    }

    /// Starts a new segment. Its first record names the one before, so that neither can be
    /// removed unseen.
    fn roll(&mut self, shared: &Shared) -> Result<(), AuditError> {
        // The first record of all is written before anything is reserved: a log whose making was
        // cut short then looks like none, and not like one that lost its beginning.
        if self.seq > 0 {
            shared.reservation.ensure(self.seq + 1)?;
        }
        let event = json!({
            "kind": chain::SEGMENT,
            "version": chain::VERSION,
            "node": shared.node,
            "previous": self.segment.as_ref().map(|segment| file_name(segment.first_seq())),
            "previous_mac": hex::encode(self.mac),
            "key": shared.keys.fingerprint(),
        });
        let mut batch = Batch::new();
        batch.push_own(chain::SEGMENT, shared.clock.now(), &event);
        let mut segment = Segment::create(&shared.folder, self.seq + 1)?;
        let head = self.compose(&batch, 0, 0, shared);
        let mut written = segment.append(&self.out);
        if shared.options.sync == Sync::Always {
            written =
                written.and_then(|()| segment.file().sync_all()).and_then(|()| sync_folder(&shared.folder));
        }
        if let Err(source) = written {
            fs::remove_file(segment.path()).ok();
            return Err(AuditError::io("write", segment.path(), source));
        }
        shared.push_pending(self.builder.close());
        self.builder = Builder::new(segment.first_seq());
        if let Some(before) = self.segment.replace(segment) {
            self.unsynced.push(before.file());
            shared.wake.notify_one();
        }
        self.misplaced = false;
        self.commit(head, &batch, shared);
        Ok(())
    }

    fn write(&mut self, batch: &Batch, skip: u64, shared: &Shared) -> Result<(), AuditError> {
        shared.reservation.ensure(self.seq + skip + batch.len() as u64)?;
        let start = self.segment.as_ref().map_or(0, Segment::end);
        let head = self.compose(batch, skip, start, shared);
        let Some(segment) = &mut self.segment else { return Err(AuditError::Closed) };
        let mut written = segment.append(&self.out);
        if shared.options.sync == Sync::Always && written.is_ok() {
            written = segment.file().sync_data();
            if written.is_err() {
                segment.take_back(start);
            }
        }
        written.map_err(|source| AuditError::io("write", segment.path(), source))?;
        self.commit(head, batch, shared);
        Ok(())
    }

    /// Writes the lines into `out`; gives the head that they lead to.
    fn compose(&mut self, batch: &Batch, skip: u64, start: u64, shared: &Shared) -> (u64, Mac) {
        self.out.clear();
        if self.out.capacity() > 2 * KEEP_BYTES {
            self.out = Vec::new();
        }
        self.marks.clear();
        let (mut seq, mut mac) = (self.seq + skip, self.mac);
        for (entry, event) in batch.iter() {
            seq += 1;
            let head = Head { seq, kind: entry.kind, time_us: entry.time.0, id: entry.id };
            let from = start + self.out.len() as u64;
            mac = chain::push_line(&mut self.out, (&self.prefix, &head), event, (&shared.keys, &mac));
            let end = start + self.out.len() as u64;
            self.marks.push(Mark { seq, time_us: entry.time.0, id: entry.id, start: from, end });
        }
        (seq, mac)
    }

    fn commit(&mut self, (seq, mac): (u64, Mac), batch: &Batch, shared: &Shared) {
        self.seq = seq;
        self.mac = mac;
        let counters = &shared.counters;
        counters.last_seq.store(seq, Ordering::Release);
        counters.bytes.fetch_add(self.out.len() as u64, Ordering::Relaxed);
        counters.unindexed.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let with_id = self.marks.iter().filter(|mark| mark.id.is_some()).count();
        counters.records.fetch_add(with_id as u64, Ordering::Relaxed);
        for mark in &self.marks {
            shared.push_pending(self.builder.note(mark));
        }
    }

    /// The head, and the files that must be synced for it to be on the disk.
    pub(super) fn position(&mut self) -> Position {
        let mut files = std::mem::take(&mut self.unsynced);
        files.extend(self.segment.as_ref().map(Segment::file));
        Position { seq: self.seq, mac: self.mac, files }
    }

    /// Whether a segment was ended and is not known to be on the disk.
    pub(super) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Gives files back that could not be synced; appends wait until they can.
    pub(super) fn sync_failed(&mut self, files: Vec<Arc<File>>) {
        self.unsynced.extend(files);
        self.sync_failed = true;
    }

    /// The segment's name and end, the last sequence number, and the open block, which is closed
    /// into the pending ones.
    pub(super) fn close_block(&mut self, shared: &Shared) -> (u64, u64, u64) {
        shared.push_pending(self.builder.close());
        let (segment, end) = self.segment.as_ref().map_or((0, 0), |open| (open.first_seq(), open.end()));
        (segment, end, self.seq)
    }

    pub(super) fn builder(&self) -> &Builder {
        &self.builder
    }

    /// Starts a new segment when the file was moved or removed under the open one: what would be
    /// written there could not be found again.
    pub(super) fn check_place(&mut self, shared: &Shared) -> Result<bool, AuditError> {
        if self.closed || self.segment.as_ref().is_none_or(Segment::is_in_place) {
            return Ok(true);
        }
        self.misplaced = true;
        self.roll(shared).map(|()| false)
    }

    /// Refuses everything from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    #[cfg(test)]
    pub(super) fn segment_mut(&mut self) -> &mut Segment {
        self.segment.as_mut().unwrap()
    }
}

/// How well the number of missing records is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is that many.
    Exactly,
    /// It is that many or fewer.
    AtMost,
    /// The numbers left out say nothing.
    Nothing,
}

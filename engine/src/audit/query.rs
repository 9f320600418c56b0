//! Reading records back: one by its id, or many by time, newest first.
//!
//! Promises: what was appended is found at once, whether or not the index has it; one call reads a
//! bounded number of bytes, off the async workers. Must never: hold the writer's mutex while it
//! reads a file.

use std::path::Path;
use std::sync::Arc;

use super::chain::{self, Line};
use super::index::{may_hold_id, may_hold_time};
use super::segment::{file_name, read_range};
use super::writer::Shared;
use super::{AuditError, DecisionLog, RecordId, blocking};
use crate::clock::Timestamp;
use crate::store::log_blocks::LogBlock;

const PAGE: u32 = 64;

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its sequence number in this node's log.
    pub seq: u64,
    /// Its id.
    pub id: RecordId,
    /// `decision` or `event`.
    pub kind: String,
    /// The time that it was appended with.
    pub time: Timestamp,
    /// The event's JSON, as it was given.
    pub event: Vec<u8>,
}

/// A record while it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its sequence number in this node's log.
    pub seq: u64,
    /// Its id.
    pub id: RecordId,
    /// `decision` or `event`.
    pub kind: &'a str,
    /// The time that it was appended with.
    pub time: Timestamp,
    /// The event's JSON, as it was given.
    pub event: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// `None` for the log's own records.
    pub(super) fn of(line: &Line<'a>) -> Option<Self> {
        let &Line { seq, kind, event, .. } = line;
        Some(Self { seq, id: line.id?, kind, time: Timestamp(line.time_us), event })
    }

    pub(super) fn to_owned(self) -> Record {
        let Self { seq, id, time, .. } = self;
        Record { seq, id, kind: self.kind.to_owned(), time, event: self.event.to_vec() }
    }
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// From when on, inclusive.
    pub from: Option<Timestamp>,
    /// Until when, exclusive.
    pub to: Option<Timestamp>,
    /// Only records before this position: [`Page::next`] of the page before.
    pub before: Option<u64>,
    /// How many records at most.
    pub limit: usize,
    /// How many bytes of the log to read at most; one block of it is read in any case.
    pub max_bytes: u64,
    /// A page that holds this many bytes of records takes no more.
    pub page_bytes: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self { from: None, to: None, before: None, limit: 50, max_bytes: 64 << 20, page_bytes: 4 << 20 }
    }
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, newest first: in the order in which they were appended, backwards.
    pub items: Vec<Record>,
    /// Where to go on; `None` when nothing is left. A page can be short and this still be there.
    pub next: Option<u64>,
}

impl DecisionLog {
    /// One record by its id.
    ///
    /// # Errors
    /// When the index or a file can't be read.
    pub async fn find(&self, id: &str) -> Result<Option<Record>, AuditError> {
        let Some(id) = RecordId::parse(id) else { return Ok(None) };
        if let Some(queue) = self.queue() {
            queue.settled().await;
        }
        let recent = recent_blocks(self.shared(), |block| may_hold_id(block, id.as_str()));
        if let Some(found) = self.find_in(recent, id).await? {
            return Ok(Some(found));
        }
        let mut after: Option<(String, u64)> = None;
        loop {
            let last = after.as_ref().map(|(id, seq)| (id.as_str(), *seq));
            let node = &self.shared().node;
            let blocks = self.store().log_blocks_with_id(node, id.as_str(), last, PAGE).await?;
            let Some(last) = blocks.last() else { return Ok(None) };
            after = Some((last.max_id.clone(), last.first_seq));
            if let Some(found) = self.find_in(blocks, id).await? {
                return Ok(Some(found));
            }
        }
    }

    async fn find_in(&self, blocks: Vec<LogBlock>, id: RecordId) -> Result<Option<Record>, AuditError> {
        if blocks.is_empty() {
            return Ok(None);
        }
        let log = Arc::clone(self.shared());
        blocking(move || {
            blocks.iter().find_map(|block| {
                let bytes = read_block(&log.folder, block);
                lines(&bytes)
                    .find(|line| line.id == Some(id))
                    .and_then(|line| RecordRef::of(&line))
                    .map(RecordRef::to_owned)
            })
        })
        .await
    }

    /// Records by time, newest first, that `filter` takes.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn scan<F>(&self, scan: Scan, filter: F) -> Result<Page, AuditError>
    where
        F: FnMut(&RecordRef<'_>) -> bool + Send + 'static,
    {
        if let Some(queue) = self.queue() {
            queue.settled().await;
        }
        let times = (scan.from.map_or(i64::MIN, |from| from.0), scan.to.map_or(i64::MAX, |to| to.0));
        let before = scan.before.unwrap_or(u64::MAX);
        let mut recent =
            recent_blocks(self.shared(), |block| block.first_seq < before && may_hold_time(block, times));
        recent.sort_unstable_by_key(|block| std::cmp::Reverse(block.first_seq));
        let mut walk = Walk {
            scan,
            times,
            cursor: before,
            read_bytes: 0,
            page_bytes: 0,
            page: Page::default(),
            ended: false,
            filter,
        };
        walk = self.walk_over(walk, recent).await?;
        while !walk.ended {
            let node = &self.shared().node;
            let blocks = self.store().log_blocks_before(node, walk.cursor, times, PAGE).await?;
            if blocks.is_empty() {
                break;
            }
            walk = self.walk_over(walk, blocks).await?;
        }
        Ok(walk.page)
    }

    async fn walk_over<F>(&self, mut walk: Walk<F>, blocks: Vec<LogBlock>) -> Result<Walk<F>, AuditError>
    where
        F: FnMut(&RecordRef<'_>) -> bool + Send + 'static,
    {
        let log = Arc::clone(self.shared());
        blocking(move || {
            for block in &blocks {
                if walk.ended {
                    break;
                }
                walk.block(&log.folder, block);
            }
            walk
        })
        .await
    }
}

struct Walk<F> {
    scan: Scan,
    times: (i64, i64),
    /// Everything from this sequence number on was looked at.
    cursor: u64,
    read_bytes: u64,
    page_bytes: usize,
    page: Page,
    ended: bool,
    filter: F,
}

impl<F: FnMut(&RecordRef<'_>) -> bool> Walk<F> {
    fn block(&mut self, folder: &Path, block: &LogBlock) {
        let size = block.end_byte.saturating_sub(block.start_byte);
        if self.read_bytes > 0 && self.read_bytes.saturating_add(size) > self.scan.max_bytes {
            self.end();
            return;
        }
        self.read_bytes += size;
        let bytes = read_block(folder, block);
        let newest_first = lines(&bytes).collect::<Vec<_>>().into_iter().rev();
        for line in newest_first {
            if line.seq >= self.cursor {
                continue;
            }
            if self.page.items.len() >= self.scan.limit || self.page_bytes >= self.scan.page_bytes {
                self.end();
                return;
            }
            self.cursor = line.seq;
            let timely = self.times.0 <= line.time_us && line.time_us < self.times.1;
            let Some(record) = RecordRef::of(&line).filter(|_| timely) else { continue };
            if (self.filter)(&record) {
                self.page_bytes += record.event.len();
                self.page.items.push(record.to_owned());
            }
        }
        self.cursor = self.cursor.min(block.first_seq);
    }

    fn end(&mut self) {
        self.ended = true;
        self.page.next = Some(self.cursor);
    }
}

/// The blocks that may not be in the store yet; taken before the store is asked, so that a block
/// that moves there meanwhile is seen at least once.
fn recent_blocks(shared: &Shared, wanted: impl Fn(&LogBlock) -> bool) -> Vec<LogBlock> {
    let writer = shared.lock_writer();
    let mut blocks: Vec<LogBlock> = writer.builder().snapshot().into_iter().filter(&wanted).collect();
    blocks.extend(shared.lock_pending().iter().rev().filter(|block| wanted(block)).cloned());
    blocks
}

/// A block's bytes; nothing when its file can't be read, which `verify` reports.
fn read_block(folder: &Path, block: &LogBlock) -> Vec<u8> {
    let path = folder.join(file_name(block.segment));
    read_range(&path, block.start_byte, block.end_byte).unwrap_or_else(|error| {
        tracing::warn!(segment = %path.display(), %error, "a segment of the decision log can't be read");
        Vec::new()
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| chain::parse_line(line).ok())
}

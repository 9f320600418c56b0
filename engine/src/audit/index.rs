//! The sparse index: runs of records that are closed into blocks, and filled from the files.
//!
//! Promises: every record that is written is in exactly one block, of one segment. Must never:
//! hold what the files do not.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::chain::{self, Line};
use super::segment::{LineReader, file_name};
use super::{AuditError, RecordId};
use crate::store::log_blocks::LogBlock;

const BLOCK_BYTES: u64 = 1 << 20;
const BLOCK_RECORDS: u64 = 2_048;

/// One record's place in its segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) seq: u64,
    pub(super) time_us: i64,
    pub(super) id: Option<RecordId>,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Mark {
    fn of(line: &Line<'_>, start: u64, end: u64) -> Self {
        Self { seq: line.seq, time_us: line.time_us, id: line.id, start, end }
    }
}

/// Collects the records of one segment into blocks.
#[derive(Debug)]
pub(super) struct Builder {
    segment: u64,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    first: Mark,
    last_seq: u64,
    end: u64,
    records: u64,
    times: (i64, i64),
    ids: Option<(RecordId, RecordId)>,
}

impl Builder {
    pub(super) fn new(segment: u64) -> Self {
        Self { segment, open: None }
    }

    /// Takes a record in; gives the block when that fills it.
    pub(super) fn note(&mut self, mark: &Mark) -> Option<LogBlock> {
        let open = self.open.get_or_insert(Open {
            first: *mark,
            last_seq: mark.seq,
            end: mark.end,
            records: 0,
            times: (mark.time_us, mark.time_us),
            ids: None,
        });
        open.last_seq = mark.seq;
        open.end = mark.end;
        open.records += 1;
        open.times = (open.times.0.min(mark.time_us), open.times.1.max(mark.time_us));
        if let Some(id) = mark.id {
            let (least, most) = open.ids.unwrap_or((id, id));
            open.ids = Some((least.min(id), most.max(id)));
        }
        let full = open.records >= BLOCK_RECORDS || open.end - open.first.start >= BLOCK_BYTES;
        if full { self.close() } else { None }
    }

    /// Ends the open block.
    pub(super) fn close(&mut self) -> Option<LogBlock> {
        let block = self.snapshot();
        self.open = None;
        block
    }

    /// The open block as it is now.
    pub(super) fn snapshot(&self) -> Option<LogBlock> {
        let open = self.open.as_ref()?;
        let text = |id: RecordId| id.as_str().to_owned();
        Some(LogBlock {
            first_seq: open.first.seq,
            last_seq: open.last_seq,
            records: open.records,
            segment: self.segment,
            start_byte: open.first.start,
            end_byte: open.end,
            min_time_us: open.times.0,
            max_time_us: open.times.1,
            min_id: open.ids.map(|(least, _)| text(least)).unwrap_or_default(),
            max_id: open.ids.map(|(_, most)| text(most)).unwrap_or_default(),
        })
    }

    /// How many records are in the open block.
    pub(super) fn open_records(&self) -> u64 {
        self.open.map_or(0, |open| open.records)
    }

    /// The earliest time in the open block.
    pub(super) fn opened_at_us(&self) -> Option<i64> {
        self.open.map(|open| open.first.time_us)
    }
}

/// Whether a block may hold the id.
pub(super) fn may_hold_id(block: &LogBlock, id: &str) -> bool {
    block.min_id.as_str() <= id && id <= block.max_id.as_str()
}

/// Whether a block may hold records of the time, to its end exclusive.
pub(super) fn may_hold_time(block: &LogBlock, (from_us, to_us): (i64, i64)) -> bool {
    block.max_time_us >= from_us && block.min_time_us < to_us
}

/// Makes blocks of what is in the files.
#[derive(Debug)]
pub(super) struct Filler {
    folder: PathBuf,
    segments: VecDeque<u64>,
    current: Option<(Builder, LineReader)>,
    /// What is behind this place of the last segment is not looked at.
    until: (u64, u64),
    ended: bool,
}

impl Filler {
    /// Reads from behind `after`, or from the start, to the byte `until.1` of segment `until.0`.
    pub(super) fn new(
        folder: &Path,
        segments: &[u64],
        after: Option<&LogBlock>,
        until: (u64, u64),
    ) -> Result<Self, AuditError> {
        let from = after.map_or(0, |block| block.segment);
        let mut segments: VecDeque<u64> =
            segments.iter().copied().filter(|segment| (from..=until.0).contains(segment)).collect();
        let mut current = None;
        if let Some(block) = after {
            segments.pop_front();
            let reader = LineReader::open(&folder.join(file_name(block.segment)), block.end_byte)?;
            current = Some((Builder::new(block.segment), reader));
        }
        Ok(Self { folder: folder.to_owned(), segments, current, until, ended: false })
    }

    /// Up to `limit` blocks; an empty list at the end.
    pub(super) fn next_blocks(&mut self, limit: usize) -> Result<Vec<LogBlock>, AuditError> {
        let mut blocks = Vec::new();
        while blocks.len() < limit && !self.ended {
            let Some((builder, reader)) = &mut self.current else {
                let Some(segment) = self.segments.pop_front() else { break };
                let reader = LineReader::open(&self.folder.join(file_name(segment)), 0)?;
                self.current = Some((Builder::new(segment), reader));
                continue;
            };
            let (last, end) = self.until;
            let in_last = builder.segment == last;
            match reader.next_line()? {
                Some(raw) if raw.finished && !(in_last && raw.end > end) => {
                    // What can't be read can't be found either; `verify` says where it is.
                    if let Ok(line) = chain::parse_line(raw.bytes) {
                        blocks.extend(builder.note(&Mark::of(&line, raw.start, raw.end)));
                    }
                }
                _ if in_last => self.ended = true,
                _ => {
                    blocks.extend(builder.close());
                    self.current = None;
                }
            }
        }
        Ok(blocks)
    }

    /// The block of the last segment that is still open.
    pub(super) fn into_builder(self) -> Option<Builder> {
        self.current.map(|(builder, _)| builder)
    }
}

/// Whether the newest block of the index lies where the files have a record's end.
pub(super) fn fits(folder: &Path, block: &LogBlock) -> bool {
    let path = folder.join(file_name(block.segment));
    let Ok(bytes) = super::segment::read_range(&path, block.start_byte, block.end_byte) else {
        return false;
    };
    let whole = bytes.len() as u64 == block.end_byte.saturating_sub(block.start_byte);
    let mut lines = bytes.strip_suffix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n');
    let is = |line: Option<&[u8]>, seq| {
        line.and_then(|line| chain::parse_line(line).ok()).is_some_and(|line| line.seq == seq)
    };
    let first = lines.next();
    let last = lines.next_back().or(first);
    whole && is(first, block.first_seq) && is(last, block.last_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64, bytes: u64, time_us: i64) -> Mark {
        let id = RecordId::parse(&format!("dec_{:032x}", 1_000_000 - seq));
        Mark { seq, time_us, id, start: seq * bytes, end: (seq + 1) * bytes }
    }

    #[test]
    fn blocks_close_by_records_and_by_bytes() {
        let mut builder = Builder::new(1);
        let closed: Vec<u64> = (0..2 * BLOCK_RECORDS + 88)
            .filter_map(|seq| builder.note(&mark(seq, 10, 5)))
            .map(|block| block.records)
            .collect();
        assert_eq!((closed, builder.open_records()), (vec![BLOCK_RECORDS; 2], 88));
        let mut builder = Builder::new(1);
        let size = BLOCK_BYTES / 2 - 1;
        let block = (0..10).find_map(|seq| builder.note(&mark(seq, size, 5))).unwrap();
        assert_eq!((block.records, block.end_byte), (3, 3 * size));
    }

    #[test]
    fn a_block_spans_times_and_ids_out_of_order() {
        let mut builder = Builder::new(1);
        for (seq, time) in [(1, 30), (2, 10), (3, 20)] {
            builder.note(&mark(seq, 10, time));
        }
        let block = builder.close().unwrap();
        assert_eq!((block.min_time_us, block.max_time_us), (10, 30));
        assert!(block.min_id < block.max_id);
        assert!(may_hold_id(&block, &block.min_id) && may_hold_id(&block, &block.max_id));
        assert!(!may_hold_id(&block, &format!("dec_{:032x}", 1_000)));
        assert!(may_hold_time(&block, (30, 31)) && !may_hold_time(&block, (31, 40)));
        assert!(!may_hold_time(&block, (0, 10)));
        assert!(builder.close().is_none());
    }
}

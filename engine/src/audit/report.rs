//! What a verification found, in words that say where to look.
//!
//! Promises: a finding is a change that no crash makes; what a crash makes is a warning.

use super::chain::Mac;

/// So many findings are kept; more are only counted.
const KEPT: usize = 100;

/// The outcome of a verification.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whose log it is; `None` when nothing tells.
    pub node: Option<String>,
    /// How many segment files were read.
    pub segments: u64,
    /// How many records were read, the log's own among them.
    pub records: u64,
    /// How many of them are decisions.
    pub decisions: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many gap records there are.
    pub gaps: u64,
    /// How many records at most are missing by what the gap records say.
    pub missing_at_most: u64,
    /// How many checkpoints of the folder's own hold.
    pub checkpoints: u64,
    /// Where the chain ends.
    pub head: Option<ChainHead>,
    /// What was changed: the first hundred.
    pub findings: Vec<Finding>,
    /// How many changes there are.
    pub findings_total: u64,
    /// What a crash may leave.
    pub warnings: Vec<String>,
    /// No number above it was used, says the folder.
    pub(super) reserved: Option<u64>,
}

/// The last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Its sequence number.
    pub seq: u64,
    /// Its mac.
    pub mac: Mac,
    /// The segment that it is in, by the number that names the file.
    pub segment: u64,
}

impl Report {
    /// Whether nothing was changed.
    pub fn is_whole(&self) -> bool {
        self.findings_total == 0
    }

    pub(super) fn found(&mut self, place: Place, problem: Problem) {
        self.findings_total += 1;
        if self.findings.len() < KEPT {
            self.findings.push(Finding { place, problem });
        }
    }
}

/// Where something stands. Empty parts are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file within the log's folder.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: u64,
    /// The byte at which the line starts.
    pub offset: u64,
    /// The sequence number that the record states.
    pub seq: Option<u64>,
}

impl Place {
    pub(super) fn file(name: &str) -> Self {
        Self { file: name.to_owned(), ..Self::default() }
    }
}

/// A change, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a record at all.
    #[error("this is not a record: it was edited, or bytes were put here")]
    Unreadable,
    /// A record whose mac does not hold in its place.
    #[error("this record was edited, or the one before it was replaced")]
    Edited,
    /// Numbers that were not reached by the chain.
    #[error("records {from} to {to} are missing in front of this one: they were removed or moved")]
    Missing {
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// A number that was seen already.
    #[error("this record was duplicated or moved: number {expected} is expected here")]
    Repeated {
        /// The number that should stand here.
        expected: u64,
    },
    /// The chain holds, the numbers don't: only who has the key can write this.
    #[error("this record follows in the chain, but number {expected} is expected here")]
    Inconsistent {
        /// The number that should stand here.
        expected: u64,
    },
    /// A record of another node's log.
    #[error("this record is of another node's log")]
    OtherNode,
    /// A version that this program does not know.
    #[error("this record has a version that this program does not know")]
    Version,
    /// The segment's name is not the number of its first record.
    #[error("the file was renamed: its first record is number {first}")]
    Renamed {
        /// The number that should name it.
        first: u64,
    },
    /// The segment does not start with its header.
    #[error("the segment's first record was removed or edited")]
    NoHeader,
    /// A segment with nothing in it, before others.
    #[error("the segment was emptied")]
    Emptied,
    /// Segments are missing.
    #[error("the segment before this one, `{previous}`, was removed or cut: {missing} records are missing")]
    MissingSegment {
        /// The file that should be before it.
        previous: String,
        /// How many numbers are missing.
        missing: u64,
    },
    /// A checkpoint covers what is not there.
    #[error(
        "the log was cut: a checkpoint covers record {covered}, and the log has nothing behind {ends_at}"
    )]
    Cut {
        /// The last record in front of the cut.
        ends_at: u64,
        /// What a checkpoint covers.
        covered: u64,
    },
    /// A checkpoint and the chain differ.
    #[error("the log was rewritten: a checkpoint has another mac for this record")]
    Rewritten,
    /// A checkpoint that counts for nothing.
    #[error("not a checkpoint of this log: {0}")]
    BadCheckpoint(String),
    /// Bytes at the end that no unfinished write leaves.
    #[error("the bytes at the end are not the start of a record")]
    StrayEnd,
    /// Half a record at the end.
    #[error("the last record is unfinished: a crash cut it short, or it is being written")]
    Unfinished,
    /// A file that looks like a segment.
    #[error("this file does not belong to the log")]
    Stranger,
    /// The node's file.
    #[error("the file that names the node is missing or was edited")]
    NodeFile,
    /// The reservation's file.
    #[error("the file that reserves sequence numbers was edited")]
    Reservation,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { file, line, offset, seq } = &self.place;
        let file = if file.is_empty() { "the log" } else { file };
        write!(formatter, "{file}")?;
        if *line > 0 {
            write!(formatter, " line {line}, byte {offset}")?;
        }
        if let Some(seq) = seq {
            write!(formatter, ", sequence number {seq}")?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

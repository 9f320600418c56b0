//! Walks the chain, record by record, for [`super::verify()`].
//!
//! Promises: each record is checked against the one before it and against every checkpoint that
//! covers it; behind a break the walk goes on from what the next record states.

use std::path::Path;

use serde::Deserialize;

use super::AuditError;
use super::chain::{self, Line, LineError, LogKeys, Mac};
use super::recover::Header;
use super::report::{ChainHead, Finding, Place, Problem, Report};
use super::segment::{LineReader, RawLine, file_name};

/// A record that must be there, with this mac.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    pub(super) seq: u64,
    pub(super) mac: Mac,
}

pub(super) struct Walk<'a> {
    folder: &'a Path,
    keys: &'a LogKeys,
    node: &'a str,
    prefix: Vec<u8>,
    /// In order; those in front of `met` are dealt with.
    expected: Vec<Expectation>,
    met: usize,
    /// The mac before; `None` behind a line that can't be read.
    previous: Option<Mac>,
    /// The number to come; `None` behind a line that can't be read.
    next_seq: Option<u64>,
    last_file: Option<String>,
    renamed_from: Option<String>,
    report: Report,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        folder: &'a Path,
        (keys, node): (&'a LogKeys, &'a str),
        expected: Vec<Expectation>,
        report: Report,
    ) -> Self {
        Self {
            folder,
            keys,
            node,
            prefix: chain::line_prefix(node),
            expected,
            met: 0,
            previous: Some(keys.genesis(node)),
            next_seq: Some(1),
            last_file: None,
            renamed_from: None,
            report,
        }
    }

    /// Reads one segment file.
    pub(super) fn segment(&mut self, name: u64, last: bool) -> Result<(), AuditError> {
        let file = file_name(name);
        let mut reader = LineReader::open(&self.folder.join(&file), 0)?;
        self.report.segments += 1;
        let mut empty = true;
        while let Some(raw) = reader.next_line()? {
            self.report.bytes += raw.end - raw.start;
            let place = Place { file: file.clone(), line: raw.number, offset: raw.start, seq: None };
            if !raw.finished {
                self.unfinished(place, &raw, last);
                empty = false;
                break;
            }
            empty = false;
            self.line(place, &raw, name);
        }
        if empty {
            let place = Place::file(&file);
            if last {
                self.report
                    .warnings
                    .push(format!("{file}: the segment is empty: a crash cut its start short"));
            } else {
                self.report.found(place, Problem::Emptied);
            }
        }
        // What follows names it as it was called: one renaming is one finding.
        self.last_file = Some(self.renamed_from.take().unwrap_or(file));
        Ok(())
    }

    fn line(&mut self, mut place: Place, raw: &RawLine<'_>, name: u64) {
        let line = match chain::parse_line(raw.bytes) {
            Ok(line) => line,
            Err(error) => {
                let problem =
                    if error == LineError::Version { Problem::Version } else { Problem::Unreadable };
                self.report.found(place, problem);
                self.previous = None;
                self.next_seq = None;
                return;
            }
        };
        place.seq = Some(line.seq);
        if raw.start == 0 {
            self.first_line(&place, &line, name);
        }
        self.check(place, &line);
        self.report.records += 1;
        self.report.decisions += u64::from(line.kind == "decision");
        self.previous = Some(line.mac);
        self.next_seq = line.seq.checked_add(1);
        self.report.head = Some(ChainHead { seq: line.seq, mac: line.mac, segment: name });
    }

    /// The header says what is before it; when that is not there, the walk goes on from what it
    /// says, so that the rest is still checked.
    fn first_line(&mut self, place: &Place, line: &Line<'_>, name: u64) {
        let header = if line.kind == chain::SEGMENT { Header::read(line.event) } else { None };
        let Some(header) = header else {
            self.report.found(place.clone(), Problem::NoHeader);
            return;
        };
        if line.seq != name {
            self.report.found(place.clone(), Problem::Renamed { first: line.seq });
            self.renamed_from = Some(file_name(line.seq));
        }
        let next_seq = self.next_seq.unwrap_or(line.seq);
        let follows = header.previous == self.last_file && line.seq == next_seq;
        if !follows && line.seq >= next_seq {
            let previous = header.previous.clone().unwrap_or_else(|| "the log's start".into());
            let missing = line.seq - next_seq;
            self.report.found(place.clone(), Problem::MissingSegment { previous, missing });
            self.previous = header.previous_mac();
            self.next_seq = Some(line.seq);
        }
    }

    fn check(&mut self, place: Place, line: &Line<'_>) {
        if line.node != self.node {
            self.report.found(place, Problem::OtherNode);
            return;
        }
        let next_seq = self.next_seq.unwrap_or(line.seq);
        let holds = self.previous.is_none_or(|previous| self.keys.follows(&previous, line.body, &line.mac));
        let gap = if line.kind == chain::GAP { Gap::read(line.event) } else { None };
        let numbered = match &gap {
            Some(gap) => gap.missing_from == next_seq && gap.missing_to.checked_add(1) == Some(line.seq),
            None => line.seq == next_seq,
        };
        let problem = match (holds, numbered) {
            (true, true) => None,
            (true, false) => Some(Problem::Inconsistent { expected: next_seq }),
            (false, true) => Some(Problem::Edited),
            (false, false) if line.seq > next_seq => {
                Some(Problem::Missing { from: next_seq, to: line.seq - 1 })
            }
            (false, false) if line.seq < next_seq => Some(Problem::Repeated { expected: next_seq }),
            (false, false) => Some(Problem::Edited),
        };
        if let Some(gap) = gap.filter(|_| holds) {
            self.report.gaps += 1;
            self.report.missing_at_most += gap.at_most.unwrap_or(0);
        }
        let intact = problem.is_none();
        if let Some(problem) = problem {
            self.report.found(place.clone(), problem);
        }
        self.compare(place, line, intact);
    }

    /// Holds the record against what checkpoints say of it.
    fn compare(&mut self, place: Place, line: &Line<'_>, intact: bool) {
        let mut passed = None;
        while let Some(expected) = self.expected.get(self.met).filter(|expected| expected.seq <= line.seq) {
            if expected.seq < line.seq {
                passed = Some(expected.seq);
            } else if intact && expected.mac != line.mac {
                self.report.found(place.clone(), Problem::Rewritten);
            }
            self.met += 1;
        }
        // What is missing by a break was said already; here the chain itself passes over it.
        if let (Some(covered), true) = (passed, intact) {
            let ends_at = self.report.head.map_or(0, |head| head.seq);
            self.report.found(place, Problem::Cut { ends_at, covered });
        }
    }

    fn unfinished(&mut self, place: Place, raw: &RawLine<'_>, last: bool) {
        let plausible = raw.bytes.starts_with(&self.prefix)
            || self.prefix.starts_with(raw.bytes)
            || raw.bytes.contains(&0);
        if last && plausible && !self.holds_a_record(raw.bytes) {
            self.report.warnings.push(Finding { place, problem: Problem::Unfinished }.to_string());
        } else {
            self.report.found(place, if last { Problem::StrayEnd } else { Problem::Unreadable });
        }
        self.previous = None;
        self.next_seq = None;
    }

    /// Whether a whole record stands in front of other bytes: its line break was edited.
    fn holds_a_record(&self, bytes: &[u8]) -> bool {
        let Some(previous) = self.previous else { return false };
        let ends = bytes.windows(2).enumerate().filter(|(_, pair)| *pair == b"\"}").map(|(at, _)| at + 2);
        ends.filter(|end| *end < bytes.len()).any(|end| {
            let line = bytes.get(..end).and_then(|line| chain::parse_line(line).ok());
            line.is_some_and(|line| self.keys.follows(&previous, line.body, &line.mac))
        })
    }

    /// What is left over was cut off at the end.
    pub(super) fn finish(mut self) -> Report {
        let ends_at = self.report.head.map_or(0, |head| head.seq);
        let covered =
            self.expected.last().map(|expected| expected.seq).filter(|_| self.met < self.expected.len());
        let place = self.last_file.as_deref().map(Place::file).unwrap_or_default();
        if let Some(covered) = covered {
            self.report.found(place, Problem::Cut { ends_at, covered });
        } else if self.last_file.is_none() && self.report.reserved.is_some() {
            let covered = self.report.reserved.unwrap_or(0);
            self.report.found(place, Problem::Cut { ends_at, covered });
        }
        self.report
    }
}

/// What a gap record says.
#[derive(Debug, Deserialize)]
struct Gap {
    missing_from: u64,
    missing_to: u64,
    at_most: Option<u64>,
}

impl Gap {
    fn read(event: &[u8]) -> Option<Self> {
        serde_json::from_slice(event).ok()
    }
}

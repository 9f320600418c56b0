//! Checks a whole log from its files, and says where it was changed and how.
//!
//! Needs nothing but the data folder and the root key. Promises: beside a running server it reads
//! a consistent prefix, since the checkpoints are read before the records that they cover; it goes
//! on behind a break, so that one edit is one finding. Must never: change a file.

use std::path::{Path, PathBuf};

use super::AuditError;
use super::chain::{self, LogKeys};
use super::checkpoint::{self, Checkpoint, OwnContent};
use super::recover::{check_root_key, read_node};
use super::report::{Finding, Place, Problem, Report};
use super::reservation::{self, Found};
use super::segment::{self, CHECKPOINT_FILE, FOLDER, Listing, file_name};
use super::walk::{Expectation, Walk};
use crate::clock::Clock;
use crate::protect::RootKey;

/// Verifies the log in `data_dir`; with a checkpoint that was kept elsewhere, also that the log
/// still holds what it says.
///
/// # Errors
/// When there is no log, or it can't be read. A log that was changed is a report with findings.
pub fn verify(data_dir: &Path, root: &RootKey, given: Option<&Checkpoint>) -> Result<Report, AuditError> {
    let keys = LogKeys::derive(root)?;
    let folder = data_dir.join(FOLDER);
    if !folder.is_dir() {
        let given = given.ok_or_else(|| AuditError::NoLog(folder.clone()))?;
        let mut report = Report::default();
        report.found(Place::default(), Problem::Cut { ends_at: 0, covered: given.seq });
        return Ok(report);
    }
    check_root_key(&folder, &keys)?;
    let before = fingerprint(&folder);
    let report = verify_once(&folder, &keys, given);
    // A server that starts or ends meanwhile changes more than the end: then look again.
    let troubled = report.as_ref().map_or(true, |report| !report.is_whole());
    if troubled && before != fingerprint(&folder) { verify_once(&folder, &keys, given) } else { report }
}

/// Signs a checkpoint of the log's head, to be kept elsewhere. Works with and without a server.
///
/// # Errors
/// When the log does not verify, is empty, or can't be read.
pub fn checkpoint(data_dir: &Path, root: &RootKey, clock: &dyn Clock) -> Result<Checkpoint, AuditError> {
    let report = verify(data_dir, root, None)?;
    if let Some(first) = report.findings.first() {
        return Err(AuditError::NotWhole { findings: report.findings_total, first: first.to_string() });
    }
    let folder = data_dir.join(FOLDER);
    let (Some(node), Some(head)) = (&report.node, &report.head) else {
        return Err(AuditError::NoLog(folder));
    };
    // What is signed must be on the disk, or a power loss would make a liar of the checkpoint.
    let path = folder.join(file_name(head.segment));
    let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|source| AuditError::io("sync", &path, source))?;
    Ok(Checkpoint::sign(&LogKeys::derive(root)?, node, (head.seq, &head.mac), clock.now()))
}

/// Changes whenever records are added, or files come and go.
fn fingerprint(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files: Vec<(PathBuf, u64)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.path(), entry.metadata().map_or(0, |metadata| metadata.len())))
        .collect();
    files.sort_unstable();
    files
}

fn verify_once(folder: &Path, keys: &LogKeys, given: Option<&Checkpoint>) -> Result<Report, AuditError> {
    let mut report = Report::default();
    let node = node_of(folder, &mut report)?;
    let expected = match &node {
        Some(node) => expectations(folder, (keys, node), given, &mut report)?,
        None => Vec::new(),
    };
    let listing = segment::list(folder)?;
    for name in &listing.strangers {
        report.found(Place::file(name), Problem::Stranger);
    }
    let Some(node) = node else {
        if let Some(given) = given {
            report.found(Place::default(), Problem::Cut { ends_at: 0, covered: given.seq });
        }
        return Ok(report);
    };
    let mut walk = Walk::new(folder, (keys, &node), expected, report);
    walk_all(&mut walk, &listing)?;
    let mut report = walk.finish();
    report.node = Some(node);
    Ok(report)
}

fn walk_all(walk: &mut Walk<'_>, listing: &Listing) -> Result<(), AuditError> {
    for (number, first_seq) in listing.segments.iter().enumerate() {
        let last = number + 1 == listing.segments.len();
        walk.segment(*first_seq, last)?;
    }
    Ok(())
}

/// The node, from its file or else from the first record.
fn node_of(folder: &Path, report: &mut Report) -> Result<Option<String>, AuditError> {
    match read_node(folder) {
        Ok(Some(node)) => return Ok(Some(node)),
        Ok(None) | Err(AuditError::BadNode(_)) => {
            report.found(Place::file(segment::NODE_FILE), Problem::NodeFile);
        }
        Err(error) => return Err(error),
    }
    for first_seq in segment::list(folder)?.segments {
        let mut reader = segment::LineReader::open(&folder.join(file_name(first_seq)), 0)?;
        while let Some(raw) = reader.next_line()? {
            if let Ok(line) = chain::parse_line(raw.bytes) {
                return Ok(Some(line.node.to_owned()));
            }
        }
    }
    Ok(None)
}

/// What the records must agree with: the folder's own checkpoints, the one given, and the mark of
/// a clean end.
fn expectations(
    folder: &Path,
    (keys, node): (&LogKeys, &str),
    given: Option<&Checkpoint>,
    report: &mut Report,
) -> Result<Vec<Expectation>, AuditError> {
    let mut expected = Vec::new();
    if let Some(given) = given {
        match given.check(keys, node) {
            Ok(mac) => expected.push(Expectation { seq: given.seq, mac }),
            Err(why) => report.found(Place::file("the checkpoint given"), Problem::BadCheckpoint(why.into())),
        }
    }
    match checkpoint::read_own(folder, keys, node)? {
        None => report.warnings.push("the folder has no checkpoints of its own".into()),
        Some(own) => {
            for entry in own {
                let place =
                    Place { file: CHECKPOINT_FILE.into(), line: entry.line, offset: entry.start, seq: None };
                match entry.content {
                    OwnContent::Holds { seq, mac } => {
                        report.checkpoints += 1;
                        expected.push(Expectation { seq, mac });
                    }
                    OwnContent::Bad(why) => report.found(place, Problem::BadCheckpoint(why)),
                    OwnContent::Unfinished => {
                        report.warnings.push(Finding { place, problem: Problem::Unfinished }.to_string());
                    }
                }
            }
        }
    }
    match reservation::read(folder, keys, node)? {
        Found::Copy(copy) => {
            expected.extend(copy.mac().map(|mac| Expectation { seq: copy.up_to, mac }));
            report.reserved = Some(copy.up_to);
        }
        Found::Damaged => {
            report.found(Place::file(segment::RESERVATION_FILE), Problem::Reservation);
        }
        Found::Absent => {
            report
                .warnings
                .push("the file `reserved` is missing: a clean end can't be told from a cut".into());
        }
    }
    expected.sort_unstable_by_key(|expected| expected.seq);
    Ok(expected)
}

//! Opening the folder again: finds the head of the chain, and cuts off what a crash left
//! unfinished.
//!
//! Promises: the last segment verifies, or the log is not opened; what is cut off is kept in a
//! file beside it. Must never: cut off a record that verifies, or go on behind one that does not.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::chain::{self, LogKeys, Mac};
use super::segment::{self, LOCK_FILE, LineReader, NODE_FILE, RawLine, file_name, private, sync_folder};
use super::{AuditError, RecordId};
use crate::clock::Clock;
use crate::random::{Rng, new_id};

/// What the first record of a segment says.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    /// The segment before.
    pub(super) previous: Option<String>,
    previous_mac: String,
    /// Which root key made it.
    pub(super) key: String,
}

impl Header {
    pub(super) fn read(event: &[u8]) -> Option<Self> {
        serde_json::from_slice(event).ok()
    }

    pub(super) fn previous_mac(&self) -> Option<Mac> {
        let mut mac = [0; 32];
        hex::decode_to_slice(&self.previous_mac, &mut mac).ok()?;
        Some(mac)
    }
}

/// Where the log goes on.
#[derive(Debug)]
pub(super) struct Head {
    /// The last segment and the byte after its last record; `None` when there is no segment.
    pub(super) segment: Option<(u64, u64)>,
    pub(super) seq: u64,
    pub(super) mac: Mac,
    /// How many bytes of an unfinished end were cut off.
    pub(super) cut_bytes: u64,
}

/// Takes the folder for this process alone.
pub(super) fn lock(folder: &Path) -> Result<File, AuditError> {
    let path = folder.join(LOCK_FILE);
    let opened = private().create(true).truncate(false).open(&path);
    let file = opened.map_err(|source| AuditError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(AuditError::Locked(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(AuditError::io("lock", &path, source)),
    }
}

/// The node's id, from its file; `None` when there is none.
pub(super) fn read_node(folder: &Path) -> Result<Option<String>, AuditError> {
    let path = folder.join(NODE_FILE);
    let text = match segment::read_range(&path, 0, 64) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| AuditError::io("read", &path, source))?,
    };
    let node = std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n'));
    match node.filter(|node| node.starts_with("nod_")).and_then(RecordId::parse) {
        Some(node) => Ok(Some(node.as_str().to_owned())),
        None => Err(AuditError::BadNode(path)),
    }
}

/// Makes the node's id, once.
pub(super) fn make_node(folder: &Path, clock: &dyn Clock, rng: &dyn Rng) -> Result<String, AuditError> {
    let node = new_id("nod_", clock.now(), rng)?;
    let (path, beside) = (folder.join(NODE_FILE), folder.join("node.new"));
    let write = || {
        let mut file = private().create(true).truncate(true).open(&beside)?;
        file.write_all(format!("{node}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        sync_folder(folder)
    };
    write().map_err(|source| AuditError::io("make", &path, source))?;
    Ok(node)
}

/// Finds the head of the chain.
pub(super) fn head(folder: &Path, keys: &LogKeys, node: &str) -> Result<Head, AuditError> {
    let mut cut_bytes = 0;
    loop {
        let Some(last) = segment::list(folder)?.segments.pop() else {
            return Ok(Head { segment: None, seq: 0, mac: keys.genesis(node), cut_bytes });
        };
        let walked = walk(folder, last, keys, node)?;
        let path = folder.join(file_name(last));
        let length = path.metadata().map_err(|source| AuditError::io("read", &path, source))?.len();
        cut_bytes += length - walked.end;
        cut_off(&path, walked.end, length).map_err(|source| AuditError::io("repair", &path, source))?;
        if let Some((seq, mac)) = walked.head {
            return Ok(Head { segment: Some((last, walked.end)), seq, mac, cut_bytes });
        }
        // Its first record was never finished: the log ends with the segment before.
        fs::remove_file(&path).map_err(|source| AuditError::io("remove", &path, source))?;
    }
}

struct Walked {
    head: Option<(u64, Mac)>,
    end: u64,
}

fn walk(folder: &Path, first_seq: u64, keys: &LogKeys, node: &str) -> Result<Walked, AuditError> {
    let path = folder.join(file_name(first_seq));
    let mut reader = LineReader::open(&path, 0)?;
    let mut walked = Walked { head: None, end: 0 };
    while let Some(raw) = reader.next_line()? {
        if !raw.finished {
            break;
        }
        let line = chain::parse_line(raw.bytes);
        if line.as_ref().is_err_and(|error| *error == chain::LineError::Version) {
            return Err(AuditError::Newer(path));
        }
        let Some(line) = line.ok() else { return not_a_record(walked, &raw, &path) };
        if line.node != node {
            return Err(AuditError::OtherNode { folder: folder.to_owned(), node: node.to_owned() });
        }
        let previous = match walked.head {
            Some((_, mac)) => mac,
            None => previous_of(&line, first_seq, keys, folder)?.ok_or_else(|| broken(&path, &raw))?,
        };
        if !keys.follows(&previous, line.body, &line.mac) {
            return not_a_record(walked, &raw, &path);
        }
        walked = Walked { head: Some((line.seq, line.mac)), end: raw.end };
    }
    Ok(walked)
}

/// The mac that a segment's first record follows; `None` when that is not a header.
fn previous_of(
    line: &chain::Line<'_>,
    first_seq: u64,
    keys: &LogKeys,
    folder: &Path,
) -> Result<Option<Mac>, AuditError> {
    if line.kind != chain::SEGMENT || line.seq != first_seq {
        return Ok(None);
    }
    let Some(header) = Header::read(line.event) else { return Ok(None) };
    if header.key != keys.fingerprint() {
        return Err(AuditError::OtherRootKey(folder.to_owned()));
    }
    Ok(header.previous_mac())
}

/// Tells a log of another root key from one that was edited: its first header names the other key, and what follows
/// the header does not follow from it under this one.
///
/// # Errors
/// When the log is another root key's, or can't be read.
pub(super) fn check_root_key(folder: &Path, keys: &LogKeys) -> Result<(), AuditError> {
    let Some(first) = segment::list(folder)?.segments.first().copied() else { return Ok(()) };
    let mut reader = LineReader::open(&folder.join(file_name(first)), 0)?;
    let mut header_mac = None;
    while let Some(raw) = reader.next_line()? {
        let Ok(line) = chain::parse_line(raw.bytes) else { return Ok(()) };
        match header_mac {
            None => match Header::read(line.event) {
                Some(header) if header.key != keys.fingerprint() => header_mac = Some(line.mac),
                _ => return Ok(()),
            },
            Some(mac) if keys.follows(&mac, line.body, &line.mac) => return Ok(()),
            Some(_) => break,
        }
    }
    match header_mac {
        Some(_) => Err(AuditError::OtherRootKey(folder.to_owned())),
        None => Ok(()),
    }
}

/// Power loss may leave NUL bytes where a record's bytes never reached the disk; JSON has none.
/// Anything else that is not a record was edited.
fn not_a_record(walked: Walked, raw: &RawLine<'_>, path: &Path) -> Result<Walked, AuditError> {
    if raw.bytes.contains(&0) { Ok(walked) } else { Err(broken(path, raw)) }
}

fn broken(path: &Path, raw: &RawLine<'_>) -> AuditError {
    AuditError::Broken { path: path.to_owned(), line: raw.number, offset: raw.start }
}

/// Cuts a file off at `end`; what was behind stays in a file beside it.
fn cut_off(path: &Path, end: u64, length: u64) -> std::io::Result<()> {
    if length <= end {
        return Ok(());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{end}.cut"));
    let mut kept = private().append(true).create(true).open(PathBuf::from(name))?;
    let mut file = private().open(path)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end))?;
    std::io::copy(&mut file, &mut kept)?;
    kept.sync_all()?;
    file.set_len(end)?;
    file.sync_all()
}

//! Sequence numbers, reserved in blocks before they are used.
//!
//! The file holds two copies that are written in turns, so that a torn write leaves the other.
//! Promises: no number above the one on the disk is ever used, so that after a crash what may be
//! missing is bounded; after a clean end it names the last record. Must never: trust a copy whose
//! mac does not hold.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::chain::{LogKeys, Mac};
use super::segment::{RESERVATION_FILE, private};
use super::{AuditError, Mode};
use crate::clock::Clock;

const COPY_BYTES: usize = 512;
const SMALLEST: u64 = 1 << 10;
const LARGEST: u64 = 1 << 16;
/// When drops are counted, the numbers must last as long as the disk stalls.
const LARGEST_WITH_GAPS: u64 = 1 << 20;

/// What one copy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reserved {
    v: u64,
    node: String,
    /// Counts the writes of this file; the higher one of the two copies counts.
    turn: u64,
    /// No number above this one was used.
    pub(super) up_to: u64,
    /// The log was closed, and `up_to` is its last record.
    pub(super) clean: bool,
    /// When clean: the last record's mac, in hex.
    mac: String,
}

/// What the file says at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no file.
    Absent,
    /// There is one, and no copy in it holds.
    Damaged,
    /// The newest copy that holds.
    Copy(Reserved),
}

/// Reads the file of a log's folder.
pub(super) fn read(folder: &Path, keys: &LogKeys, node: &str) -> Result<Found, AuditError> {
    let path = folder.join(RESERVATION_FILE);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(64 << 10).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(source) => return Err(AuditError::io("read", &path, source)),
        // Made and never written: the log had not begun.
        Ok(0) => return Ok(Found::Absent),
        Ok(_) => {}
    }
    let newest = bytes
        .chunks(COPY_BYTES)
        .filter_map(|copy| decode(copy, keys))
        .filter(|copy| copy.node == node)
        .max_by_key(|copy| copy.turn);
    Ok(newest.map_or(Found::Damaged, Found::Copy))
}

/// A copy: the mac in hex, a space, JSON, spaces, a line break.
fn encode(copy: &Reserved, keys: &LogKeys) -> Option<Vec<u8>> {
    let body = serde_json::to_string(copy).ok()?;
    let mut bytes = format!("{} {body}", keys.reservation_mac(body.as_bytes()).to_hex()).into_bytes();
    if bytes.len() >= COPY_BYTES {
        return None;
    }
    bytes.resize(COPY_BYTES - 1, b' ');
    bytes.push(b'\n');
    Some(bytes)
}

fn decode(bytes: &[u8], keys: &LogKeys) -> Option<Reserved> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (mac, body) = text.split_once(' ')?;
    let body = body.trim_end();
    let mac = blake3::Hash::from_hex(mac).ok()?;
    if keys.reservation_mac(body.as_bytes()) != mac {
        return None;
    }
    let copy: Reserved = serde_json::from_str(body).ok()?;
    (copy.v == 1).then_some(copy)
}

/// The reservation of an open log.
#[derive(Debug)]
pub(super) struct Reservation {
    up_to: AtomicU64,
    inner: Mutex<Inner>,
    smallest: u64,
    largest: u64,
    keys: Arc<LogKeys>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    node: String,
    turn: u64,
    block: u64,
    extended_at: Option<Duration>,
    closed: bool,
}

impl Reservation {
    /// Opens the file; nothing above `floor` is reserved yet.
    pub(super) fn open(
        folder: &Path,
        (node, floor, turn): (&str, u64, u64),
        mode: Mode,
        (keys, clock): (&Arc<LogKeys>, &Arc<dyn Clock>),
    ) -> Result<Self, AuditError> {
        let path = folder.join(RESERVATION_FILE);
        let opened = private().create(true).truncate(false).open(&path);
        let file = opened.map_err(|source| AuditError::io("open", &path, source))?;
        let (smallest, largest) = match mode {
            Mode::Durable | Mode::Queued => (SMALLEST, LARGEST),
            Mode::Gap => (LARGEST, LARGEST_WITH_GAPS),
        };
        let inner = Inner {
            file,
            path,
            node: node.to_owned(),
            turn,
            block: smallest,
            extended_at: None,
            closed: false,
        };
        Ok(Self {
            up_to: AtomicU64::new(floor),
            inner: Mutex::new(inner),
            smallest,
            largest,
            keys: Arc::clone(keys),
            clock: Arc::clone(clock),
        })
    }

    /// The last number that may be used.
    pub(super) fn up_to(&self) -> u64 {
        self.up_to.load(Ordering::Acquire)
    }

    /// Whether less than half a block is left behind `used`.
    pub(super) fn runs_low(&self, used: u64) -> bool {
        self.up_to().saturating_sub(used) < self.lock().block / 2
    }

    /// Makes sure that numbers up to `wanted` may be used; when they may not yet, writes and
    /// syncs the file first.
    pub(super) fn ensure(&self, wanted: u64) -> Result<(), AuditError> {
        if wanted <= self.up_to() {
            return Ok(());
        }
        let mut inner = self.lock();
        if wanted <= self.up_to() {
            return Ok(());
        }
        if inner.closed {
            return Err(AuditError::Closed);
        }
        let now = self.clock.monotonic();
        let soon = inner.extended_at.is_some_and(|at| now.saturating_sub(at) < Duration::from_secs(1));
        let block = if soon { inner.block * 2 } else { inner.block / 2 };
        inner.block = block.clamp(self.smallest, self.largest);
        inner.extended_at = Some(now);
        let up_to = wanted.saturating_add(inner.block);
        inner.write(&self.keys, (up_to, false), &[0; 32])?;
        self.up_to.store(up_to, Ordering::Release);
        Ok(())
    }

    /// Marks the log as closed with this last record. Nothing can be reserved afterwards.
    pub(super) fn close(&self, last_seq: u64, mac: &Mac) -> Result<(), AuditError> {
        let mut inner = self.lock();
        inner.closed = true;
        inner.write(&self.keys, (last_seq, true), mac)?;
        self.up_to.store(last_seq, Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, keys: &LogKeys, (up_to, clean): (u64, bool), mac: &Mac) -> Result<(), AuditError> {
        let turn = self.turn + 1;
        let copy = Reserved { v: 1, node: self.node.clone(), turn, up_to, clean, mac: hex::encode(mac) };
        let bytes = encode(&copy, keys).ok_or(AuditError::SigningKey)?;
        let start = (turn % 2) * COPY_BYTES as u64;
        let mut write = || {
            self.file.seek(SeekFrom::Start(start))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        };
        write().map_err(|source| AuditError::io("write", &self.path, source))?;
        self.turn = turn;
        Ok(())
    }
}

impl Reserved {
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// When clean: the last record's mac.
    pub(super) fn mac(&self) -> Option<Mac> {
        let mut mac = [0; 32];
        hex::decode_to_slice(&self.mac, &mut mac).ok()?;
        self.clean.then_some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::protect::RootKey;
    use crate::random::SystemRng;

    const NODE: &str = "nod_0197aaaabbbb7cccddddeeeeffff0000";

    fn keys(folder: &Path) -> Arc<LogKeys> {
        let root = RootKey::read_or_create(&folder.join("root.key"), &SystemRng::new()).unwrap();
        Arc::new(LogKeys::derive(&root).unwrap())
    }

    fn open(folder: &Path, clock: &Arc<ManualClock>) -> Reservation {
        let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
        Reservation::open(folder, (NODE, 10, 0), Mode::Durable, (&keys(folder), &clock)).unwrap()
    }

    fn found(folder: &Path) -> Found {
        read(folder, &keys(folder), NODE).unwrap()
    }

    #[test]
    fn what_is_used_is_on_the_disk_before() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(found(folder.path()), Found::Absent);
        let clock = ManualClock::at(Timestamp(0));
        let reservation = open(folder.path(), &clock);
        for wanted in [11, 500, 5_000, 50_000] {
            reservation.ensure(wanted).unwrap();
            assert!(matches!(found(folder.path()), Found::Copy(copy) if copy.up_to >= wanted && !copy.clean));
        }
    }

    #[test]
    fn blocks_grow_with_the_rate_and_shrink_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp(0));
        let reservation = open(folder.path(), &clock);
        for _ in 0..20 {
            reservation.ensure(reservation.up_to() + 1).unwrap();
        }
        assert_eq!(reservation.lock().block, LARGEST);
        for _ in 0..20 {
            clock.advance(Duration::from_secs(5));
            reservation.ensure(reservation.up_to() + 1).unwrap();
        }
        assert_eq!(reservation.lock().block, SMALLEST);
    }

    #[test]
    fn one_torn_copy_leaves_the_other_and_two_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let reservation = open(folder.path(), &ManualClock::at(Timestamp(0)));
        reservation.ensure(11).unwrap();
        let before = reservation.up_to();
        reservation.close(before + 7, &[3; 32]).unwrap();
        let path = folder.path().join(RESERVATION_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let newest = found(folder.path());
        assert!(matches!(&newest, Found::Copy(copy) if copy.clean && copy.up_to == before + 7));
        bytes[70] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(found(folder.path()), Found::Copy(copy) if copy.up_to == before && !copy.clean));
        bytes[COPY_BYTES + 70] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(found(folder.path()), Found::Damaged);
    }

    #[test]
    fn nothing_is_reserved_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let reservation = open(folder.path(), &ManualClock::at(Timestamp(0)));
        reservation.close(12, &[3; 32]).unwrap();
        assert!(matches!(reservation.ensure(13), Err(AuditError::Closed)));
    }
}

//! The log's folder: its files, the one that is being written, and reading them line by line.
//!
//! Promises: an append is one write, and leaves the file as it was when it fails; a reader's
//! memory is bounded by the longest line that is ever written. Must never: overwrite a record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{AuditError, record::BATCH_BYTES};

/// The folder within the data folder.
pub(super) const FOLDER: &str = "log";
pub(super) const NODE_FILE: &str = "node";
pub(super) const LOCK_FILE: &str = "lock";
pub(super) const RESERVATION_FILE: &str = "reserved";
pub(super) const CHECKPOINT_FILE: &str = "checkpoints.jsonl";

/// No line is longer: one event may be all of a batch.
const LINE_BYTES: usize = BATCH_BYTES + 4096;

/// The name of the segment whose first record has this sequence number.
pub(super) fn file_name(first_seq: u64) -> String {
    format!("{first_seq:020}.jsonl")
}

fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// What is in the folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The segments' names, in order.
    pub(super) segments: Vec<u64>,
    /// Files that look like part of a log and are not.
    pub(super) strangers: Vec<String>,
}

/// Lists the folder.
pub(super) fn list(folder: &Path) -> Result<Listing, AuditError> {
    let failed = |source| AuditError::io("list", folder, source);
    let mut listing = Listing::default();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        match sequence_of(&name) {
            Some(first_seq) => listing.segments.push(first_seq),
            None if name.ends_with(".jsonl") && name != CHECKPOINT_FILE => {
                listing.strangers.push(name.into_owned());
            }
            None => {}
        }
    }
    listing.segments.sort_unstable();
    listing.strangers.sort_unstable();
    Ok(listing)
}

/// Makes a folder that only its owner can read.
pub(super) fn make_folder(folder: &Path) -> Result<(), AuditError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| AuditError::io("make", folder, source))
}

/// Options for a file that only its owner can read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Segment {
    file: Arc<File>,
    path: PathBuf,
    first_seq: u64,
    end: u64,
    damaged: bool,
    /// What a test lets the next write do.
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// A write that goes wrong.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Only so many bytes are taken.
    Short(usize),
    /// Only so many bytes are taken, and they can't be cut off again.
    Stuck(usize),
}

impl Segment {
    /// Makes the file of a new segment. One that is there and empty was made when its first
    /// record could not be written; one that holds anything is never touched.
    pub(super) fn create(folder: &Path, first_seq: u64) -> Result<Self, AuditError> {
        let path = folder.join(file_name(first_seq));
        let failed = |source| AuditError::io("make", &path, source);
        let file = private().create(true).truncate(false).open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(failed(io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        Ok(Self::over(file, path, first_seq, 0))
    }

    /// Opens a segment to append at `end`; what is behind it must have been cut off.
    pub(super) fn resume(folder: &Path, first_seq: u64, end: u64) -> Result<Self, AuditError> {
        let path = folder.join(file_name(first_seq));
        let failed = |source| AuditError::io("open", &path, source);
        let mut file = private().open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self::over(file, path, first_seq, end))
    }

    fn over(file: File, path: PathBuf, first_seq: u64, end: u64) -> Self {
        Self {
            file: Arc::new(file),
            path,
            first_seq,
            end,
            damaged: false,
            #[cfg(test)]
            fault: None,
        }
    }

    pub(super) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The byte after the last record.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends in one write. When that fails, or the disk takes only a part, the file is cut back
    /// to what it was; while it can't be cut back, every append fails.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.damaged {
            self.repair()?;
        }
        self.damaged = true;
        match self.write(bytes) {
            Ok(written) if written == bytes.len() => {
                self.end += written as u64;
                self.damaged = false;
                Ok(())
            }
            other => {
                self.repair().ok();
                Err(other.err().unwrap_or_else(|| io::Error::from(io::ErrorKind::StorageFull)))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        if let Some(Fault::Short(taken) | Fault::Stuck(taken)) = self.fault {
            return (&*self.file).write(&bytes[..taken.min(bytes.len())]);
        }
        loop {
            match (&*self.file).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn repair(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(Fault::Stuck(_)) = self.fault {
            return Err(io::Error::from(io::ErrorKind::Other));
        }
        self.file.set_len(self.end)?;
        (&*self.file).seek(SeekFrom::Start(self.end))?;
        self.damaged = false;
        Ok(())
    }

    /// Takes the last append back: it was written, but could not be made durable.
    pub(super) fn take_back(&mut self, end: u64) {
        self.end = end;
        self.damaged = true;
        self.repair().ok();
    }

    /// Whether the file is still the one that its name leads to.
    #[cfg(unix)]
    pub(super) fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(held)) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
            _ => false,
        }
    }

    /// Whether the file is still the one that its name leads to.
    #[cfg(not(unix))]
    pub(super) fn is_in_place(&self) -> bool {
        self.path.exists()
    }
}

/// One line of a file, and where it stands.
#[derive(Debug)]
pub(super) struct RawLine<'a> {
    /// Without its line break.
    pub(super) bytes: &'a [u8],
    /// The byte at which it starts.
    pub(super) start: u64,
    /// The byte after its line break.
    pub(super) end: u64,
    /// Counted from one, from where the reading began.
    pub(super) number: u64,
    /// False when the file ends before its line break.
    pub(super) finished: bool,
}

/// Reads a file line by line.
#[derive(Debug)]
pub(super) struct LineReader {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    path: PathBuf,
    at: u64,
    number: u64,
}

impl LineReader {
    /// Starts at a byte at which a line starts.
    pub(super) fn open(path: &Path, start: u64) -> Result<Self, AuditError> {
        let failed = |source| AuditError::io("read", path, source);
        let mut file = File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(Self { reader, buffer: Vec::new(), path: path.to_owned(), at: start, number: 0 })
    }

    /// The next line; `None` at the end. A line longer than any record is cut into pieces, which
    /// no reader takes for one.
    pub(super) fn next_line(&mut self) -> Result<Option<RawLine<'_>>, AuditError> {
        self.buffer.clear();
        let limit = LINE_BYTES as u64;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| AuditError::io("read", &self.path, source))?;
        if read == 0 {
            return Ok(None);
        }
        let start = self.at;
        self.at += read as u64;
        self.number += 1;
        let finished = self.buffer.ends_with(b"\n");
        let bytes = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let finished = finished || read as u64 == limit;
        Ok(Some(RawLine { bytes, start, end: self.at, number: self.number, finished }))
    }
}

/// Reads the bytes from `start` to `end`; fewer when the file is shorter.
pub(super) fn read_range(path: &Path, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(folder: &Path) -> Segment {
        let mut segment = Segment::create(folder, 1).unwrap();
        segment.append(b"first\n").unwrap();
        segment
    }

    #[test]
    fn a_short_write_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = segment(folder.path());
        segment.fault = Some(Fault::Short(3));
        assert_eq!(segment.append(b"second\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(segment.path()).unwrap(), b"first\n");
        segment.fault = None;
        segment.append(b"third\n").unwrap();
        assert_eq!(fs::read(segment.path()).unwrap(), b"first\nthird\n");
    }

    #[test]
    fn a_file_that_cannot_be_repaired_takes_nothing_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = segment(folder.path());
        segment.fault = Some(Fault::Stuck(3));
        assert!(segment.append(b"second\n").is_err());
        assert_eq!(fs::read(segment.path()).unwrap(), b"first\nsec");
        assert!(segment.append(b"third\n").is_err());
        assert_eq!(fs::read(segment.path()).unwrap(), b"first\nsec");
        segment.fault = None;
        segment.append(b"4\n").unwrap();
        assert_eq!(fs::read(segment.path()).unwrap(), b"first\n4\n");
    }

    #[test]
    fn only_names_of_segments_count_as_segments() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000000000000000007.jsonl", "7.jsonl", "checkpoints.jsonl", "node", "x.jsonl"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let listing = list(folder.path()).unwrap();
        assert_eq!(listing.segments, [7]);
        assert_eq!(listing.strangers, ["7.jsonl", "x.jsonl"]);
    }

    #[test]
    fn a_moved_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let segment = segment(folder.path());
        assert!(segment.is_in_place());
        fs::rename(segment.path(), folder.path().join("moved")).unwrap();
        assert!(!segment.is_in_place());
    }
}

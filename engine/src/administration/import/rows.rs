//! The checked rows of an import, in a file of their own until they are written.
//!
//! The file has no name, so that nothing of it is left however the process ends. Its hash says what the import is:
//! rows that wait in the store under the same hash are the same rows.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::entity::bytes::{Reader, put_text};
use crate::store::imports::StagedRow;

/// Rows that are being collected.
#[derive(Debug)]
pub struct Collecting {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    count: u64,
    bytes: u64,
    row: Vec<u8>,
}

/// All rows, to be read as often as need be.
#[derive(Clone, Debug)]
pub struct Rows {
    file: Arc<File>,
    /// How many there are.
    pub count: u64,
    /// The hash of all of them, in hex.
    pub hash: String,
}

impl Collecting {
    /// Collects in a folder that only the service can read.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn within(folder: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?);
        Ok(Self { file, hasher: blake3::Hasher::new(), count: 0, bytes: 0, row: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn add(&mut self, row: &StagedRow) -> io::Result<()> {
        self.row.clear();
        for text in [&row.type_name, &row.id, &row.kind, &row.attributes, &row.tags, &row.parents] {
            put_text(&mut self.row, text);
        }
        let length = u32::try_from(self.row.len()).map_err(|_| io::ErrorKind::FileTooLarge)?.to_le_bytes();
        for part in [&length[..], &self.row] {
            self.hasher.update(part);
            self.file.write_all(part)?;
        }
        self.count += 1;
        self.bytes += 4 + u64::from(u32::from_le_bytes(length));
        Ok(())
    }

    /// How many bytes were collected.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many rows were collected.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them.
    ///
    /// # Errors
    /// When the last ones can't be written.
    pub fn finish(self) -> io::Result<Rows> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let hash = self.hasher.finalize().to_hex().to_string();
        Ok(Rows { file: Arc::new(file), count: self.count, hash })
    }
}

impl Rows {
    /// Reads them from the first on.
    pub fn read(&self) -> RowReader {
        let at = At { file: Arc::clone(&self.file), offset: 0 };
        RowReader { input: BufReader::with_capacity(1 << 18, at), left: self.count, row: Vec::new() }
    }
}

/// A reader with a place of its own in the file.
#[derive(Debug)]
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Reads rows.
#[derive(Debug)]
pub struct RowReader {
    input: BufReader<At>,
    left: u64,
    row: Vec<u8>,
}

impl Iterator for RowReader {
    type Item = io::Result<StagedRow>;

    fn next(&mut self) -> Option<io::Result<StagedRow>> {
        self.left = self.left.checked_sub(1)?;
        let row = self.read_row();
        if row.is_err() {
            self.left = 0;
        }
        Some(row)
    }
}

impl RowReader {
    fn read_row(&mut self) -> io::Result<StagedRow> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        self.row.resize(usize::try_from(u32::from_le_bytes(length)).unwrap_or(0), 0);
        self.input.read_exact(&mut self.row)?;
        let mut reader = Reader(&self.row);
        let mut text = || reader.text().map(str::to_owned).ok_or(io::ErrorKind::InvalidData);
        Ok(StagedRow {
            type_name: text()?,
            id: text()?,
            kind: text()?,
            attributes: text()?,
            tags: text()?,
            parents: text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, attributes: &str) -> StagedRow {
        StagedRow {
            type_name: "App::Doc".into(),
            id: id.into(),
            kind: "entity".into(),
            attributes: attributes.into(),
            tags: "{}".into(),
            parents: "[]".into(),
        }
    }

    fn collect(rows: &[StagedRow]) -> Rows {
        let mut collecting = Collecting::within(&std::env::temp_dir()).unwrap();
        rows.iter().for_each(|row| collecting.add(row).unwrap());
        collecting.finish().unwrap()
    }

    #[test]
    fn rows_are_read_as_they_were_added_by_several_readers_at_once() {
        let all: Vec<_> = (0..3_000).map(|n| row(&format!("é{n}"), &"x".repeat(n % 600))).collect();
        let rows = collect(&all);
        let (mut first, second) = (rows.read(), rows.read());
        assert_eq!(first.next().unwrap().unwrap(), all[0]);
        assert_eq!(second.map(Result::unwrap).collect::<Vec<_>>(), all);
        assert_eq!(first.map(Result::unwrap).collect::<Vec<_>>(), all[1..]);
        assert_eq!(rows.count, 3_000);
    }

    #[test]
    fn the_hash_tells_rows_apart_by_every_member_and_their_order() {
        let hash = |rows: &[StagedRow]| collect(rows).hash;
        let (a, b) = (row("a", "{}"), row("b", "{}"));
        assert_eq!(hash(&[a.clone(), b.clone()]), hash(&[a.clone(), b.clone()]));
        let others = [
            vec![b.clone(), a.clone()],
            vec![a.clone()],
            vec![a.clone(), StagedRow { kind: "user".into(), ..b.clone() }],
            vec![a.clone(), StagedRow { parents: "[[\"T\",\"a\"]]".into(), ..b.clone() }],
            vec![row("a{}", ""), b.clone()],
        ];
        for other in others {
            assert_ne!(hash(&other), hash(&[a.clone(), b.clone()]), "{other:?}");
        }
    }
}

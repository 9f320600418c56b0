//! CSV (RFC 4180): a line of column names, then one entity a row, as a mapping says.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::entry::{Entry, EntryError};
use super::mapping::Mapping;
use super::{Content, Fault, Piece, Place};

/// Reads rows.
#[derive(Debug)]
pub struct TableReader<R> {
    input: csv::Reader<Newlines<R>>,
    /// How many line breaks were passed.
    passed: u64,
    ended: bool,
}

/// Remembers where line breaks are: the parser takes the end of a line, `\r\n`, for the beginning of the next.
#[derive(Debug)]
struct Newlines<R> {
    input: R,
    offset: u64,
    ahead: VecDeque<u64>,
}

impl<R: Read> Read for Newlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default().iter().zip(self.offset..);
        self.ahead.extend(bytes.filter(|(byte, _)| **byte == b'\n').map(|(_, offset)| offset));
        self.offset += read as u64;
        Ok(read)
    }
}

/// Which cell is which.
#[derive(Clone, Debug)]
pub struct Columns {
    id: usize,
    attributes: Vec<usize>,
    parents: Vec<usize>,
}

impl<R: Read> TableReader<R> {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// When a column that the mapping names is not there, or there twice.
    pub fn new(input: R, mapping: &Mapping) -> Result<(Self, Columns), Fault> {
        let input = Newlines { input, offset: 0, ahead: VecDeque::new() };
        let mut input = csv::ReaderBuilder::new().delimiter(mapping.delimiter_byte()).from_reader(input);
        let first = Place::line(1);
        let header = input.headers().map_err(|error| Fault::malformed(first, error.to_string()))?;
        let mut found = Vec::new();
        for wanted in mapping.columns() {
            let mut places = header.iter().enumerate().filter(|(_, name)| *name == wanted);
            match (places.next(), places.next()) {
                (Some((place, _)), None) => found.push(place),
                (None, _) => return Err(Fault::malformed(first, format!("there is no column `{wanted}`"))),
                _ => return Err(Fault::malformed(first, format!("there are two columns `{wanted}`"))),
            }
        }
        let mut found = found.into_iter();
        let id = found.next().unwrap_or_default();
        let attributes = found.by_ref().take(mapping.attributes.len()).collect();
        let columns = Columns { id, attributes, parents: found.collect() };
        Ok((Self { input, passed: 0, ended: false }, columns))
    }

    /// The next row.
    pub fn next_piece(&mut self) -> Option<Result<Piece, Fault>> {
        if self.ended {
            return None;
        }
        let mut cells = csv::StringRecord::new();
        let read = self.input.read_record(&mut cells);
        let place = Place::line(self.line_of(&cells));
        match read {
            Ok(false) => None,
            Ok(true) => Some(Ok(Piece { place, content: Content::Cells(cells) })),
            Err(error) => {
                self.ended = error.is_io_error();
                Some(Err(Fault::malformed(place, describe(&error))))
            }
        }
    }

    /// The line on which the row that was just read begins.
    fn line_of(&mut self, cells: &csv::StringRecord) -> u64 {
        let end = self.input.position().byte();
        let mut last = None;
        while let Some(offset) = self.input.get_mut().ahead.pop_front_if(|offset| *offset < end) {
            self.passed += 1;
            last = Some(offset);
        }
        let own_end = u64::from(last.is_some_and(|offset| offset + 1 == end));
        let within: usize = cells.iter().map(|cell| cell.matches('\n').count()).sum();
        (1 + self.passed).saturating_sub(own_end + within as u64)
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells, and the table {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("cell {} is not UTF-8", err.field() + 1),
        _ => error.to_string(),
    }
}

/// What a row says. `cedar_type` gives the Cedar type of what attributes name.
///
/// # Errors
/// When a cell is no value of its attribute; the column is named.
pub fn entry(
    cells: &csv::StringRecord,
    (mapping, columns): (&Mapping, &Columns),
    mut cedar_type: impl FnMut(&str) -> Result<String, String>,
) -> Result<Entry, EntryError> {
    let cell = |place: usize| cells.get(place).unwrap_or_default();
    let mut entry =
        Entry { type_name: mapping.type_name.clone(), id: cell(columns.id).to_owned(), ..Entry::default() };
    for ((name, attribute), place) in mapping.attributes.iter().zip(&columns.attributes) {
        let wrong = |message| EntryError { field: Some(attribute.column(name).to_owned()), message };
        let entity = match &attribute.entity {
            Some(entity) => cedar_type(entity).map_err(wrong)?,
            None => String::new(),
        };
        if let Some(value) = attribute.read(cell(*place), &entity).map_err(wrong)? {
            entry.attributes.insert(name.clone(), value);
        }
    }
    for (parents, place) in mapping.parents.iter().zip(&columns.parents) {
        let cell = cell(*place);
        let ids: Vec<&str> = match &parents.separator {
            _ if cell.is_empty() => Vec::new(),
            Some(separator) => cell.split(separator.as_str()).collect(),
            None => vec![cell],
        };
        entry.parents.extend(ids.into_iter().map(|id| (parents.type_name.clone(), id.to_owned())));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MAPPING: &str = "type = \"user\"\nid = \"login\"\n[attributes]\nlevel = { type = \"long\" }\n\
        boss = { type = \"entity\", entity = \"user\" }\n[[parents]]\ncolumn = \"teams\"\ntype = \"group\"\nseparator = \"|\"\n";

    fn read(text: &str) -> Vec<Result<(u64, Entry), String>> {
        let mapping = Mapping::parse(&"m".into(), MAPPING).unwrap();
        let (mut reader, columns) = match TableReader::new(text.as_bytes(), &mapping) {
            Ok(begun) => begun,
            Err(fault) => return vec![Err(fault.to_string())],
        };
        let mut found = Vec::new();
        while let Some(piece) = reader.next_piece() {
            found.push(match piece {
                Ok(Piece { place, content: Content::Cells(cells) }) => {
                    let cedar = |name: &str| Ok(format!("App::{name}"));
                    entry(&cells, (&mapping, &columns), cedar)
                        .map(|entry| (place.line, entry))
                        .map_err(|error| format!("{place}: {:?} {}", error.field, error.message))
                }
                Ok(other) => panic!("{other:?}"),
                Err(fault) => Err(fault.to_string()),
            });
        }
        found
    }

    #[test]
    fn rows_are_entities_with_their_lines() {
        let found = read(
            "\u{feff}teams,level,login,boss,unused\r\n\"a|b\",3,\"x, \"\"y\"\"\nz\",,\r\n\r\n,,bob,alice,1\r\n",
        );
        let first = Entry {
            type_name: "user".into(),
            id: "x, \"y\"\nz".into(),
            attributes: json!({"level": 3}).as_object().unwrap().clone(),
            parents: vec![("group".into(), "a".into()), ("group".into(), "b".into())],
            ..Entry::default()
        };
        let second = Entry {
            type_name: "user".into(),
            id: "bob".into(),
            attributes: json!({"boss": {"__entity": {"type": "App::user", "id": "alice"}}})
                .as_object()
                .unwrap()
                .clone(),
            ..Entry::default()
        };
        assert_eq!(found, [Ok((2, first)), Ok((5, second))]);
    }

    #[test]
    fn bad_rows_are_named_and_the_next_are_read() {
        let found = read("login,level,boss,teams\na,x,,\nb,1\nc,1,,\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].as_ref().unwrap_err().starts_with("line 2: Some(\"level\") `x`"), "{found:?}");
        assert_eq!(found[1].as_ref().unwrap_err(), "line 3: the row has 2 cells, and the table 4 columns");
        assert_eq!(found[2].as_ref().unwrap().0, 4);
        assert!(read("login,level,boss\n")[0].as_ref().unwrap_err().contains("no column `teams`"));
        assert!(
            read("login,level,boss,teams,level\n")[0].as_ref().unwrap_err().contains("two columns `level`")
        );
    }
}

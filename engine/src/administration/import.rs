//! Imports of many entities: read, checked whole, and made visible in one change.
//!
//! Promises: nothing is written before all of it is known to be good; nobody sees half of it; the same again changes
//! nothing; one that was cut off goes on where it was. Must never: hold all of a source in memory.

use std::fmt;
use std::path::Path;

use super::AdminError;

pub mod array;
pub mod check;
pub mod entry;
pub mod hierarchy;
pub mod lines;
pub mod mapping;
pub mod present;
pub mod reading;
pub mod rows;
pub mod table;
pub mod work;

/// How entities are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON list, as Cedar has it.
    CedarJson,
    /// One JSON object a line: Cedar's, or the API's.
    Ndjson,
    /// A table, with a mapping that says what its columns are.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CedarJson, Self::Ndjson, Self::Csv];

    /// The name that the command line has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CedarJson => "cedar-json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a file's name promises.
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::CedarJson),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Where an entity stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which element of a list it is, from 1.
    pub element: Option<u64>,
    /// The line on which it begins, from 1.
    pub line: u64,
}

impl Place {
    /// A line of its own.
    pub fn line(line: u64) -> Self {
        Self { element: None, line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.element {
            Some(element) => write!(formatter, "line {}, entity {element}", self.line),
            None => write!(formatter, "line {}", self.line),
        }
    }
}

/// What stands at one place.
#[derive(Debug)]
pub struct Piece {
    /// Where.
    pub place: Place,
    /// What.
    pub content: Content,
}

/// What should be one entity.
#[derive(Debug)]
pub enum Content {
    /// A JSON object.
    Json(Vec<u8>),
    /// The cells of a table's row.
    Cells(csv::StringRecord),
}

/// Why a piece is no entity that can be imported.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is not of its format.
    #[error("{0}")]
    Malformed(String),
    /// It has more bytes than one entity may have.
    #[error("the entity has more than {0} bytes")]
    TooLong(usize),
    /// The same entity stands before.
    #[error("the same entity stands at {0} already")]
    Twice(Place),
    /// It breaks a rule of the pack or of the service.
    #[error(transparent)]
    Refused(Box<AdminError>),
}

impl From<AdminError> for Wrong {
    fn from(error: AdminError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// What is wrong, and where.
#[derive(Debug)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Which member or column.
    pub field: Option<String>,
    /// What.
    pub wrong: Wrong,
}

impl Fault {
    /// Something is not of its format.
    pub fn malformed(place: Place, message: impl Into<String>) -> Self {
        Self { place, field: None, wrong: Wrong::Malformed(message.into()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        // That error names its field itself.
        let names_it =
            matches!(&self.wrong, Wrong::Refused(error) if matches!(**error, AdminError::Invalid { .. }));
        match &self.field {
            Some(field) if !names_it => write!(formatter, "`{field}`: {}", self.wrong),
            _ => write!(formatter, "{}", self.wrong),
        }
    }
}

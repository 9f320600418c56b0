//! What a call answers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hook", rename_all = "snake_case")]
pub enum Output {
    /// Of a validator.
    Validate(Validated),
    /// Of a detector.
    Detect(Assessment),
    /// Of a masker.
    Mask {
        /// What is to be changed; no two touch.
        edits: Vec<Edit>,
    },
    /// Of a signer.
    Sign {
        /// What is to be added: names in lower case.
        headers: Vec<(String, String)>,
    },
}

/// What a validator says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validated {
    /// What it noticed.
    pub findings: Vec<Finding>,
    /// Why the request must not go on: a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
}

/// What a detector says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The parts of the risk.
    pub risk: Vec<Contribution>,
    /// What it noticed.
    pub findings: Vec<Finding>,
}

/// A part of a risk, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Contribution {
    /// From 0 to 100.
    pub points: u8,
    /// A code.
    pub reason: String,
}

impl Assessment {
    /// The sum of the parts, 100 at most.
    pub fn points(&self) -> u8 {
        self.risk.iter().fold(0, |sum: u8, part| sum.saturating_add(part.points)).min(100)
    }
}

/// Something that a plugin noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// Which rule.
    pub rule: String,
    /// From 0 to 100: how sure it is that this is an attack.
    pub score: u8,
    /// Where: `request`, `path`, `query:name`, `header:name` or `body:/json/pointer`.
    #[serde(rename = "where")]
    #[schema(value_type = String)]
    pub location: Location,
    /// For people.
    pub detail: String,
}

/// Where in a request a finding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The request as a whole.
    Whole,
    /// The path.
    Path,
    /// A parameter of the query.
    Query(String),
    /// A header.
    Header(String),
    /// A JSON pointer into the body.
    Body(String),
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => formatter.write_str("request"),
            Self::Path => formatter.write_str("path"),
            Self::Query(name) => write!(formatter, "query:{name}"),
            Self::Header(name) => write!(formatter, "header:{name}"),
            Self::Body(pointer) => write!(formatter, "body:{pointer}"),
        }
    }
}

impl std::str::FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "request" => Ok(Self::Whole),
            None if text == "path" => Ok(Self::Path),
            Some(("query", name)) => Ok(Self::Query(name.to_owned())),
            Some(("header", name)) => Ok(Self::Header(name.to_owned())),
            Some(("body", pointer)) => Ok(Self::Body(pointer.to_owned())),
            _ => Err(format!(
                "`{text}` is no place in a request: `request`, `path`, `query:name`, `header:name`, `body:/pointer`"
            )),
        }
    }
}

impl Serialize for Location {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One change of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What stands there then.
    pub replacement: Replacement,
}

/// What stands in a masked value's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// This text.
    Text(String),
    /// Null.
    Null,
    /// Nothing: the member or element goes.
    Remove,
}

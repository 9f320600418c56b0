//! `pack.toml`: what a pack says about itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::mapping::Rows;
use super::problem::{Problem, position};
use crate::decision::OnPolicyError;
use crate::decision::slice::Overlay;

/// The settings of a pack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its name: letters, digits, `-` and `_`, 64 at most.
    pub name: String,
    /// Its version, for people.
    #[serde(default)]
    pub version: String,
    /// What a failed `forbid` does.
    #[serde(default)]
    pub on_policy_error: OnPolicyError,
    /// Whether it is loaded only when all of its cases hold.
    #[serde(default)]
    pub require_cases: bool,
    /// What the application's properties may do to stored attributes.
    #[serde(default)]
    pub properties: Properties,
    /// AuthZEN's type names and Cedar's.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// Where the resources of a type are rows.
    #[serde(default)]
    pub filter: BTreeMap<String, Rows>,
}

/// What the application's properties may do to stored attributes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Properties {
    /// Of the subject.
    #[serde(default)]
    pub subject: Overlay,
    /// Of the resource.
    #[serde(default)]
    pub resource: Overlay,
}

impl Settings {
    /// Reads `pack.toml`.
    ///
    /// # Errors
    /// When it is no TOML, a field is unknown or has a bad value.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, Problem> {
        let settings: Self = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
        if is_pack_name(&settings.name) {
            Ok(settings)
        } else {
            let at = text.find("name").unwrap_or(0);
            let message = format!(
                "the name `{}` is not valid: letters, digits, `-` and `_`, from 1 to 64",
                settings.name
            );
            Err(Problem::at(file, text, at, at + 4, message))
        }
    }
}

/// A TOML error, at its place.
pub fn from_toml(file: &Arc<str>, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let (line, column) = position(text, span.start);
    let mut problem = Problem::at_position(file, text, (line, column), error.message().replace('\n', ", "));
    problem.width = text.get(span).map_or(1, |meant| meant.chars().count().max(1));
    problem
}

/// Whether a pack can have this name: it stands in paths.
pub fn is_pack_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed)
}

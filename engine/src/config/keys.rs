//! `[keys.<name>]`: keys that plugins sign and seal with, by their names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::plugin::surroundings::Algorithm;

/// All of them.
pub type Keys = BTreeMap<String, NamedKey>;

/// `[keys.<name>]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedKey {
    /// What it is for.
    pub algorithm: Algorithm,
    /// The file of its secret, which is its owner's alone; without one it is derived from the root key.
    pub file: Option<PathBuf>,
}

/// A name is part of what a key is derived by, of obligations and of headers.
pub(super) fn check(keys: &Keys) -> Result<(), (&'static str, String)> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let valid = |name: &&String| (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    match keys.keys().find(|name| !valid(name)) {
        None => Ok(()),
        Some(name) => Err((
            "keys",
            format!("has the name `{name}`: lower case letters, digits, `-`, `_` and `.`, from 1 to 64"),
        )),
    }
}

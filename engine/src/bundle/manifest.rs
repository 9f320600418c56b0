//! What a bundle says is in it: every file's path, length and digest, in order.
//!
//! Promises: a manifest has one spelling. What is read back is refused unless writing it anew gives the same bytes, so
//! unknown fields, double keys and other forms of the same thing are errors. Must never: let a path through that could
//! mean another place, or the same place as another.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::plugin::Digest;

/// The format that this program writes and reads.
const FORMAT: u32 = 1;
/// A bundle has no more files.
pub const MOST_FILES: usize = 10_000;
const PATH_BYTES: usize = 512;
const PATH_NAMES: usize = 12;

/// A bundle's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Which bundle is newer: a server takes none with a lower one.
    pub version: u64,
    /// When it was made, in seconds since 1970, as whoever built it said; 0 when nobody did.
    pub created_at: u64,
    /// The files, sorted by path.
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path, with `/` between names.
    pub path: String,
    /// How many bytes it has.
    pub length: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// What is wrong with a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no manifest.
    #[error("the bundle's manifest can't be read: {0}")]
    Malformed(String),
    /// It is written otherwise than this program writes it.
    #[error("the bundle's manifest is not in the one form that it has")]
    Spelling,
    /// It has a format of later.
    #[error("the bundle has the format {0}, and this program reads {FORMAT}")]
    Format(u32),
    /// It has no version.
    #[error("the bundle's version is 0: versions begin with 1")]
    NoVersion,
    /// It has too many files.
    #[error("the bundle has more than {MOST_FILES} files")]
    TooMany,
    /// A path is none.
    #[error("`{}` is no path of a bundle: {why}", path.escape_debug())]
    Path {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Manifest {
    /// The manifest of these files, which it sorts.
    ///
    /// # Errors
    /// When a path, their number or the version is not allowed.
    pub fn new(version: u64, created_at: u64, mut files: Vec<Entry>) -> Result<Self, ManifestError> {
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let manifest = Self { format: FORMAT, version, created_at, files };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads the bytes of one.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| ManifestError::Malformed(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(ManifestError::Format(manifest.format));
        }
        if manifest.to_bytes()? != bytes {
            return Err(ManifestError::Spelling);
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes that are signed.
    ///
    /// # Errors
    /// Never, with what this type holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(|error| ManifestError::Malformed(error.to_string()))
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.version == 0 {
            return Err(ManifestError::NoVersion);
        }
        if self.files.len() > MOST_FILES {
            return Err(ManifestError::TooMany);
        }
        let (mut files, mut folders) = (HashSet::new(), HashSet::new());
        let mut before: Option<&str> = None;
        for entry in &self.files {
            let path = entry.path.as_str();
            let wrong = |why| ManifestError::Path { path: path.to_owned(), why };
            check_path(path).map_err(wrong)?;
            if before.is_some_and(|before| before >= path) {
                return Err(wrong("it is there twice, or not in order"));
            }
            before = Some(path);
            let lower = path.to_lowercase();
            for (at, _) in lower.match_indices('/') {
                folders.extend(lower.get(..at).map(str::to_owned));
            }
            if !files.insert(lower) {
                return Err(wrong("another differs from it by capital letters alone"));
            }
        }
        match self.files.iter().find(|entry| folders.contains(&entry.path.to_lowercase())) {
            Some(entry) => {
                Err(ManifestError::Path { path: entry.path.clone(), why: "it is a file and a folder" })
            }
            None => Ok(()),
        }
    }
}

/// What is wrong with a path that could mean something else somewhere.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > PATH_BYTES {
        return Err("it is empty or has more than 512 bytes");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("it has a backslash or a control character");
    }
    if path.split('/').count() > PATH_NAMES {
        return Err("it has more than 12 names");
    }
    match path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        true => Err("it is not strictly relative: an empty name, `.` or `..` is in it"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::digest;

    fn entry(path: &str) -> Entry {
        Entry { path: path.to_owned(), length: 1, digest: digest(b"x") }
    }

    fn of(paths: &[&str]) -> Result<Manifest, ManifestError> {
        Manifest::new(1, 0, paths.iter().map(|path| entry(path)).collect())
    }

    #[test]
    fn a_path_is_strictly_relative_and_alone() {
        assert!(of(&["packs/a/é.cedar", "packs/a/b c", "packs/ab"]).is_ok());
        for path in
            ["", "/a", "a/", "a//b", ".", "a/../b", "..", "./a", "a\\b", "a\0", "a\nb", "\u{85}", "C:\\x"]
        {
            assert!(of(&[path]).is_err(), "{path:?}");
        }
        assert!(of(&["a/".repeat(12).as_str()]).is_err());
        assert!(of(&["a".repeat(513).as_str()]).is_err());
        for pair in [["a", "a"], ["a/B", "a/b"], ["a/É", "a/é"], ["a", "a/b"], ["A", "a/b"]] {
            assert!(of(&pair).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn a_manifest_has_one_spelling() {
        let text = String::from_utf8(of(&["a", "b"]).unwrap().to_bytes().unwrap()).unwrap();
        assert!(Manifest::parse(text.as_bytes()).is_ok());
        for (from, to) in [
            ("{\"format\":1", "{ \"format\":1"),
            ("\"created_at\":0", "\"created_at\":0,\"extra\":1"),
            ("\"created_at\":0", "\"created_at\":0,\"created_at\":0"),
            ("\"path\":\"a\"", "\"path\":\"\\u0061\""),
            ("\"path\":\"a\"", "\"path\":\"c\""),
            ("\"version\":1", "\"version\":0"),
            ("\"version\":1", "\"version\":1.0"),
            ("\"version\":1", "\"version\":18446744073709551616"),
            ("\"format\":1", "\"format\":2"),
            ("sha256:", "SHA256:"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(Manifest::parse(changed.as_bytes()).is_err(), "{to}");
        }
        let (_, entries) = text.split_once("\"files\":").unwrap();
        let as_list = format!("[1,1,0,{}]", entries.strip_suffix('}').unwrap());
        assert_eq!(Manifest::parse(as_list.as_bytes()), Err(ManifestError::Spelling));
    }

    #[test]
    fn there_are_not_too_many_files() {
        let entries = |count: usize| (0..count).map(|n| entry(&format!("f{n}"))).collect();
        assert!(Manifest::new(1, 0, entries(MOST_FILES)).is_ok());
        assert_eq!(Manifest::new(1, 0, entries(MOST_FILES + 1)), Err(ManifestError::TooMany));
    }
}

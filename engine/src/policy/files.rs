//! The files of a pack, read whole before anything is made of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Deeper folders are not looked at; a link that leads back can't lead on for ever.
const DEPTH: usize = 8;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path as a person would name it.
    pub shown: Arc<str>,
    /// Its text.
    pub text: String,
}

/// A folder that holds a `pack.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackFiles {
    /// By the path within the folder, with `/` between names.
    pub files: BTreeMap<String, SourceFile>,
}

/// A file or folder that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read `{}`: {source}", path.display())]
pub struct UnreadableFile {
    /// Which.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl PackFiles {
    /// The packs in `folder`, sorted by path. A folder that is not there has none.
    ///
    /// # Errors
    /// When a file can't be read, or is not UTF-8.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, UnreadableFile> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(UnreadableFile { path: folder.to_owned(), source }),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| UnreadableFile { path: folder.to_owned(), source })?.path();
            if path.join("pack.toml").is_file() {
                folders.push(path);
            }
        }
        folders.sort();
        folders.iter().map(|path| Self::read(path)).collect()
    }

    /// The pack in `folder`.
    ///
    /// # Errors
    /// When a file can't be read, or is not UTF-8.
    pub fn read(folder: &Path) -> Result<Self, UnreadableFile> {
        let mut files = BTreeMap::new();
        read_folder(folder, "", DEPTH, &mut files)?;
        Ok(Self { files })
    }

    /// The text of one file.
    pub fn get(&self, name: &str) -> Option<&SourceFile> {
        self.files.get(name)
    }

    /// The files that decide: all but cases and prose.
    pub fn deciding(&self) -> impl Iterator<Item = (&String, &SourceFile)> {
        self.files.iter().filter(|(name, _)| !is_case(name))
    }

    /// The files with cases.
    pub fn cases(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|(name, _)| is_case(name)).map(|(_, file)| file)
    }
}

fn is_case(name: &str) -> bool {
    name.starts_with("cases/")
}

/// What of a pack's folder counts. Editors leave other files beside.
pub fn counts(name: &str) -> bool {
    let case = is_case(name) && (name.ends_with(".yaml") || name.ends_with(".yml"));
    let policy = !is_case(name) && name.ends_with(".cedar");
    case || policy
        || matches!(name, "pack.toml" | "schema.cedarschema" | "schema.cedarschema.json" | "entities.json")
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, SourceFile>,
) -> Result<(), UnreadableFile> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| UnreadableFile { path, source }
    };
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let within = format!("{prefix}{name}");
        if path.is_dir() {
            if depth > 0 {
                read_folder(&path, &format!("{within}/"), depth - 1, files)?;
            }
        } else if counts(&within) {
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            files.insert(within, SourceFile { shown: path.display().to_string().into(), text });
        }
    }
    Ok(())
}

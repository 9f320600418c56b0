//! `<folder>/<name>/`: a plugin's files, read once and whole.
//!
//! Promises: what was read is what is checked, trusted and run; nothing outside of the folder is read, whatever a link says;
//! no file is larger than it may be.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::manifest::is_plugin_name;
use super::signature;

/// The name of the manifest's file.
pub const MANIFEST: &str = "plugin.toml";
/// The name of the component's file.
pub const COMPONENT: &str = "plugin.wasm";
/// The name of the folder with a plugin's own cases.
pub const CASES: &str = "cases";

const MANIFEST_BYTES: usize = 256 << 10;
const SIGNATURE_BYTES: usize = 4 << 10;

/// A plugin's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `plugin.toml`.
    pub manifest: String,
    /// `plugin.wasm`.
    pub component: Vec<u8>,
    /// `plugin.sig`, if it is there.
    pub signature: Option<String>,
    /// Where they are; none when they are embedded in this binary.
    pub folder: Option<PathBuf>,
}

/// Why a plugin's files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refuses.
    #[error("can't read `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It leads elsewhere.
    #[error("`{}` leads out of the plugins folder: a plugin's files are within it", .0.display())]
    Outside(PathBuf),
    /// It is no file.
    #[error("`{}` is no regular file", .0.display())]
    NoFile(PathBuf),
    /// It is larger than it may be.
    #[error("`{}` has more than {most} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        most: usize,
    },
    /// It is no text.
    #[error("`{}` is not UTF-8", .0.display())]
    NoText(PathBuf),
}

impl Files {
    /// Reads `<folder>/<name>/`; none when there is no such plugin.
    ///
    /// # Errors
    /// When a file can't be read, is too large, or is not within the folder.
    pub fn read(folder: &Path, name: &str, component_bytes: usize) -> Result<Option<Self>, FolderError> {
        let own = folder.join(name);
        if !own.join(MANIFEST).exists() {
            return Ok(None);
        }
        Self::read_within(folder, &own, component_bytes).map(Some)
    }

    /// Reads the plugin of a folder that stands for itself.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn read_alone(own: &Path, component_bytes: usize) -> Result<Self, FolderError> {
        Self::read_within(own, own, component_bytes)
    }

    fn read_within(root: &Path, own: &Path, component_bytes: usize) -> Result<Self, FolderError> {
        let root = root.canonicalize().map_err(|source| unreadable(root, source))?;
        let read = |name: &str, most| read(&root, &own.join(name), most);
        let text =
            |name: &str, bytes| String::from_utf8(bytes).map_err(|_| FolderError::NoText(own.join(name)));
        let signature = match read(signature::FILE, SIGNATURE_BYTES) {
            Ok(bytes) => Some(text(signature::FILE, bytes)?),
            Err(FolderError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            manifest: text(MANIFEST, read(MANIFEST, MANIFEST_BYTES)?)?,
            component: read(COMPONENT, component_bytes)?,
            signature,
            folder: Some(own.to_owned()),
        })
    }

    /// Its folder of cases, if there is one: every file of it within the plugin's own folder.
    ///
    /// # Errors
    /// When it can't be read, or leads elsewhere.
    pub fn cases(&self) -> Result<Option<PathBuf>, FolderError> {
        let Some(own) = &self.folder else { return Ok(None) };
        let cases = own.join(CASES);
        let entries = match std::fs::read_dir(&cases) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unreadable(&cases, source)),
        };
        let root = own.canonicalize().map_err(|source| unreadable(own, source))?;
        for entry in entries {
            let path = entry.map_err(|source| unreadable(&cases, source))?.path();
            let real = path.canonicalize().map_err(|source| unreadable(&path, source))?;
            if !real.starts_with(&root) {
                return Err(FolderError::Outside(path));
            }
        }
        Ok(Some(cases))
    }

    /// The manifest's name for people.
    pub fn shown(&self, name: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(MANIFEST).display().to_string(),
            None => format!("(embedded)/{name}/{MANIFEST}"),
        }
    }
}

/// The names of the folders that look like plugins. A folder that is not there has none.
///
/// # Errors
/// When it can't be read.
pub fn present(folder: &Path) -> Result<BTreeSet<String>, FolderError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(unreadable(folder, source)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        if let Ok(name) = entry.file_name().into_string()
            && is_plugin_name(&name)
            && entry.path().join(MANIFEST).exists()
        {
            names.insert(name);
        }
    }
    Ok(names)
}

fn read(root: &Path, path: &Path, most: usize) -> Result<Vec<u8>, FolderError> {
    let real = path.canonicalize().map_err(|source| unreadable(path, source))?;
    if !real.starts_with(root) {
        return Err(FolderError::Outside(path.to_owned()));
    }
    // Before it is opened: a pipe would wait for its other end.
    let metadata = real.metadata().map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(FolderError::NoFile(path.to_owned()));
    }
    let file = File::open(&real).map_err(|source| unreadable(path, source))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|source| unreadable(path, source))?;
    if bytes.len() > most {
        return Err(FolderError::TooLarge { path: path.to_owned(), most });
    }
    Ok(bytes)
}

fn unreadable(path: &Path, source: io::Error) -> FolderError {
    FolderError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn plugin(folder: &Path, name: &str) {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join(MANIFEST), "manifest").unwrap();
        fs::write(folder.join(name).join(COMPONENT), "component").unwrap();
    }

    #[test]
    fn links_may_lead_elsewhere_within_the_folder_and_not_out_of_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugins");
        plugin(&folder, "one");
        symlink("one", folder.join("two")).unwrap();
        let files = Files::read(&folder, "two", 100).unwrap().unwrap();
        assert_eq!((files.manifest.as_str(), &*files.component), ("manifest", &b"component"[..]));
        plugin(root.path(), "outside");
        symlink(root.path().join("outside"), folder.join("three")).unwrap();
        assert!(matches!(Files::read(&folder, "three", 100), Err(FolderError::Outside(_))));
        fs::remove_file(folder.join("one").join(COMPONENT)).unwrap();
        symlink(root.path().join("outside").join(COMPONENT), folder.join("one").join(COMPONENT)).unwrap();
        assert!(matches!(Files::read(&folder, "one", 100), Err(FolderError::Outside(_))));
        assert!(matches!(Files::read(&folder, "none", 100), Ok(None)));
    }

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        assert!(Files::read(root.path(), "one", 9).is_ok());
        assert!(matches!(Files::read(root.path(), "one", 8), Err(FolderError::TooLarge { most: 8, .. })));
        fs::write(root.path().join("one").join(signature::FILE), vec![b'a'; 5_000]).unwrap();
        assert!(matches!(Files::read(root.path(), "one", 9), Err(FolderError::TooLarge { .. })));
        fs::remove_file(root.path().join("one").join(signature::FILE)).unwrap();
        fs::create_dir(root.path().join("one").join(signature::FILE)).unwrap();
        assert!(matches!(Files::read(root.path(), "one", 9), Err(FolderError::NoFile(_))));
    }

    #[test]
    fn what_looks_like_a_plugin_is_found() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        plugin(root.path(), "Not A Name");
        fs::create_dir(root.path().join("empty")).unwrap();
        assert_eq!(present(root.path()).unwrap(), ["one".to_owned()].into());
        assert!(present(&root.path().join("nowhere")).unwrap().is_empty());
    }
}

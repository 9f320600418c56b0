//! Components whose calls are kept, by their digests: what a replay of an older call runs.
//!
//! Promises: a file is whole or not there, and its owner's alone; what is read back has the digest that was asked for.
//! Must never: replace a component.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Digest, Manifest, digest};

/// The folder within the data folder.
const FOLDER: &str = "plugins";

/// Components, each with its manifest.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
}

/// Why a component can't be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It was never kept, or was taken away.
    #[error("the component `{digest}` is not in `{}`: calls of it can't be played again", folder.display())]
    Missing {
        /// Which.
        digest: Digest,
        /// Where it should be.
        folder: PathBuf,
    },
    /// A file holds something else.
    #[error("`{}` is not what it was when it was kept", .0.display())]
    Changed(PathBuf),
    /// A file can't be used.
    #[error("can't use `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Archive {
    /// The archive of a data folder. It is made when something is kept.
    pub fn of(data: &Path) -> Self {
        Self { folder: data.join(FOLDER) }
    }

    /// Keeps a component under its digest, and its manifest beside it. One that is there stays.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&self, component: &[u8], manifest: &Manifest) -> Result<Digest, ArchiveError> {
        let digest = digest(component);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder).map_err(|source| io_error(&self.folder, source))?;
        let described = serde_json::to_vec_pretty(manifest)
            .map_err(|source| io_error(&self.folder, io::Error::other(source)))?;
        self.write(&self.path(&digest, "json"), &described)?;
        self.write(&self.path(&digest, "wasm"), component)?;
        Ok(digest)
    }

    /// The component with this digest, and its manifest.
    ///
    /// # Errors
    /// When it is not there, or is another.
    pub fn read(&self, wanted: &Digest) -> Result<(Vec<u8>, Manifest), ArchiveError> {
        let component = self.read_file(wanted, &self.path(wanted, "wasm"))?;
        if digest(&component) != *wanted {
            return Err(ArchiveError::Changed(self.path(wanted, "wasm")));
        }
        let described = self.read_file(wanted, &self.path(wanted, "json"))?;
        let manifest = serde_json::from_slice(&described);
        Ok((component, manifest.map_err(|_| ArchiveError::Changed(self.path(wanted, "json")))?))
    }

    fn path(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.folder.join(digest.hex()).with_extension(extension)
    }

    fn read_file(&self, digest: &Digest, path: &Path) -> Result<Vec<u8>, ArchiveError> {
        fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ArchiveError::Missing { digest: *digest, folder: self.folder.clone() },
            _ => io_error(path, source),
        })
    }

    /// Written beside and moved into place. What is there already has the same content, or was damaged: then this heals.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
        if fs::read(path).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let written = write_private(&beside, bytes).and_then(|()| fs::rename(&beside, path));
        written.map_err(|source| {
            fs::remove_file(&beside).ok();
            io_error(path, source)
        })
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Budget, Hook};

    fn manifest(version: &str) -> Manifest {
        Manifest {
            name: "one".into(),
            version: version.into(),
            description: String::new(),
            hook: Hook::Mask,
            capabilities: Vec::new(),
            budget: Budget::default(),
            config_schema: Some(serde_json::json!({"type": "object"})),
            routes: Vec::new(),
            events: Vec::new(),
            counters: Vec::new(),
        }
    }

    #[test]
    fn what_is_kept_is_read_back_and_of_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::of(data.path());
        for _ in 0..2 {
            let digest = archive.keep(b"component", &manifest("1.0.0")).unwrap();
            assert_eq!(archive.read(&digest).unwrap(), (b"component".to_vec(), manifest("1.0.0")));
        }
        let files: Vec<_> = fs::read_dir(data.path().join(FOLDER)).unwrap().flatten().collect();
        assert_eq!(files.len(), 2, "nothing is left beside them");
        #[cfg(unix)]
        for file in files {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(archive.read(&digest(b"other")), Err(ArchiveError::Missing { .. })));
    }

    #[test]
    fn what_was_changed_is_not_run_and_is_kept_anew() {
        let data = tempfile::tempdir().unwrap();
        let archive = Archive::of(data.path());
        let digest = archive.keep(b"component", &manifest("1.0.0")).unwrap();
        fs::write(archive.path(&digest, "wasm"), b"componenT").unwrap();
        assert!(matches!(archive.read(&digest), Err(ArchiveError::Changed(_))));
        archive.keep(b"component", &manifest("1.0.0")).unwrap();
        assert!(archive.read(&digest).is_ok());
    }
}

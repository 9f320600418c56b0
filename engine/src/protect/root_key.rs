//! The file that holds the root key.
//!
//! Hex text of 32 bytes, mode 0600. A file that others can read or write is refused: a key
//! that was readable is not a secret any more.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Key, Purpose};
use crate::random::{RandomError, Rng};

/// The root key: every other key is derived from it.
pub struct RootKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for RootKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RootKey")
    }
}

/// Why the root key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The file is not there.
    #[error("no root key at `{}`: make one with `portcullis init`, or start once with `--dev`", .0.display())]
    Missing(PathBuf),
    /// The file is there already.
    #[error("`{}` exists: a root key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others can read or write the file.
    #[error("`{}` has mode {mode:04o}, which lets others at the root key: run `chmod 600`", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error("`{}` does not hold a root key (64 hex digits)", .0.display())]
    Malformed(PathBuf),
    /// The file can't be read or written.
    #[error("can't use the root key file `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// See [`RandomError`].
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl RootKey {
    /// Makes a key and its file; the folder must exist.
    ///
    /// # Errors
    /// When the file exists or can't be written.
    pub fn create(path: &Path, rng: &dyn Rng) -> Result<Self, RootKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(&mut *bytes)?;
        let text = Zeroizing::new(hex::encode(*bytes) + "\n");
        // Written beside and linked into place, so that a crash leaves no half a key, and a
        // second process that makes one at the same moment finds the first's.
        let mut suffix = [0; 8];
        rng.fill(&mut suffix)?;
        let beside = path.with_extension(format!("{}.new", hex::encode(suffix)));
        let written = write_private(&beside, text.as_bytes()).and_then(|()| fs::hard_link(&beside, path));
        fs::remove_file(&beside).ok();
        match written {
            Ok(()) => Ok(Self(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(RootKeyError::Exists(path.to_owned()))
            }
            Err(source) => Err(RootKeyError::Io { path: path.to_owned(), source }),
        }
    }

    /// Reads the key's file.
    ///
    /// # Errors
    /// When it is missing, too open or malformed.
    pub fn read(path: &Path) -> Result<Self, RootKeyError> {
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => RootKeyError::Missing(path.to_owned()),
            _ => RootKeyError::Io { path: path.to_owned(), source },
        };
        let file = File::open(path).map_err(io)?;
        check_mode(&file, path)?;
        let mut text = Zeroizing::new(String::new());
        (&file).take(1024).read_to_string(&mut text).map_err(io)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), &mut *bytes)
            .map_err(|_| RootKeyError::Malformed(path.to_owned()))?;
        Ok(Self(bytes))
    }

    /// Reads the key, or makes one if there is none.
    ///
    /// # Errors
    /// As [`RootKey::read`] and [`RootKey::create`].
    pub fn read_or_create(path: &Path, rng: &dyn Rng) -> Result<Self, RootKeyError> {
        match Self::create(path, rng) {
            Err(RootKeyError::Exists(_)) => Self::read(path),
            made => made,
        }
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: Purpose) -> Key {
        Key::derive(&self.0, purpose)
    }

    /// The key of this name, for this algorithm.
    pub(super) fn derive_named(&self, algorithm: &str, name: &str) -> Key {
        Key::derive_named(&self.0, algorithm, name)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), RootKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| RootKeyError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(RootKeyError::TooOpen { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_file: &File, _path: &Path) -> Result<(), RootKeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRng;

    #[test]
    fn a_key_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let made = RootKey::create(&path, &SystemRng::new()).unwrap();
        let read = RootKey::read(&path).unwrap();
        assert_eq!(*made.0, *read.0);
        assert!(matches!(RootKey::create(&path, &SystemRng::new()), Err(RootKeyError::Exists(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        RootKey::create(&path, &SystemRng::new()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(RootKey::read(&path), Err(RootKeyError::TooOpen { mode: 0o640, .. })));
    }

    #[test]
    fn half_a_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        write_private(&path, b"abcd\n").unwrap();
        assert!(matches!(RootKey::read(&path), Err(RootKeyError::Malformed(_))));
    }
}

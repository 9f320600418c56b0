//! Compiled code on disk.
//!
//! Promises: what is taken from here was made by this node, for this component, configuration and engine, and is what it was.
//! What nothing uses any more goes. Must never: hand bytes to the engine that the node's own key does not vouch for, since compiled code is trusted code.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::Source;
use super::digest::digest;
use crate::clock::Timestamp;
use crate::protect::Key;

/// The bytes of a MAC, in front of the code.
const MAC_BYTES: usize = 34;
/// Code that nothing loaded for so long is removed.
const UNUSED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// So many entries that nothing uses are kept at most, for a way back: those that were used last.
const UNUSED_MOST: usize = 32;
/// How the name of compiled code ends.
const KIND: &str = ".cwasm";
/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".tmp";

/// A folder of compiled code.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    key: Key,
}

impl Cache {
    /// A cache in a folder, which is made when it is first needed; `key` is the node's own.
    pub fn new(folder: PathBuf, key: Key) -> Self {
        Self { folder, key }
    }

    /// What compiled code of this source is called.
    pub(super) fn name(engine: &Engine, source: &Source<'_>) -> String {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let parts = [
            digest(source.component).hex(),
            digest(source.config.as_bytes()).hex(),
            // The initialiser runs with them, and what it leaves may depend on it.
            source.grant.effective().map(super::Capability::name).collect::<Vec<_>>().join(","),
            format!("{:?}", source.budget),
            format!("{:016x}", hasher.finish()),
        ];
        digest(parts.join("\n").as_bytes()).hex()
    }

    /// The code of this name; none when there is none that the key vouches for.
    pub(super) fn load(&self, engine: &Engine, name: &str) -> Option<Component> {
        let path = self.path(name);
        let kept = std::fs::read(&path).ok()?;
        let vouched = kept
            .split_at_checked(MAC_BYTES)
            .filter(|(mac, code)| self.key.verify_mac(&vouched_for(name, code), mac));
        let Some((_, code)) = vouched else {
            tracing::warn!(
                path = %path.display(),
                "compiled code was not made by this node, or was changed: it is compiled again"
            );
            return None;
        };
        deserialize(engine, code)
    }

    /// Keeps code. Without it the next start takes longer, so a failure is no error.
    pub(super) fn keep(&self, name: &str, component: &Component) {
        let kept = component.serialize().map_err(|error| error.to_string()).and_then(|code| {
            let mac = self.key.mac(&vouched_for(name, &code));
            self.write(&self.path(name), &[&mac[..], &code[..]].concat()).map_err(|error| error.to_string())
        });
        if let Err(error) = kept {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code could not be kept");
        }
    }

    /// Removes what nothing loaded for a day, and the oldest of what is more than [`UNUSED_MOST`] besides what is `used`.
    ///
    /// An entry's time is that of its last use here or by another server with this folder. One that such a server will
    /// want is at worst compiled again: nothing that is loaded reads its file any more.
    pub(super) fn sweep(&self, used: &BTreeSet<&str>, now: Timestamp) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(now.0).unwrap_or_default());
        let is_old = |modified| now.duration_since(modified).is_ok_and(|age| age > UNUSED_FOR);
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let (mut unused, mut gone) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(modified) = last_write(&entry) else { continue };
            match name.to_string_lossy().strip_suffix(KIND) {
                Some(code) if used.contains(code) => touch(&path, now),
                Some(_) if is_old(modified) => gone.push(path),
                Some(_) => unused.push((modified, path)),
                // Left by a server that was ended while it wrote.
                None if name.to_string_lossy().starts_with(UNFINISHED) && is_old(modified) => gone.push(path),
                None => {}
            }
        }
        unused.sort_by(|one, other| other.cmp(one));
        gone.extend(unused.into_iter().skip(UNUSED_MOST).map(|(_, path)| path));
        for path in gone {
            match std::fs::remove_file(&path) {
                // Another server was faster.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "compiled code that is not used could not be removed");
                }
                _ => {}
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{KIND}"))
    }

    /// Whole or not at all, and for its owner alone.
    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// When a regular file was last written; none for anything else.
fn last_write(entry: &std::fs::DirEntry) -> Option<SystemTime> {
    entry.metadata().ok().filter(std::fs::Metadata::is_file)?.modified().ok()
}

/// Marks an entry as used. What can't be marked is removed too early at worst.
fn touch(path: &Path, now: SystemTime) {
    if let Ok(file) = std::fs::File::options().write(true).open(path) {
        file.set_modified(now).ok();
    }
}

/// The name with its length, and the code: no two pairs give the same bytes.
fn vouched_for(name: &str, code: &[u8]) -> Vec<u8> {
    [&(name.len() as u64).to_le_bytes()[..], name.as_bytes(), code].concat()
}

#[expect(unsafe_code, reason = "the engine trusts compiled code: the MAC above vouches for it")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: the bytes are what `Component::serialize` gave this node, as the MAC under its own key shows.
    unsafe { Component::deserialize(engine, code) }.ok()
}

//! Compiled code on disk.
//!
//! Promises: what is taken from here was made by this node, for this component, configuration and engine, and is what it was.
//! Must never: hand bytes to the engine that the node's own key does not vouch for, since compiled code is trusted code.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::Source;
use super::digest::digest;
use crate::protect::Key;

/// The bytes of a MAC, in front of the code.
const MAC_BYTES: usize = 34;

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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
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

/// The name with its length, and the code: no two pairs give the same bytes.
fn vouched_for(name: &str, code: &[u8]) -> Vec<u8> {
    [&(name.len() as u64).to_le_bytes()[..], name.as_bytes(), code].concat()
}

#[expect(unsafe_code, reason = "the engine trusts compiled code: the MAC above vouches for it")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: the bytes are what `Component::serialize` gave this node, as the MAC under its own key shows.
    unsafe { Component::deserialize(engine, code) }.ok()
}

//! A set of packs as files in memory, wherever they came from: a folder, the store, a bundle.
//!
//! Promises: it loads whole or not at all; equal contents have an equal id, whatever their folders are called. Must never:
//! read a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::earlier::digest;
use super::files::PackFiles;
use super::problem::Problem;
use super::settings::Settings;
use super::{LoadError, Loaded, MANAGEMENT, Pack, Snapshot, bounds};

/// What every id begins with.
pub const ID_PREFIX: &str = "rev_";

/// Files of packs.
#[derive(Clone, Debug)]
pub struct PackSet {
    /// Those that applications ask, in any order.
    pub packs: Vec<PackFiles>,
    /// The pack that judges the management API: never from a set that was kept.
    pub management: PackFiles,
    /// Whether the packs' own cases held when they were first loaded, and are not here: they are not asked for again then.
    pub cases_held: bool,
}

impl PackSet {
    /// Loads everything, or nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        self.load_after(None)
    }

    /// The same, when there is a snapshot: what did not change is not made again.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load_after(&self, before: Option<&Snapshot>) -> Result<Loaded, LoadError> {
        bounds::on_deep_stack(|| self.load_here(before)).unwrap_or(Err(LoadError::Defect))
    }

    fn load_here(&self, before: Option<&Snapshot>) -> Result<Loaded, LoadError> {
        let hash = hash(self.named().into_values().chain([&self.management]));
        let mut packs = BTreeMap::new();
        let mut problems = Vec::new();
        for files in &self.packs {
            match again(files, before.into_iter().flat_map(Snapshot::packs), !self.cases_held) {
                // The folder that holds the embedded pack's own files is no reason to fail.
                Ok(pack) if pack.name() == MANAGEMENT => {}
                Ok(pack) => problems.extend(insert(&mut packs, pack, files)),
                Err(found) => problems.extend(found),
            }
        }
        match again(&self.management, before.map(Snapshot::management).into_iter(), true) {
            Ok(management) if problems.is_empty() => {
                Ok(Loaded { packs: Arc::new(packs), management, hash, id: self.id().into() })
            }
            Ok(_) => Err(LoadError::Problems(problems)),
            Err(found) => {
                problems.extend(found);
                Err(LoadError::Problems(problems))
            }
        }
    }

    /// Its packs by their names, in order. One whose manifest can't be read has none.
    pub fn named(&self) -> BTreeMap<String, &PackFiles> {
        let named = self.packs.iter().filter_map(|files| Some((name_of(files)?, files)));
        named.filter(|(name, _)| name != MANAGEMENT).collect()
    }

    /// What it is called by the contents of all files that decide: names of packs and files, and texts.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (name, files) in self.named() {
            part(b"pack");
            part(name.as_bytes());
            for (name, file) in files.deciding() {
                part(name.as_bytes());
                part(&digest(file));
            }
        }
        format!("{ID_PREFIX}{}", hasher.finalize().to_hex())
    }
}

fn name_of(files: &PackFiles) -> Option<String> {
    let manifest = files.get("pack.toml")?;
    Some(Settings::parse(&manifest.shown, &manifest.text).ok()?.name)
}

/// The pack that these files make: the same one, if none of them changed.
fn again<'s>(
    files: &PackFiles,
    mut before: impl Iterator<Item = &'s Arc<Pack>>,
    try_cases: bool,
) -> Result<Arc<Pack>, Vec<Problem>> {
    let known = name_of(files).and_then(|name| before.find(|pack| pack.settings.name == name));
    let pack = match known {
        Some(pack) if pack.is_of(files) => Arc::clone(pack),
        known => Pack::load_untried_after(files, known.map(Arc::as_ref)).map(Arc::new)?,
    };
    if try_cases {
        pack.tried(files)?;
    }
    Ok(pack)
}

fn insert(packs: &mut BTreeMap<String, Arc<Pack>>, pack: Arc<Pack>, files: &PackFiles) -> Option<Problem> {
    let name = pack.name().to_owned();
    if packs.contains_key(&name) {
        let manifest = files.get("pack.toml")?;
        return Some(Problem::of_file(&manifest.shown, format!("another pack has the name `{name}`")));
    }
    packs.insert(name, pack);
    None
}

/// The hash of everything that decides: names, lengths and contents.
fn hash<'f>(all: impl Iterator<Item = &'f PackFiles>) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for files in all {
        hasher.update(b"pack");
        for (name, file) in files.deciding() {
            for part in [name.as_bytes(), file.text.as_bytes()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::files::SourceFile;
    use crate::policy::management;

    fn pack(folder: &str, name: &str, policy: &str) -> PackFiles {
        let file = |within: &str, text: String| {
            (within.to_owned(), SourceFile { shown: format!("{folder}/{within}").into(), text })
        };
        let manifest = format!("name = \"{name}\"\nversion = \"1\"\n");
        PackFiles { files: [file("pack.toml", manifest), file("a.cedar", policy.into())].into() }
    }

    fn set(packs: Vec<PackFiles>) -> PackSet {
        PackSet { packs, management: management::files(), cases_held: false }
    }

    const OPEN: &str = "permit (principal, action, resource);";

    #[test]
    fn names_of_folders_and_their_order_do_not_count() {
        let one = set(vec![pack("a", "first", OPEN), pack("b", "second", OPEN)]);
        let other = set(vec![pack("x", "second", OPEN), pack("y", "first", OPEN)]);
        let (one, other) = (one.load().unwrap(), other.load().unwrap());
        assert_eq!((one.id(), one.hash()), (other.id(), other.hash()));
    }

    #[test]
    fn another_text_or_name_is_another_set() {
        let id = |packs| set(packs).id();
        let one = id(vec![pack("a", "first", OPEN)]);
        assert_ne!(one, id(vec![pack("a", "second", OPEN)]));
        assert_ne!(one, id(vec![pack("a", "first", "forbid (principal, action, resource);")]));
        assert_ne!(one, id(Vec::new()));
    }

    #[test]
    fn one_bad_pack_keeps_the_whole_set_out() {
        let both = set(vec![pack("a", "first", OPEN), pack("b", "second", "permit (")]);
        assert!(matches!(both.load(), Err(LoadError::Problems(_))));
        let twice = set(vec![pack("a", "first", OPEN), pack("b", "first", OPEN)]);
        assert!(twice.load().unwrap_err().to_string().contains("another pack has the name"));
    }
}

//! Packs and snapshots.
//!
//! Promises: a snapshot is immutable and swapped whole; files that do not validate leave the last good one
//! serving. Its revision is the store's sequence number and the hash of the files. Must never: serve half of a reload.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub mod bounds;
pub mod cases;
pub mod compile;
pub mod coverage;
pub mod earlier;
pub mod files;
pub mod lint;
mod management;
pub mod mapping;
mod pack;
pub mod problem;
pub mod replay;
pub mod set;
pub mod settings;
pub mod shadow;
pub mod simulate;
pub mod watch;

pub use pack::Pack;

use crate::entity::Data;
use crate::plugin::set::Set;

use files::{PackFiles, UnreadableFile};
use problem::Problem;
use set::PackSet;

/// The pack that judges the management API. No request can name it.
pub const MANAGEMENT: &str = "portcullis";

/// Which state of policies and data an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of the last change in the store.
    pub sequence: u64,
    /// The first bytes of the hash of all files that decide.
    pub hash: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:016x}", self.sequence, self.hash)
    }
}

/// All packs as of one revision.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which.
    pub revision: Revision,
    /// The revision as answers show it.
    pub revision_text: Arc<str>,
    /// What the store holds of entities and assignments.
    pub data: Arc<Data>,
    packs: Arc<BTreeMap<String, Arc<Pack>>>,
    management: Arc<Pack>,
    plugins: Arc<Set>,
    /// The hash of the packs' files alone.
    files_hash: u64,
}

/// Why files did not become a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file can't be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableFile),
    /// Files are wrong.
    #[error("{}", shown(.0))]
    Problems(Vec<Problem>),
    /// The loader itself failed.
    #[error("the policies could not be loaded: the loader failed, which is a defect of this program")]
    Defect,
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Where policies come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder whose folders are packs.
    pub folder: PathBuf,
    /// A folder that replaces the embedded management pack.
    pub management: Option<PathBuf>,
    /// Packs that are held in memory, and count in the place of the folder's.
    pub held: Held,
}

/// Packs that can be exchanged while the folder is not looked at.
pub type Held = Arc<ArcSwapOption<Vec<PackFiles>>>;

/// Packs that were loaded together, and the hash of their files.
#[derive(Clone, Debug)]
pub struct Loaded {
    packs: Arc<BTreeMap<String, Arc<Pack>>>,
    management: Arc<Pack>,
    hash: u64,
    id: Arc<str>,
}

impl Sources {
    /// Packs in a folder, and the management pack.
    pub fn of(folder: PathBuf, management: Option<PathBuf>) -> Self {
        Self { folder, management, held: Held::default() }
    }

    /// Reads and loads everything, or nothing.
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
        self.read()?.load_after(before)
    }

    /// Reads all files, and makes nothing of them yet.
    ///
    /// # Errors
    /// When one can't be read.
    pub fn read(&self) -> Result<PackSet, UnreadableFile> {
        match self.held.load_full() {
            Some(packs) => self.with(packs.to_vec()),
            None => self.with(PackFiles::read_all(&self.folder)?),
        }
    }

    /// The same of packs that are held in memory: only the management pack is read.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn with(&self, packs: Vec<PackFiles>) -> Result<PackSet, UnreadableFile> {
        Ok(PackSet { packs, management: self.management_files()?, cases_held: false })
    }

    /// Loads the management pack alone.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_management(&self) -> Result<Pack, LoadError> {
        let files = self.management_files()?;
        bounds::on_deep_stack(|| Pack::load(&files).map_err(LoadError::Problems))
            .unwrap_or(Err(LoadError::Defect))
    }

    fn management_files(&self) -> Result<PackFiles, UnreadableFile> {
        match &self.management {
            Some(folder) => PackFiles::read(folder),
            None => Ok(management::files()),
        }
    }
}

/// One hash of two.
fn mixed(files: u64, plugins: u64) -> u64 {
    let mut first = [0; 8];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&files.to_be_bytes()).update(&plugins.to_be_bytes());
    hasher.finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}

impl Loaded {
    /// The snapshot of these packs and the store's data at one sequence number.
    pub fn at(&self, sequence: u64, data: Arc<Data>) -> Snapshot {
        let revision = Revision { sequence, hash: self.hash };
        Snapshot {
            revision,
            revision_text: revision.to_string().into(),
            data,
            packs: Arc::clone(&self.packs),
            management: Arc::clone(&self.management),
            plugins: Arc::default(),
            files_hash: self.hash,
        }
    }

    /// The hash of the files.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// What the packs' files are called together: `rev_…`, by their contents alone. The management pack has no part in it.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Every pack, the management pack last.
    pub fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.packs.values().chain([&self.management])
    }
}

impl Snapshot {
    /// The plugins that are loaded.
    pub fn plugins(&self) -> &Arc<Set> {
        &self.plugins
    }

    /// The same with these plugins, which are a part of its revision.
    #[must_use]
    pub fn with_plugins(mut self, plugins: Arc<Set>) -> Self {
        self.revision.hash = match plugins.hash() {
            0 => self.files_hash,
            plugins => mixed(self.files_hash, plugins),
        };
        self.revision_text = self.revision.to_string().into();
        Self { plugins, ..self }
    }

    /// The pack with this name. The management pack has none that a request could give.
    pub fn pack(&self, name: &str) -> Option<&Arc<Pack>> {
        self.packs.get(name)
    }

    /// The packs that applications can ask, by name.
    pub fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        self.packs.values()
    }

    /// The pack that judges the management API.
    pub fn management(&self) -> &Arc<Pack> {
        &self.management
    }
}

//! Sets of packs as the store keeps them: made of what was loaded, and loaded again.
//!
//! Promises: what comes back is what was kept, by the digest that is its id, or nothing comes back. The management pack is no
//! part of it: rights come from the binary or the configuration alone.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::policy::earlier::digest;
use crate::policy::files::{PackFiles, SourceFile, UnreadableFile};
use crate::policy::set::{ID_PREFIX, PackSet};
use crate::policy::{LoadError, Loaded, MANAGEMENT, Sources};
use crate::store::revisions::{FileRow, PackRow, RevisionRow};
use crate::store::{Store, StoreError};

/// Of a set whose files are longer than this together, only the digests are kept.
const MOST_BYTES: u64 = 64 << 20;

/// It came from the folder.
pub const FILES: &str = "files";
/// It came from the bundle that is followed.
pub const BUNDLE: &str = "bundle";
/// It was gone back to.
pub const ROLLBACK: &str = "rollback";
/// It was in shadow before.
pub const PROMOTION: &str = "promotion";

/// The change that pins a set.
pub const ACTIVATED: &str = "revision_activated";
/// The change that pins a set that was in shadow.
pub const PROMOTED: &str = "shadow_promoted";
/// The change that lets the folder count again.
pub const FOLLOWED: &str = "revision_unpinned";

/// Why a kept set can't be served.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// There is none.
    #[error("there is no revision `{0}`")]
    Missing(String),
    /// Its files were too long, or hold what a database can't.
    #[error("the files of the revision `{0}` were not kept: they are more than 64 MiB, or hold a NUL")]
    WithoutFiles(String),
    /// The database says otherwise than was stored.
    #[error("the stored files of the revision `{0}` are not those that it was made of: they were altered")]
    Altered(String),
    /// What is in shadow is not what was seen there.
    #[error("the revision `{0}` is not in shadow now: look again, and decide anew")]
    NotInShadow(String),
    /// It does not load.
    #[error("the revision does not load: {0}")]
    Load(#[from] LoadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<UnreadableFile> for RevisionError {
    fn from(error: UnreadableFile) -> Self {
        Self::Load(error.into())
    }
}

/// Keeps a set that was loaded. At most `kept` stay.
///
/// # Errors
/// When the store fails.
pub async fn keep(
    store: &Store,
    (set, loaded): (&PackSet, &Loaded),
    origin: &str,
    now: Timestamp,
    kept: usize,
) -> Result<(), StoreError> {
    let named = set.named();
    let all = named.iter().flat_map(|(pack, files)| files.deciding().map(move |file| (pack, file)));
    let (mut files, mut texts) = (Vec::new(), Vec::new());
    for (pack, (name, file)) in all {
        let digest = hex::encode(digest(file));
        files.push(FileRow(pack.clone(), name.clone(), digest, file.text.len() as u64));
        texts.push(file.text.as_str());
    }
    // It is not active yet, and may never be: what is kept already stays where it is in the order.
    if origin == PROMOTION && store.revision(loaded.id()).await?.is_some_and(|row| row.has_texts) {
        return Ok(());
    }
    let bytes = files.iter().map(|FileRow(_, _, _, bytes)| bytes).sum();
    let has_texts = bytes <= MOST_BYTES && texts.iter().all(|text| !text.contains('\0'));
    let row = RevisionRow {
        id: loaded.id().to_string(),
        hash: format!("{:016x}", loaded.hash()),
        origin: origin.to_owned(),
        packs: packs_of(loaded),
        files,
        bytes,
        has_texts,
        first_active_at: now,
        activated_at: now,
        last_active_at: now,
    };
    store.keep_revision(&row, has_texts.then_some(&texts), kept).await
}

fn packs_of(loaded: &Loaded) -> Vec<PackRow> {
    let packs = loaded.packs().filter(|pack| pack.name() != MANAGEMENT);
    let to_row = |pack: &std::sync::Arc<crate::policy::Pack>| PackRow {
        name: pack.name().to_owned(),
        version: pack.settings.version.clone(),
        policies: pack.rules.all.len(),
    };
    packs.map(to_row).collect()
}

/// Reads a set that was kept. It is not loaded yet.
///
/// # Errors
/// When it is not there, or not what it was.
pub async fn read(store: &Store, sources: &Sources, id: &str) -> Result<PackSet, RevisionError> {
    let row = find(store, id).await?;
    if !row.has_texts {
        return Err(RevisionError::WithoutFiles(id.to_owned()));
    }
    let mut packs: BTreeMap<String, PackFiles> = BTreeMap::new();
    for FileRow(pack, name, digest, _) in row.files {
        let Some(text) = store.revision_text(&digest).await? else {
            return Err(RevisionError::Altered(id.to_owned()));
        };
        let shown = format!("{id}/{pack}/{name}").into();
        packs.entry(pack).or_default().files.insert(name, SourceFile { shown, text });
    }
    let set = PackSet { cases_held: true, ..sources.with(packs.into_values().collect())? };
    if set.id() != id {
        return Err(RevisionError::Altered(id.to_owned()));
    }
    Ok(set)
}

/// What is known of a set.
///
/// # Errors
/// When it is not there.
pub async fn find(store: &Store, id: &str) -> Result<RevisionRow, RevisionError> {
    let found = if is_id(id) { store.revision(id).await? } else { None };
    found.ok_or_else(|| RevisionError::Missing(id.to_owned()))
}

/// Whether a text has the form of an id.
fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(ID_PREFIX).unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

//! How revisions are shown.

use serde::Serialize;

use crate::http::listing::shown_time;
use crate::store::revisions::{FileRow, PackRow, RevisionRow};

/// A page of revisions, and what is served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct RevisionsResponse {
    /// The revisions, the one that last became active first.
    pub(super) items: Vec<RevisionResponse>,
    /// The cursor of the next page; null at the end.
    pub(super) next: Option<String>,
    /// The id of what this node serves.
    pub(super) active: String,
    /// Whether a revision is pinned: the policies folder does not count then.
    pub(super) pinned: bool,
    /// Which.
    pub(super) pinned_revision: Option<String>,
    /// What the folder holds and is not served, since another revision is pinned.
    pub(super) files_not_served: Option<String>,
    /// Why what should be served is not, if it is not.
    pub(super) error: Option<String>,
}

/// A set of packs that was served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct RevisionResponse {
    /// `rev_…`, of its contents.
    id: String,
    /// The second part of `revision` in answers when it was first served, if no plugin was loaded then.
    hash: String,
    /// How it last became active: `files`, `bundle`, `rollback` or `promotion`.
    origin: String,
    /// Whether this node serves it.
    active: bool,
    /// Its packs.
    packs: Vec<RevisionPack>,
    /// How long its files are together, in bytes.
    bytes: u64,
    /// Whether its files are kept; without them it can't be activated.
    has_files: bool,
    /// When it was first active.
    first_active_at: Option<String>,
    /// When it last became active.
    activated_at: Option<String>,
    /// When it was last known to be active.
    last_active_at: Option<String>,
    /// Its files; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<RevisionFile>>,
}

/// A pack of a revision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RevisionPack {
    /// Its name.
    name: String,
    /// Its version, as it says itself.
    version: String,
    /// How many policies it has.
    policies: usize,
}

/// A file of a revision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RevisionFile {
    /// Its pack.
    pack: String,
    /// Its name within the pack.
    name: String,
    /// The BLAKE3 digest of its text, in hex.
    digest: String,
    /// How long it is.
    bytes: u64,
}

impl RevisionResponse {
    pub(super) fn of_row(row: RevisionRow, served: &str, with_files: bool) -> Self {
        let files = with_files.then(|| row.files.into_iter().map(RevisionFile::from).collect());
        Self {
            active: row.id == served,
            id: row.id,
            hash: row.hash,
            origin: row.origin,
            packs: row.packs.into_iter().map(RevisionPack::from).collect(),
            bytes: row.bytes,
            has_files: row.has_texts,
            first_active_at: shown_time(Some(row.first_active_at)),
            activated_at: shown_time(Some(row.activated_at)),
            last_active_at: shown_time(Some(row.last_active_at)),
            files,
        }
    }
}

impl From<PackRow> for RevisionPack {
    fn from(PackRow { name, version, policies }: PackRow) -> Self {
        Self { name, version, policies }
    }
}

impl From<FileRow> for RevisionFile {
    fn from(FileRow(pack, name, digest, bytes): FileRow) -> Self {
        Self { pack, name, digest, bytes }
    }
}

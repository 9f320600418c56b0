//! Sets of packs that were served, and which of them is pinned.
//!
//! Promises: a text is stored once, however many sets have it; what no kept set has is forgotten with the last that had it.
//! What is read here is not trusted: whoever loads it compares its digest with its id.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::pool::{Row, Tx, args};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// One file of a set: its pack, its name within it, the digest of its text, and how long that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow(pub String, pub String, pub String, pub u64);

/// A pack of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRow {
    /// Its name.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
    /// How many policies it has.
    pub policies: usize,
}

/// A set of packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRow {
    /// `rev_…`, of its contents.
    pub id: String,
    /// The hash of its files, as answers showed it when it was first served and no plugin was loaded.
    pub hash: String,
    /// How it last became active: `files`, `bundle`, `rollback`, `promotion`.
    pub origin: String,
    /// Its packs.
    pub packs: Vec<PackRow>,
    /// Its files; empty in lists.
    pub files: Vec<FileRow>,
    /// How long all texts are.
    pub bytes: u64,
    /// Whether the texts are kept.
    pub has_texts: bool,
    /// When it was first active.
    pub first_active_at: Timestamp,
    /// When it last became active.
    pub activated_at: Timestamp,
    /// When it was last known to be active.
    pub last_active_at: Timestamp,
}

/// Which set is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRow {
    /// Its id; none when the folder counts.
    pub revision_id: Option<String>,
    /// `rollback` or `promotion`.
    pub origin: String,
    /// Since when.
    pub updated_at: Timestamp,
    /// The number of the last change.
    pub version: u64,
}

/// What lists show: all but the files, which may be many.
const SHOWN: &str = "SELECT id, hash, origin, packs, '[]' AS files, bytes, has_texts, first_active_at, activated_at, \
     last_active_at FROM revisions";
const BY_ID: &str = "SELECT * FROM revisions WHERE id = $1";

impl Writing {
    /// What is pinned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pin(&mut self) -> Result<Option<PinRow>, StoreError> {
        let rows = self.tx.fetch("SELECT * FROM revision_pins", &[]).await?;
        rows.first().map(pin_from_row).transpose()
    }

    /// Says what is pinned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_pin(&mut self, row: &PinRow) -> Result<(), StoreError> {
        let insert = "INSERT INTO revision_pins (place, revision_id, origin, updated_at, version) \
             VALUES (1, $1, $2, $3, $4) ON CONFLICT (place) DO UPDATE SET revision_id = excluded.revision_id, \
             origin = excluded.origin, updated_at = excluded.updated_at, version = excluded.version";
        let PinRow { revision_id, origin, updated_at, version } = row;
        self.tx.execute(insert, args![revision_id, origin, *updated_at, *version]).await.map(drop)
    }

    /// Notes that a set becomes active; false when it is not there or its texts are not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn activate_revision(
        &mut self,
        id: &str,
        origin: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        leave_latest(&mut self.tx, id, now).await?;
        let update = "UPDATE revisions SET origin = $1, activated_at = $2, last_active_at = $2 \
             WHERE id = $3 AND has_texts = 1";
        Ok(self.tx.execute(update, args![origin, now, id]).await? == 1)
    }
}

impl Store {
    /// What is pinned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pin(&self) -> Result<Option<PinRow>, StoreError> {
        let rows = self.pool.fetch("SELECT * FROM revision_pins", &[]).await?;
        rows.first().map(pin_from_row).transpose()
    }

    /// Keeps a set that is active now, or is about to be; with the texts of its files, if they are to be kept, in the order
    /// of its rows. At most `kept` sets stay.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn keep_revision(
        &self,
        row: &RevisionRow,
        texts: Option<&[&str]>,
        kept: usize,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_write().await?;
        let latest = latest(&mut tx).await?;
        let known = tx.fetch(BY_ID, args![&row.id]).await?.first().map(from_row).transpose()?;
        if let Some(texts) = texts.filter(|_| known.as_ref().is_none_or(|known| !known.has_texts)) {
            let stored = match &latest {
                Some(latest) if latest.has_texts => digests(&latest.files),
                _ => HashSet::new(),
            };
            insert_texts(&mut tx, &row.files, texts, &stored).await?;
        }
        if latest.as_ref().is_some_and(|latest| latest.id == row.id) {
            let update = "UPDATE revisions SET last_active_at = $1 WHERE id = $2";
            tx.execute(update, args![row.last_active_at, &row.id]).await?;
        } else {
            leave_latest(&mut tx, &row.id, row.activated_at).await?;
            put(&mut tx, row).await?;
        }
        forget(&mut tx, kept).await?;
        tx.commit().await
    }

    /// Sets, the one that last became active first, after that one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions(
        &self,
        after: Option<(Timestamp, &str)>,
        limit: usize,
    ) -> Result<Vec<RevisionRow>, StoreError> {
        let limit = limit as u64;
        let order = "ORDER BY activated_at DESC, id DESC";
        let rows = match after {
            None => self.pool.fetch(sql(&[SHOWN, order, "LIMIT $1"]), args![limit]).await?,
            Some((at, id)) => {
                let condition = "WHERE activated_at < $1 OR (activated_at = $1 AND id < $2)";
                self.pool.fetch(sql(&[SHOWN, condition, order, "LIMIT $3"]), args![at, id, limit]).await?
            }
        };
        rows.iter().map(from_row).collect()
    }

    /// One set, with its files.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self, id: &str) -> Result<Option<RevisionRow>, StoreError> {
        self.pool.fetch(BY_ID, args![id]).await?.first().map(from_row).transpose()
    }

    /// The text with this digest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision_text(&self, digest: &str) -> Result<Option<String>, StoreError> {
        let select = "SELECT content FROM revision_texts WHERE digest = $1";
        self.pool.fetch(select, args![digest]).await?.first().map(|row| row.text("content")).transpose()
    }
}

/// Fixed parts as one statement.
fn sql(parts: &[&'static str]) -> super::pool::Sql {
    super::pool::Sql::Sized(parts.join(" "))
}

async fn latest(tx: &mut Tx) -> Result<Option<RevisionRow>, StoreError> {
    let select = "SELECT * FROM revisions ORDER BY activated_at DESC, id DESC LIMIT 1";
    tx.fetch(select, &[]).await?.first().map(from_row).transpose()
}

/// The set that was active was so until now.
async fn leave_latest(tx: &mut Tx, next: &str, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE revisions SET last_active_at = $1 WHERE id <> $2 AND id = \
         (SELECT id FROM revisions ORDER BY activated_at DESC, id DESC LIMIT 1)";
    tx.execute(update, args![now, next]).await.map(drop)
}

async fn put(tx: &mut Tx, row: &RevisionRow) -> Result<(), StoreError> {
    let insert = "INSERT INTO revisions (id, hash, origin, packs, files, bytes, has_texts, first_active_at, \
         activated_at, last_active_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE \
         SET origin = excluded.origin, activated_at = excluded.activated_at, \
         last_active_at = excluded.last_active_at, has_texts = CASE WHEN revisions.has_texts = 1 THEN 1 \
         ELSE excluded.has_texts END, files = excluded.files";
    let (packs, files) = (as_json(&row.packs), as_json(&row.files));
    let RevisionRow { id, hash, origin, bytes, has_texts, first_active_at, activated_at, .. } = row;
    let (has_texts, last) = (i64::from(*has_texts), row.last_active_at);
    let values =
        args![id, hash, origin, &packs, &files, *bytes, has_texts, *first_active_at, *activated_at, last];
    tx.execute_patiently(insert, values).await.map(drop)
}

async fn insert_texts(
    tx: &mut Tx,
    files: &[FileRow],
    texts: &[&str],
    stored: &HashSet<String>,
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO revision_texts (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    for (FileRow(_, _, digest, _), text) in files.iter().zip(texts) {
        if !stored.contains(digest) {
            tx.execute(insert, args![digest, *text]).await?;
        }
    }
    Ok(())
}

/// Forgets the oldest sets beyond so many, and the texts that only they had. The pinned one stays.
async fn forget(tx: &mut Tx, kept: usize) -> Result<(), StoreError> {
    let select = "SELECT id, files FROM revisions WHERE id NOT IN \
         (SELECT id FROM revisions ORDER BY activated_at DESC, id DESC LIMIT $1) \
         AND id NOT IN (SELECT revision_id FROM revision_pins WHERE revision_id IS NOT NULL)";
    let old = tx.fetch(select, args![kept.max(1) as u64]).await?;
    if old.is_empty() {
        return Ok(());
    }
    let mut unused = HashSet::new();
    for row in &old {
        unused.extend(digests(&files_of(row)?));
        tx.execute("DELETE FROM revisions WHERE id = $1", args![&row.text("id")?]).await?;
    }
    tx.each("SELECT files FROM revisions WHERE has_texts = 1", &[], |row| {
        for FileRow(_, _, digest, _) in files_of(&row)? {
            unused.remove(&digest);
        }
        Ok(())
    })
    .await?;
    for digest in &unused {
        tx.execute("DELETE FROM revision_texts WHERE digest = $1", args![digest]).await?;
    }
    Ok(())
}

fn digests(files: &[FileRow]) -> HashSet<String> {
    files.iter().map(|FileRow(_, _, digest, _)| digest.clone()).collect()
}

fn as_json<T: Serialize>(value: &T) -> String {
    serde_json::json!(value).to_string()
}

fn files_of(row: &Row) -> Result<Vec<FileRow>, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        what: "files of a revision",
        detail: error.to_string(),
    };
    serde_json::from_str(&row.text("files")?).map_err(corrupt)
}

fn from_row(row: &Row) -> Result<RevisionRow, StoreError> {
    let packs = row.text("packs")?;
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        what: "packs of a revision",
        detail: error.to_string(),
    };
    Ok(RevisionRow {
        id: row.text("id")?,
        hash: row.text("hash")?,
        origin: row.text("origin")?,
        packs: serde_json::from_str(&packs).map_err(corrupt)?,
        files: files_of(row)?,
        bytes: row.unsigned("bytes")?,
        has_texts: row.int("has_texts")? == 1,
        first_active_at: row.instant("first_active_at")?,
        activated_at: row.instant("activated_at")?,
        last_active_at: row.instant("last_active_at")?,
    })
}

pub(super) fn pin_from_row(row: &Row) -> Result<PinRow, StoreError> {
    Ok(PinRow {
        revision_id: row.optional_text("revision_id")?,
        origin: row.text("origin")?,
        updated_at: row.instant("updated_at")?,
        version: row.unsigned("version")?,
    })
}

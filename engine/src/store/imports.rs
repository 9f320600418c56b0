//! Imports of many entities: rows wait in a table of their own, and become entities in one transaction.
//!
//! Promises: nobody sees half of an import; one that was cut off goes on where it was.

use super::pool::{Arg, Row, args, rows_sql};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// `imp_…`.
    pub id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// Its pack.
    pub pack: String,
    /// The hash of what is imported, so that the same is known again.
    pub content_hash: String,
    /// How many rows wait already.
    pub staged: u64,
    /// `staging` or `done`.
    pub status: String,
}

/// A row that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRow {
    /// Its type, as Cedar names it.
    pub type_name: String,
    /// Its id.
    pub id: String,
    /// `user`, `service`, `device`, `group`, `role` or `entity`.
    pub kind: String,
    /// Attributes, as entities have them.
    pub attributes: String,
    /// Tags.
    pub tags: String,
    /// Parents.
    pub parents: String,
}

/// What an import changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many were new.
    pub created: u64,
    /// How many were there and differed.
    pub updated: u64,
    /// How many were there just so.
    pub unchanged: u64,
}

const INTO: &str =
    "INSERT INTO import_rows (import_id, place, type, id, kind, attributes, tags, parents) VALUES";
const COLUMNS: usize = 8;
/// Rows of one statement. SQLite looks each `$n` up among all names before it, which soon costs more than the rows.
const ROWS: [usize; 2] = [24, 500];

impl Store {
    /// The import of this content that is under way, or a new one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_import(&self, new: &ImportRow, now: Timestamp) -> Result<ImportRow, StoreError> {
        let mut tx = self.pool.begin_write().await?;
        let select = "SELECT * FROM imports WHERE tenant_id = $1 AND pack = $2 AND content_hash = $3 \
             AND status = 'staging' ORDER BY id LIMIT 1";
        let found = tx.fetch(select, args![&new.tenant_id, &new.pack, &new.content_hash]).await?;
        if let Some(row) = found.first() {
            return from_row(row);
        }
        let insert = "INSERT INTO imports (id, tenant_id, pack, content_hash, staged, status, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, 0, 'staging', $5, $5)";
        let values = args![&new.id, &new.tenant_id, &new.pack, &new.content_hash, now];
        tx.execute(insert, values).await?;
        tx.commit().await?;
        Ok(ImportRow { staged: 0, status: "staging".into(), ..new.clone() })
    }

    /// Lets more rows of an import wait, after the `staged` ones that wait already. False when another process works on
    /// the same import.
    ///
    /// # Errors
    /// When the database fails; then none of them waits.
    pub async fn stage(
        &self,
        import_id: &str,
        staged: u64,
        rows: &[StagedRow],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_write().await?;
        let total = staged + rows.len() as u64;
        let update = "UPDATE imports SET staged = $1, updated_at = $2 WHERE id = $3 AND staged = $4 \
             AND status = 'staging'";
        if tx.execute(update, args![total, now, import_id, staged]).await? != 1 {
            return Ok(false);
        }
        let mut place = staged;
        let [here, elsewhere] = ROWS;
        for some in rows.chunks(if self.is_shared() { elsewhere } else { here }) {
            let mut values: Vec<Arg<'_>> = Vec::with_capacity(some.len() * COLUMNS);
            for row in some {
                values.extend_from_slice(args![
                    import_id,
                    place,
                    &row.type_name,
                    &row.id,
                    &row.kind,
                    &row.attributes,
                    &row.tags,
                    &row.parents,
                ]);
                place += 1;
            }
            tx.execute(rows_sql(INTO, (some.len(), COLUMNS), ""), &values).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Gives up an import: its rows no longer wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon_import(&self, import_id: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_write().await?;
        tx.execute_patiently("DELETE FROM import_rows WHERE import_id = $1", args![import_id]).await?;
        tx.execute("DELETE FROM imports WHERE id = $1 AND status = 'staging'", args![import_id]).await?;
        tx.commit().await
    }

    /// Gives up imports that nobody has gone on with since `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon_old_imports(&self, before: Timestamp) -> Result<u64, StoreError> {
        let select = "SELECT * FROM imports WHERE status = 'staging' AND updated_at < $1";
        let rows = self.pool.fetch(select, args![before]).await?;
        for row in &rows {
            self.abandon_import(&row.text("id")?).await?;
        }
        Ok(rows.len() as u64)
    }
}

impl Writing {
    /// Makes entities of the rows that wait: in the place of what has the same type and id, unless it is just the same.
    /// What a row does not say (a principal's kind and status, a role's settings) stays as it is; of a deleted one, the
    /// status alone stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_import(
        &mut self,
        import: &ImportRow,
        now: Timestamp,
    ) -> Result<Imported, StoreError> {
        self.ensure_tenant(&import.tenant_id, now).await?;
        let values = args![&import.tenant_id, &import.pack, &import.id];
        let count = "SELECT CAST(COUNT(*) AS BIGINT) AS total, \
             CAST(SUM(CASE WHEN e.id IS NULL OR e.deleted_at IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS created \
             FROM import_rows r LEFT JOIN entities e ON e.tenant_id = $1 AND e.pack = $2 AND e.type = r.type \
             AND e.id = r.id WHERE r.import_id = $3";
        let counted = self.tx.fetch_patiently(count, values).await?;
        let number = |name| counted.first().map_or(Ok(None), |row| row.optional_int(name));
        let total = number("total")?.unwrap_or_default();
        let created = number("created")?.unwrap_or_default();
        let write = "INSERT INTO entities (tenant_id, pack, type, id, kind, attributes, tags, parents, settings, \
             status, created_at, updated_at, deleted_at, version) \
             SELECT $1, $2, r.type, r.id, r.kind, r.attributes, r.tags, r.parents, '{}', 'active', $4, $4, \
             CAST(NULL AS BIGINT), $5 FROM import_rows r WHERE r.import_id = $3 \
             ON CONFLICT (tenant_id, pack, type, id) DO UPDATE SET \
             kind = CASE WHEN entities.deleted_at IS NULL AND entities.kind <> 'entity' \
             THEN entities.kind ELSE excluded.kind END, \
             settings = CASE WHEN entities.deleted_at IS NULL THEN entities.settings ELSE excluded.settings END, \
             created_at = CASE WHEN entities.deleted_at IS NULL THEN entities.created_at \
             ELSE excluded.created_at END, \
             attributes = excluded.attributes, tags = excluded.tags, parents = excluded.parents, \
             updated_at = excluded.updated_at, deleted_at = NULL, version = excluded.version \
             WHERE entities.attributes <> excluded.attributes OR entities.tags <> excluded.tags \
             OR entities.parents <> excluded.parents OR entities.deleted_at IS NOT NULL \
             OR (entities.kind = 'entity' AND excluded.kind <> 'entity')";
        let values = args![&import.tenant_id, &import.pack, &import.id, now, self.sequence()];
        let written = self.tx.execute_patiently(write, values).await?;
        self.tx.execute_patiently("DELETE FROM import_rows WHERE import_id = $1", args![&import.id]).await?;
        let done = "UPDATE imports SET status = 'done', updated_at = $1 WHERE id = $2";
        self.tx.execute(done, args![now, &import.id]).await?;
        let (total, created) = (u64::try_from(total).unwrap_or(0), u64::try_from(created).unwrap_or(0));
        let updated = written.saturating_sub(created);
        Ok(Imported { created, updated, unchanged: total.saturating_sub(written) })
    }
}

fn from_row(row: &Row) -> Result<ImportRow, StoreError> {
    Ok(ImportRow {
        id: row.text("id")?,
        tenant_id: row.text("tenant_id")?,
        pack: row.text("pack")?,
        content_hash: row.text("content_hash")?,
        staged: row.unsigned("staged")?,
        status: row.text("status")?,
    })
}

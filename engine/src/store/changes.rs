//! What administrators changed: in the transaction of the change, and then in the decision log.

use sqlx::Row;

use super::{Store, StoreError};
use crate::clock::Timestamp;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `evt_…`.
    pub id: String,
    /// Whose.
    pub tenant_id: String,
    /// When.
    pub made_at: Timestamp,
    /// What: `caller_created`, `caller_revoked`.
    pub kind: String,
    /// Of what.
    pub target_id: String,
    /// More about it, as JSON; never a secret.
    pub detail: String,
}

/// Writes a change into the transaction that makes it.
pub(super) async fn insert(
    connection: &mut sqlx::SqliteConnection,
    change: &Change,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO changes (id, tenant_id, made_at, kind, target_id, detail, logged_at) \
         VALUES ($1, $2, $3, $4, $5, $6, NULL)",
    )
    .bind(&change.id)
    .bind(&change.tenant_id)
    .bind(change.made_at.0)
    .bind(&change.kind)
    .bind(&change.target_id)
    .bind(&change.detail)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// The oldest changes that the decision log does not have yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlogged_changes(&self, limit: i64) -> Result<Vec<Change>, StoreError> {
        let rows = sqlx::query("SELECT * FROM changes WHERE logged_at IS NULL ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let change = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Change {
                id: row.try_get("id")?,
                tenant_id: row.try_get("tenant_id")?,
                made_at: Timestamp(row.try_get("made_at")?),
                kind: row.try_get("kind")?,
                target_id: row.try_get("target_id")?,
                detail: row.try_get("detail")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// Notes that the decision log has a change.
    ///
    /// # Errors
    /// When the database fails: the change is logged again then, under the same id.
    pub async fn change_logged(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE changes SET logged_at = $1 WHERE id = $2")
            .bind(at.0)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

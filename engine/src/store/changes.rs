//! What administrators changed: in the transaction of the change, and then in the decision log.

use super::pool::{Row, Tx, args};
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
    /// What, as `caller_created` or `role_assignment_revoked`.
    pub kind: String,
    /// Of what.
    pub target_id: String,
    /// More about it, as JSON; never a secret.
    pub detail: String,
    /// Which caller made it; none for the command line.
    pub caller_id: Option<String>,
}

/// Writes a change into the transaction that makes it.
pub(super) async fn insert(tx: &mut Tx, change: &Change) -> Result<(), StoreError> {
    let insert = "INSERT INTO changes (id, tenant_id, made_at, kind, target_id, detail, caller_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Change { id, tenant_id, made_at, kind, target_id, detail, caller_id } = change;
    tx.execute(insert, args![id, tenant_id, *made_at, kind, target_id, detail, caller_id]).await?;
    Ok(())
}

/// Whoever began to take a change over, and did not say that it is done, has failed after this long.
const TAKEN_US: i64 = 10_000_000;

impl Store {
    /// The oldest changes that no decision log has yet and no node is taking over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlogged_changes(&self, now: Timestamp, limit: i64) -> Result<Vec<Change>, StoreError> {
        let select = "SELECT * FROM changes WHERE logged_at IS NULL \
             AND (taken_until IS NULL OR taken_until < $1) ORDER BY id LIMIT $2";
        let rows = self.pool.fetch(select, args![now, limit]).await?;
        rows.iter().map(from_row).collect()
    }

    /// Takes a change over for one node's log. False when another node was first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_change(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let update = "UPDATE changes SET taken_until = $1 WHERE id = $2 AND logged_at IS NULL \
             AND (taken_until IS NULL OR taken_until < $3)";
        let until = Timestamp(now.0.saturating_add(TAKEN_US));
        Ok(self.pool.execute(update, args![until, id, now]).await? == 1)
    }

    /// Notes that a decision log has a change.
    ///
    /// # Errors
    /// When the database fails: the change is logged again then, under the same id.
    pub async fn change_logged(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.pool.execute("UPDATE changes SET logged_at = $1 WHERE id = $2", args![at, id]).await?;
        Ok(())
    }
}

fn from_row(row: &Row) -> Result<Change, StoreError> {
    Ok(Change {
        id: row.text("id")?,
        tenant_id: row.text("tenant_id")?,
        made_at: row.instant("made_at")?,
        kind: row.text("kind")?,
        target_id: row.text("target_id")?,
        detail: row.text("detail")?,
        caller_id: row.optional_text("caller_id")?,
    })
}

//! Callers and the keyed hashes of their keys.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::changes::{self, Change};
use super::{Store, StoreError, meta, storable};
use crate::clock::Timestamp;

/// One caller as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRow {
    /// `clr_…`.
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant_id: String,
    /// What its people call it.
    pub name: String,
    /// The keyed hash of its key, in hex.
    pub key_hash: String,
    /// The packs that it is bound to; `*` is all of them.
    pub packs: Vec<String>,
    /// The pack that judges when a request names none.
    pub default_pack: Option<String>,
    /// What it may do.
    pub rights: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on its key counts no more.
    pub expires_at: Option<Timestamp>,
    /// Since when its key counts no more.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Stores a new caller, and its tenant if that is new. `change_id` names the change in the decision log.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn insert_caller(&self, caller: &CallerRow, change_id: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO tenants (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(storable(&caller.tenant_id)?)
            .bind(caller.created_at.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO callers (id, tenant_id, name, key_hash, packs, default_pack, rights, \
             created_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&caller.id)
        .bind(storable(&caller.tenant_id)?)
        .bind(storable(&caller.name)?)
        .bind(&caller.key_hash)
        .bind(to_json(&caller.packs))
        .bind(caller.default_pack.as_deref().map(storable).transpose()?)
        .bind(to_json(&caller.rights))
        .bind(caller.created_at.0)
        .bind(caller.expires_at.map(|at| at.0))
        .bind(caller.revoked_at.map(|at| at.0))
        .execute(&mut *transaction)
        .await?;
        let detail = serde_json::json!({
            "name": caller.name,
            "packs": caller.packs,
            "default_pack": caller.default_pack,
            "rights": caller.rights,
        });
        let change = Change {
            id: change_id.to_owned(),
            tenant_id: caller.tenant_id.clone(),
            made_at: caller.created_at,
            kind: "caller_created".into(),
            target_id: caller.id.clone(),
            detail: detail.to_string(),
        };
        changes::insert(&mut transaction, &change).await?;
        meta::advance_sequence(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a caller's key. False when the tenant has no such caller, or it had ended before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_caller(
        &self,
        tenant_id: &str,
        id: &str,
        at: Timestamp,
        change_id: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let changed = sqlx::query(
            "UPDATE callers SET revoked_at = $1 WHERE tenant_id = $2 AND id = $3 AND revoked_at IS NULL",
        )
        .bind(at.0)
        .bind(storable(tenant_id)?)
        .bind(storable(id)?)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if changed > 0 {
            let change = Change {
                id: change_id.to_owned(),
                tenant_id: tenant_id.to_owned(),
                made_at: at,
                kind: "caller_revoked".into(),
                target_id: id.to_owned(),
                detail: "{}".into(),
            };
            changes::insert(&mut transaction, &change).await?;
            meta::advance_sequence(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(changed > 0)
    }

    /// Every caller whose key has not been revoked, with the sequence number of that moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_callers(&self) -> Result<(u64, Vec<CallerRow>), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let sequence: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'sequence'")
            .fetch_one(&mut *transaction)
            .await?;
        let rows = sqlx::query("SELECT * FROM callers WHERE revoked_at IS NULL ORDER BY id")
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let sequence =
            sequence.parse().map_err(|_| StoreError::Corrupt { what: "sequence", detail: sequence })?;
        Ok((sequence, rows.iter().map(from_row).collect::<Result<_, _>>()?))
    }

    /// The callers of one tenant, the revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn callers_of(&self, tenant_id: &str) -> Result<Vec<CallerRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM callers WHERE tenant_id = $1 ORDER BY id")
            .bind(storable(tenant_id)?)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(from_row).collect()
    }
}

fn from_row(row: &SqliteRow) -> Result<CallerRow, StoreError> {
    Ok(CallerRow {
        id: row.try_get("id")?,
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        key_hash: row.try_get("key_hash")?,
        packs: from_json("packs", row.try_get("packs")?)?,
        default_pack: row.try_get("default_pack")?,
        rights: from_json("rights", row.try_get("rights")?)?,
        created_at: Timestamp(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Timestamp),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(Timestamp),
    })
}

fn to_json(texts: &[String]) -> String {
    serde_json::Value::from(texts.to_vec()).to_string()
}

fn from_json(what: &'static str, text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt { what, detail: error.to_string() })
}

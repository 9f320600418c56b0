//! Callers and the keyed hashes of their keys.

use super::changes::Change;
use super::pool::{Row, args};
use super::{Store, StoreError, Writing};
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

impl Writing {
    /// Stores a new caller, and its tenant if that is new.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn insert_caller(&mut self, caller: &CallerRow) -> Result<(), StoreError> {
        self.ensure_tenant(&caller.tenant_id, caller.created_at).await?;
        let insert = "INSERT INTO callers (id, tenant_id, name, key_hash, packs, default_pack, rights, \
             created_at, expires_at, revoked_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let (packs, rights) = (to_json(&caller.packs), to_json(&caller.rights));
        let values = args![
            &caller.id,
            &caller.tenant_id,
            &caller.name,
            &caller.key_hash,
            &packs,
            &caller.default_pack,
            &rights,
            caller.created_at,
            caller.expires_at,
            caller.revoked_at,
            self.sequence(),
        ];
        self.tx.execute(insert, values).await.map(drop)
    }
}

impl Store {
    /// Stores a new caller. `change_id` names the change in the decision log.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn insert_caller(&self, caller: &CallerRow, change_id: &str) -> Result<(), StoreError> {
        let mut writing = self.begin_change().await?;
        writing.insert_caller(caller).await?;
        writing.commit(&caller_created(caller, change_id)).await.map(drop)
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
        let mut writing = self.begin_change().await?;
        let update = "UPDATE callers SET revoked_at = $1, version = $2 \
             WHERE tenant_id = $3 AND id = $4 AND revoked_at IS NULL";
        let changed = writing.tx.execute(update, args![at, writing.sequence(), tenant_id, id]).await?;
        if changed == 0 {
            return Ok(false);
        }
        let change = Change {
            id: change_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
            made_at: at,
            kind: "caller_revoked".into(),
            target_id: id.to_owned(),
            detail: "{}".into(),
            caller_id: None,
        };
        writing.commit(&change).await?;
        Ok(true)
    }

    /// The callers of one tenant, the revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn callers_of(&self, tenant_id: &str) -> Result<Vec<CallerRow>, StoreError> {
        let select = "SELECT * FROM callers WHERE tenant_id = $1 ORDER BY id";
        let rows = self.pool.fetch(select, args![tenant_id]).await?;
        rows.iter().map(from_row).collect()
    }
}

/// The change that making a caller is.
pub fn caller_created(caller: &CallerRow, change_id: &str) -> Change {
    let detail = serde_json::json!({
        "name": caller.name,
        "packs": caller.packs,
        "default_pack": caller.default_pack,
        "rights": caller.rights,
    });
    Change {
        id: change_id.to_owned(),
        tenant_id: caller.tenant_id.clone(),
        made_at: caller.created_at,
        kind: "caller_created".into(),
        target_id: caller.id.clone(),
        detail: detail.to_string(),
        caller_id: None,
    }
}

pub(super) fn from_row(row: &Row) -> Result<CallerRow, StoreError> {
    Ok(CallerRow {
        id: row.text("id")?,
        tenant_id: row.text("tenant_id")?,
        name: row.text("name")?,
        key_hash: row.text("key_hash")?,
        packs: from_json("packs", &row.text("packs")?)?,
        default_pack: row.optional_text("default_pack")?,
        rights: from_json("rights", &row.text("rights")?)?,
        created_at: row.instant("created_at")?,
        expires_at: row.optional_instant("expires_at")?,
        revoked_at: row.optional_instant("revoked_at")?,
    })
}

fn to_json(texts: &[String]) -> String {
    serde_json::Value::from(texts.to_vec()).to_string()
}

fn from_json(what: &'static str, text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt { what, detail: error.to_string() })
}

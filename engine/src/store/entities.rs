//! Principals, groups, roles and all other entities, each of one tenant and one pack.

use super::pool::{Row, args};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// A statement that finds entities by what follows, with the columns in the order in which [`from_row`] reads them.
macro_rules! select_entities {
    ($which:literal) => {
        concat!(
            "SELECT tenant_id, pack, type, id, kind, attributes, tags, parents, settings, status, ",
            "created_at, updated_at, deleted_at, version FROM entities",
            $which
        )
    };
}
pub(super) use select_entities;

/// One entity as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow {
    /// Its tenant.
    pub tenant_id: String,
    /// Its pack.
    pub pack: String,
    /// Its type, as Cedar names it.
    pub type_name: String,
    /// Its id within the type.
    pub id: String,
    /// `user`, `service`, `device`, `group`, `role` or `entity`.
    pub kind: String,
    /// Attributes: a JSON object in Cedar's form of entities.
    pub attributes: String,
    /// Tags, in the same form.
    pub tags: String,
    /// Parents: a JSON list of `[type, id]`.
    pub parents: String,
    /// What only roles have: a JSON object.
    pub settings: String,
    /// `active`, `locked` or `disabled`.
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Since when it is no more.
    pub deleted_at: Option<Timestamp>,
    /// The number of its last change.
    pub version: u64,
}

/// Which entities of a tenant and pack, and after which.
#[derive(Clone, Copy, Debug)]
pub struct EntityPage<'a> {
    /// Their tenant.
    pub tenant_id: &'a str,
    /// Their pack.
    pub pack: &'a str,
    /// Only this type, or all.
    pub type_name: Option<&'a str>,
    /// Only this kind, or all.
    pub kind: Option<&'a str>,
    /// What follows this type and id.
    pub after: (&'a str, &'a str),
    /// At most so many.
    pub limit: i64,
}

impl Writing {
    /// Writes an entity whole: a new one, or in the place of the old. Its version is this change's number.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn put_entity(&mut self, entity: &EntityRow) -> Result<(), StoreError> {
        let put = "INSERT INTO entities (tenant_id, pack, type, id, kind, attributes, tags, parents, settings, \
             status, created_at, updated_at, deleted_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (tenant_id, pack, type, id) DO UPDATE SET kind = excluded.kind, \
             attributes = excluded.attributes, tags = excluded.tags, parents = excluded.parents, \
             settings = excluded.settings, status = excluded.status, created_at = excluded.created_at, \
             updated_at = excluded.updated_at, deleted_at = excluded.deleted_at, version = excluded.version";
        let values = args![
            &entity.tenant_id,
            &entity.pack,
            &entity.type_name,
            &entity.id,
            &entity.kind,
            &entity.attributes,
            &entity.tags,
            &entity.parents,
            &entity.settings,
            &entity.status,
            entity.created_at,
            entity.updated_at,
            entity.deleted_at,
            self.sequence(),
        ];
        self.tx.execute(put, values).await.map(drop)
    }

    /// The entity, also a deleted one, as this change sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entity(
        &mut self,
        [tenant_id, pack, type_name, id]: [&str; 4],
    ) -> Result<Option<EntityRow>, StoreError> {
        let rows = self.tx.fetch(ONE, args![tenant_id, pack, type_name, id]).await?;
        rows.first().map(from_row).transpose()
    }
}

const ONE: &str = select_entities!(" WHERE tenant_id = $1 AND pack = $2 AND type = $3 AND id = $4");

impl Store {
    /// The entity, unless it is deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entity(
        &self,
        [tenant_id, pack, type_name, id]: [&str; 4],
    ) -> Result<Option<EntityRow>, StoreError> {
        let rows = self.pool.fetch(ONE, args![tenant_id, pack, type_name, id]).await?;
        let row = rows.first().map(from_row).transpose()?;
        Ok(row.filter(|row| row.deleted_at.is_none()))
    }

    /// One page of entities, by type and id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entities(&self, page: &EntityPage<'_>) -> Result<Vec<EntityRow>, StoreError> {
        let (after_type, after_id) = page.after;
        let by_type = select_entities!(
            " WHERE tenant_id = $1 AND pack = $2 AND type = $3 AND id > $4 \
             AND deleted_at IS NULL AND (CAST($5 AS TEXT) IS NULL OR kind = $5) ORDER BY id LIMIT $6"
        );
        let all = select_entities!(
            " WHERE tenant_id = $1 AND pack = $2 AND type >= $3 \
             AND (type > $3 OR id > $4) AND deleted_at IS NULL AND (CAST($5 AS TEXT) IS NULL OR kind = $5) \
             ORDER BY type, id LIMIT $6"
        );
        let (sql, type_name) = match page.type_name {
            // After an entity of a later type there is nothing of this one.
            Some(type_name) if after_type > type_name => return Ok(Vec::new()),
            Some(type_name) => (by_type, type_name),
            None => (all, after_type),
        };
        let values = args![page.tenant_id, page.pack, type_name, after_id, page.kind, page.limit];
        let rows = self.pool.fetch(sql, values).await?;
        rows.iter().map(from_row).collect()
    }
}

impl Store {
    /// Shows all entities of a tenant in a pack, or those of one type, by type and id, as of one moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn each_entity(
        &self,
        [tenant_id, pack]: [&str; 2],
        type_name: Option<&str>,
        mut see: impl FnMut(EntityRow) + Send,
    ) -> Result<(), StoreError> {
        let select = select_entities!(
            " WHERE tenant_id = $1 AND pack = $2 AND deleted_at IS NULL \
             AND (CAST($3 AS TEXT) IS NULL OR type = $3) ORDER BY type, id"
        );
        let mut tx = self.pool.begin_read().await?;
        tx.each(select, args![tenant_id, pack, type_name], |row| {
            see(from_row(&row)?);
            Ok(())
        })
        .await?;
        tx.commit().await
    }
}

pub(super) fn from_row(row: &Row) -> Result<EntityRow, StoreError> {
    Ok(EntityRow {
        tenant_id: row.text(0)?,
        pack: row.text(1)?,
        type_name: row.text(2)?,
        id: row.text(3)?,
        kind: row.text(4)?,
        attributes: row.text(5)?,
        tags: row.text(6)?,
        parents: row.text(7)?,
        settings: row.text(8)?,
        status: row.text(9)?,
        created_at: row.instant(10)?,
        updated_at: row.instant(11)?,
        deleted_at: row.optional_instant(12)?,
        version: row.unsigned_at(13, "version")?,
    })
}

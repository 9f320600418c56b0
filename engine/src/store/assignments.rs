//! Role assignments: who has which role, where, and from when to when.

use super::pool::{Row, args};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// One assignment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentRow {
    /// `ras_…`.
    pub id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// Its pack.
    pub pack: String,
    /// `user`, `service`, `device`, `group` or `caller`.
    pub subject_kind: String,
    /// Who has the role: a Cedar type and an id.
    pub subject: (String, String),
    /// The role: a Cedar type and an id.
    pub role: (String, String),
    /// `tenant`, `resource` or `resource_tree`.
    pub scope: String,
    /// The resource of the scope, unless it is the whole tenant.
    pub scope_on: Option<(String, String)>,
    /// From when on it counts; at once without.
    pub starts_at: Option<Timestamp>,
    /// From when on it counts no more.
    pub ends_at: Option<Timestamp>,
    /// Whose role this is a part of.
    pub delegated_by: Option<(String, String)>,
    /// Why.
    pub reason: Option<String>,
    /// `pending`, `active`, `denied` or `revoked`.
    pub status: String,
    /// Who asked for it, as `caller:clr_…` or `user:alice`.
    pub requested_by: String,
    /// Which caller made it, as `caller:clr_…`.
    pub made_by: String,
    /// Who approved, denied or revoked it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The elevation that it is of.
    pub elevation_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The number of its last change.
    pub version: u64,
}

/// Which assignments of a tenant, and after which.
#[derive(Clone, Copy, Debug)]
pub struct AssignmentPage<'a> {
    /// Their tenant.
    pub tenant_id: &'a str,
    /// Only of this pack.
    pub pack: Option<&'a str>,
    /// Only of this subject: a Cedar type and an id.
    pub subject: Option<(&'a str, &'a str)>,
    /// Only of this role: a Cedar type and an id.
    pub role: Option<(&'a str, &'a str)>,
    /// Only with this status.
    pub status: Option<&'a str>,
    /// What follows this id.
    pub after: &'a str,
    /// At most so many.
    pub limit: i64,
}

impl Writing {
    /// Writes an assignment whole: a new one, or in the place of the old. Its version is this change's number.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn put_assignment(&mut self, row: &AssignmentRow) -> Result<(), StoreError> {
        let put = "INSERT INTO role_assignments (id, tenant_id, pack, subject_kind, subject_type, subject_id, \
             role_type, role_id, scope, scope_type, scope_id, starts_at, ends_at, delegated_by_type, \
             delegated_by_id, reason, status, requested_by, decided_by, decided_at, elevation_id, created_at, \
             updated_at, version, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, $18, $19, $20, $21, $22, $23, $24, $25) \
             ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at, status = excluded.status, \
             starts_at = excluded.starts_at, decided_by = excluded.decided_by, decided_at = excluded.decided_at, \
             updated_at = excluded.updated_at, version = excluded.version";
        let (subject, role) = (&row.subject, &row.role);
        let (scope_type, scope_id) = halves(row.scope_on.as_ref());
        let (delegator_type, delegator_id) = halves(row.delegated_by.as_ref());
        let values = args![
            &row.id,
            &row.tenant_id,
            &row.pack,
            &row.subject_kind,
            &subject.0,
            &subject.1,
            &role.0,
            &role.1,
            &row.scope,
            scope_type,
            scope_id,
            row.starts_at,
            row.ends_at,
            delegator_type,
            delegator_id,
            &row.reason,
            &row.status,
            &row.requested_by,
            &row.decided_by,
            row.decided_at,
            &row.elevation_id,
            row.created_at,
            row.updated_at,
            self.sequence(),
            &row.made_by,
        ];
        self.tx.execute(put, values).await.map(drop)
    }

    /// The tenant's assignment with this id, as this change sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignment(
        &mut self,
        tenant_id: &str,
        id: &str,
    ) -> Result<Option<AssignmentRow>, StoreError> {
        let rows = self.tx.fetch(ONE, args![tenant_id, id]).await?;
        rows.first().map(from_row).transpose()
    }

    /// What a subject holds or has passed on in one pack, and is not over: pending and active ones.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignments_about(
        &mut self,
        tenant_id: &str,
        pack: &str,
        (type_name, id): (&str, &str),
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        let select = "SELECT * FROM role_assignments WHERE tenant_id = $1 AND pack = $2 \
             AND status IN ('pending', 'active') AND ((subject_type = $3 AND subject_id = $4) \
             OR (delegated_by_type = $3 AND delegated_by_id = $4)) ORDER BY id";
        let rows = self.tx.fetch(select, args![tenant_id, pack, type_name, id]).await?;
        rows.iter().map(from_row).collect()
    }

    /// The assignments of one role that are not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignments_of_role(
        &mut self,
        tenant_id: &str,
        pack: &str,
        (type_name, id): (&str, &str),
    ) -> Result<Vec<AssignmentRow>, StoreError> {
        let select = "SELECT * FROM role_assignments WHERE tenant_id = $1 AND pack = $2 AND role_type = $3 \
             AND role_id = $4 AND status IN ('pending', 'active') ORDER BY id";
        let rows = self.tx.fetch(select, args![tenant_id, pack, type_name, id]).await?;
        rows.iter().map(from_row).collect()
    }
}

const ONE: &str = "SELECT * FROM role_assignments WHERE tenant_id = $1 AND id = $2";

impl Store {
    /// The tenant's assignment with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignment(&self, tenant_id: &str, id: &str) -> Result<Option<AssignmentRow>, StoreError> {
        let rows = self.pool.fetch(ONE, args![tenant_id, id]).await?;
        rows.first().map(from_row).transpose()
    }

    /// One page of assignments, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assignments(&self, page: &AssignmentPage<'_>) -> Result<Vec<AssignmentRow>, StoreError> {
        let (subject_type, subject_id) = page.subject.unzip();
        let (role_type, role_id) = page.role.unzip();
        let select = "SELECT * FROM role_assignments WHERE tenant_id = $1 AND id > $2 \
             AND (CAST($3 AS TEXT) IS NULL OR pack = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR (subject_type = $4 AND subject_id = $5)) \
             AND (CAST($6 AS TEXT) IS NULL OR (role_type = $6 AND role_id = $7)) \
             AND (CAST($8 AS TEXT) IS NULL OR status = $8) ORDER BY id LIMIT $9";
        let values = args![
            page.tenant_id,
            page.after,
            page.pack,
            subject_type,
            subject_id,
            role_type,
            role_id,
            page.status,
            page.limit,
        ];
        let rows = self.pool.fetch(select, values).await?;
        rows.iter().map(from_row).collect()
    }
}

pub(super) fn halves(pair: Option<&(String, String)>) -> (Option<&str>, Option<&str>) {
    pair.map(|(first, second)| (first.as_str(), second.as_str())).unzip()
}

pub(super) fn pair(
    row: &Row,
    first: &'static str,
    second: &'static str,
) -> Result<Option<(String, String)>, StoreError> {
    Ok(row.optional_text(first)?.zip(row.optional_text(second)?))
}

pub(super) fn from_row(row: &Row) -> Result<AssignmentRow, StoreError> {
    Ok(AssignmentRow {
        id: row.text("id")?,
        tenant_id: row.text("tenant_id")?,
        pack: row.text("pack")?,
        subject_kind: row.text("subject_kind")?,
        subject: (row.text("subject_type")?, row.text("subject_id")?),
        role: (row.text("role_type")?, row.text("role_id")?),
        scope: row.text("scope")?,
        scope_on: pair(row, "scope_type", "scope_id")?,
        starts_at: row.optional_instant("starts_at")?,
        ends_at: row.optional_instant("ends_at")?,
        delegated_by: pair(row, "delegated_by_type", "delegated_by_id")?,
        reason: row.optional_text("reason")?,
        status: row.text("status")?,
        requested_by: row.text("requested_by")?,
        made_by: row.text("made_by")?,
        decided_by: row.optional_text("decided_by")?,
        decided_at: row.optional_instant("decided_at")?,
        elevation_id: row.optional_text("elevation_id")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
        version: row.unsigned("version")?,
    })
}

//! Elevations: roles for a while, asked for and approved.

use super::assignments::{halves, pair};
use super::pool::{Row, args};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// One elevation as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElevationRow {
    /// `elv_…`.
    pub id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// Its pack.
    pub pack: String,
    /// `user`, `service` or `device`.
    pub subject_kind: String,
    /// Who is to have the role: a Cedar type and an id.
    pub subject: (String, String),
    /// The role: a Cedar type and an id.
    pub role: (String, String),
    /// `tenant`, `resource` or `resource_tree`.
    pub scope: String,
    /// The resource of the scope, unless it is the whole tenant.
    pub scope_on: Option<(String, String)>,
    /// Why.
    pub reason: String,
    /// For how long, from the approval on, in microseconds.
    pub duration_us: i64,
    /// Whether it took the role at once, with an alert.
    pub break_glass: bool,
    /// `requested`, `active`, `denied` or `ended`.
    pub status: String,
    /// Who asked, as `caller:clr_…` or `user:alice`.
    pub requested_by: String,
    /// Which caller made it, as `caller:clr_…`.
    pub made_by: String,
    /// Who approved, denied or ended it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The assignment that it became.
    pub assignment_id: Option<String>,
    /// When it is over by itself.
    pub ends_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The number of its last change.
    pub version: u64,
}

/// Which elevations of a tenant, and after which.
#[derive(Clone, Copy, Debug)]
pub struct ElevationPage<'a> {
    /// Their tenant.
    pub tenant_id: &'a str,
    /// Only of this pack.
    pub pack: Option<&'a str>,
    /// Only with this status, as of this instant: an active one whose time is over has ended.
    pub status: Option<(&'a str, Timestamp)>,
    /// What follows this id.
    pub after: &'a str,
    /// At most so many.
    pub limit: i64,
}

impl Writing {
    /// Writes an elevation whole: a new one, or in the place of the old. Its version is this change's number.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn put_elevation(&mut self, row: &ElevationRow) -> Result<(), StoreError> {
        let put = "INSERT INTO elevations (id, tenant_id, pack, subject_kind, subject_type, subject_id, role_type, \
             role_id, scope, scope_type, scope_id, reason, duration_us, break_glass, status, requested_by, \
             decided_by, decided_at, assignment_id, ends_at, created_at, updated_at, version, made_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
             $21, $22, $23, $24) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, decided_by = excluded.decided_by, \
             decided_at = excluded.decided_at, assignment_id = excluded.assignment_id, \
             ends_at = excluded.ends_at, updated_at = excluded.updated_at, version = excluded.version";
        let (subject, role) = (&row.subject, &row.role);
        let (scope_type, scope_id) = halves(row.scope_on.as_ref());
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
            &row.reason,
            row.duration_us,
            i64::from(row.break_glass),
            &row.status,
            &row.requested_by,
            &row.decided_by,
            row.decided_at,
            &row.assignment_id,
            row.ends_at,
            row.created_at,
            row.updated_at,
            self.sequence(),
            &row.made_by,
        ];
        self.tx.execute(put, values).await.map(drop)
    }

    /// The tenant's elevation with this id, as this change sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn elevation(&mut self, tenant_id: &str, id: &str) -> Result<Option<ElevationRow>, StoreError> {
        let rows = self.tx.fetch(ONE, args![tenant_id, id]).await?;
        rows.first().map(from_row).transpose()
    }

    /// A subject's elevations in one pack that are not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn elevations_of(
        &mut self,
        tenant_id: &str,
        pack: &str,
        (type_name, id): (&str, &str),
    ) -> Result<Vec<ElevationRow>, StoreError> {
        let select = "SELECT * FROM elevations WHERE tenant_id = $1 AND pack = $2 AND subject_type = $3 \
             AND subject_id = $4 AND status IN ('requested', 'active') ORDER BY id";
        let rows = self.tx.fetch(select, args![tenant_id, pack, type_name, id]).await?;
        rows.iter().map(from_row).collect()
    }
}

const ONE: &str = "SELECT * FROM elevations WHERE tenant_id = $1 AND id = $2";

impl Store {
    /// The tenant's elevation with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn elevation(&self, tenant_id: &str, id: &str) -> Result<Option<ElevationRow>, StoreError> {
        let rows = self.pool.fetch(ONE, args![tenant_id, id]).await?;
        rows.first().map(from_row).transpose()
    }

    /// One page of elevations, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn elevations(&self, page: &ElevationPage<'_>) -> Result<Vec<ElevationRow>, StoreError> {
        let select = "SELECT * FROM elevations WHERE tenant_id = $1 AND id > $2 \
             AND (CAST($3 AS TEXT) IS NULL OR pack = $3) AND (CAST($4 AS TEXT) IS NULL OR $4 = \
             CASE WHEN status = 'active' AND ends_at <= CAST($5 AS BIGINT) THEN 'ended' ELSE status END) \
             ORDER BY id LIMIT $6";
        let (status, now) = page.status.unzip();
        let values = args![page.tenant_id, page.after, page.pack, status, now, page.limit];
        let rows = self.pool.fetch(select, values).await?;
        rows.iter().map(from_row).collect()
    }
}

fn from_row(row: &Row) -> Result<ElevationRow, StoreError> {
    Ok(ElevationRow {
        id: row.text("id")?,
        tenant_id: row.text("tenant_id")?,
        pack: row.text("pack")?,
        subject_kind: row.text("subject_kind")?,
        subject: (row.text("subject_type")?, row.text("subject_id")?),
        role: (row.text("role_type")?, row.text("role_id")?),
        scope: row.text("scope")?,
        scope_on: pair(row, "scope_type", "scope_id")?,
        reason: row.text("reason")?,
        duration_us: row.int("duration_us")?,
        break_glass: row.int("break_glass")? != 0,
        status: row.text("status")?,
        requested_by: row.text("requested_by")?,
        made_by: row.text("made_by")?,
        decided_by: row.optional_text("decided_by")?,
        decided_at: row.optional_instant("decided_at")?,
        assignment_id: row.optional_text("assignment_id")?,
        ends_at: row.optional_instant("ends_at")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
        version: row.unsigned("version")?,
    })
}

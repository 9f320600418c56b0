//! The bodies of `/v1/role-assignments`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::ApiError;
use super::super::parties::{PartyBody, ScopeBody, shown, time};
use crate::administration::assignments::{self, NewAssignment, SUBJECTS};
use crate::administration::grant::{CALLER, Party, Wish};
use crate::administration::{AdminError, type_of};
use crate::entity::{Kind, Named};
use crate::policy::{Pack, Snapshot};
use crate::store::assignments::AssignmentRow;

/// Which assignments.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AssignmentsQuery {
    /// The pack; by default as for decisions. Here it may be `portcullis`, too.
    pub(in crate::http) pack: Option<String>,
    /// The type of who has the role; with `principal_id`.
    principal_type: Option<String>,
    /// The id of who has the role; with `principal_type`.
    principal_id: Option<String>,
    /// The role's id.
    role: Option<String>,
    /// Only with this status.
    pub(in crate::http) status: Option<AssignmentStatus>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub(in crate::http) limit: Option<usize>,
    /// `next` of the page before.
    pub(in crate::http) cursor: Option<String>,
}

/// Whether an assignment counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum AssignmentStatus {
    /// It waits for an approval.
    Pending,
    /// It counts, within its time.
    Active,
    /// It was not approved.
    Denied,
    /// It was taken away.
    Revoked,
}

impl AssignmentStatus {
    pub(in crate::http) fn name(self) -> &'static str {
        match self {
            Self::Pending => assignments::PENDING,
            Self::Active => assignments::ACTIVE,
            Self::Denied => assignments::DENIED,
            Self::Revoked => assignments::REVOKED,
        }
    }
}

/// A role to give.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AssignmentRequest {
    /// Who gets it: a user, service, device or group; in the pack `portcullis` a caller.
    principal: PartyBody,
    /// The role's id.
    pub(in crate::http) role: String,
    /// Where it counts; by default everywhere in the tenant.
    #[serde(default)]
    scope: ScopeBody,
    /// From when on it counts (RFC 3339); at once without.
    #[serde(default)]
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// From when on it counts no more (RFC 3339); never without.
    #[serde(default)]
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// Why, in at most 1,000 characters.
    #[serde(default)]
    reason: Option<String>,
    /// Whose role it is a part of: it counts only while they have the role themselves.
    #[serde(default)]
    delegated_by: Option<PartyBody>,
    /// Who asks, if it is not the caller itself: the application vouches for them.
    #[serde(default)]
    pub(in crate::http) requested_by: Option<PartyBody>,
}

/// Who decides.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DecideRequest {
    /// Who approves or denies, if it is not the caller itself: the application vouches for them, and the pack must
    /// permit it.
    #[serde(default)]
    pub(in crate::http) approver: Option<PartyBody>,
}

/// A role assignment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AssignmentResponse {
    /// `ras_…`.
    id: String,
    /// Its pack.
    pack: String,
    /// Who has the role.
    principal: PartyBody,
    /// The role's id.
    role: String,
    /// Where it counts.
    scope: ScopeBody,
    /// From when on it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    /// From when on it counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whose role it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegated_by: Option<PartyBody>,
    /// `pending`, `active`, `denied` or `revoked`.
    #[schema(value_type = AssignmentStatus)]
    status: String,
    /// Who asked for it.
    requested_by: PartyBody,
    /// Who approved, denied or revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<PartyBody>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    /// The elevation that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    elevation_id: Option<String>,
    /// When it was made.
    created_at: String,
    /// The number of its last change.
    version: u64,
}

/// A page of assignments, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AssignmentsResponse {
    /// The assignments.
    pub(in crate::http) items: Vec<AssignmentResponse>,
    /// The cursor of the next page; null at the end.
    pub(in crate::http) next: Option<String>,
}

impl AssignmentResponse {
    pub(in crate::http) fn of_row(snapshot: &Snapshot, row: AssignmentRow) -> Self {
        let delegated_by = row.delegated_by.as_ref();
        Self {
            delegated_by: delegated_by.map(|named| PartyBody::of_named(snapshot, &row.pack, named)),
            id: row.id,
            pack: row.pack,
            principal: PartyBody { kind: row.subject_kind, id: row.subject.1 },
            role: row.role.1,
            scope: ScopeBody::of_row(&row.scope, row.scope_on.as_ref()),
            starts_at: row.starts_at.map(shown),
            ends_at: row.ends_at.map(shown),
            reason: row.reason,
            status: row.status,
            requested_by: PartyBody::of_text(&row.requested_by),
            decided_by: row.decided_by.as_deref().map(PartyBody::of_text),
            decided_at: row.decided_at.map(shown),
            elevation_id: row.elevation_id,
            created_at: shown(row.created_at),
            version: row.version,
        }
    }

    pub(in crate::http) fn body(snapshot: &Snapshot, row: AssignmentRow) -> Value {
        serde_json::to_value(Self::of_row(snapshot, row)).unwrap_or_default()
    }
}

impl AssignmentRequest {
    /// As it is known inside.
    ///
    /// # Errors
    /// When a time is none, or the scope is not whole.
    pub(in crate::http) fn into_new(
        self,
        id: String,
        requested_by: Party,
    ) -> Result<NewAssignment, ApiError> {
        Ok(NewAssignment {
            id,
            wish: Wish { principal: self.principal.party(), role: self.role, place: self.scope.place()? },
            starts_at: time("starts_at", self.starts_at.as_ref())?,
            ends_at: time("ends_at", self.ends_at.as_ref())?,
            reason: self.reason,
            delegated_by: self.delegated_by.map(|party| party.party()),
            requested_by,
        })
    }
}

impl AssignmentsQuery {
    /// What a cursor is tied to, besides tenant and pack.
    pub(in crate::http) fn parameters(&self) -> [&str; 4] {
        let status = self.status.map_or("", AssignmentStatus::name);
        [
            self.principal_type.as_deref().unwrap_or_default(),
            self.principal_id.as_deref().unwrap_or_default(),
            self.role.as_deref().unwrap_or_default(),
            status,
        ]
    }

    /// Whose, and which role's, as Cedar names them.
    pub(in crate::http) fn filters(
        &self,
        pack: &Arc<Pack>,
    ) -> Result<(Option<Named>, Option<Named>), ApiError> {
        let subject = match (&self.principal_type, &self.principal_id) {
            (None, None) => None,
            (Some(kind), Some(id)) if kind == CALLER || SUBJECTS.contains(&kind.as_str()) => {
                Some((type_of(pack, kind)?, id.clone()))
            }
            (Some(_), Some(_)) => {
                let kinds = SUBJECTS.join(", ");
                return Err(ApiError::InvalidRequest(format!(
                    "`principal_type` must be one of {kinds}, {CALLER}"
                )));
            }
            _ => {
                let message = "`principal_type` and `principal_id` go together";
                return Err(ApiError::InvalidRequest(message.into()));
            }
        };
        let role =
            self.role.as_ref().map(|id| Ok::<_, AdminError>((type_of(pack, Kind::Role.name())?, id.clone())));
        Ok((subject, role.transpose()?))
    }
}

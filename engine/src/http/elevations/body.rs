//! The bodies of `/v1/elevations`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::ApiError;
use super::super::parties::{PartyBody, ScopeBody, shown};
use crate::administration::elevations::{self, NewElevation};
use crate::administration::grant::{Party, Wish};
use crate::clock::Timestamp;
use crate::store::elevations::ElevationRow;

/// Which elevations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ElevationsQuery {
    /// The pack; by default as for decisions.
    pub(in crate::http) pack: Option<String>,
    /// Only with this status.
    pub(in crate::http) status: Option<ElevationStatus>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub(in crate::http) limit: Option<usize>,
    /// `next` of the page before.
    pub(in crate::http) cursor: Option<String>,
}

/// Whether an elevation is in force.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum ElevationStatus {
    /// It waits for an approval.
    Requested,
    /// It is in force.
    Active,
    /// It was not approved.
    Denied,
    /// It is over: its time is, or somebody ended it.
    Ended,
}

impl ElevationStatus {
    pub(in crate::http) fn name(self) -> &'static str {
        match self {
            Self::Requested => elevations::REQUESTED,
            Self::Active => elevations::ACTIVE,
            Self::Denied => elevations::DENIED,
            Self::Ended => elevations::ENDED,
        }
    }
}

/// A role to have for a while.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ElevationRequest {
    /// Who is to have it: a user, service or device.
    principal: PartyBody,
    /// The role's id.
    role: String,
    /// Where it is to count; by default everywhere in the tenant.
    #[serde(default)]
    scope: ScopeBody,
    /// Why, in 1 to 1,000 characters.
    reason: String,
    /// For how long, from the approval on: 1 to 604,800.
    duration_seconds: i64,
    /// Whether it is taken at once, without an approval: the pack must permit it, and it is reported.
    #[serde(default)]
    pub(in crate::http) break_glass: bool,
    /// Who asks, if it is not the caller itself: the application vouches for them.
    #[serde(default)]
    pub(in crate::http) requested_by: Option<PartyBody>,
}

impl ElevationRequest {
    /// As it is known inside.
    ///
    /// # Errors
    /// When the scope is not whole.
    pub(in crate::http) fn into_new(
        self,
        id: String,
        (requested_by, made_by): (Party, String),
    ) -> Result<NewElevation, ApiError> {
        Ok(NewElevation {
            id,
            wish: Wish { principal: self.principal.party(), role: self.role, place: self.scope.place()? },
            reason: self.reason,
            seconds: self.duration_seconds,
            requested_by,
            made_by,
        })
    }
}

/// Why an elevation is ended.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EndRequest {
    /// Why, in 1 to 1,000 characters: for the decision log.
    #[serde(default)]
    pub(in crate::http) reason: Option<String>,
}

/// An elevation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ElevationResponse {
    /// `elv_…`.
    id: String,
    /// Its pack.
    pack: String,
    /// Who is to have the role.
    principal: PartyBody,
    /// The role's id.
    role: String,
    /// Where it counts.
    scope: ScopeBody,
    /// Why.
    reason: String,
    /// For how long, from the approval on.
    duration_seconds: i64,
    /// Whether it was taken at once, without an approval.
    break_glass: bool,
    /// `requested`, `active`, `denied` or `ended`.
    #[schema(value_type = ElevationStatus)]
    status: String,
    /// Who asked for it.
    requested_by: PartyBody,
    /// Who approved, denied or ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<PartyBody>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    /// The role assignment that it is in force by.
    #[serde(skip_serializing_if = "Option::is_none")]
    role_assignment_id: Option<String>,
    /// When it is over by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// When it was asked for.
    created_at: String,
    /// The number of its last change.
    version: u64,
}

/// A page of elevations, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ElevationsResponse {
    /// The elevations.
    pub(in crate::http) items: Vec<ElevationResponse>,
    /// The cursor of the next page; null at the end.
    pub(in crate::http) next: Option<String>,
}

impl ElevationResponse {
    pub(in crate::http) fn of_row(row: ElevationRow, now: Timestamp) -> Self {
        Self {
            status: elevations::shown_status(&row, now).to_owned(),
            id: row.id,
            pack: row.pack,
            principal: PartyBody { kind: row.subject_kind, id: row.subject.1 },
            role: row.role.1,
            scope: ScopeBody::of_row(&row.scope, row.scope_on.as_ref()),
            reason: row.reason,
            duration_seconds: row.duration_us / 1_000_000,
            break_glass: row.break_glass,
            requested_by: PartyBody::of_text(&row.requested_by),
            decided_by: row.decided_by.as_deref().map(PartyBody::of_text),
            decided_at: row.decided_at.map(shown),
            role_assignment_id: row.assignment_id,
            ends_at: row.ends_at.map(shown),
            created_at: shown(row.created_at),
            version: row.version,
        }
    }

    pub(in crate::http) fn body(row: ElevationRow, now: Timestamp) -> Value {
        serde_json::to_value(Self::of_row(row, now)).unwrap_or_default()
    }
}

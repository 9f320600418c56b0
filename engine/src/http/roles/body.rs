//! The bodies of `/v1/roles`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::parties::shown;
use crate::administration::roles::{RoleOfPack, RoleSpec};
use crate::administration::value;
use crate::entity::RoleSettings;
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// Which roles.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct RolesQuery {
    /// The pack; by default as for decisions.
    pub(in crate::http) pack: Option<String>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub(in crate::http) limit: Option<usize>,
    /// `next` of the page before.
    pub(in crate::http) cursor: Option<String>,
}

/// What a role is to be.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RoleRequest {
    /// What policies may read of it, in Cedar's form of entities.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The ids of the roles that it inherits: whoever has it has these as well.
    #[serde(default)]
    inherits: Vec<String>,
    /// The ids of roles that nobody may have together with it.
    #[serde(default)]
    exclusive_with: Vec<String>,
    /// Whether it is only given with a reason.
    #[serde(default)]
    requires_reason: bool,
    /// Whether another must approve that it is given.
    #[serde(default)]
    requires_approval: bool,
    /// How long it is given at most, in seconds.
    #[serde(default)]
    max_duration_seconds: Option<i64>,
}

/// A new role. The members are those of [`RoleRequest`], and its id.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateRoleRequest {
    /// The role's id: the application's own.
    pub(in crate::http) id: String,
    /// What policies may read of it, in Cedar's form of entities.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The ids of the roles that it inherits: whoever has it has these as well.
    #[serde(default)]
    inherits: Vec<String>,
    /// The ids of roles that nobody may have together with it.
    #[serde(default)]
    exclusive_with: Vec<String>,
    /// Whether it is only given with a reason.
    #[serde(default)]
    requires_reason: bool,
    /// Whether another must approve that it is given.
    #[serde(default)]
    requires_approval: bool,
    /// How long it is given at most, in seconds.
    #[serde(default)]
    max_duration_seconds: Option<i64>,
}

impl CreateRoleRequest {
    pub(in crate::http) fn parts(self) -> (String, RoleRequest) {
        let request = RoleRequest {
            attributes: self.attributes,
            inherits: self.inherits,
            exclusive_with: self.exclusive_with,
            requires_reason: self.requires_reason,
            requires_approval: self.requires_approval,
            max_duration_seconds: self.max_duration_seconds,
        };
        (self.id, request)
    }
}

impl RoleRequest {
    pub(in crate::http) fn spec(self) -> RoleSpec {
        RoleSpec {
            attributes: self.attributes,
            inherits: self.inherits,
            settings: RoleSettings {
                exclusive_with: self.exclusive_with,
                requires_reason: self.requires_reason,
                requires_approval: self.requires_approval,
                max_seconds: self.max_duration_seconds,
            },
        }
    }
}

/// Where a role is kept.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum RoleSource {
    /// In the store.
    Store,
    /// In the pack's own files: it is changed there.
    Pack,
}

/// A role.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct RoleResponse {
    /// Its id.
    pub(in crate::http) id: String,
    /// Its pack.
    pack: String,
    /// `store`, or `pack`: of the pack's own files, and only read here.
    source: RoleSource,
    /// What policies may read of it.
    #[schema(value_type = Object)]
    attributes: Value,
    /// The ids of the roles that it inherits.
    inherits: Vec<String>,
    /// The ids of roles that nobody may have together with it.
    exclusive_with: Vec<String>,
    /// Whether it is only given with a reason.
    requires_reason: bool,
    /// Whether another must approve that it is given.
    requires_approval: bool,
    /// How long it is given at most, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_seconds: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// The number of its last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// A page of roles, by id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct RolesResponse {
    /// The roles.
    pub(in crate::http) items: Vec<RoleResponse>,
    /// The cursor of the next page; null at the end.
    pub(in crate::http) next: Option<String>,
}

impl RoleResponse {
    pub(in crate::http) fn of_row(row: EntityRow) -> Self {
        let settings: RoleSettings = serde_json::from_str(&row.settings).unwrap_or_default();
        let parents = value::parents(&row.parents).into_iter();
        Self {
            id: row.id,
            pack: row.pack,
            source: RoleSource::Store,
            attributes: value::shown(&row.attributes),
            inherits: parents.filter(|(of, _)| *of == row.type_name).map(|(_, id)| id).collect(),
            exclusive_with: settings.exclusive_with,
            requires_reason: settings.requires_reason,
            requires_approval: settings.requires_approval,
            max_duration_seconds: settings.max_seconds,
            created_at: Some(shown(row.created_at)),
            updated_at: Some(shown(row.updated_at)),
            version: Some(row.version),
        }
    }

    pub(in crate::http) fn of_pack(pack: &Pack, role: RoleOfPack) -> Self {
        Self {
            id: role.id,
            pack: pack.name().to_owned(),
            source: RoleSource::Pack,
            attributes: role.attributes,
            inherits: role.inherits,
            exclusive_with: Vec::new(),
            requires_reason: false,
            requires_approval: false,
            max_duration_seconds: None,
            created_at: None,
            updated_at: None,
            version: None,
        }
    }

    pub(in crate::http) fn into_body(self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

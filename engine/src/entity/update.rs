//! What changes entities in memory: the store's rows, as they are told.
//!
//! Attributes and tags come as JSON objects in Cedar's entity form (`__entity` and `__extn` name entities and
//! extension values), validated and normalised before they were stored.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What an entity of the store is to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person.
    User,
    /// A program.
    Service,
    /// A machine.
    Device,
    /// What principals belong to.
    Group,
    /// What principals and groups are assigned.
    Role,
    /// A resource, or anything else.
    Entity,
}

impl Kind {
    /// The kinds that can be asked about as principals, locked and disabled.
    pub const PRINCIPALS: [Self; 3] = [Self::User, Self::Service, Self::Device];
    /// The kinds that packs map to types of theirs.
    pub const NAMED: [Self; 5] = [Self::User, Self::Service, Self::Device, Self::Group, Self::Role];
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Service, Self::Device, Self::Group, Self::Role, Self::Entity];

    /// The name that the API and the store have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Device => "device",
            Self::Group => "group",
            Self::Role => "role",
            Self::Entity => "entity",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it can be asked about as a principal, locked and disabled.
    pub fn is_principal(self) -> bool {
        Self::PRINCIPALS.contains(&self)
    }
}

/// Whether a principal may do anything at all. The strictest last.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As policies say.
    #[default]
    Active,
    /// Not now: it may come back by itself or by an administrator.
    Locked,
    /// Not any more.
    Disabled,
}

impl Status {
    /// The name that the API and the store have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
        }
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Locked, Self::Disabled].into_iter().find(|status| status.name() == name)
    }
}

/// What a role asks of its assignments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleSettings {
    /// The ids of roles that nobody may have together with this one.
    pub exclusive_with: Vec<String>,
    /// Whether an assignment says why.
    pub requires_reason: bool,
    /// Whether another person approves.
    pub requires_approval: bool,
    /// How long an assignment may last at most.
    pub max_seconds: Option<i64>,
}

/// An entity's Cedar type name and id.
pub type Named = (String, String);

/// Where an assignment counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere in the tenant.
    Tenant,
    /// For this resource (type, id) alone.
    Resource(String, String),
    /// For this resource (type, id) and all that is in it.
    ResourceTree(String, String),
}

/// A row of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityUpdate {
    /// Whose it is.
    pub tenant: String,
    /// Which pack's.
    pub pack: String,
    /// Its Cedar type name.
    pub entity_type: String,
    /// Its id within the type.
    pub id: String,
    /// What it is to the API.
    pub kind: Kind,
    /// A JSON object in Cedar's entity form.
    pub attributes: String,
    /// Likewise.
    pub tags: String,
    /// What it is in; for a role, what it inherits.
    pub parents: Vec<Named>,
    /// Whether it may do anything at all.
    pub status: Status,
    /// Of a role.
    pub settings: RoleSettings,
    /// The sequence number of the change that made it so.
    pub version: u64,
}

/// A row of a role assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentUpdate {
    /// Whose it is.
    pub tenant: String,
    /// Which pack's.
    pub pack: String,
    /// Its id.
    pub id: String,
    /// Who has the role: a principal or a group.
    pub subject: Named,
    /// Which role.
    pub role: Named,
    /// Where it counts.
    pub scope: Scope,
    /// From when on it counts; none is always.
    pub starts_at: Option<Timestamp>,
    /// From when on it counts no more; none is never.
    pub ends_at: Option<Timestamp>,
    /// Who passed its own role on, if somebody did.
    pub delegated_by: Option<Named>,
    /// The sequence number of the change that made it so.
    pub version: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// An entity is new or different.
    Entity(EntityUpdate),
    /// An entity was deleted. A principal that was locked or disabled counts as such until it is made anew.
    EntityGone {
        /// Whose it was.
        tenant: String,
        /// Which pack's.
        pack: String,
        /// Its Cedar type name.
        entity_type: String,
        /// Its id within the type.
        id: String,
        /// What it was to the API.
        kind: Kind,
        /// Whether it could do anything at all.
        status: Status,
        /// The sequence number of its deletion.
        version: u64,
    },
    /// An assignment is new or different.
    Assignment(AssignmentUpdate),
    /// An assignment was deleted.
    AssignmentGone {
        /// Whose it was.
        tenant: String,
        /// Which pack's.
        pack: String,
        /// Its id.
        id: String,
        /// The sequence number of its deletion.
        version: u64,
    },
}

//! What administrators change: principals, groups, roles, who has which, and entities.
//!
//! Promises: what a change would break is checked in the change itself, where nothing else moves; a change is made whole
//! or not at all. Must never: know HTTP or SQL.

use std::sync::Arc;

use crate::app::ChangeError;
use crate::policy::Pack;

pub mod approval;
pub mod assignments;
mod duties;
pub mod elevations;
pub mod ending;
pub mod entities;
pub mod export;
pub mod grant;
pub mod groups;
pub mod import;
pub mod principals;
pub mod revisions;
pub mod roles;
pub mod shown;
pub mod tenancy;
#[cfg(test)]
mod tests;
pub mod value;

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is nothing of that name in the caller's tenant.
    #[error("there is no {kind} `{id}`")]
    Missing {
        /// `principal`, `group`, …
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The id is taken.
    #[error("the {kind} `{id}` exists already")]
    AlreadyExists {
        /// `principal`, `group`, …
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Somebody changed it meanwhile.
    #[error("it is at version {present} now: read it again, and decide anew")]
    VersionDiffers {
        /// The version that it has.
        present: u64,
    },
    /// A member of the request names what is not there.
    #[error("`{field}`: there is no {kind} `{id}`")]
    UnknownReference {
        /// Which member.
        field: String,
        /// `principal`, `group`, …
        kind: &'static str,
        /// What it names.
        id: String,
    },
    /// The pack can't say that type.
    #[error(
        "the pack `{pack}` has no entity type for `{name}`: declare it in its schema, and if it is named otherwise there, map it under `[types]` in its pack.toml (`{name} = \"…\"`)"
    )]
    UnknownType {
        /// Which pack.
        pack: String,
        /// `role`, `group`, `user` or a type's name.
        name: String,
    },
    /// Attributes, tags or parents do not fit the schema.
    #[error("{0}")]
    AttributesInvalid(String),
    /// A member has no value that it can have.
    #[error("`{field}` {message}")]
    Invalid {
        /// Which member.
        field: String,
        /// What it must be.
        message: String,
    },
    /// A role would inherit itself.
    #[error("a role would inherit itself: {}", .0.join(" → "))]
    RoleCycle(Vec<String>),
    /// An entity would be in itself.
    #[error("an entity would be in itself: {}", .0.join(" → "))]
    ParentCycle(Vec<String>),
    /// Two roles that exclude each other would come together.
    #[error("`{principal}` would have the roles `{first}` and `{second}`, which exclude each other")]
    SeparationOfDuties {
        /// Who.
        principal: String,
        /// One role.
        first: String,
        /// The other.
        second: String,
    },
    /// A delegated role must be a part of what the delegator holds.
    #[error(
        "`{delegator}` does not hold the role `{role}` in that scope for all of that time: what is delegated can only be less"
    )]
    WiderThanDelegated {
        /// Who delegates.
        delegator: String,
        /// What.
        role: String,
    },
    /// Nobody gives what they do not hold.
    #[error("who gives the role `{0}` must hold it for all of that time")]
    NotHeld(String),
    /// Two must agree.
    #[error("who approves must be another than who asked and than who gets the role")]
    ApprovalBySame,
    /// The pack does not let that principal approve.
    #[error("the pack does not permit `{approver}` the action `{action}` on the role `{role}`")]
    ApproverNotPermitted {
        /// Who.
        approver: String,
        /// `approve_role`, `approve_elevation` or `break_glass`.
        action: &'static str,
        /// Which role.
        role: String,
    },
    /// The role wants to know why.
    #[error("the role `{0}` is only given with a `reason`")]
    ReasonRequired(String),
    /// The files of the pack say what it is.
    #[error("`{0}` is an entity of the pack's own files: change it there")]
    EntityOfPack(String),
    /// Roles are not given by parents.
    #[error("`{0}` is a role: roles are given by role assignments, and inherited by `/v1/roles`")]
    RoleByParent(String),
    /// Another resource keeps that kind of thing.
    #[error("that is a {kind}: it is kept under `{path}`")]
    ManagedElsewhere {
        /// `principal`, `group` or `role`.
        kind: &'static str,
        /// Where.
        path: &'static str,
    },
    /// Something depends on it.
    #[error("`{id}` is in use: {by}")]
    InUse {
        /// What.
        id: String,
        /// By what.
        by: String,
    },
    /// It is over, or decided already.
    #[error("it is `{0}` already")]
    WrongStatus(String),
    /// Two principals have that id.
    #[error("`{0}` is the id of several principals: say which with `?type=`")]
    TypeRequired(String),
    /// The store failed, or nodes can't be told.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// The Cedar type that a pack has for a name of the API.
///
/// # Errors
/// When it has none; with a schema, only what is declared there counts.
pub fn type_of(pack: &Arc<Pack>, name: &str) -> Result<String, AdminError> {
    let unknown = || AdminError::UnknownType { pack: pack.name().to_owned(), name: name.to_owned() };
    let found = pack.entity_type(name).filter(|found| !found.is_action()).ok_or_else(unknown)?;
    let text = found.to_string();
    let declared =
        |schema: &cedar_policy::Schema| schema.entity_types().any(|known| known.to_string() == text);
    if pack.schema.as_ref().is_none_or(declared) { Ok(text) } else { Err(unknown()) }
}

/// The most bytes of an id.
const ID_BYTES: usize = 512;

/// An id that the application chose.
///
/// # Errors
/// When it is empty, too long, or has control characters.
pub fn check_id(field: &str, id: &str) -> Result<(), AdminError> {
    if (1..=ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(AdminError::Invalid {
        field: field.to_owned(),
        message: format!("must have from 1 to {ID_BYTES} bytes and no control characters"),
    })
}

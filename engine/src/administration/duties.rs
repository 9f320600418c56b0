//! What roles and assignments must not come to, over all that a tenant has in a pack: roles that exclude each other, and
//! roles given by those who do not have them.
//!
//! Promises: it is judged by the data as the change will leave it. Must never: let through what can't be read.

use cedar_policy_core::ast::EntityUID;

use super::AdminError;
use super::grant::{Ground, uid_of};
use crate::app::Changing;
use crate::entity::assignment::{ALWAYS, NEVER, Place};
use crate::entity::exclusion::{Conflict, new_conflict};
use crate::entity::holding::{Claim, holds, may_pass_on};
use crate::entity::{Data, Named, Unreadable, Update, Window};
use crate::policy::Pack;
use crate::store::assignments::AssignmentRow;

/// Whether the change of a role brings nobody two that exclude each other.
///
/// # Errors
/// When it does.
pub(super) fn check_role(ground: &Ground, after: &Data, role: &Named) -> Result<(), AdminError> {
    let role = uid_of(role).ok_or_else(unreadable)?;
    let before = &ground.snapshot.data;
    let facts = |data| ground.pack.facts(data, &ground.tenant, ground.now);
    // What nobody has brings nobody anything.
    refuse(new_conflict(facts(before), facts(after), Some(&role)))
}

/// The same of an assignment, as if it were in force already.
///
/// # Errors
/// When it does, or the row can't be read.
pub(super) fn check_assignment(ground: &Ground, row: &AssignmentRow) -> Result<(), AdminError> {
    let row = AssignmentRow { status: super::assignments::ACTIVE.to_owned(), ..row.clone() };
    let subject = uid_of(&row.subject).ok_or_else(unreadable)?;
    let update = Update::try_from(row).map_err(crate::app::ChangeError::from)?;
    let before = &ground.snapshot.data;
    let after = before.apply([update]);
    let facts = |data| ground.pack.facts(data, &ground.tenant, ground.now);
    refuse(new_conflict(facts(before), facts(&after), Some(&subject)))
}

/// The same of an entity that has become a part of more than it was.
///
/// # Errors
/// When it does.
pub(super) fn check_parents(
    changing: &Changing<'_>,
    pack: &Pack,
    changed: &EntityUID,
) -> Result<(), AdminError> {
    let (before, after) = (&changing.snapshot().data, changing.data_after());
    let facts = |data| pack.facts(data, changing.tenant(), changing.now());
    refuse(new_conflict(facts(before), facts(&after), Some(changed)))
}

/// What is said of two roles that would come together.
///
/// # Errors
/// When they would.
pub(super) fn refuse(found: Result<Option<Conflict>, Unreadable>) -> Result<(), AdminError> {
    let Some(conflict) = found.map_err(|_| unreadable())? else { return Ok(()) };
    let id = |uid: &EntityUID| AsRef::<str>::as_ref(uid.eid()).to_owned();
    Err(AdminError::SeparationOfDuties {
        principal: id(&conflict.principal),
        first: id(&conflict.first),
        second: id(&conflict.second),
    })
}

fn unreadable() -> AdminError {
    let corrupt =
        crate::store::StoreError::Corrupt { what: "entities", detail: "they can't be judged by".into() };
    AdminError::Change(corrupt.into())
}

/// Whether somebody holds the role of an assignment wherever and whenever it is to count. Who passes it on holds less
/// than who only has it: a role is passed on so often and no more.
pub(super) fn has_what(ground: &Ground, subject: &Named, row: &AssignmentRow, passes_on: bool) -> bool {
    let (Some(subject), Some(claim)) = (uid_of(subject), claim_of(row)) else { return false };
    let facts = ground.pack.facts(&ground.snapshot.data, &ground.tenant, ground.now);
    let held = if passes_on { may_pass_on(facts, &subject, &claim) } else { holds(facts, &subject, &claim) };
    held.unwrap_or(false)
}

fn claim_of(row: &AssignmentRow) -> Option<Claim> {
    let place = match (row.scope.as_str(), row.scope_on.as_ref().map(uid_of)) {
        ("tenant", None) => Place::Tenant,
        ("resource", Some(target)) => Place::Resource(target?),
        ("resource_tree", Some(target)) => Place::Tree(target?),
        _ => return None,
    };
    let window = Window { from: row.starts_at.unwrap_or(ALWAYS), until: row.ends_at.unwrap_or(NEVER) };
    Some(Claim { role: uid_of(&row.role)?, place, window })
}

//! Groups, and who is in them.
//!
//! Promises: a group is in no group that is in it; who is in a group stands with the member, so that a question finds it
//! at once. A deleted group leaves no member behind: one of the same name does not find its members again.

use std::sync::Arc;

use cedar_policy_core::ast::EntityUID;
use serde_json::{Map, Value};

use super::ending::{Ended, end_all};
use super::entities::{self, Draft, changeable, take_out};
use super::grant::Party;
use super::principals::{self, Described, tags_of};
use super::shown::named;
use super::tenancy::{Page, Tenancy, kind_of};
use super::{AdminError, check_id, type_of, value};
use crate::app::Changing;
use crate::entity::{Kind, Named, Status};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// A group with more members than this is emptied before it is deleted: a change holds all others up.
const MOST_AT_ONCE: usize = 20_000;

/// The name of a group.
///
/// # Errors
/// When the id is none, or the pack has no type for groups.
pub fn name(pack: &Arc<Pack>, id: &str) -> Result<EntityUID, AdminError> {
    check_id("id", id)?;
    type_of(pack, Kind::Group.name())?;
    let unknown = || AdminError::UnknownType { pack: pack.name().to_owned(), name: "group".to_owned() };
    pack.uid(Kind::Group.name(), id).ok_or_else(unknown)
}

/// The same for one that is to go: the pack may have no type for groups any more.
///
/// # Errors
/// When there can be no such group.
pub fn name_to_delete(pack: &Pack, id: &str) -> Result<EntityUID, AdminError> {
    let missing = || AdminError::Missing { kind: "group", id: id.to_owned() };
    check_id("id", id)?;
    pack.uid(Kind::Group.name(), id).ok_or_else(missing)
}

/// The row of a group that can be changed, unless there is none.
///
/// # Errors
/// When the pack's own files define it, or it is a role (a pack may have one type for both), or the store fails.
pub async fn present(
    changing: &mut Changing<'_>,
    pack: &Pack,
    uid: &EntityUID,
) -> Result<Option<EntityRow>, AdminError> {
    let row = changeable(changing, pack, uid).await?;
    match row.as_ref().map(|row| kind_of(pack, uid.entity_type(), Kind::from_name(&row.kind))) {
        None | Some(Kind::Group) => Ok(row),
        Some(_) => Err(AdminError::ManagedElsewhere { kind: "role", path: "/v1/roles" }),
    }
}

/// The name of a group that there is.
///
/// # Errors
/// When there is none.
pub fn locate(at: Tenancy<'_>, id: &str) -> Result<EntityUID, AdminError> {
    let missing = || AdminError::Missing { kind: "group", id: id.to_owned() };
    check_id("id", id)?;
    let uid = at.pack.uid(Kind::Group.name(), id).ok_or_else(missing)?;
    if at.kind(&uid) == Some(Kind::Group) { Ok(uid) } else { Err(missing()) }
}

/// Writes a group: a new one, or in the place of `present`.
///
/// # Errors
/// When something does not fit, or it would be in itself, or the store fails.
pub async fn write(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    (uid, present): (&EntityUID, Option<&EntityRow>),
    described: Described<'_>,
) -> Result<EntityRow, AdminError> {
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let mut parents = principals::groups(at, described.groups)?;
    let others = if present.is_some() { at.parents(uid) } else { Vec::new() };
    parents.extend(others.into_iter().filter(|parent| parent.entity_type() != uid.entity_type()));
    let tags = present.map(tags_of).unwrap_or_default();
    let draft = Draft {
        uid,
        kind: Kind::Group,
        attributes: described.attributes,
        tags: &tags,
        parents,
        status: Status::Active,
    };
    entities::write(changing, pack, draft, present).await
}

/// Deletes a group, takes its members out, and ends what it holds.
///
/// # Errors
/// When it has too many members, or the store fails.
pub async fn delete(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    (uid, row): (&EntityUID, EntityRow),
    by: &Party,
) -> Result<(Ended, usize), AdminError> {
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let members = at.children(uid, None, Page { after: ("", ""), limit: MOST_AT_ONCE + 1 });
    if members.len() > MOST_AT_ONCE {
        let by = format!("it has more than {MOST_AT_ONCE} members: take them out first");
        return Err(AdminError::InUse { id: row.id, by });
    }
    let mut left = 0;
    for (type_name, id) in &members {
        let member = changing.entity(pack.name(), (type_name, id)).await?;
        // The pack's own entities have no row, and stay what their files say.
        if let Some(member) = member.filter(|member| member.deleted_at.is_none()) {
            take_out(changing, member, uid).await?;
            left += 1;
        }
    }
    let ended = end_all(changing, pack.name(), (&row.type_name, &row.id), by).await?;
    entities::delete(changing, row).await?;
    Ok((ended, left))
}

/// The name of a principal or group that there is, as a member is named.
///
/// # Errors
/// When there is none.
pub fn member(at: Tenancy<'_>, kind: Kind, id: &str) -> Result<EntityUID, AdminError> {
    check_id("id", id)?;
    let missing =
        || AdminError::UnknownReference { field: "id".into(), kind: kind.name(), id: id.to_owned() };
    let uid = at.pack.uid(kind.name(), id).ok_or_else(missing)?;
    if at.kind(&uid) == Some(kind) { Ok(uid) } else { Err(missing()) }
}

/// Puts a member in; none when it is in already.
///
/// # Errors
/// When the files define it, the group would be in itself, or the pack's schema has no such member.
pub async fn add_member(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    group: &EntityUID,
    (kind, member): (Kind, &EntityUID),
) -> Result<Option<EntityRow>, AdminError> {
    let id: &str = member.eid().as_ref();
    let missing = AdminError::UnknownReference { field: "id".into(), kind: kind.name(), id: id.to_owned() };
    let row = changeable(changing, pack, member).await?.ok_or(missing)?;
    let snapshot = Arc::clone(changing.snapshot());
    let tenant = changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let mut parents = at.parents(member);
    if parents.contains(group) {
        return Ok(None);
    }
    parents.push(group.clone());
    let attributes: Map<String, Value> = serde_json::from_str(&row.attributes).unwrap_or_default();
    let tags = tags_of(&row);
    let status = Status::from_name(&row.status).unwrap_or(Status::Disabled);
    let draft = Draft { uid: member, kind, attributes: &attributes, tags: &tags, parents, status };
    entities::write(changing, pack, draft, Some(&row)).await.map(Some)
}

/// Takes a member out; none when there is no such member.
///
/// # Errors
/// When the files say what the member is in, or the store fails.
pub async fn remove_member(
    changing: &mut Changing<'_>,
    pack: &Pack,
    group: &EntityUID,
    (kind, id): (Kind, &str),
) -> Result<Option<EntityRow>, AdminError> {
    let named_so = check_id("id", id).ok().and_then(|()| pack.uid(kind.name(), id));
    let Some(member) = named_so else { return Ok(None) };
    let Some(row) = changeable(changing, pack, &member).await? else { return Ok(None) };
    let is_meant = kind_of(pack, member.entity_type(), Kind::from_name(&row.kind)) == kind;
    if !is_meant || !value::parents(&row.parents).contains(&named(group)) {
        return Ok(None);
    }
    take_out(changing, row, group).await.map(Some)
}

/// The principals and groups that are directly in a group, in the order of Cedar types and ids.
pub fn members(at: Tenancy<'_>, group: &EntityUID, page: Page<'_>) -> Vec<(Kind, Named)> {
    let kinds = [Kind::User, Kind::Service, Kind::Device, Kind::Group];
    let types = super::tenancy::types_of(at.pack, &kinds);
    let kind = |name: &Named| {
        let entity_type = cedar_policy_core::ast::EntityType::from_normalized_str(&name.0).ok()?;
        let id = cedar_policy_core::ast::Eid::new(name.1.as_str());
        at.kind(&EntityUID::from_components(entity_type, id, None))
    };
    let found = at.children(group, Some(&types), page);
    found.into_iter().filter_map(|name| Some((kind(&name)?, name))).collect()
}

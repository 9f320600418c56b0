//! Entities: resources and whatever else policies judge by; and how a row of any kind is written.
//!
//! Promises: what is written fits the pack's schema and is in nothing that is in it. Must never: write what the pack's own
//! files define, or give a role by a parent.

use std::sync::Arc;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};
use serde_json::{Map, Value};

use super::duties::check_parents;
use super::shown::named;
use super::tenancy::{Tenancy, kind_of};
use super::value::{self, Unchecked};
use super::{AdminError, check_id, type_of};
use crate::app::Changing;
use crate::entity::{Kind, Named, Status};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// What an entity is to be.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Which.
    pub uid: &'a EntityUID,
    /// What it is to the API.
    pub kind: Kind,
    /// Attributes, as JSON.
    pub attributes: &'a Map<String, Value>,
    /// Tags, as JSON.
    pub tags: &'a Map<String, Value>,
    /// What it is directly in.
    pub parents: Vec<EntityUID>,
    /// Whether it may do anything at all.
    pub status: Status,
}

/// The row that can be changed, unless there is none, or a deleted one alone.
///
/// # Errors
/// When the pack's own files define the entity, or the store fails.
pub async fn changeable(
    changing: &mut Changing<'_>,
    pack: &Pack,
    uid: &EntityUID,
) -> Result<Option<EntityRow>, AdminError> {
    if pack.entities.get(uid).is_some() {
        return Err(AdminError::EntityOfPack(uid.to_string()));
    }
    let (type_name, id) = named(uid);
    let row = changing.entity(pack.name(), (&type_name, &id)).await?;
    Ok(row.filter(|row| row.deleted_at.is_none()))
}

/// Writes an entity: a new one, or in the place of `present`.
///
/// # Errors
/// When it does not fit the schema, or would be in itself, or somebody would come to have two roles that exclude each
/// other, or the store fails.
pub async fn write(
    changing: &mut Changing<'_>,
    pack: &Arc<Pack>,
    draft: Draft<'_>,
    present: Option<&EntityRow>,
) -> Result<EntityRow, AdminError> {
    let snapshot = Arc::clone(changing.snapshot());
    let at = Tenancy { snapshot: &snapshot, tenant: changing.tenant(), pack };
    if let Some(way) = at.cycle(draft.uid, &draft.parents) {
        return Err(AdminError::ParentCycle(way));
    }
    let (type_name, id) = named(draft.uid);
    let parents: Vec<Named> = draft.parents.iter().map(named).collect();
    let checked = value::check(
        pack,
        Unchecked {
            type_name: &type_name,
            id: &id,
            attributes: draft.attributes,
            tags: draft.tags,
            parents: &parents,
        },
    )?;
    let now = changing.now();
    let row = EntityRow {
        tenant_id: changing.tenant().to_owned(),
        pack: pack.name().to_owned(),
        type_name,
        id,
        kind: draft.kind.name().to_owned(),
        attributes: checked.attributes,
        tags: checked.tags,
        parents: checked.parents,
        settings: present.map_or_else(|| "{}".to_owned(), |row| row.settings.clone()),
        status: draft.status.name().to_owned(),
        created_at: present.map_or(now, |row| row.created_at),
        updated_at: now,
        deleted_at: None,
        version: changing.sequence(),
    };
    changing.put_entity(row.clone()).await?;
    let old = present.map(|row| value::parents(&row.parents)).unwrap_or_default();
    if parents.iter().any(|parent| !old.contains(parent)) {
        check_parents(changing, pack, draft.uid)?;
    }
    Ok(row)
}

/// Writes a row again with other parents, which are fewer than they were: nothing that could be wrong with it is news.
///
/// # Errors
/// When the store fails.
pub async fn take_out(
    changing: &mut Changing<'_>,
    mut row: EntityRow,
    of: &EntityUID,
) -> Result<EntityRow, AdminError> {
    let out = named(of);
    let mut parents = value::parents(&row.parents);
    parents.retain(|parent| *parent != out);
    row.parents = serde_json::json!(parents).to_string();
    row.updated_at = changing.now();
    row.version = changing.sequence();
    changing.put_entity(row.clone()).await?;
    Ok(row)
}

/// Deletes an entity. What it was is forgotten, save its status: who was disabled stays so.
///
/// # Errors
/// When the store fails.
pub async fn delete(changing: &mut Changing<'_>, mut row: EntityRow) -> Result<(), AdminError> {
    row.attributes = "{}".to_owned();
    row.tags = "{}".to_owned();
    row.parents = "[]".to_owned();
    row.settings = "{}".to_owned();
    row.updated_at = changing.now();
    row.deleted_at = Some(changing.now());
    Ok(changing.put_entity(row).await?)
}

/// The name of an entity that is not kept elsewhere, for a change.
///
/// # Errors
/// When the pack has no such type, or principals, groups or roles are of it, or the id is none.
pub fn name(pack: &Arc<Pack>, type_name: &str, id: &str) -> Result<EntityUID, AdminError> {
    check_id("id", id)?;
    not_elsewhere(pack, uid_of(pack, type_name, id)?)
}

/// The same for an entity that is to go: its type may be gone already.
///
/// # Errors
/// When principals, groups or roles are of that type, or there can be no such entity.
pub fn name_to_delete(pack: &Pack, type_name: &str, id: &str) -> Result<EntityUID, AdminError> {
    let missing = || AdminError::Missing { kind: "entity", id: id.to_owned() };
    not_elsewhere(pack, name_to_read(pack, type_name, id).ok_or_else(missing)?)
}

fn not_elsewhere(pack: &Pack, uid: EntityUID) -> Result<EntityUID, AdminError> {
    match kind_of(pack, uid.entity_type(), None) {
        Kind::Entity => Ok(uid),
        Kind::Group => Err(AdminError::ManagedElsewhere { kind: "group", path: "/v1/groups" }),
        Kind::Role => Err(AdminError::ManagedElsewhere { kind: "role", path: "/v1/roles" }),
        Kind::User | Kind::Service | Kind::Device => {
            Err(AdminError::ManagedElsewhere { kind: "principal", path: "/v1/principals" })
        }
    }
}

/// The name of an entity that is to be looked at; none when there can be no such entity.
pub fn name_to_read(pack: &Pack, type_name: &str, id: &str) -> Option<EntityUID> {
    check_id("id", id).ok()?;
    pack.uid(type_name, id)
}

/// The parents of an entity. They need not exist.
///
/// # Errors
/// When one is a role, or can't be named.
pub fn parents(pack: &Arc<Pack>, asked: &[Named]) -> Result<Vec<EntityUID>, AdminError> {
    let role = pack.entity_type(Kind::Role.name());
    let parent = |(place, (type_name, id)): (usize, &Named)| {
        check_id(&format!("parents[{place}].id"), id)?;
        let uid = uid_of(pack, type_name, id)?;
        if Some(uid.entity_type()) == role.as_ref() {
            return Err(AdminError::RoleByParent(uid.to_string()));
        }
        Ok(uid)
    };
    asked.iter().enumerate().map(parent).collect()
}

/// The groups that would be entered or left: to be in a group gives and takes what it holds.
pub fn groups_between(pack: &Pack, present: Option<&EntityRow>, parents: &[EntityUID]) -> Vec<String> {
    let Some(group) = pack.entity_type(Kind::Group.name()).map(|group| group.to_string()) else {
        return Vec::new();
    };
    let old = present.map(|row| value::parents(&row.parents)).unwrap_or_default();
    let new: Vec<Named> = parents.iter().map(named).collect();
    let entered = new.iter().filter(|name| !old.contains(name));
    let left = old.iter().filter(|name| !new.contains(name));
    let mut groups: Vec<String> =
        entered.chain(left).filter(|name| name.0 == group).map(|name| name.1.clone()).collect();
    groups.sort();
    groups.dedup();
    groups
}

fn uid_of(pack: &Arc<Pack>, type_name: &str, id: &str) -> Result<EntityUID, AdminError> {
    let unknown = || AdminError::UnknownType { pack: pack.name().to_owned(), name: type_name.to_owned() };
    let name = type_of(pack, type_name)?;
    let entity_type = EntityType::from_normalized_str(&name).map_err(|_| unknown())?;
    Ok(EntityUID::from_components(entity_type, Eid::new(id), None))
}

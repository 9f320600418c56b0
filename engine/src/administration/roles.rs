//! Roles of the store: what they inherit, what they exclude, and what they ask of their assignments.
//!
//! Promises: no role inherits itself, however far around; no change of a role joins two that exclude each other; with a
//! role end its assignments. The roles of a pack's own files are seen, and changed there.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::grant::{Ground, Party, uid_of};
use super::tenancy::Tenancy;
use super::{AdminError, assignments, check_id, duties, type_of, value};
use crate::app::Changing;
use crate::entity::{Kind, Named, RoleSettings};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// The longest that an assignment may be limited to, in seconds: a hundred years.
pub const MOST_SECONDS: i64 = 100 * 366 * 86_400;
/// The most roles that one inherits or excludes.
const MOST_NAMED: usize = 1_000;

/// What a role is to be.
#[derive(Clone, Debug, Default)]
pub struct RoleSpec {
    /// What policies may read of it.
    pub attributes: Map<String, Value>,
    /// The ids of the roles that it inherits.
    pub inherits: Vec<String>,
    /// What it excludes, and what it asks of its assignments.
    pub settings: RoleSettings,
}

/// The role with this id, if the store has one that is not deleted.
///
/// # Errors
/// When the pack's own files have it, or something else has that Cedar type and id.
pub async fn present(
    changing: &mut Changing<'_>,
    ground: &Ground,
    id: &str,
) -> Result<Option<EntityRow>, AdminError> {
    check_id("id", id)?;
    let type_name = type_of(&ground.pack, Kind::Role.name())?;
    if ground.pack.uid(Kind::Role.name(), id).is_some_and(|uid| ground.pack.entities.get(&uid).is_some()) {
        return Err(AdminError::EntityOfPack(id.to_owned()));
    }
    let row = changing.entity(ground.pack.name(), (&type_name, id)).await?;
    let row = row.filter(|row| row.deleted_at.is_none());
    match row {
        Some(row) if row.kind != Kind::Role.name() => {
            Err(AdminError::AlreadyExists { kind: "entity", id: id.to_owned() })
        }
        row => Ok(row),
    }
}

/// Writes a role: a new one, or in the place of the one that is there.
///
/// # Errors
/// When what it names is not there, it does not fit the schema, or roles would come together that must not.
pub async fn put(
    changing: &mut Changing<'_>,
    ground: &Ground,
    (present, id): (Option<EntityRow>, &str),
    spec: RoleSpec,
) -> Result<EntityRow, AdminError> {
    let type_name = type_of(&ground.pack, Kind::Role.name())?;
    let parents = check_spec(ground, (&type_name, id), &spec)?;
    check_circle(ground, (&type_name, id), &parents)?;
    let unchecked = value::Unchecked {
        type_name: &type_name,
        id,
        attributes: &spec.attributes,
        tags: &Map::new(),
        parents: &parents,
    };
    let checked = value::check(&ground.pack, unchecked)?;
    let row = EntityRow {
        tenant_id: ground.tenant.clone(),
        pack: ground.pack.name().to_owned(),
        type_name,
        id: id.to_owned(),
        kind: Kind::Role.name().to_owned(),
        attributes: checked.attributes,
        tags: checked.tags,
        parents: checked.parents,
        settings: serde_json::to_string(&spec.settings).unwrap_or_default(),
        status: "active".into(),
        created_at: present.map_or(ground.now, |row| row.created_at),
        updated_at: ground.now,
        deleted_at: None,
        version: changing.sequence(),
    };
    changing.put_entity(row.clone()).await?;
    duties::check_role(ground, &changing.data_after(), &(row.type_name.clone(), row.id.clone()))?;
    Ok(row)
}

/// Whether a role would not inherit itself.
fn check_circle(ground: &Ground, (type_name, id): (&str, &str), parents: &[Named]) -> Result<(), AdminError> {
    let Some(uid) = uid_of(&(type_name.to_owned(), id.to_owned())) else { return Ok(()) };
    let parents: Vec<_> = parents.iter().filter_map(uid_of).collect();
    let at = Tenancy { snapshot: &ground.snapshot, tenant: &ground.tenant, pack: &ground.pack };
    at.cycle(&uid, &parents).map_or(Ok(()), |way| Err(AdminError::RoleCycle(way)))
}

/// What a role names; gives its parents.
fn check_spec(
    ground: &Ground,
    (type_name, id): (&str, &str),
    spec: &RoleSpec,
) -> Result<Vec<Named>, AdminError> {
    let invalid =
        |field: &str, message: String| Err(AdminError::Invalid { field: field.to_owned(), message });
    let lists = [("inherits", &spec.inherits), ("exclusive_with", &spec.settings.exclusive_with)];
    for (field, named) in lists {
        if named.len() > MOST_NAMED {
            return invalid(field, format!("must have at most {MOST_NAMED} roles"));
        }
        // That a role would inherit itself is told as the circle that it is.
        for other in named.iter().filter(|other| *other != id) {
            ground.role(field, other)?;
        }
    }
    if spec.settings.exclusive_with.iter().any(|other| other == id) {
        return invalid("exclusive_with", "must not name the role itself".into());
    }
    if spec.settings.max_seconds.is_some_and(|most| !(1..=MOST_SECONDS).contains(&most)) {
        return invalid("max_duration_seconds", format!("must be from 1 to {MOST_SECONDS}"));
    }
    Ok(spec.inherits.iter().map(|other| (type_name.to_owned(), other.clone())).collect())
}

/// Deletes a role; its assignments end with it. Gives how many did.
///
/// # Errors
/// When another role inherits it, or somebody has it as a parent.
pub async fn delete(
    changing: &mut Changing<'_>,
    ground: &Ground,
    mut row: EntityRow,
    by: &Party,
) -> Result<usize, AdminError> {
    let named = (row.type_name.clone(), row.id.clone());
    check_unused(ground, &named)?;
    row.deleted_at = Some(ground.now);
    row.updated_at = ground.now;
    let pack = row.pack.clone();
    changing.put_entity(row).await?;
    let held = changing.assignments_of_role(&pack, (&named.0, &named.1)).await?;
    let ended = held.len();
    for assignment in held {
        assignments::end(changing, assignment, by).await?;
    }
    Ok(ended)
}

/// Whether nothing has the role as a parent.
fn check_unused(ground: &Ground, named: &Named) -> Result<(), AdminError> {
    let in_use = |by: String| Err(AdminError::InUse { id: named.1.clone(), by });
    let Some(uid) = uid_of(named) else { return Ok(()) };
    if let Some(heir) = ground.pack.entities.iter().find(|entity| entity.is_descendant_of(&uid)) {
        return in_use(format!("`{}` of the pack's own files is in it", id_of(heir.uid())));
    }
    let Some(data) = ground.data() else { return Ok(()) };
    let Some(key) = data.key(&uid) else { return Ok(()) };
    // Every row is looked at, but not for what nothing was ever built on.
    let mut rows = data.rows().filter(|_| data.is_built_on(key));
    let heir = rows.find(|row| row.parents().any(|parent| parent == key));
    match heir {
        Some(row) if row.kind() == Kind::Role => in_use(format!("the role `{}` inherits it", row.key().1)),
        Some(row) => in_use(format!("the {} `{}` is in it", row.kind().name(), row.key().1)),
        None => Ok(()),
    }
}

fn id_of(uid: &cedar_policy_core::ast::EntityUID) -> &str {
    uid.eid().as_ref()
}

/// A role of the pack's own files, as it is shown.
#[derive(Clone, Debug)]
pub struct RoleOfPack {
    /// Its id.
    pub id: String,
    /// The roles that it inherits.
    pub inherits: Vec<String>,
    /// Its attributes.
    pub attributes: Value,
}

/// The roles of a pack's own files with ids after `after`, by id.
///
/// # Errors
/// When the pack has no type for roles.
pub fn of_pack(pack: &Arc<Pack>, after: &str) -> Result<Vec<RoleOfPack>, AdminError> {
    let type_name = type_of(pack, Kind::Role.name())?;
    let is_role = |uid: &cedar_policy_core::ast::EntityUID| uid.entity_type().to_string() == type_name;
    let entities = pack.entities.iter().filter(|entity| is_role(entity.uid()) && id_of(entity.uid()) > after);
    let mut roles: Vec<_> = entities
        .map(|entity| {
            let mut inherits: Vec<_> =
                entity.parents().filter(|uid| is_role(uid)).map(|uid| id_of(uid).to_owned()).collect();
            inherits.sort();
            let shown = cedar_policy::Entity::from((**entity).clone()).to_json_value().unwrap_or_default();
            RoleOfPack {
                id: id_of(entity.uid()).to_owned(),
                inherits,
                attributes: shown.get("attrs").cloned().unwrap_or_default(),
            }
        })
        .collect();
    roles.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(roles)
}

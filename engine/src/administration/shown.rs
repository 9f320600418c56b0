//! Entities as they are shown: from the store, or from the pack's own files.
//!
//! Promises: a list has one order, by type and id, and no entity twice; what decisions see of an entity is what is shown.

use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID};
use serde_json::Value;

use super::tenancy::{Page, Tenancy, kind_of};
use super::value;
use crate::clock::Timestamp;
use crate::entity::{Kind, Named, Status};
use crate::policy::Pack;
use crate::store::entities::{EntityPage, EntityRow};
use crate::store::{Store, StoreError};

/// Who says what an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The tenant's data.
    Store,
    /// The pack's own files: nothing but its status can be changed here.
    Pack,
}

/// An entity as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its Cedar type.
    pub type_name: String,
    /// Its id.
    pub id: String,
    /// What it is to the API.
    pub kind: Kind,
    /// Who says what it is.
    pub source: Source,
    /// In Cedar's form of entities.
    pub attributes: Value,
    /// In Cedar's form of entities.
    pub tags: Value,
    /// What it is directly in.
    pub parents: Vec<Named>,
    /// Whether it may do anything at all, as its own row says.
    pub status: Status,
    /// When it was made; of the store's alone.
    pub created_at: Option<Timestamp>,
    /// When it was changed last; of the store's alone.
    pub updated_at: Option<Timestamp>,
    /// The number of its last change; 0 when the store has none.
    pub version: u64,
}

impl Shown {
    /// What is shown of an entity, if there is one. `row` is the store's.
    pub fn of(pack: &Pack, uid: &EntityUID, row: Option<&EntityRow>) -> Option<Self> {
        let stored = row.and_then(|row| Kind::from_name(&row.kind));
        let kind = kind_of(pack, uid.entity_type(), stored);
        // A status that can't be read is the strictest.
        let status =
            row.map_or(Status::Active, |row| Status::from_name(&row.status).unwrap_or(Status::Disabled));
        let base = Self {
            type_name: uid.entity_type().to_string(),
            id: AsRef::<str>::as_ref(uid.eid()).to_owned(),
            kind,
            source: Source::Pack,
            attributes: Value::Null,
            tags: Value::Null,
            parents: Vec::new(),
            status,
            created_at: None,
            updated_at: None,
            version: row.map_or(0, |row| row.version),
        };
        match (pack.entities.get(uid), row) {
            (Some(own), _) => Some(base.with_own(own)),
            (None, Some(row)) => Some(base.with_row(row)),
            (None, None) => None,
        }
    }

    fn with_own(self, own: &Entity) -> Self {
        let mut json = own.to_json_value().unwrap_or_default();
        let mut take = |name: &str| json.get_mut(name).map(Value::take).unwrap_or_default();
        let mut parents: Vec<Named> = own.parents().map(named).collect();
        parents.sort();
        Self { attributes: take("attrs"), tags: take("tags"), parents, ..self }
    }

    fn with_row(self, row: &EntityRow) -> Self {
        Self {
            source: Source::Store,
            attributes: value::shown(&row.attributes),
            tags: value::shown(&row.tags),
            parents: value::parents(&row.parents),
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
            ..self
        }
    }

    /// The ids of those parents that are of this kind.
    pub fn parents_of_kind(&self, pack: &Pack, kind: Kind) -> Vec<String> {
        let type_name = pack.entity_type(kind.name()).map(|found| found.to_string());
        let is_wanted = |parent: &&Named| Some(&parent.0) == type_name.as_ref();
        self.parents.iter().filter(is_wanted).map(|parent| parent.1.clone()).collect()
    }
}

/// A Cedar type and an id.
pub fn named(uid: &EntityUID) -> Named {
    (uid.entity_type().to_string(), AsRef::<str>::as_ref(uid.eid()).to_owned())
}

/// The entity with this name, as it is shown.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, at: Tenancy<'_>, uid: &EntityUID) -> Result<Option<Shown>, StoreError> {
    let (type_name, id) = named(uid);
    let row = store.entity([at.tenant, at.pack.name(), &type_name, &id]).await?;
    Ok(Shown::of(at.pack, uid, row.as_ref()))
}

/// A part of all entities of these types (or of all types), in the order of types and ids.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    at: Tenancy<'_>,
    types: Option<&[String]>,
    page: Page<'_>,
) -> Result<Vec<Shown>, StoreError> {
    let mut rows = Vec::new();
    match types {
        None => rows = store.entities(&part(at, None, page, 0)).await?,
        Some(types) => {
            for type_name in types.iter().filter(|name| name.as_str() >= page.after.0) {
                rows.extend(store.entities(&part(at, Some(type_name), page, rows.len())).await?);
            }
        }
    }
    let mut all: Vec<Shown> = rows.iter().filter_map(|row| from_row(at.pack, row)).collect();
    let is_known = |all: &[Shown], name: &Named| {
        all.binary_search_by(|known| (&known.type_name, &known.id).cmp(&(&name.0, &name.1))).is_ok()
    };
    let mut own: Vec<(Named, &Arc<Entity>)> = at
        .pack
        .entities
        .iter()
        .filter(|own| !own.uid().is_action())
        .map(|own| (named(own.uid()), own))
        .filter(|(name, _)| types.is_none_or(|types| types.contains(&name.0)))
        .filter(|(name, _)| (name.0.as_str(), name.1.as_str()) > page.after)
        .collect();
    own.sort_by(|one, other| one.0.cmp(&other.0));
    own.truncate(page.limit);
    own.retain(|(name, _)| !is_known(&all, name));
    all.extend(own.into_iter().filter_map(|(_, own)| Shown::of(at.pack, own.uid(), None)));
    all.sort_by(|one, other| (&one.type_name, &one.id).cmp(&(&other.type_name, &other.id)));
    all.truncate(page.limit);
    Ok(all)
}

fn from_row(pack: &Pack, row: &EntityRow) -> Option<Shown> {
    // A name that Cedar can't say is nobody's.
    let entity_type = cedar_policy_core::ast::EntityType::from_normalized_str(&row.type_name).ok()?;
    let id = cedar_policy_core::ast::Eid::new(row.id.as_str());
    Shown::of(pack, &EntityUID::from_components(entity_type, id, None), Some(row))
}

fn part<'a>(at: Tenancy<'a>, type_name: Option<&'a str>, page: Page<'a>, have: usize) -> EntityPage<'a> {
    let limit = i64::try_from(page.limit.saturating_sub(have)).unwrap_or(i64::MAX);
    // Of a later type all follow.
    let after = match type_name {
        Some(name) if name > page.after.0 => (name, ""),
        _ => page.after,
    };
    EntityPage { tenant_id: at.tenant, pack: at.pack.name(), type_name, kind: None, after, limit }
}

//! Entities by the rules of the pack: types, ids, attributes, and what may be whose parent.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};

use super::entry::{self, Entry, EntryError};
use super::mapping::Mapping;
use super::table::{self, Columns};
use super::{Content, Fault, Piece, Wrong};
use crate::administration::value::{self, Unchecked};
use crate::administration::{AdminError, check_id, type_of};
use crate::entity::Kind;
use crate::policy::Pack;
use crate::store::imports::StagedRow;

/// What an import may do with roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Bring roles themselves.
    pub roles: bool,
    /// Give roles to principals and groups, by naming them as parents.
    pub roles_as_parents: bool,
}

/// Checks entities for one pack.
#[derive(Clone, Debug)]
pub struct Checker {
    pack: Arc<Pack>,
    allowed: Allowed,
    table: Option<Arc<(Mapping, Columns)>>,
    /// The pack's Cedar types of principals, groups and roles.
    kinds: Vec<(String, Kind)>,
    /// Cedar's types by how they were named; the API's names and Cedar's apart.
    types: [HashMap<String, Known>; 2],
}

#[derive(Clone, Debug)]
struct Known {
    name: Arc<str>,
    entity_type: EntityType,
    kind: Kind,
}

impl Checker {
    /// A checker for rows of JSON, or, with a mapping, of a table.
    pub fn new(pack: &Arc<Pack>, allowed: Allowed, table: Option<Arc<(Mapping, Columns)>>) -> Self {
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Entity);
        let kinds =
            kinds.filter_map(|kind| Some((pack.entity_type(kind.name())?.to_string(), kind))).collect();
        Self { pack: Arc::clone(pack), allowed, table, kinds, types: Default::default() }
    }

    /// The row that a piece becomes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, piece: &Piece) -> Result<StagedRow, Fault> {
        let malformed = |EntryError { field, message }: EntryError| Fault {
            place: piece.place,
            field,
            wrong: Wrong::Malformed(message),
        };
        let entry = match &piece.content {
            Content::Json(json) => entry::parse(json).map_err(malformed)?,
            Content::Cells(cells) => {
                let table = self.table.clone();
                let Some(table) = table.as_deref() else {
                    return Err(Fault::malformed(piece.place, "a table needs a mapping"));
                };
                let cedar_type = |name: &str| {
                    self.known(name, false)
                        .map(|known| known.name.to_string())
                        .map_err(|error| error.to_string())
                };
                table::entry(cells, (&table.0, &table.1), cedar_type).map_err(malformed)?
            }
        };
        self.check_entry(&entry).map_err(|(field, error)| Fault {
            place: piece.place,
            field,
            wrong: error.into(),
        })
    }

    fn check_entry(&mut self, entry: &Entry) -> Result<StagedRow, (Option<String>, AdminError)> {
        let at = |field: &str| {
            let field = field.to_owned();
            move |error| (Some(field), error)
        };
        let own = self.known(&entry.type_name, entry.is_cedar).map_err(at("type"))?;
        check_id("id", &entry.id).map_err(at("id"))?;
        let uid = EntityUID::from_components(own.entity_type.clone(), Eid::new(entry.id.as_str()), None);
        if self.pack.entities.get(&uid).is_some() {
            return Err(at("id")(AdminError::EntityOfPack(uid.to_string())));
        }
        if own.kind == Kind::Role && !self.allowed.roles {
            return Err(at("type")(AdminError::ManagedElsewhere { kind: "role", path: "/v1/roles" }));
        }
        let mut parents = Vec::with_capacity(entry.parents.len());
        for (place, (type_name, id)) in entry.parents.iter().enumerate() {
            let field = format!("parents[{place}]");
            let parent = self.known(type_name, entry.is_cedar).map_err(at(&field))?;
            check_id(&field, id).map_err(at(&field))?;
            self.check_parent(own.kind, parent.kind, id).map_err(at(&field))?;
            parents.push((parent.name.to_string(), id.clone()));
        }
        let unchecked = Unchecked {
            type_name: &own.name,
            id: &entry.id,
            attributes: &entry.attributes,
            tags: &entry.tags,
            parents: &parents,
        };
        // Cedar's own message names the attribute, the tag or the parent.
        let checked = value::check(&self.pack, unchecked).map_err(|error| (None, error))?;
        Ok(StagedRow {
            type_name: own.name.to_string(),
            id: entry.id.clone(),
            kind: own.kind.name().into(),
            attributes: checked.attributes,
            tags: checked.tags,
            parents: checked.parents,
        })
    }

    fn check_parent(&self, own: Kind, parent: Kind, id: &str) -> Result<(), AdminError> {
        match (own, parent) {
            (Kind::Role, Kind::Role) => Ok(()),
            (Kind::Role, _) => {
                let message =
                    format!("`{id}` is no role: a role is in those that it inherits, and in nothing else");
                Err(AdminError::Invalid { field: "parents".into(), message })
            }
            (_, Kind::Role) if !self.allowed.roles_as_parents => Err(AdminError::RoleByParent(id.to_owned())),
            _ => Ok(()),
        }
    }

    fn known(&mut self, name: &str, is_cedar: bool) -> Result<Known, AdminError> {
        let [api, cedar] = &mut self.types;
        let cache = if is_cedar { cedar } else { api };
        if let Some(known) = cache.get(name) {
            return Ok(known.clone());
        }
        let text = if is_cedar { declared(&self.pack, name)? } else { type_of(&self.pack, name)? };
        let unknown = || AdminError::UnknownType { pack: self.pack.name().to_owned(), name: name.to_owned() };
        let entity_type = EntityType::from_normalized_str(&text).map_err(|_| unknown())?;
        let kind = self.kinds.iter().find(|(kind, _)| *kind == text).map_or(Kind::Entity, |(_, kind)| *kind);
        let known = Known { name: text.into(), entity_type, kind };
        cache.insert(name.to_owned(), known.clone());
        Ok(known)
    }
}

/// A type by Cedar's own name: what `[types]` makes of names does not count.
fn declared(pack: &Arc<Pack>, name: &str) -> Result<String, AdminError> {
    let unknown = || AdminError::UnknownType { pack: pack.name().to_owned(), name: name.to_owned() };
    let found = EntityType::from_normalized_str(name).ok().filter(|found| !found.is_action());
    let text = found.ok_or_else(unknown)?.to_string();
    let is_declared =
        |schema: &cedar_policy::Schema| schema.entity_types().any(|known| known.to_string() == text);
    if pack.schema.as_ref().is_none_or(is_declared) { Ok(text) } else { Err(unknown()) }
}

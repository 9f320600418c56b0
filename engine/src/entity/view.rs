//! What one question sees of entities: the pack's own, and over them the tenant's data as of now.
//!
//! Promises: an entity comes with all that it is in, the roles of assignments in force included, whoever's entity it
//! is. The same facts give the same entity, remembered or not. Without data it is the pack's own entities, and costs
//! what they cost.

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityType, EntityUID, PartialValue, Value};
use smol_str::SmolStr;

use super::EntityStore;
use super::ancestry::{Ancestry, Asked, LONGEST_CHAIN, Window};
use super::assignment::Place;
use super::inactive::Inactive;
use super::pack_data::{Assigned, PackData};
use super::row::Row;
use super::types::Unreadable;
use super::update::{Kind, Status};
use crate::clock::Timestamp;

/// What questions of one moment are judged by, besides policies.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The pack's own entities.
    pub files: &'a EntityStore,
    /// The pack's name.
    pub pack: &'a str,
    /// The pack's Cedar types for the kinds of principals.
    pub principals: &'a [(Kind, EntityType)],
    /// What the tenant has in the pack.
    pub data: Option<&'a PackData>,
    /// Whom the tenant has locked or disabled.
    pub inactive: Option<&'a Inactive>,
    /// The instant.
    pub now: Timestamp,
}

impl<'a> Facts<'a> {
    /// A pack's own entities alone.
    pub fn of_files(files: &'a EntityStore) -> Self {
        Self { files, pack: "", principals: &[], data: None, inactive: None, now: Timestamp(0) }
    }

    /// What a question about this resource sees.
    pub fn about(self, resource: &'a EntityUID) -> View<'a> {
        View { facts: self, resource, asked: OnceCell::new(), window: Cell::new(Window::ALL) }
    }

    /// Whether a principal may do anything at all. It is known by its Cedar type and id, however a request named it.
    pub fn status(&self, principal: &EntityUID) -> Status {
        let Some(inactive) = self.inactive.filter(|inactive| inactive.count() > 0) else {
            return Status::Active;
        };
        let id: &str = principal.eid().as_ref();
        let mut status = Status::Active;
        for kind in Kind::PRINCIPALS {
            let is_meant =
                |(known, name): &(Kind, EntityType)| *known == kind && name == principal.entity_type();
            for mark in inactive.marks(kind, id) {
                // The row's own type counts too: the pack may have mapped the kind otherwise when it was made.
                let is_row =
                    *mark.pack == *self.pack && *mark.entity_type == *principal.entity_type().to_string();
                if is_row || self.principals.iter().any(is_meant) {
                    status = status.max(mark.status);
                }
            }
        }
        status
    }

    /// Whether a principal is locked or disabled.
    pub fn is_inactive(&self, principal: &EntityUID) -> bool {
        self.status(principal) != Status::Active
    }

    /// A mark of the data: while it is the same, and the time within the view's window, so is what a view gives.
    pub fn stamp(&self) -> [u64; 3] {
        let data = self.data.map_or(0, |data| data.number);
        [self.files.number(), data, self.inactive.map_or(0, |inactive| inactive.number)]
    }
}

/// What one question sees of entities.
#[derive(Debug)]
pub struct View<'a> {
    facts: Facts<'a>,
    resource: &'a EntityUID,
    asked: OnceCell<Asked>,
    window: Cell<Window>,
}

/// An entity as it was found, and what it was found by.
#[derive(Debug)]
pub struct Known {
    origin: u64,
    files: u64,
    hierarchy: u64,
    /// The data as a whole, where its hierarchy does not tell of every change that matters.
    data: Option<u64>,
    inactive: Option<u64>,
    row: Option<Row>,
    assigned: Option<Assigned>,
    about: Option<(EntityUID, Option<Row>)>,
    window: Window,
    /// Where else scopes might make it another.
    targets: HashSet<EntityUID>,
    entity: Arc<Entity>,
    /// What it takes, about.
    pub bytes: usize,
}

/// What the data has of an entity.
#[derive(Clone, Copy)]
struct Found<'a> {
    data: &'a PackData,
    /// The pack's own, which wins over the row.
    own: Option<&'a Arc<Entity>>,
    row: Option<&'a Row>,
    assigned: Option<&'a Assigned>,
}

impl<'a> View<'a> {
    /// The facts.
    pub fn facts(&self) -> &Facts<'a> {
        &self.facts
    }

    /// When all that was looked up so far holds.
    pub fn window(&self) -> Window {
        self.window.get()
    }

    /// The entity with this id, and all that it is in.
    ///
    /// # Errors
    /// When the data can't be read, or is too much: there is nothing to judge by then.
    pub fn get(&self, uid: &EntityUID) -> Result<Option<Arc<Entity>>, Unreadable> {
        let own = self.facts.files.get(uid);
        // What an action is in was settled with the policies.
        let Some(data) = self.facts.data.filter(|_| !uid.entity_type().is_action()) else {
            return Ok(own.cloned());
        };
        let key = data.key(uid);
        let row = key.filter(|_| own.is_none()).and_then(|key| data.row(key));
        let assigned = key.and_then(|key| data.assigned(key));
        let alone = own.is_none_or(|entity| entity.ancestors().next().is_none());
        if row.is_none() && assigned.is_none() && alone {
            return Ok(own.cloned());
        }
        let found = Found { data, own, row, assigned };
        let mut known = self.remembered(uid, found, None)?;
        self.note(known.window);
        if self.is_scoped(data, &known.targets)? {
            known = self.remembered(uid, found, Some(self.asked(data)?))?;
            self.note(known.window);
        }
        Ok(Some(Arc::clone(&known.entity)))
    }

    fn note(&self, window: Window) {
        self.window.set(self.window.get().and(window));
    }

    /// Whether one of these scopes may be about the question's resource.
    fn is_scoped(&self, data: &PackData, targets: &HashSet<EntityUID>) -> Result<bool, Unreadable> {
        if targets.is_empty() {
            return Ok(false);
        }
        let within = &self.asked(data)?.within;
        Ok(targets.contains(self.resource) || within.iter().any(|tree| targets.contains(tree)))
    }

    fn asked(&self, data: &PackData) -> Result<&Asked, Unreadable> {
        if self.asked.get().is_none() {
            let mut ancestry = Ancestry::new(self.facts, data);
            let within = Rc::new(ancestry.tree(self.resource)?);
            let place = Place::Resource(self.resource.clone());
            self.asked.set(Asked { place, within, by_files: ancestry.by_files }).ok();
        }
        self.asked.get().ok_or(Unreadable)
    }

    fn remembered(
        &self,
        uid: &EntityUID,
        found: Found<'_>,
        asked: Option<&Asked>,
    ) -> Result<Arc<Known>, Unreadable> {
        let memory = &found.data.memory;
        let resource = asked.map(|_| self.resource);
        let place = memory.place((found.data.origin, self.facts.files.number(), uid, resource));
        let stands = |known: &Arc<Known>| self.stands(known, uid, found, resource);
        if let Some(known) = memory.get(place).filter(stands) {
            return Ok(known);
        }
        let known = Arc::new(self.find(uid, found, asked)?);
        memory.put(place, Arc::clone(&known));
        Ok(known)
    }

    /// Whether what is remembered is of this entity and still so.
    fn stands(&self, known: &Known, uid: &EntityUID, found: Found<'_>, resource: Option<&EntityUID>) -> bool {
        let same_row = |one: Option<&Row>, other: Option<&Row>| match (one, other) {
            (Some(one), Some(other)) => one.is(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let same_assigned = match (&known.assigned, found.assigned) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let same_about = match (&known.about, resource) {
            (None, None) => true,
            (Some((about, row)), Some(asked)) => {
                about == asked && same_row(row.as_ref(), self.row_of(found.data, asked))
            }
            _ => false,
        };
        known.entity.uid() == uid
            && known.origin == found.data.origin
            && known.files == self.facts.files.number()
            && known.hierarchy == found.data.hierarchy
            && known.data.is_none_or(|number| number == found.data.number)
            && known.inactive.is_none_or(|number| number == self.inactive_number())
            && same_row(known.row.as_ref(), found.row)
            && same_assigned
            && same_about
            && known.window.has(self.facts.now)
    }

    fn row_of<'d>(&self, data: &'d PackData, uid: &EntityUID) -> Option<&'d Row> {
        data.key(uid).and_then(|key| data.row(key))
    }

    fn inactive_number(&self) -> u64 {
        self.facts.inactive.map_or(0, |inactive| inactive.number)
    }

    fn find(&self, uid: &EntityUID, found: Found<'_>, asked: Option<&Asked>) -> Result<Known, Unreadable> {
        let mut ancestry = Ancestry::new(self.facts, found.data);
        let everywhere = Asked::tenant();
        let asked_or_all = asked.unwrap_or(&everywhere);
        let reached = ancestry.reach(uid, asked_or_all, LONGEST_CHAIN)?;
        let by_files = ancestry.by_files || asked_or_all.by_files;
        let about = asked.map(|_| (self.resource.clone(), self.row_of(found.data, self.resource).cloned()));
        let ancestors = reached.len() + ancestry.targets.len();
        let values = found.row.map_or(0, Row::value_bytes);
        Ok(Known {
            origin: found.data.origin,
            files: self.facts.files.number(),
            hierarchy: found.data.hierarchy,
            data: by_files.then_some(found.data.number),
            inactive: ancestry.delegated.then(|| self.inactive_number()),
            row: found.row.cloned(),
            assigned: found.assigned.cloned(),
            about,
            window: ancestry.window,
            targets: ancestry.targets,
            entity: entity(uid, found, reached)?,
            // A Cedar entity is a tree and two tables; a value is some eight times its bytes, an id some 200 bytes.
            bytes: 2_000 + 8 * values + 200 * ancestors,
        })
    }
}

fn entity(uid: &EntityUID, found: Found<'_>, reached: HashSet<EntityUID>) -> Result<Arc<Entity>, Unreadable> {
    let none = HashSet::new;
    if let Some(own) = found.own {
        if own.ancestors().count() == reached.len() {
            return Ok(Arc::clone(own));
        }
        let pairs = |(name, value): (&SmolStr, &PartialValue)| (name.clone(), value.clone());
        let (attributes, tags) = (own.attrs().map(pairs), own.tags().map(pairs));
        return Ok(Arc::new(Entity::new_with_attr_partial_value(
            uid.clone(),
            attributes,
            reached,
            none(),
            tags,
        )));
    }
    let (attributes, tags) = match found.row {
        Some(row) => row.values(found.data.types())?,
        None => Default::default(),
    };
    let known = |(name, value): (SmolStr, Value)| (name, PartialValue::Value(value));
    Ok(Arc::new(Entity::new_with_attr_partial_value(
        uid.clone(),
        attributes.into_iter().map(known),
        reached,
        none(),
        tags.into_iter().map(known),
    )))
}

//! What one question sees of entities: the pack's own, and over them the tenant's data as of now.
//!
//! Promises: an entity comes with all that it is in, the roles of assignments in force included, whoever's entity it
//! is. The same facts give the same entity, remembered or not. Without data it is the pack's own entities, and costs
//! what they cost.

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy_core::ast::{Entity, EntityUID, PartialValue, Value};
use smol_str::SmolStr;

use super::ancestry::{Ancestry, Asked, LONGEST_CHAIN, Window};
use super::assignment::Place;
use super::facts::Facts;
use super::pack_data::{Assigned, PackData};
use super::row::Row;
use super::types::Unreadable;

/// What one question sees of entities.
#[derive(Debug)]
pub struct View<'a> {
    facts: Facts<'a>,
    /// Which resource is asked about; none, when it is about many.
    resource: Option<&'a EntityUID>,
    /// All that is in this is asked about.
    tree: Option<Asked>,
    asked: OnceCell<Asked>,
    window: Cell<Window>,
}

/// An entity as it was found, and what it was found by.
#[derive(Debug)]
pub struct Known {
    origin: u64,
    files: u64,
    /// The data by which it was last seen to stand.
    seen_by: AtomicU64,
    entity: Arc<Entity>,
    window: Window,
    inactive: Option<u64>,
    /// Where else scopes might make it another.
    targets: HashSet<EntityUID>,
    about: Option<Box<(EntityUID, Option<Row>)>>,
    hierarchy: u64,
    /// Whether the hierarchy's number does not tell of every change that matters.
    by_files: bool,
    row: Option<Row>,
    assigned: Option<Assigned>,
    /// What it takes, about.
    pub bytes: usize,
}

/// What the data has of an entity.
#[derive(Clone, Copy)]
struct Found<'a> {
    /// The pack's own, which wins over the row.
    own: Option<&'a Arc<Entity>>,
    row: Option<&'a Row>,
    assigned: Option<&'a Assigned>,
}

/// An entity, held as it was found: what is the pack's own needs no counting of who holds it.
#[derive(Debug)]
pub enum Held<'a> {
    /// There is none.
    Nothing,
    /// The pack's own.
    Own(&'a Entity),
    /// Of the data.
    Shared(Arc<Entity>),
}

impl Held<'_> {
    /// The entity, if there is one.
    pub fn entity(&self) -> Option<&Entity> {
        match self {
            Self::Nothing => None,
            Self::Own(entity) => Some(entity),
            Self::Shared(entity) => Some(entity),
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn of(facts: Facts<'a>, resource: Option<&'a EntityUID>, tree: Option<Asked>) -> Self {
        Self { facts, resource, tree, asked: OnceCell::new(), window: Cell::new(Window::ALL) }
    }

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
        // What an action is in was settled with the policies.
        let Some(data) = self.facts.data.filter(|_| !uid.entity_type().is_action()) else {
            return Ok(self.facts.files.get(uid).cloned());
        };
        if let Some(tree) = &self.tree {
            let found = self.found(data, uid).map(|found| self.find(data, uid, found, Some(tree)));
            let known = found.transpose()?;
            return Ok(known.map(|known| known.entity).or_else(|| self.facts.files.get(uid).cloned()));
        }
        let Some(mut known) = self.remembered(data, uid, None)? else {
            return Ok(self.facts.files.get(uid).cloned());
        };
        self.note(known.window);
        if self.is_scoped(data, &known.targets)? {
            let scoped = self.remembered(data, uid, Some(self.asked(data)?))?;
            known = scoped.ok_or(Unreadable)?;
            self.note(known.window);
        }
        Ok(Some(Arc::clone(&known.entity)))
    }

    /// The same, borrowed where the pack's files alone say what it is.
    ///
    /// # Errors
    /// When the data can't be read, or is too much.
    pub fn hold(&self, uid: &EntityUID) -> Result<Held<'a>, Unreadable> {
        if self.facts.data.is_none() || uid.entity_type().is_action() {
            return Ok(self.facts.files.get(uid).map_or(Held::Nothing, |entity| Held::Own(entity)));
        }
        Ok(self.get(uid)?.map_or(Held::Nothing, Held::Shared))
    }

    fn note(&self, window: Window) {
        self.window.set(self.window.get().and(window));
    }

    /// Whether one of these scopes may be about the question's resource.
    fn is_scoped(&self, data: &PackData, targets: &HashSet<EntityUID>) -> Result<bool, Unreadable> {
        let Some(resource) = self.resource.filter(|_| !targets.is_empty()) else { return Ok(false) };
        let within = &self.asked(data)?.within;
        Ok(targets.contains(resource) || within.iter().any(|tree| targets.contains(tree)))
    }

    fn asked(&self, data: &PackData) -> Result<&Asked, Unreadable> {
        if self.asked.get().is_none() {
            let mut ancestry = Ancestry::new(self.facts, data);
            let resource = self.resource.ok_or(Unreadable)?;
            let within = Rc::new(ancestry.tree(resource)?);
            let place = Place::Resource(resource.clone());
            self.asked.set(Asked { place, within, by_files: ancestry.by_files }).ok();
        }
        self.asked.get().ok_or(Unreadable)
    }

    /// An entity of which the data says something, as far as `asked` goes.
    fn remembered(
        &self,
        data: &PackData,
        uid: &EntityUID,
        asked: Option<&Asked>,
    ) -> Result<Option<Arc<Known>>, Unreadable> {
        let resource = self.resource.filter(|_| asked.is_some());
        let place = data.memory.place((data.origin, self.facts.files.number(), uid, resource));
        let known = data.memory.get(place).filter(|known| self.may_stand(data, known, uid, resource));
        if let Some(known) = &known
            && known.seen_by.load(Ordering::Relaxed) == data.number
        {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(found) = self.found(data, uid) else { return Ok(None) };
        if let Some(known) = known.filter(|known| self.stands(data, known, found)) {
            known.seen_by.store(data.number, Ordering::Relaxed);
            return Ok(Some(known));
        }
        let known = Arc::new(self.find(data, uid, found, asked)?);
        data.memory.put(place, Arc::clone(&known));
        Ok(Some(known))
    }

    /// What there is to know of an entity; nothing when it is no more than the pack's own.
    fn found<'d>(&'d self, data: &'d PackData, uid: &EntityUID) -> Option<Found<'d>> {
        let own = self.facts.files.get(uid);
        let key = data.key(uid);
        let row = key.filter(|_| own.is_none()).and_then(|key| data.row(key));
        let assigned = key.and_then(|key| data.assigned(key));
        let alone = own.is_none_or(|entity| entity.ancestors().next().is_none());
        (row.is_some() || assigned.is_some() || !alone).then_some(Found { own, row, assigned })
    }

    /// Whether what is remembered is of this entity, and of these files, and of now.
    fn may_stand(&self, data: &PackData, known: &Known, uid: &EntityUID, about: Option<&EntityUID>) -> bool {
        known.origin == data.origin
            && known.files == self.facts.files.number()
            && known.window.has(self.facts.now)
            && known.inactive.is_none_or(|number| number == self.inactive_number())
            && known.entity.uid() == uid
            && known.about.as_ref().map(|about| &about.0) == about
    }

    /// Whether what may stand was found by what is still so.
    fn stands(&self, data: &PackData, known: &Known, found: Found<'_>) -> bool {
        let same_row = |one: Option<&Row>, other: Option<&Row>| match (one, other) {
            (Some(one), Some(other)) => one.is(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let same_assigned = match (&known.assigned, found.assigned) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let same_resource =
            |about: &(EntityUID, Option<Row>)| same_row(about.1.as_ref(), self.row_of(data, &about.0));
        !known.by_files
            && known.hierarchy == data.hierarchy
            && same_row(known.row.as_ref(), found.row)
            && same_assigned
            && known.about.as_deref().is_none_or(same_resource)
    }

    fn row_of<'d>(&self, data: &'d PackData, uid: &EntityUID) -> Option<&'d Row> {
        data.key(uid).and_then(|key| data.row(key))
    }

    fn inactive_number(&self) -> u64 {
        self.facts.inactive.map_or(0, |inactive| inactive.number)
    }

    fn find(
        &self,
        data: &PackData,
        uid: &EntityUID,
        found: Found<'_>,
        asked: Option<&Asked>,
    ) -> Result<Known, Unreadable> {
        let mut ancestry = Ancestry::new(self.facts, data);
        let everywhere = Asked::tenant();
        let asked_or_all = asked.unwrap_or(&everywhere);
        let reached = ancestry.reach(uid, asked_or_all, LONGEST_CHAIN)?;
        let about = |resource: &EntityUID| Box::new((resource.clone(), self.row_of(data, resource).cloned()));
        let ancestors = reached.len() + ancestry.targets.len();
        let values = found.row.map_or(0, Row::value_bytes);
        Ok(Known {
            origin: data.origin,
            files: self.facts.files.number(),
            seen_by: AtomicU64::new(data.number),
            hierarchy: data.hierarchy,
            by_files: ancestry.by_files || asked_or_all.by_files,
            inactive: ancestry.delegated.then(|| self.inactive_number()),
            row: found.row.cloned(),
            assigned: found.assigned.cloned(),
            about: self.resource.filter(|_| asked.is_some()).map(about),
            window: ancestry.window,
            targets: ancestry.targets,
            entity: entity(data, uid, found, reached)?,
            // A Cedar entity is a tree and two tables; a value is some eight times its bytes, an id some 200 bytes.
            bytes: 2_000 + 8 * values + 200 * ancestors,
        })
    }
}

fn entity(
    data: &PackData,
    uid: &EntityUID,
    found: Found<'_>,
    reached: HashSet<EntityUID>,
) -> Result<Arc<Entity>, Unreadable> {
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
        Some(row) => row.values(data.types())?,
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

//! The store's entities and role assignments of one tenant in one pack.
//!
//! Promises: a change shares all that it does not touch. What is remembered of entities (see `memory`) tells
//! itself whether it still stands: by the identity of rows, and by a number that changes whenever something
//! changes that others build on (a parent, a role, a delegator, the target of a scope).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cedar_policy_core::ast::EntityUID;
use smol_str::SmolStr;

use super::assignment::{Assignment, Held};
use super::families::{Edges, Families};
use super::fresh_number;
use super::memory::Memory;
use super::row::{Key, Row};
use super::trie::Trie;
use super::types::{Types, Unreadable};
use super::update::{AssignmentUpdate, EntityUpdate, Kind};

/// All that somebody has been assigned.
pub type Assigned = Arc<Vec<Arc<Assignment>>>;

/// Entities and assignments.
#[derive(Clone, Debug)]
pub struct PackData {
    types: Arc<Types>,
    rows: Trie<Row>,
    assignments: Trie<Arc<Assignment>>,
    by_subject: Trie<Assigned>,
    /// What others build on: parents, roles, delegators, targets of scopes.
    built_on: Trie<Arc<Held>>,
    /// The roles that name others as exclusive.
    exclusive: Arc<BTreeSet<(u32, Box<str>)>>,
    hasher: foldhash::quality::RandomState,
    /// Children by parent, once somebody has asked for them.
    families: OnceLock<Arc<Families>>,
    /// All that were made of data of the same beginning, each as of the latest that it was asked of.
    made: Arc<Made>,
    /// The same for all that came of one beginning.
    pub origin: u64,
    /// Differs with every change to what others build on.
    pub hierarchy: u64,
    /// Differs with every change.
    pub number: u64,
    /// What is remembered of entities.
    pub memory: Arc<Memory>,
}

/// What was put together, by what.
#[derive(Debug, Default)]
struct Made(Mutex<BTreeMap<Edges, Latest>>);

/// As of the latest data.
type Latest = Arc<Mutex<Option<Arc<Families>>>>;

impl Made {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Edges, Latest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PackData {
    /// Nothing yet.
    pub fn new(memory: Arc<Memory>) -> Self {
        Self {
            types: Arc::default(),
            rows: Trie::default(),
            assignments: Trie::default(),
            by_subject: Trie::default(),
            built_on: Trie::default(),
            exclusive: Arc::default(),
            hasher: foldhash::quality::RandomState::default(),
            families: OnceLock::new(),
            made: Arc::default(),
            origin: fresh_number(),
            hierarchy: fresh_number(),
            number: fresh_number(),
            memory,
        }
    }

    /// The types by their numbers.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The key of this entity, if anything was named with its type.
    pub fn key<'u>(&self, uid: &'u EntityUID) -> Option<Key<'u>> {
        Some((self.types.known(uid.entity_type())?, uid.eid().as_ref()))
    }

    /// The entity with this key.
    ///
    /// # Errors
    /// When Cedar can't say its type.
    pub fn uid(&self, (number, id): Key<'_>) -> Result<EntityUID, Unreadable> {
        self.types.uid(number, id)
    }

    /// The row of an entity.
    pub fn row(&self, key: Key<'_>) -> Option<&Row> {
        self.rows.get(hash(&self.hasher, key), |row| row.key() == key)
    }

    /// The entities of this kind with this id, whatever their types are called.
    pub fn of_kind(&self, kind: Kind, id: &str) -> Vec<EntityUID> {
        let is_one = |number: &u32| self.row((*number, id)).is_some_and(|row| row.kind() == kind);
        self.types.numbers().filter(is_one).filter_map(|number| self.uid((number, id)).ok()).collect()
    }

    /// What somebody has been assigned, in force or not.
    pub fn assigned(&self, key: Key<'_>) -> Option<&Assigned> {
        let same = |held: &Assigned| held.first().is_some_and(|one| one.subject.key() == key);
        self.by_subject.get(hash(&self.hasher, key), same)
    }

    /// The assignment with this id.
    pub fn assignment(&self, id: &str) -> Option<&Arc<Assignment>> {
        self.assignments.get(hash(&self.hasher, (0, id)), |one| *one.id == *id)
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// All assignments.
    pub fn assignments(&self) -> impl Iterator<Item = &Arc<Assignment>> {
        self.assignments.iter()
    }

    /// Whether others build on this entity: as a parent, a role, a delegator, or the target of a scope.
    pub fn is_built_on(&self, key: Key<'_>) -> bool {
        self.built_on(key).is_some()
    }

    /// The key of an entity that others build on, as the data has it.
    pub fn built_on(&self, key: Key<'_>) -> Option<Key<'_>> {
        self.built_on.get(hash(&self.hasher, key), |held| held.key() == key).map(|held| held.key())
    }

    /// All that have been assigned something.
    pub fn subjects(&self) -> impl Iterator<Item = Key<'_>> {
        self.by_subject.iter().filter_map(|held| held.first()).map(|one| one.subject.key())
    }

    /// What is directly in each entity.
    pub fn families(&self) -> &Families {
        self.families.get_or_init(|| self.put_together(&Edges::Parents))
    }

    /// Who has which value as this attribute. The place of an id has the value, [`written`](super::families::written).
    pub fn by_value(&self, attribute: &SmolStr) -> Arc<Families> {
        self.put_together(&Edges::Values(attribute.clone()))
    }

    /// Makes again what was ever made, and what is directly in each entity.
    pub fn prepare_families(&self) {
        self.families();
        let made: Vec<Edges> = self.made.all().keys().cloned().collect();
        made.iter().for_each(|edges| drop(self.put_together(edges)));
    }

    fn put_together(&self, edges: &Edges) -> Arc<Families> {
        let slot = Arc::clone(self.made.all().entry(edges.clone()).or_default());
        // Held while they are made: whoever else wants them has these.
        let mut latest = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match &*latest {
            Some(known) if known.number == self.number => return Arc::clone(known),
            Some(known) => Arc::new(known.follow(self)),
            None => Arc::new(Families::of(self, edges.clone())),
        };
        // Pages may still be of older data.
        if latest.as_ref().is_none_or(|known| known.number < made.number) {
            *latest = Some(Arc::clone(&made));
        }
        made
    }

    /// What an entity is directly in, by its row and by its assignments.
    pub fn parents<'d>(&'d self, key: Key<'_>) -> impl Iterator<Item = Key<'d>> {
        let by_row = self.row(key).into_iter().flat_map(Row::parents);
        by_row.chain(self.assigned(key).into_iter().flat_map(|all| all.iter()).map(|one| one.role.key()))
    }

    /// All rows, to be compared with others.
    pub fn row_trie(&self) -> &Trie<Row> {
        &self.rows
    }

    /// All assignments, to be compared with others.
    pub fn assignment_trie(&self) -> &Trie<Arc<Assignment>> {
        &self.assignments
    }

    /// How many entities there are.
    #[cfg(test)]
    pub(super) fn entity_count(&self) -> usize {
        self.rows.len()
    }

    /// The roles that name others as exclusive.
    pub fn exclusive(&self) -> impl Iterator<Item = Key<'_>> {
        self.exclusive.iter().map(|(number, id)| (*number, &**id))
    }

    /// The bytes that the entities take, without assignments.
    pub fn resident_bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(Row::resident_bytes).sum();
        let held = |held: &Arc<Held>| size_of::<Held>() + 2 * size_of::<usize>() + held.id.len();
        rows + self.rows.resident_bytes()
            + self.built_on.resident_bytes()
            + self.built_on.iter().map(held).sum::<usize>()
    }

    /// Puts an entity in, unless it is older than what is known; tells whether it did.
    pub fn put_entity(&mut self, update: &EntityUpdate) -> bool {
        let row = Row::new(update, &mut self.types);
        let key = row.key();
        if self.row(key).is_some_and(|old| old.version() > update.version) {
            return false;
        }
        self.changed(key);
        row.parents().for_each(|parent| self.build_on(parent));
        let exclusive = update.kind == Kind::Role && !update.settings.exclusive_with.is_empty();
        self.note_exclusive(key, exclusive);
        let Self { rows, hasher, .. } = self;
        rows.put(hash(hasher, key), row.clone(), |old| old.key() == key);
        true
    }

    /// Takes an entity out; false when it was made anew since.
    pub fn remove_entity(&mut self, entity_type: &str, id: &str, version: u64) -> bool {
        let key = (Types::number(&mut self.types, entity_type), id);
        match self.row(key) {
            Some(newer) if newer.version() > version => return false,
            None => return true,
            Some(_) => {}
        }
        self.changed(key);
        self.note_exclusive(key, false);
        self.rows.remove(hash(&self.hasher, key), |row| row.key() == key);
        true
    }

    /// Puts an assignment in, unless it is older than what is known.
    pub fn put_assignment(&mut self, update: &AssignmentUpdate) {
        if self.assignment(&update.id).is_some_and(|old| old.version > update.version) {
            return;
        }
        self.take_assignment(&update.id);
        let new = Arc::new(Assignment::new(update, &mut self.types));
        self.changed(new.subject.key());
        let named = [Some(&new.role), new.place.target(), new.delegated_by.as_ref()];
        named.into_iter().flatten().for_each(|held| self.build_on(held.key()));
        let Self { assignments, by_subject, hasher, .. } = self;
        let (id, subject) = (&*new.id, new.subject.key());
        let same = |one: &Arc<Assignment>| *one.id == *id;
        assignments.put(hash(hasher, (0, id)), Arc::clone(&new), same);
        let held = by_subject.remove(hash(hasher, subject), |held| is_of(held, subject));
        let mut held = held.unwrap_or_default();
        Arc::make_mut(&mut held).push(Arc::clone(&new));
        by_subject.put(hash(hasher, subject), held, |held| is_of(held, subject));
    }

    /// Takes an assignment out, unless it was made anew since.
    pub fn remove_assignment(&mut self, id: &str, version: u64) {
        if self.assignment(id).is_some_and(|old| old.version <= version) {
            self.take_assignment(id);
        }
    }

    fn take_assignment(&mut self, id: &str) {
        let found = self.assignments.remove(hash(&self.hasher, (0, id)), |one| *one.id == *id);
        let Some(old) = found else { return };
        let subject = old.subject.key();
        self.changed(subject);
        let Self { by_subject, hasher, .. } = self;
        let held = by_subject.remove(hash(hasher, subject), |held| is_of(held, subject));
        let mut held = held.unwrap_or_default();
        Arc::make_mut(&mut held).retain(|one| *one.id != *id);
        if !held.is_empty() {
            by_subject.put(hash(hasher, subject), held, |_| false);
        }
    }

    /// Notes that an entity or what it is assigned changes.
    fn changed(&mut self, key: Key<'_>) {
        self.number = fresh_number();
        self.families = OnceLock::new();
        if self.is_built_on(key) {
            self.hierarchy = self.number;
        }
    }

    fn build_on(&mut self, (number, id): Key<'_>) {
        let Self { built_on, hasher, .. } = self;
        let place = hash(hasher, (number, id));
        if built_on.get(place, |known| known.key() == (number, id)).is_none() {
            built_on.put(place, Arc::new(Held { number, id: id.into() }), |_| false);
        }
    }

    fn note_exclusive(&mut self, (number, id): Key<'_>, exclusive: bool) {
        if !exclusive && self.exclusive.is_empty() {
            return;
        }
        let entry = (number, Box::from(id));
        if self.exclusive.contains(&entry) != exclusive {
            let all = Arc::make_mut(&mut self.exclusive);
            if exclusive {
                all.insert(entry)
            } else {
                all.remove(&entry)
            };
        }
    }
}

fn is_of(held: &Assigned, subject: Key<'_>) -> bool {
    held.first().is_some_and(|one| one.subject.key() == subject)
}

fn hash(hasher: &foldhash::quality::RandomState, key: Key<'_>) -> u32 {
    let [a, b, c, d, ..] = hasher.hash_one(key).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

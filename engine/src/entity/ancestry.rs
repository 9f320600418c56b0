//! What an entity is in: by parents, and by the roles that it is assigned.
//!
//! An assignment in force is an edge from its subject to its role, as a parent is. It is in force within its time and
//! its scope; a delegated one, while its delegator is active and has the role itself, where the assignment counts.
//! Promises: data that goes in circles comes to an end; too much of it is refused, never judged by half.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use cedar_policy_core::ast::EntityUID;

use super::assignment::{ALWAYS, Assignment, NEVER, Place};
use super::facts::Facts;
use super::holding::place_of;
use super::pack_data::PackData;
use super::types::Unreadable;
use crate::clock::Timestamp;

/// How often a role may be passed on.
pub const LONGEST_CHAIN: u8 = 5;
/// How many entities and assignments are looked at for one entity.
const MOST_STEPS: usize = 1_000_000;

/// The time in which something holds: from its start on, before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Window {
    /// All time.
    pub const ALL: Self = Self { from: ALWAYS, until: NEVER };
    /// No time at all.
    pub const NEVER: Self = Self { from: NEVER, until: ALWAYS };

    /// Whether an instant is in it.
    pub fn has(self, now: Timestamp) -> bool {
        self.from <= now && (now < self.until || self.until == NEVER)
    }

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Ends where this assignment starts or ends next, and begins where it last did.
    fn note(&mut self, assignment: &Assignment, now: Timestamp) {
        for boundary in [assignment.starts_at, assignment.ends_at] {
            if boundary <= now {
                self.from = self.from.max(boundary);
            } else {
                self.until = self.until.min(boundary);
            }
        }
    }
}

/// All that one entity is in.
pub type Reached = Rc<HashSet<EntityUID>>;

/// A place that is asked about, and the trees that it is in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The place.
    pub place: Place<EntityUID>,
    /// What its entity is in, by parents alone.
    pub within: Rc<HashSet<EntityUID>>,
    /// See [`Ancestry::by_files`].
    pub by_files: bool,
}

impl Asked {
    /// Everywhere.
    pub fn tenant() -> Self {
        Self { place: Place::Tenant, within: Rc::default(), by_files: false }
    }

    /// Whether what counts at `place` counts here.
    pub fn is_covered_by(&self, place: &Place<EntityUID>) -> bool {
        match (place, &self.place) {
            (Place::Tenant, _) => true,
            (Place::Resource(one), Place::Resource(asked)) => one == asked,
            (Place::Tree(tree), Place::Resource(asked) | Place::Tree(asked)) => {
                tree == asked || self.within.contains(tree)
            }
            _ => false,
        }
    }
}

/// Finds what entities are in.
#[derive(Debug)]
pub struct Ancestry<'a> {
    facts: Facts<'a>,
    data: &'a PackData,
    steps: usize,
    /// Who was found to be in what: for delegators, who stand behind many.
    known: HashMap<(EntityUID, Place<EntityUID>, u8), Reached>,
    /// When what was found holds.
    pub window: Window,
    /// Whether somebody's being active was part of it.
    pub delegated: bool,
    /// Whether what the pack's own entities are in was part of it: the data does not know that others build on these.
    pub by_files: bool,
    /// The targets of scopes that came in the way.
    pub targets: HashSet<EntityUID>,
    /// The scopes that came in the way and have something in force now, by its time alone.
    pub scopes: HashSet<Place<EntityUID>>,
}

impl<'a> Ancestry<'a> {
    /// Starts with nothing found.
    pub fn new(facts: Facts<'a>, data: &'a PackData) -> Self {
        Self {
            facts,
            data,
            steps: 0,
            known: HashMap::new(),
            window: Window::ALL,
            delegated: false,
            by_files: false,
            targets: HashSet::new(),
            scopes: HashSet::new(),
        }
    }

    fn step(&mut self) -> Result<(), Unreadable> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(Unreadable) } else { Ok(()) }
    }

    /// What an entity is in by parents alone.
    ///
    /// # Errors
    /// When data can't be read or is too much.
    pub fn tree(&mut self, uid: &EntityUID) -> Result<HashSet<EntityUID>, Unreadable> {
        let mut reached = HashSet::new();
        let mut waiting = vec![uid.clone()];
        while let Some(uid) = waiting.pop() {
            self.add_parents(&uid, &mut reached, &mut waiting)?;
        }
        reached.remove(uid);
        Ok(reached)
    }

    /// What an entity is in, where `asked` says, with at most `chain` delegations one upon the other.
    ///
    /// # Errors
    /// When data can't be read or is too much.
    pub fn reach(
        &mut self,
        uid: &EntityUID,
        asked: &Asked,
        chain: u8,
    ) -> Result<HashSet<EntityUID>, Unreadable> {
        let mut reached = HashSet::new();
        let mut waiting = vec![uid.clone()];
        while let Some(uid) = waiting.pop() {
            self.add_parents(&uid, &mut reached, &mut waiting)?;
            let data = self.data;
            let Some(assigned) = data.key(&uid).and_then(|key| data.assigned(key)) else { continue };
            for assignment in assigned.iter() {
                self.step()?;
                if self.is_in_force(assignment, asked, chain)? {
                    let role = data.uid(assignment.role.key())?;
                    if reached.insert(role.clone()) {
                        waiting.push(role);
                    }
                }
            }
        }
        reached.remove(uid);
        Ok(reached)
    }

    fn add_parents(
        &mut self,
        uid: &EntityUID,
        reached: &mut HashSet<EntityUID>,
        waiting: &mut Vec<EntityUID>,
    ) -> Result<(), Unreadable> {
        self.step()?;
        let mut add = |parent: EntityUID| {
            if !reached.contains(&parent) {
                reached.insert(parent.clone());
                waiting.push(parent);
            }
        };
        if let Some(entity) = self.facts.files.get(uid) {
            // The pack's own entities win; they carry all their ancestors.
            entity.ancestors().cloned().for_each(add);
            self.by_files |= entity.ancestors().next().is_some();
            return Ok(());
        }
        let Some(row) = self.data.key(uid).and_then(|key| self.data.row(key)) else { return Ok(()) };
        for parent in row.parents() {
            add(self.data.uid(parent)?);
        }
        Ok(())
    }

    fn is_in_force(
        &mut self,
        assignment: &Arc<Assignment>,
        asked: &Asked,
        chain: u8,
    ) -> Result<bool, Unreadable> {
        let data = self.data;
        let uid = |held: &super::assignment::Held| data.uid(held.key());
        let place = place_of(self.facts, assignment)?;
        if let Some(target) = place.target() {
            self.targets.insert(target.clone());
            if assignment.counts_at(self.facts.now) {
                self.scopes.insert(place.clone());
            }
        }
        if !asked.is_covered_by(&place) {
            return Ok(false);
        }
        self.window.note(assignment, self.facts.now);
        if !assignment.counts_at(self.facts.now) {
            return Ok(false);
        }
        let Some(delegator) = &assignment.delegated_by else { return Ok(true) };
        self.delegated = true;
        let delegator = uid(delegator)?;
        let Some(chain) = chain.checked_sub(1) else { return Ok(false) };
        if self.facts.is_inactive(&delegator) {
            return Ok(false);
        }
        let role = uid(&assignment.role)?;
        Ok(self.delegator_reaches(&delegator, place, chain)?.contains(&role))
    }

    fn delegator_reaches(
        &mut self,
        delegator: &EntityUID,
        place: Place<EntityUID>,
        chain: u8,
    ) -> Result<Reached, Unreadable> {
        let key = (delegator.clone(), place, chain);
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let within = match key.1.target() {
            None => HashSet::new(),
            Some(target) => self.tree(target)?,
        };
        let asked = Asked { place: key.1.clone(), within: Rc::new(within), by_files: self.by_files };
        let reached = Rc::new(self.reach(delegator, &asked, chain)?);
        self.known.insert(key, Rc::clone(&reached));
        Ok(reached)
    }
}

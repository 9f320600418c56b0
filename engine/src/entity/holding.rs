//! What roles somebody holds, over all time: for those who give roles and pass them on.
//!
//! A question asks what counts now; who gives a role until Friday asks whether they have it until Friday. Promises: what
//! is held is what decisions would count, instant by instant; too much to look at is refused.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cedar_policy_core::ast::EntityUID;

use super::ancestry::{Ancestry, Asked, LONGEST_CHAIN, Window};
use super::assignment::{Assignment, Place};
use super::facts::Facts;
use super::types::Unreadable;

/// How many steps are taken for one answer.
const MOST_STEPS: usize = 1_000_000;

/// A role, where and for how long.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The role.
    pub role: EntityUID,
    /// Where.
    pub place: Place<EntityUID>,
    /// When.
    pub window: Window,
}

/// Whether somebody holds all of this: the role or one that inherits it, where it is to count, for the whole time that is
/// still to come.
///
/// # Errors
/// When data can't be read or is too much.
pub fn holds(facts: Facts<'_>, subject: &EntityUID, claim: &Claim) -> Result<bool, Unreadable> {
    Holdings::new(facts).cover(subject, claim, LONGEST_CHAIN)
}

/// Whether somebody holds all of this and may pass it on.
///
/// # Errors
/// When data can't be read or is too much.
pub fn may_pass_on(facts: Facts<'_>, subject: &EntityUID, claim: &Claim) -> Result<bool, Unreadable> {
    Holdings::new(facts).cover(subject, claim, LONGEST_CHAIN - 1)
}

type Held = (EntityUID, EntityUID, Place<EntityUID>, u8);

struct Holdings<'a> {
    facts: Facts<'a>,
    steps: usize,
    known: HashMap<Held, Rc<Vec<Window>>>,
    places: HashMap<Place<EntityUID>, Asked>,
}

impl<'a> Holdings<'a> {
    fn new(facts: Facts<'a>) -> Self {
        Self { facts, steps: 0, known: HashMap::new(), places: HashMap::new() }
    }

    fn cover(&mut self, subject: &EntityUID, claim: &Claim, chain: u8) -> Result<bool, Unreadable> {
        if self.facts.is_inactive(subject) {
            return Ok(false);
        }
        let needed = Window { from: claim.window.from.max(self.facts.now), until: claim.window.until };
        let held = self.windows(subject, (&claim.role, &claim.place), chain)?;
        let mut sorted = held.to_vec();
        sorted.sort_by_key(|window| window.from);
        let mut covered = needed.from;
        for window in sorted {
            if window.from > covered {
                break;
            }
            covered = covered.max(window.until);
        }
        Ok(covered >= needed.until)
    }

    fn step(&mut self) -> Result<(), Unreadable> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(Unreadable) } else { Ok(()) }
    }

    /// When somebody has a role somewhere; the windows may overlap.
    fn windows(
        &mut self,
        subject: &EntityUID,
        (role, place): (&EntityUID, &Place<EntityUID>),
        chain: u8,
    ) -> Result<Rc<Vec<Window>>, Unreadable> {
        let key = (subject.clone(), role.clone(), place.clone(), chain);
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(subject.clone(), Window::ALL)];
        while let Some((uid, window)) = waiting.pop() {
            self.step()?;
            if !seen.insert((uid.clone(), window.from, window.until)) {
                continue;
            }
            if uid == *role {
                found.push(window);
                continue;
            }
            waiting.extend(parents(self.facts, &uid)?.into_iter().map(|parent| (parent, window)));
            for (given, when) in self.given(&uid, place, chain)? {
                let both = window.and(when);
                if both.from < both.until {
                    waiting.push((given, both));
                }
            }
        }
        let found = Rc::new(found);
        self.known.insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// The roles that somebody is assigned where it counts, and when.
    fn given(
        &mut self,
        uid: &EntityUID,
        place: &Place<EntityUID>,
        chain: u8,
    ) -> Result<Vec<(EntityUID, Window)>, Unreadable> {
        let mut given = Vec::new();
        let Some(data) = self.facts.data else { return Ok(given) };
        let Some(assigned) = data.key(uid).and_then(|key| data.assigned(key)) else { return Ok(given) };
        for assignment in assigned.iter() {
            self.step()?;
            let counts_at = place_of(self.facts, assignment)?;
            if !self.asked(place)?.is_covered_by(&counts_at) {
                continue;
            }
            let role = data.uid(assignment.role.key())?;
            let window = Window { from: assignment.starts_at, until: assignment.ends_at };
            let Some(delegator) = &assignment.delegated_by else {
                given.push((role, window));
                continue;
            };
            let delegator = data.uid(delegator.key())?;
            let Some(chain) = chain.checked_sub(1).filter(|_| !self.facts.is_inactive(&delegator)) else {
                continue;
            };
            let held = self.windows(&delegator, (&role, &counts_at), chain)?;
            given.extend(held.iter().map(|held| (role.clone(), held.and(window))));
        }
        Ok(given)
    }

    fn asked(&mut self, place: &Place<EntityUID>) -> Result<&Asked, Unreadable> {
        if !self.places.contains_key(place) {
            let within = match (place.target(), self.facts.data) {
                (Some(target), Some(data)) => Ancestry::new(self.facts, data).tree(target)?,
                _ => HashSet::new(),
            };
            let asked = Asked { place: place.clone(), within: Rc::new(within), by_files: false };
            self.places.insert(place.clone(), asked);
        }
        self.places.get(place).ok_or(Unreadable)
    }
}

/// What an entity is directly in; of the pack's own, all that they are in.
pub(super) fn parents(facts: Facts<'_>, uid: &EntityUID) -> Result<Vec<EntityUID>, Unreadable> {
    if let Some(own) = facts.files.get(uid) {
        return Ok(own.ancestors().cloned().collect());
    }
    let Some(data) = facts.data else { return Ok(Vec::new()) };
    let row = data.key(uid).and_then(|key| data.row(key));
    row.into_iter().flat_map(|row| row.parents()).map(|key| data.uid(key)).collect()
}

/// Where an assignment counts.
pub(super) fn place_of(facts: Facts<'_>, assignment: &Assignment) -> Result<Place<EntityUID>, Unreadable> {
    let data = facts.data.ok_or(Unreadable)?;
    Ok(match &assignment.place {
        Place::Tenant => Place::Tenant,
        Place::Resource(target) => Place::Resource(data.uid(target.key())?),
        Place::Tree(target) => Place::Tree(data.uid(target.key())?),
    })
}

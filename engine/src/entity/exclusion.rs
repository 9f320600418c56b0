//! Static separation of duties: that nobody comes to have two roles that exclude each other.
//!
//! Two roles exclude each other when either names the other. A role counts as held from now on, in the time of its
//! assignment, whether it is held itself or inherited, by oneself or by a group. Only two different single resources are
//! apart; a tree counts as overlapping with all, since what is in it changes. Promises: who has no two such roles is
//! never refused; the work is in proportion to the entities, and there is none when no roles exclude each other.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use cedar_policy_core::ast::{Eid, EntityUID};

use super::ancestry::Window;
use super::assignment::Place;
use super::facts::Facts;
use super::holding::{parents, place_of};
use super::row::Key;
use super::types::Unreadable;
use super::update::Kind;

/// How many steps are taken for one entity.
const MOST_STEPS: usize = 1_000_000;

/// Two roles that somebody would have, and must not have together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who.
    pub principal: EntityUID,
    /// One role.
    pub first: EntityUID,
    /// The other.
    pub second: EntityUID,
}

/// The first conflict that a change brings: one that there is after it, and was not before. `changed` is the entity whose
/// parents or assignments changed; without it, all are looked at, as after a change of roles.
///
/// # Errors
/// When data can't be read or is too much.
pub fn new_conflict(
    before: Facts<'_>,
    after: Facts<'_>,
    changed: Option<&EntityUID>,
) -> Result<Option<Conflict>, Unreadable> {
    let mut scan = Scan::new(after);
    if scan.exclusive.is_empty() {
        return Ok(None);
    }
    let mut earlier = Scan::new(before);
    let mut news = |principal: &EntityUID, found: Vec<(EntityUID, EntityUID)>| {
        if found.is_empty() {
            return Ok(None);
        }
        // Who was none of those that count had no conflict, whatever roles it had.
        let known = if is_holder(before, principal) { earlier.conflicts(principal)? } else { Vec::new() };
        let new = found.into_iter().find(|pair| !known.contains(pair));
        Ok(new.map(|(first, second)| Conflict { principal: principal.clone(), first, second }))
    };
    if let Some(uid) = changed.filter(|uid| !is_built_on(after, uid)) {
        let found = if is_holder(after, uid) { scan.conflicts(uid)? } else { Vec::new() };
        return news(uid, found);
    }
    for principal in scan.candidates()? {
        let found = scan.conflicts(&principal)?;
        if let Some(conflict) = news(&principal, found)? {
            return Ok(Some(conflict));
        }
    }
    Ok(None)
}

/// Whether others may have by this entity what it has.
fn is_built_on(facts: Facts<'_>, uid: &EntityUID) -> bool {
    let by_rows = facts.data.is_some_and(|data| data.key(uid).is_some_and(|key| data.is_built_on(key)));
    by_rows || facts.files.iter().any(|own| own.is_descendant_of(uid))
}

/// Whether an entity is one that must not have two such roles: a principal, or who has an assignment and is neither a group
/// nor a role.
fn is_holder(facts: Facts<'_>, uid: &EntityUID) -> bool {
    let own = facts.files.get(uid);
    let row = facts.data.filter(|_| own.is_none()).and_then(|data| data.row(data.key(uid)?));
    if let Some(row) = row {
        return row.kind().is_principal();
    }
    let mut kinds =
        facts.kinds.iter().filter(|(_, name)| name == uid.entity_type()).map(|(kind, _)| *kind).peekable();
    let assigned =
        || facts.data.is_some_and(|data| data.key(uid).is_some_and(|key| data.assigned(key).is_some()));
    match kinds.peek() {
        None => assigned(),
        Some(_) => kinds.any(Kind::is_principal) && (own.is_some() || assigned()),
    }
}

/// Where and when one of the roles is held.
type Holding = (usize, Place<EntityUID>, Window);

/// One look at the data.
struct Scan<'a> {
    facts: Facts<'a>,
    /// The roles that exclude others or are excluded.
    roles: Vec<EntityUID>,
    numbers: HashMap<EntityUID, usize>,
    exclusive: HashSet<(usize, usize)>,
    /// What whoever is in these has by them.
    known: HashMap<Key<'a>, Rc<Vec<Holding>>>,
}

impl<'a> Scan<'a> {
    fn new(facts: Facts<'a>) -> Self {
        let mut scan = Self {
            facts,
            roles: Vec::new(),
            numbers: HashMap::new(),
            exclusive: HashSet::new(),
            known: HashMap::new(),
        };
        let Some(data) = facts.data else { return scan };
        for key in data.exclusive() {
            // A role of the pack's own files wins, and names no others.
            let Ok(role) = data.uid(key) else { continue };
            let Some(row) = data.row(key).filter(|_| facts.files.get(&role).is_none()) else { continue };
            let first = scan.number(&role);
            for other in row.settings().exclusive_with {
                let other = EntityUID::from_components(role.entity_type().clone(), Eid::new(other), None);
                let second = scan.number(&other);
                if first != second {
                    scan.exclusive.insert((first.min(second), first.max(second)));
                }
            }
        }
        scan
    }

    fn number(&mut self, role: &EntityUID) -> usize {
        if let Some(known) = self.numbers.get(role) {
            return *known;
        }
        self.numbers.insert(role.clone(), self.roles.len());
        self.roles.push(role.clone());
        self.roles.len() - 1
    }

    /// All that have one of the roles and must not have two.
    fn candidates(&mut self) -> Result<Vec<EntityUID>, Unreadable> {
        let facts = self.facts;
        let Some(data) = facts.data else { return Ok(Vec::new()) };
        let mut found = HashSet::new();
        for row in data.rows().filter(|row| row.kind().is_principal()) {
            let key = row.key();
            // Who is in many a group, and has one such role at most, has no two.
            let mut held = if data.assigned(key).is_some() { 2 } else { 0 };
            for parent in row.parents() {
                held += self.by(parent)?.len();
            }
            if held > 1 {
                found.insert(data.uid(key)?);
            }
        }
        for subject in data.subjects() {
            found.insert(data.uid(subject)?);
        }
        found.extend(facts.files.iter().map(|own| own.uid().clone()));
        Ok(found.into_iter().filter(|uid| is_holder(facts, uid)).collect())
    }

    /// What whoever is in this entity has by it.
    fn by(&mut self, key: Key<'a>) -> Result<Rc<Vec<Holding>>, Unreadable> {
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let data = self.facts.data.ok_or(Unreadable)?;
        let found = Rc::new(self.walk(vec![(data.uid(key)?, Place::Tenant, Window::ALL)])?);
        self.known.insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// The pairs of roles that an entity has and must not have together.
    fn conflicts(&mut self, uid: &EntityUID) -> Result<Vec<(EntityUID, EntityUID)>, Unreadable> {
        let facts = self.facts;
        let mut held = self.walk(self.assigned(uid, &Place::Tenant, Window::ALL)?)?;
        for parent in parents(facts, uid)? {
            match facts.data.and_then(|data| data.built_on(data.key(&parent)?)) {
                Some(key) => held.extend(self.by(key)?.iter().cloned()),
                None => held.extend(self.walk(vec![(parent, Place::Tenant, Window::ALL)])?),
            }
        }
        let mut pairs = Vec::new();
        if held.len() > 1 {
            let mut by_role: HashMap<usize, Vec<&Holding>> = HashMap::new();
            held.iter().for_each(|holding| by_role.entry(holding.0).or_default().push(holding));
            for (first, second) in &self.exclusive {
                let both = by_role.get(first).zip(by_role.get(second));
                if both.is_some_and(|(one, other)| come_together(one, other)) {
                    let pair = self.roles.get(*first).cloned().zip(self.roles.get(*second).cloned());
                    // In an order of their own: what was numbered otherwise before is no news.
                    pairs.extend(
                        pair.map(|(one, other)| if one < other { (one, other) } else { (other, one) }),
                    );
                }
            }
        }
        pairs.sort();
        Ok(pairs)
    }

    /// Follows parents and assignments from where it begins, and notes the roles on the way.
    fn walk(&self, mut waiting: Vec<Step>) -> Result<Vec<Holding>, Unreadable> {
        let mut held = Vec::new();
        let mut seen: HashSet<Step> = HashSet::new();
        while let Some((uid, place, window)) = waiting.pop() {
            if !seen.insert((uid.clone(), place.clone(), window)) {
                continue;
            }
            if seen.len() > MOST_STEPS {
                return Err(Unreadable);
            }
            if let Some(role) = self.numbers.get(&uid) {
                held.push((*role, place.clone(), window));
            }
            let up = parents(self.facts, &uid)?.into_iter().map(|parent| (parent, place.clone(), window));
            waiting.extend(up);
            waiting.extend(self.assigned(&uid, &place, window)?);
        }
        Ok(held)
    }

    /// What an entity is assigned from now on, by whoever has it in that place and time.
    fn assigned(
        &self,
        uid: &EntityUID,
        place: &Place<EntityUID>,
        within: Window,
    ) -> Result<Vec<Step>, Unreadable> {
        let assigned = self.facts.data.and_then(|data| data.assigned(data.key(uid)?));
        let mut given = Vec::new();
        for assignment in assigned.into_iter().flat_map(|assigned| assigned.iter()) {
            let window = Window { from: assignment.starts_at.max(self.facts.now), until: assignment.ends_at };
            let window = window.and(within);
            if window.from >= window.until {
                continue;
            }
            let role = self.facts.data.ok_or(Unreadable)?.uid(assignment.role.key())?;
            let counts_at = match place {
                Place::Tenant => place_of(self.facts, assignment)?,
                narrower => narrower.clone(),
            };
            given.push((role, counts_at, window));
        }
        Ok(given)
    }
}

/// An entity on the way, and where and when whoever began is in it.
type Step = (EntityUID, Place<EntityUID>, Window);

/// Whether two roles, held so, are ever held in one place at one time.
fn come_together(one: &[&Holding], other: &[&Holding]) -> bool {
    let windows = |of: &[&Holding], wide_alone: bool| -> Vec<Window> {
        let chosen = of.iter().filter(|(_, place, _)| !wide_alone || !matches!(place, Place::Resource(_)));
        chosen.map(|(_, _, window)| *window).collect()
    };
    if overlap(windows(one, true), windows(other, false))
        || overlap(windows(one, false), windows(other, true))
    {
        return true;
    }
    let by_resource = |of: &[&Holding]| {
        let mut all: HashMap<EntityUID, Vec<Window>> = HashMap::new();
        for (_, place, window) in of {
            if let Place::Resource(target) = place {
                all.entry(target.clone()).or_default().push(*window);
            }
        }
        all
    };
    let mut others = by_resource(other);
    by_resource(one)
        .into_iter()
        .any(|(target, windows)| others.remove(&target).is_some_and(|other| overlap(windows, other)))
}

/// Whether a window of one overlaps with a window of the other. Whichever ends first can meet none of those that follow.
fn overlap(mut one: Vec<Window>, mut other: Vec<Window>) -> bool {
    one.sort_by_key(|window| window.from);
    other.sort_by_key(|window| window.from);
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(left), Some(right)) = (ones.peek(), others.peek()) {
        if left.until <= right.from {
            ones.next();
        } else if right.until <= left.from {
            others.next();
        } else {
            return true;
        }
    }
    false
}

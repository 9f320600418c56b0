//! A walk over all whom policies name: those themselves, then whoever has a value, then what is in others, one by one.
//!
//! Promises: everybody once, in an order that the same data always gives; a page costs what it looks at, and not what is
//! there; it goes on where the page before ended. Must never: leave somebody out, or decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID, Literal, PartialValue};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::candidates::{BETWEEN, Beyond, Bounds};
use crate::decision::narrow::Source;
use crate::entity::families::{Families, literals_of, written};
use crate::entity::{ByValue, Facts};

/// Where a page ends: after this id of those who were found by the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evaluation) struct Position {
    /// By what.
    pub(in crate::evaluation) spot: Spot,
    /// After whom.
    pub(in crate::evaluation) after: SmolStr,
}

/// By what somebody was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::evaluation) enum Spot {
    /// By name, or among all.
    #[serde(rename = "n")]
    Named,
    /// By the value of an attribute.
    #[serde(rename = "v")]
    Having(String, String),
    /// By being in what has this type and id.
    #[serde(rename = "w")]
    Within(String, String),
}

/// The same, as the walk has it.
#[derive(Clone, Copy)]
pub(in crate::evaluation) enum At<'s> {
    Named,
    Having(&'s Having),
    Within(&'s EntityUID),
}

impl At<'_> {
    pub(in crate::evaluation) fn spot(self) -> Spot {
        match self {
            Self::Named => Spot::Named,
            Self::Having(having) => Spot::Having(having.attribute.to_string(), having.written.clone()),
            Self::Within(uid) => Spot::Within(uid.entity_type().to_string(), id_of(uid).to_owned()),
        }
    }
}

/// Who comes next, and by what.
pub(in crate::evaluation) type Step<'s> = (&'s str, At<'s>);

/// Those who have a value.
pub(in crate::evaluation) struct Having {
    attribute: SmolStr,
    value: Literal,
    written: String,
}

/// What attributes are looked up in: of the pack's own files, and of the store.
#[derive(Clone)]
struct Looked {
    own: Arc<ByValue>,
    stored: Option<Arc<Families>>,
}

/// One walk.
pub(in crate::evaluation) struct Walk<'a> {
    facts: Facts<'a>,
    entity_type: &'a EntityType,
    /// The store's number of the type.
    number: Option<u32>,
    /// Those of the type whom policies name.
    named: BTreeSet<SmolStr>,
    having: Vec<Having>,
    by_attribute: HashMap<SmolStr, Looked>,
    /// Which values came already.
    came: HashSet<(SmolStr, Literal)>,
    roots: Vec<&'a EntityUID>,
    seen: HashSet<EntityUID>,
    /// By what the store has them in: those who have something in them by the pack's files alone.
    bridges: BTreeMap<EntityUID, BTreeSet<EntityUID>>,
    looked: usize,
    bounds: &'a Bounds<'a>,
}

impl<'a> Walk<'a> {
    pub(in crate::evaluation) fn new(
        facts: Facts<'a>,
        sources: &'a BTreeSet<Source>,
        entity_type: &'a EntityType,
        bounds: &'a Bounds<'a>,
    ) -> Self {
        let number = facts.data.and_then(|data| data.types().known(entity_type));
        let mut walk = Self {
            facts,
            entity_type,
            number,
            named: BTreeSet::new(),
            having: Vec::new(),
            by_attribute: HashMap::new(),
            came: HashSet::new(),
            roots: Vec::new(),
            seen: HashSet::new(),
            bridges: BTreeMap::new(),
            looked: 0,
            bounds,
        };
        for source in sources {
            match source {
                Source::Only(uid) => walk.named.extend(existing(facts, uid, entity_type)),
                Source::Within(uid) => {
                    walk.named.extend(existing(facts, uid, entity_type));
                    walk.roots.push(uid);
                }
                Source::Having(attribute, value) => {
                    let looked = || Looked {
                        own: facts.files.by_value(attribute),
                        stored: facts.data.map(|data| data.by_value(attribute)),
                    };
                    walk.by_attribute.entry(attribute.clone()).or_insert_with(looked);
                    let (attribute, value) = (attribute.clone(), value.clone());
                    walk.having.push(Having { attribute, written: written(&value), value });
                }
            }
        }
        if !walk.roots.is_empty() {
            walk.bridges = bridges(facts);
        }
        walk
    }

    /// Shows one after the other, from a position on, until `see` says that it is enough.
    ///
    /// # Errors
    /// When `see` fails, there is no time left, it is too much, or the position is none of this walk's.
    pub(in crate::evaluation) fn each(
        mut self,
        from: Option<Position>,
        mut see: impl FnMut(Step<'_>) -> Result<bool, Beyond>,
    ) -> Result<(), Beyond> {
        let mut from = from.map(From::of).transpose()?;
        let after = From::reached(&mut from, |spot| matches!(spot, Known::Named));
        if let Some(after) = after {
            let named: Vec<SmolStr> =
                self.named.iter().filter(|id| after.is_none_or_before(id)).cloned().collect();
            for id in named {
                self.look()?;
                if !see((&id, At::Named))? {
                    return Ok(());
                }
            }
        }
        for having in std::mem::take(&mut self.having) {
            self.look()?;
            let is_it = |spot: &Known| matches!(spot, Known::Having(name, value) if *name == *having.attribute && *value == having.written);
            if let Some(after) = From::reached(&mut from, is_it)
                && !self.show_having(&having, &after, &mut see)?
            {
                return Ok(());
            }
            self.came.insert((having.attribute, having.value));
        }
        self.walk(from, &mut see)
    }

    fn show_having(
        &mut self,
        having: &Having,
        after: &After,
        see: &mut impl FnMut(Step<'_>) -> Result<bool, Beyond>,
    ) -> Result<bool, Beyond> {
        let Some(looked) = self.by_attribute.get(&having.attribute).cloned() else { return Ok(true) };
        let key = (self.entity_type.clone(), having.value.clone());
        let own = looked.own.get(&key).map(Vec::as_slice).unwrap_or_default().iter().map(SmolStr::as_str);
        let stored = looked.stored.as_deref().zip(self.number);
        let stored =
            stored.map(|(families, number)| families.children((number, &having.written), number, after.id()));
        self.show(At::Having(having), (own, stored.into_iter().flatten()), after, see)
    }

    fn walk(
        &mut self,
        mut from: Option<From>,
        see: &mut impl FnMut(Step<'_>) -> Result<bool, Beyond>,
    ) -> Result<(), Beyond> {
        let mut waiting: Vec<Box<dyn Iterator<Item = EntityUID> + 'a>> =
            vec![Box::new(std::mem::take(&mut self.roots).into_iter().cloned())];
        while let Some(next) = waiting.last_mut() {
            let Some(uid) = next.next() else {
                waiting.pop();
                continue;
            };
            self.look()?;
            if !self.seen.insert(uid.clone()) {
                continue;
            }
            let is_it = |spot: &Known| matches!(spot, Known::Within(known) if *known == uid);
            if let Some(after) = From::reached(&mut from, is_it)
                && !self.show_within(&uid, &after, see)?
            {
                return Ok(());
            }
            waiting.push(self.branches(&uid));
        }
        // What is gone on from must have come.
        if from.is_some() { Err(Beyond::Lost) } else { Ok(()) }
    }

    fn show_within(
        &mut self,
        uid: &EntityUID,
        after: &After,
        see: &mut impl FnMut(Step<'_>) -> Result<bool, Beyond>,
    ) -> Result<bool, Beyond> {
        let of_type = |member: &&EntityUID| member.entity_type() == self.entity_type;
        let own = self.facts.files.members(uid).iter().filter(of_type).map(id_of);
        let stored = self.facts.data.zip(self.number).and_then(|(data, number)| {
            let key = data.key(uid)?;
            Some(data.families().children(key, number, after.id()))
        });
        let own: Vec<&str> = own.collect();
        self.show(At::Within(uid), (own.into_iter(), stored.into_iter().flatten()), after, see)
    }

    fn look(&mut self) -> Result<(), Beyond> {
        self.looked += 1;
        if self.looked > self.bounds.candidates {
            return Err(Beyond::Candidates);
        }
        if self.looked.is_multiple_of(BETWEEN) && (self.bounds.stop)() { Err(Beyond::Time) } else { Ok(()) }
    }

    /// Shows those whom nothing before had. Both are in the order of ids, and may have the same.
    fn show<'i>(
        &mut self,
        at: At<'_>,
        (own, stored): (impl Iterator<Item = &'i str>, impl Iterator<Item = &'i str>),
        after: &After,
        see: &mut impl FnMut(Step<'_>) -> Result<bool, Beyond>,
    ) -> Result<bool, Beyond> {
        let mut own = own.filter(|id| after.is_none_or_before(id)).peekable();
        let mut stored = stored.peekable();
        let mut last: Option<&str> = None;
        loop {
            let id = match (own.peek(), stored.peek()) {
                (Some(one), Some(other)) if one <= other => own.next(),
                (_, Some(_)) => stored.next(),
                (_, None) => own.next(),
            };
            let Some(id) = id else { return Ok(true) };
            if last.replace(id) == Some(id) {
                continue;
            }
            self.look()?;
            if self.comes_first(id, at) && !see((id, at))? {
                return Ok(false);
            }
        }
    }

    /// Whether somebody comes for the first time.
    fn comes_first(&self, id: &str, at: At<'_>) -> bool {
        if self.named.contains(id) {
            return false;
        }
        let uid = uid_of(self.entity_type, id);
        let own = self.facts.files.get(&uid);
        let stored = self.facts.data.zip(self.number);
        if !self.came.is_empty() {
            for attribute in self.by_attribute.keys() {
                let came = |value: &Literal| self.came.contains(&(attribute.clone(), value.clone()));
                if let Some(PartialValue::Value(value)) = own.and_then(|entity| entity.get(attribute))
                    && literals_of(value).any(came)
                {
                    return false;
                }
                let row = stored.and_then(|(data, number)| data.row((number, id)).zip(Some(data.types())));
                if row.is_some_and(|(row, types)| row.literals(attribute, types).iter().any(came)) {
                    return false;
                }
            }
        }
        let At::Within(within) = at else { return true };
        let is_before = |uid: &EntityUID| uid != within && self.seen.contains(uid);
        if own.is_some_and(|entity| entity.ancestors().any(is_before)) {
            return false;
        }
        let Some((data, number)) = stored else { return true };
        let here = data.key(within);
        let mut others = data.parents((number, id)).filter(|key| Some(*key) != here);
        !others.any(|key| data.uid(key).is_ok_and(|uid| is_before(&uid)))
    }

    /// What is directly in this entity and may have something in it.
    fn branches(&self, uid: &EntityUID) -> Box<dyn Iterator<Item = EntityUID> + 'a> {
        let of_files = self.facts.files.members(uid).iter().cloned();
        let stored = self.facts.data.and_then(|data| {
            // What the data does not name has nothing in it.
            let (number, families) = (data.types().known(uid.entity_type())?, data.families());
            let key = (number, id_of(uid));
            // What can't be named in Cedar's terms can't be evaluated either: nothing in it is allowed.
            let named = |number| data.uid((number, "")).ok().map(|uid| (uid.entity_type().clone(), number));
            let types: BTreeMap<_, _> = families.branch_types(key).into_iter().filter_map(named).collect();
            let ids: Vec<_> =
                types.into_iter().map(|(of, number)| (of, families.branches(key, number))).collect();
            Some(ids.into_iter().flat_map(|(of, ids)| ids.map(move |id| uid_of(&of, id))))
        });
        let bridges = self.bridges.get(uid).into_iter().flatten().cloned().collect::<Vec<_>>();
        Box::new(of_files.chain(bridges).chain(stored.into_iter().flatten()))
    }
}

fn bridges(facts: Facts<'_>) -> BTreeMap<EntityUID, BTreeSet<EntityUID>> {
    let mut bridges: BTreeMap<EntityUID, BTreeSet<EntityUID>> = BTreeMap::new();
    let Some(data) = facts.data else { return bridges };
    for group in facts.files.groups() {
        let Some(key) = data.key(group) else { continue };
        for parent in data.parents(key).filter_map(|parent| data.uid(parent).ok()) {
            bridges.entry(parent).or_default().insert(group.clone());
        }
    }
    bridges
}

/// Where a walk goes on.
struct From {
    spot: Known,
    after: SmolStr,
}

enum Known {
    Named,
    Having(String, String),
    Within(EntityUID),
}

/// After which id.
struct After(Option<SmolStr>);

impl After {
    fn id(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn is_none_or_before(&self, id: &str) -> bool {
        self.id().is_none_or(|after| after < id)
    }
}

impl From {
    fn of(position: Position) -> Result<Self, Beyond> {
        let spot = match position.spot {
            Spot::Named => Known::Named,
            Spot::Having(attribute, written) => Known::Having(attribute, written),
            Spot::Within(of, id) => {
                let of = EntityType::from_normalized_str(&of).map_err(|_| Beyond::Lost)?;
                Known::Within(uid_of(&of, &id))
            }
        };
        Ok(Self { spot, after: position.after })
    }

    /// Whether the walk is where it goes on, or beyond, and then after whom.
    fn reached(from: &mut Option<Self>, is_it: impl Fn(&Known) -> bool) -> Option<After> {
        match from {
            None => Some(After(None)),
            Some(known) if is_it(&known.spot) => Some(After(from.take().map(|from| from.after))),
            Some(_) => None,
        }
    }
}

fn id_of(uid: &EntityUID) -> &str {
    uid.eid().as_ref()
}

fn uid_of(entity_type: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(entity_type.clone(), Eid::new(id), None)
}

/// Everybody of a type whom these sources name, in the order of their ids.
///
/// # Errors
/// When it is too much, or there is no time left.
pub(in crate::evaluation) fn gather(
    facts: Facts<'_>,
    sources: &BTreeSet<Source>,
    entity_type: &EntityType,
    bounds: &Bounds<'_>,
) -> Result<Vec<SmolStr>, Beyond> {
    let mut ids = Vec::new();
    Walk::new(facts, sources, entity_type, bounds).each(None, |(id, _)| {
        ids.push(SmolStr::new(id));
        Ok(true)
    })?;
    ids.sort_unstable();
    Ok(ids)
}

/// Its id, if trying all would find it.
fn existing(facts: Facts<'_>, uid: &EntityUID, entity_type: &EntityType) -> Option<SmolStr> {
    let in_data = || {
        let data = facts.data?;
        let key = data.key(uid)?;
        Some(data.row(key).is_some() || data.assigned(key).is_some())
    };
    let exists =
        uid.entity_type() == entity_type && (facts.files.get(uid).is_some() || in_data().unwrap_or_default());
    exists.then(|| SmolStr::new(id_of(uid)))
}

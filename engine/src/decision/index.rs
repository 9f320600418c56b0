//! Which policies can match a question, found without looking at the others.
//!
//! Each policy stands under one key, the one that the fewest share: whom its scope names, or a value that its condition asks for
//! before anything that could fail. Promises: never too few. A policy is passed over only if its scope does not match, or its
//! condition is false without an error. Must never: decide anything else.

use std::collections::HashMap;
use std::hash::Hash;

use cedar_policy_core::ast::{
    Entity, EntityReference, EntityType, EntityUID, Expr, Literal, PartialValue,
    PrincipalOrResourceConstraint, Value, ValueKind,
};
use smol_str::SmolStr;

use super::compiled::{GivesWay, Pool, Subjects, is_within};
use super::rules::Rule;
use crate::entity::interned::{ByUid, Interner, is_same};

mod tests_of;

use tests_of::{Root, Test, keys_of};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
/// Places of rules, ascending.
type Places = Vec<u32>;

/// One side of a question.
#[derive(Debug, Default)]
struct Side {
    /// By the entity itself.
    only: ByUid<Places>,
    /// By the entity, or one that it is in.
    within: ByUid<Places>,
    types: Map<EntityType, Places>,
}

/// By the value of an attribute.
#[derive(Debug)]
struct Attribute {
    root: Root,
    name: SmolStr,
    values: Map<Literal, Places>,
    /// Those that fail when it is not there: they must be evaluated then.
    unguarded: Places,
}

/// The index of the policies that can apply to an action.
#[derive(Debug, Default)]
pub struct Index {
    principal: Side,
    resource: Side,
    attributes: Vec<Attribute>,
    /// Those that have no key.
    always: Places,
}

/// What a policy can be found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Only(Root, EntityUID),
    Within(Root, EntityUID),
    Type(Root, EntityType),
    Value { root: Root, name: SmolStr, value: Literal, guarded: bool },
}

impl Index {
    /// Of these rules, by their places in `all`.
    pub fn of(places: &[usize], all: &[Rule]) -> Self {
        let keyed: Vec<(u32, &[Key])> = places
            .iter()
            .filter_map(|place| Some((u32::try_from(*place).ok()?, all.get(*place)?.keys.as_slice())))
            .collect();
        let mut shared: Map<&Key, usize> = Map::default();
        for key in keyed.iter().flat_map(|(_, keys)| *keys) {
            *shared.entry(key).or_default() += 1;
        }
        let mut index = Self::default();
        let mut interner = Interner::default();
        for (place, keys) in &keyed {
            // Of those that as few share, the first, which is the cheapest to look up.
            match keys.iter().min_by_key(|key| shared.get(key).copied().unwrap_or_default()) {
                Some(key) => index.put(key, *place, &mut interner),
                None => index.always.push(*place),
            }
        }
        index
    }

    fn side(&mut self, root: Root) -> &mut Side {
        match root {
            Root::Principal => &mut self.principal,
            Root::Resource | Root::Context => &mut self.resource,
        }
    }

    fn put(&mut self, key: &Key, place: u32, interner: &mut Interner) {
        match key {
            Key::Only(root, uid) => self.side(*root).only.of(&interner.uid(uid)).push(place),
            Key::Within(root, uid) => self.side(*root).within.of(&interner.uid(uid)).push(place),
            Key::Type(root, name) => {
                self.side(*root).types.entry(interner.type_name(name)).or_default().push(place)
            }
            Key::Value { root, name, value, guarded } => {
                let known = self.attributes.iter().position(|one| one.root == *root && one.name == *name);
                let at = known.unwrap_or_else(|| {
                    let (name, values) = (name.clone(), Map::default());
                    self.attributes.push(Attribute { root: *root, name, values, unguarded: Vec::new() });
                    self.attributes.len() - 1
                });
                if let Some(attribute) = self.attributes.get_mut(at) {
                    attribute.values.entry(interner.literal(value)).or_default().push(place);
                    if !guarded {
                        attribute.unguarded.push(place);
                    }
                }
            }
        }
    }

    /// Tells of every policy that can match, each once, in no order.
    ///
    /// # Errors
    /// When an entity can't be had; then all of them are to be looked at.
    pub fn each(
        &self,
        subjects: &Subjects<'_>,
        uids: [&EntityUID; 2],
        pool: &Pool<'_>,
        mut found: impl FnMut(u32),
    ) -> Result<(), GivesWay> {
        let mut tell = |places: Option<&Places>| places.into_iter().flatten().for_each(|place| found(*place));
        tell(Some(&self.always));
        for (side, uid) in [&self.principal, &self.resource].into_iter().zip(uids) {
            side.each(uid, pool, &mut tell)?;
        }
        for attribute in &self.attributes {
            attribute.each(subjects, uids, pool, &mut tell)?;
        }
        Ok(())
    }
}

impl Side {
    fn each(
        &self,
        uid: &EntityUID,
        pool: &Pool<'_>,
        tell: &mut impl FnMut(Option<&Places>),
    ) -> Result<(), GivesWay> {
        tell(self.only.get(uid));
        if !self.types.is_empty() {
            tell(self.types.get(uid.entity_type()));
        }
        if self.within.is_empty() {
            return Ok(());
        }
        tell(self.within.get(uid));
        let Some(entity) = pool.get(uid)? else { return Ok(()) };
        // Whichever are fewer.
        if entity.ancestors().take(self.within.len()).count() < self.within.len() {
            let others = entity.ancestors().filter(|ancestor| !is_same(ancestor, uid));
            others.for_each(|ancestor| tell(self.within.get(ancestor)));
        } else {
            let met =
                self.within.iter().filter(|(group, _)| !is_same(group, uid) && is_within(entity, group));
            met.for_each(|(_, places)| tell(Some(places)));
        }
        Ok(())
    }
}

impl Attribute {
    fn each(
        &self,
        subjects: &Subjects<'_>,
        [principal, resource]: [&EntityUID; 2],
        pool: &Pool<'_>,
        tell: &mut impl FnMut(Option<&Places>),
    ) -> Result<(), GivesWay> {
        let value = match self.root {
            Root::Context => subjects.context.get(&self.name),
            Root::Principal => of(pool.get(principal)?, &self.name),
            Root::Resource => of(pool.get(resource)?, &self.name),
        };
        match value.map(Value::value_kind) {
            Some(ValueKind::Lit(literal)) => tell(self.values.get(literal)),
            // A set or a record is no literal, and equals none.
            Some(_) => {}
            None => tell(Some(&self.unguarded)),
        }
        Ok(())
    }
}

fn of<'e>(entity: Option<&'e Entity>, name: &str) -> Option<&'e Value> {
    match entity?.get(name)? {
        PartialValue::Value(value) => Some(value),
        PartialValue::Residual(_) => None,
    }
}

/// All that a policy can be found by.
pub(super) fn keys(
    [principal, resource]: [&PrincipalOrResourceConstraint; 2],
    condition: Option<&Expr>,
) -> Vec<Key> {
    let scopes = [(Root::Principal, principal), (Root::Resource, resource)];
    let mut keys: Vec<Key> =
        scopes.into_iter().filter_map(|(root, constraint)| scope_key(root, constraint)).collect();
    keys.extend(condition.map(keys_of).unwrap_or_default().into_iter().map(|test| match test {
        Test::Is(root, uid) => Key::Only(root, uid),
        Test::In(root, uid) => Key::Within(root, uid),
        Test::OfType(root, name) => Key::Type(root, name),
        Test::Equals { root, name, value, guarded } => Key::Value { root, name, value, guarded },
    }));
    keys
}

fn scope_key(root: Root, constraint: &PrincipalOrResourceConstraint) -> Option<Key> {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    match constraint {
        Eq(EntityReference::EUID(uid)) => Some(Key::Only(root, uid.as_ref().clone())),
        In(EntityReference::EUID(uid)) | IsIn(_, EntityReference::EUID(uid)) => {
            Some(Key::Within(root, uid.as_ref().clone()))
        }
        Is(name) => Some(Key::Type(root, name.as_ref().clone())),
        Any | Eq(_) | In(_) | IsIn(..) => None,
    }
}

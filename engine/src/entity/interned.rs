//! Ids of entities that are found and compared at little cost.
//!
//! Names of types are few, and those of policies and of packs' entities are kept once: that two are the same is then seen by
//! where they are. Promises: what is interned equals what it was made of. Must never: keep what a request names.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use cedar_policy_core::ast::{Entity, EntityType, EntityUID, Literal, PartialValue, Value, ValueKind};
use hashbrown::Equivalent;

/// More names of types than these are not kept.
const MOST_TYPES: usize = 4_096;

static TYPES: LazyLock<Mutex<HashSet<EntityType>>> = LazyLock::new(Mutex::default);

/// Values by entities' ids.
#[derive(Clone, Debug)]
pub struct ByUid<V>(hashbrown::HashMap<Key, V, foldhash::fast::RandomState>);

#[derive(Clone, Debug)]
struct Key(EntityUID);

struct Asked<'a>(&'a EntityUID);

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The namespace is left out: whoever writes packs and policies has no reason to make ids that differ in it alone.
        state.write(AsRef::<str>::as_ref(self.0.eid()).as_bytes());
        state.write(AsRef::<str>::as_ref(self.0.entity_type().name().basename_as_ref()).as_bytes());
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(&self.0).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        is_same(self.0, &key.0)
    }
}

impl<V> Default for ByUid<V> {
    fn default() -> Self {
        Self(hashbrown::HashMap::default())
    }
}

impl<V> ByUid<V> {
    /// What stands under an id.
    pub fn get(&self, uid: &EntityUID) -> Option<&V> {
        if self.0.is_empty() { None } else { self.0.get(&Asked(uid)) }
    }

    /// Puts a value under an id.
    pub fn insert(&mut self, uid: EntityUID, value: V) {
        self.0.insert(Key(uid), value);
    }

    /// The value under an id; a new one if there is none.
    pub fn of(&mut self, uid: &EntityUID) -> &mut V
    where
        V: Default,
    {
        self.0.entry(Key(uid.clone())).or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityUID, &V)> {
        self.0.iter().map(|(key, value)| (&key.0, value))
    }
}

impl<V> FromIterator<(EntityUID, V)> for ByUid<V> {
    fn from_iter<I: IntoIterator<Item = (EntityUID, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(uid, value)| (Key(uid), value)).collect())
    }
}

/// Whether two ids are the same: by what differs most often first.
pub fn is_same(one: &EntityUID, other: &EntityUID) -> bool {
    one.eid() == other.eid() && one.entity_type() == other.entity_type()
}

/// Names of types, kept once.
#[derive(Debug, Default)]
pub struct Interner {
    /// Those that were met, so that the shared ones are asked for once each.
    met: HashMap<EntityType, EntityType, foldhash::fast::RandomState>,
}

impl Interner {
    /// The same name.
    pub fn type_name(&mut self, name: &EntityType) -> EntityType {
        if let Some(kept) = self.met.get(name) {
            return kept.clone();
        }
        let mut types = TYPES.lock().unwrap_or_else(PoisonError::into_inner);
        if types.len() < MOST_TYPES && !types.contains(name) {
            types.insert(name.clone());
        }
        let kept = types.get(name).unwrap_or(name).clone();
        self.met.insert(name.clone(), kept.clone());
        kept
    }

    /// The same id. Where it stood in a text is forgotten.
    pub fn uid(&mut self, uid: &EntityUID) -> EntityUID {
        EntityUID::from_components(self.type_name(uid.entity_type()), uid.eid().clone(), None)
    }

    /// The same value.
    pub fn value(&mut self, value: &Value) -> Value {
        match value.value_kind() {
            ValueKind::Lit(literal @ Literal::EntityUID(_)) => Value::from(self.literal(literal)),
            ValueKind::Set(set) if set.iter().any(is_made_of_ids) => {
                Value::set(set.iter().map(|item| self.value(item)), None)
            }
            ValueKind::Record(record) if record.values().any(is_made_of_ids) => {
                let pairs: Vec<_> =
                    record.iter().map(|(name, member)| (name.clone(), self.value(member))).collect();
                Value::record(pairs, None)
            }
            _ => value.clone(),
        }
    }

    /// The same literal.
    pub fn literal(&mut self, literal: &Literal) -> Literal {
        match literal {
            Literal::EntityUID(uid) => Literal::from(self.uid(uid)),
            other => other.clone(),
        }
    }

    /// The same entity.
    pub fn entity(&mut self, entity: &Entity) -> Entity {
        let uid = self.uid(entity.uid());
        let parents: HashSet<_> = entity.parents().map(|parent| self.uid(parent)).collect();
        let indirect: HashSet<_> = entity.indirect_ancestors().map(|ancestor| self.uid(ancestor)).collect();
        let attributes: Vec<_> =
            entity.attrs().map(|(name, value)| (name.clone(), self.partial(value))).collect();
        let tags: Vec<_> = entity.tags().map(|(name, value)| (name.clone(), self.partial(value))).collect();
        Entity::new_with_attr_partial_value(uid, attributes, indirect, parents, tags)
    }

    fn partial(&mut self, value: &PartialValue) -> PartialValue {
        match value {
            PartialValue::Value(value) => PartialValue::Value(self.value(value)),
            residual @ PartialValue::Residual(_) => residual.clone(),
        }
    }
}

/// Whether interning may make something else of it.
fn is_made_of_ids(value: &Value) -> bool {
    match value.value_kind() {
        ValueKind::Lit(literal) => matches!(literal, Literal::EntityUID(_)),
        ValueKind::Set(_) | ValueKind::Record(_) => true,
        ValueKind::ExtensionValue(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn uid(text: &str) -> EntityUID {
        EntityUID::from_str(text).unwrap()
    }

    #[test]
    fn ids_that_differ_in_their_namespace_alone_are_two() {
        let ids =
            [r#"A::User::"x""#, r#"B::User::"x""#, r#"User::"x""#, r#"A::B::User::"x""#, r#"A::User::"y""#];
        let by: ByUid<usize> = ids.iter().enumerate().map(|(place, text)| (uid(text), place)).collect();
        for (place, text) in ids.iter().enumerate() {
            assert_eq!(by.get(&uid(text)), Some(&place), "{text}");
        }
        assert_eq!(by.len(), ids.len());
        assert_eq!(by.get(&uid(r#"B::User::"y""#)), None);
    }

    #[test]
    fn what_is_interned_is_what_it_was() {
        let mut interner = Interner::default();
        let text = r#"{"a": [User::"x", {"b": User::"y", "n": 1}], "d": "text", "e": []}"#;
        let expr = cedar_policy_core::ast::Expr::from_str(text).unwrap();
        let entities = cedar_policy_core::entities::Entities::new();
        let request = cedar_policy_core::ast::Request::new_unchecked(
            cedar_policy_core::ast::EntityUIDEntry::known(uid(r#"User::"x""#), None),
            cedar_policy_core::ast::EntityUIDEntry::known(uid(r#"Action::"x""#), None),
            cedar_policy_core::ast::EntityUIDEntry::known(uid(r#"User::"x""#), None),
            None,
        );
        let extensions = cedar_policy_core::extensions::Extensions::all_available();
        let evaluator = cedar_policy_core::evaluator::Evaluator::new(request, &entities, extensions);
        let value = evaluator.interpret(&expr, &cedar_policy_core::ast::SlotEnv::default()).unwrap();
        assert_eq!(interner.value(&value), value);
        let entity = Entity::new_with_attr_partial_value(
            uid(r#"User::"x""#),
            [("v".into(), PartialValue::Value(value))],
            HashSet::from([uid(r#"Group::"all""#)]),
            HashSet::from([uid(r#"Group::"g""#)]),
            [],
        );
        let same = interner.entity(&entity);
        assert!(same.deep_eq(&entity), "{same:?}");
    }

    #[test]
    fn a_name_is_kept_once() {
        let (one, other) = (uid(r#"N::Thing::"1""#), uid(r#"N::Thing::"2""#));
        let [one, other] = [one, other].map(|uid| Interner::default().uid(&uid));
        let path = |uid: &EntityUID| {
            std::ptr::from_ref(uid.entity_type().name().as_ref().namespace_components().next().unwrap())
        };
        assert_eq!(path(&one), path(&other));
    }
}

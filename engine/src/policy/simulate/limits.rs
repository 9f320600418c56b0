//! How much one simulation may be.
//!
//! Its text is within the body's limit, but some of what Cedar makes of a text grows with its square or faster:
//! ancestors of entities, types within types, pairs of principal and resource types. Each is counted before it is made.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Schema, SchemaFragment};
use serde_json::Value;

/// Ancestors of all entities together.
const ANCESTORS: usize = 100_000;
/// Types that a schema's common types stand for, once they are written out.
const TYPES: usize = 100_000;
/// A longer chain of types that stand for types is refused, rather than followed.
const DEPTH: usize = 500;
/// Policies times the kinds of request that the schema knows.
const VALIDATIONS: usize = 500_000;
/// Policies times requests.
const EVALUATIONS: usize = 100_000;

/// Whether so many policies and requests are too many.
pub(super) fn too_many_evaluations(policies: usize, requests: usize) -> Option<String> {
    (policies.saturating_mul(requests) > EVALUATIONS).then(|| {
        format!("more than {EVALUATIONS} evaluations: {policies} policies times {requests} requests")
    })
}

/// Whether the policies can be validated against every kind of request that the schema knows.
pub(super) fn too_many_validations(policies: usize, schema: &Schema) -> Option<String> {
    let kinds = schema.actions().map(|action| {
        let principals = schema.principals_for_action(action).map_or(0, Iterator::count);
        let resources = schema.resources_for_action(action).map_or(0, Iterator::count);
        principals.saturating_mul(resources)
    });
    let kinds = kinds.fold(0, usize::saturating_add);
    (policies.saturating_mul(kinds) > VALIDATIONS).then(|| {
        format!("more than {VALIDATIONS} validations: {policies} policies times {kinds} kinds of request")
    })
}

/// Whether the entities' hierarchy, written out, is too large.
pub(super) fn too_many_ancestors(entities: &[Value]) -> Option<String> {
    let mut parents: HashMap<Uid<'_>, Vec<Uid<'_>>> = HashMap::new();
    for entity in entities {
        let Some(uid) = entity.get("uid").and_then(uid) else { continue };
        let above = entity.get("parents").and_then(Value::as_array).into_iter().flatten();
        parents.entry(uid).or_default().extend(above.filter_map(self::uid));
    }
    let mut total = 0;
    for start in parents.keys() {
        let mut seen = HashSet::new();
        let mut waiting = vec![*start];
        while let Some(next) = waiting.pop() {
            for above in parents.get(&next).into_iter().flatten() {
                if seen.insert(*above) {
                    total += 1;
                    waiting.push(*above);
                }
            }
            if total > ANCESTORS {
                return Some(format!("the entities have more than {ANCESTORS} ancestors together"));
            }
        }
    }
    None
}

type Uid<'a> = (&'a str, &'a str);

/// Cedar's JSON form of an entity's id, with its escape or without.
fn uid(value: &Value) -> Option<Uid<'_>> {
    let value = value.get("__entity").unwrap_or(value);
    Some((value.get("type")?.as_str()?, value.get("id")?.as_str()?))
}

/// Whether a schema's common types stand for too many types. Names are compared with their namespaces: equal
/// last names must not pass for one type that stands for itself. Text that is no schema is Cedar's to refuse.
pub(super) fn too_many_types(schema: &str) -> Option<String> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).ok()?;
    let json = fragment.to_json_value().ok()?;
    let mut types = Types::default();
    for (namespace, members) in json.as_object().into_iter().flatten() {
        for (name, definition) in members.get("commonTypes").and_then(Value::as_object).into_iter().flatten()
        {
            types.common.insert(full_name(namespace, name), (namespace, definition));
        }
    }
    let namespaces = json.as_object().into_iter().flatten();
    let sizes = namespaces.map(|(namespace, members)| types.size(namespace, members));
    let total = sizes.fold(0, usize::saturating_add);
    (total > TYPES).then(|| format!("the schema's common types stand for more than {TYPES} types"))
}

fn full_name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

/// Types that have names, each with the namespace that it stands in.
#[derive(Default)]
struct Types<'s> {
    common: HashMap<String, (&'s str, &'s Value)>,
    sizes: HashMap<String, usize>,
    depth: usize,
}

impl<'s> Types<'s> {
    /// How many values this is with every name of a common type replaced by what it stands for.
    fn size(&mut self, namespace: &'s str, value: &'s Value) -> usize {
        match value {
            Value::Object(members) => self.sum(namespace, members.values()),
            Value::Array(elements) => self.sum(namespace, elements.iter()),
            Value::String(name) => {
                let near = self.named(full_name(namespace, name));
                near.unwrap_or_else(|| self.named(name.clone()).unwrap_or(1))
            }
            _ => 1,
        }
    }

    fn sum(&mut self, namespace: &'s str, values: impl Iterator<Item = &'s Value>) -> usize {
        values.fold(1, |sum, value| sum.saturating_add(self.size(namespace, value)))
    }

    fn named(&mut self, name: String) -> Option<usize> {
        if let Some(known) = self.sizes.get(&name) {
            return Some(*known);
        }
        let (namespace, definition) = *self.common.get(&name)?;
        if self.depth == DEPTH {
            return Some(usize::MAX);
        }
        // A cycle is an error of Cedar's own; here it counts once.
        self.sizes.insert(name.clone(), 1);
        self.depth += 1;
        let size = self.size(namespace, definition);
        self.depth -= 1;
        self.sizes.insert(name, size);
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_of_parents_is_too_much_and_a_wide_group_is_not() {
        let entity = |n: usize, parent: usize| serde_json::json!({"uid": {"type": "U", "id": n.to_string()}, "parents": [{"__entity": {"type": "U", "id": parent.to_string()}}]});
        let chain: Vec<Value> = (0..1_000).map(|n| entity(n, n + 1)).collect();
        assert!(too_many_ancestors(&chain).is_some());
        let wide: Vec<Value> = (1..10_000).map(|n| entity(n, 0)).collect();
        assert_eq!(too_many_ancestors(&wide), None);
        let circle = [entity(0, 1), entity(1, 0)];
        assert_eq!(too_many_ancestors(&circle), None);
    }

    #[test]
    fn types_that_double_are_too_much_and_ordinary_ones_are_not() {
        let doubling = |levels: usize| -> String {
            let types =
                (0..levels).map(|n| format!("type T{n} = {{a: T{next}, b: T{next}}};\n", next = n + 1));
            types.chain(std::iter::once(format!("type T{levels} = Long; entity User {{a: T0}};"))).collect()
        };
        assert!(too_many_types(&doubling(40)).is_some());
        assert_eq!(too_many_types(&doubling(8)), None);
        let circle = "type A = B; type B = A; // type C = {a: C, b: C};\nentity U {\"type A\": A};";
        assert_eq!(too_many_types(circle), None);
        let chain: String = (0..2_000).map(|n| format!("type T{n} = T{};", n + 1)).collect();
        assert!(too_many_types(&chain).is_some());
        let namespaces =
            (0..40).map(|n| format!("namespace N{n} {{ type T = {{a: N{0}::T, b: N{0}::T}}; }} ", n + 1));
        assert!(too_many_types(&namespaces.collect::<String>()).is_some());
    }

    #[test]
    fn kinds_of_request_are_counted() {
        let types: Vec<String> = (0..1_000).map(|n| format!("E{n}")).collect();
        let list = types.join(", ");
        let text =
            format!("entity {list}; action a appliesTo {{ principal: [{list}], resource: [{list}] }};");
        let (schema, _) = Schema::from_cedarschema_str(&text).unwrap();
        assert!(too_many_validations(1, &schema).is_some());
        assert_eq!(too_many_validations(0, &schema), None);
        assert!(too_many_evaluations(101, 1_000).is_some());
        assert_eq!(too_many_evaluations(100, 1_000), None);
    }
}

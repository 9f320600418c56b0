//! How much one simulation may be.
//!
//! Its text is within the body's limit, but some of what Cedar makes of a text grows with its square or faster:
//! ancestors of entities, types within types, pairs of principal and resource types. Each is counted before it is made.

use std::collections::{HashMap, HashSet};

use cedar_policy::Schema;
use serde_json::Value;

/// Ancestors of all entities together.
const ANCESTORS: usize = 100_000;
/// Types that a schema's common types stand for, once they are written out.
const TYPES: usize = 100_000;
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

/// Whether a schema's common types stand for too many types. Names are compared without their namespaces, so this
/// may count more than Cedar would make, and never less.
pub(super) fn too_many_types(schema: &str) -> Option<String> {
    let mut definitions: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut words = words(schema).peekable();
    while let Some(word) = words.next() {
        if word != "type" {
            continue;
        }
        let Some(name) = words.next() else { break };
        let uses = definitions.entry(name).or_default();
        while let Some(used) = words.next_if(|word| *word != ";") {
            uses.push(used);
        }
    }
    let mut sizes = HashMap::new();
    let total =
        definitions.keys().map(|name| size(name, &definitions, &mut sizes, 0)).fold(0, usize::saturating_add);
    let used = self::words(schema)
        .filter(|word| definitions.contains_key(word))
        .map(|word| sizes.get(word).copied().unwrap_or(0));
    let total = used.fold(total, usize::saturating_add);
    (total > TYPES).then(|| format!("the schema's common types stand for more than {TYPES} types"))
}

/// How many types a name stands for. A name that stands for itself is Cedar's to refuse.
fn size<'s>(
    name: &'s str,
    definitions: &HashMap<&'s str, Vec<&'s str>>,
    sizes: &mut HashMap<&'s str, usize>,
    depth: usize,
) -> usize {
    /// A longer chain of names is refused, rather than followed.
    const DEPTH: usize = 500;
    let Some(uses) = definitions.get(name) else { return 1 };
    if let Some(known) = sizes.get(name) {
        return *known;
    }
    if depth > DEPTH {
        return usize::MAX;
    }
    sizes.insert(name, 1);
    let sum =
        uses.iter().map(|used| size(used, definitions, sizes, depth + 1)).fold(1, usize::saturating_add);
    sizes.insert(name, sum);
    sum
}

/// Names and semicolons, without comments and texts.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest
                .trim_start_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ';' | '"' | '/')));
            if let Some(after) = rest.strip_prefix("//") {
                rest = after.split_once('\n').map_or("", |(_, next)| next);
            } else if let Some(after) = rest.strip_prefix('"') {
                rest = after.split_once('"').map_or("", |(_, next)| next);
            } else if let Some(after) = rest.strip_prefix('/') {
                rest = after;
            } else {
                break;
            }
        }
        if rest.is_empty() {
            return None;
        }
        let end = if rest.starts_with(';') {
            1
        } else {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        };
        let (word, next) = rest.split_at_checked(end)?;
        rest = next;
        Some(word)
    })
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
            types.chain(std::iter::once(format!("type T{levels} = Long; entity User = {{a: T0}};"))).collect()
        };
        assert!(too_many_types(&doubling(40)).is_some());
        assert_eq!(too_many_types(&doubling(8)), None);
        let circle = "type A = B; type B = A; // type C = {a: C, b: C};\nentity U = {\"type A\": A};";
        assert_eq!(too_many_types(circle), None);
        let chain: String = (0..100_000).map(|n| format!("type T{n} = T{};", n + 1)).collect();
        assert!(too_many_types(&chain).is_some());
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

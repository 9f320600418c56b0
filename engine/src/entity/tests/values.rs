//! Attribute values: as Cedar's own reader has them, or not at all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<String>().prop_map(|id| json!({"__entity": {"type": "App::User", "id": id}})),
        any::<i32>().prop_map(|n| {
            let text = format!(
                "{}{}.{}",
                if n < 0 { "-" } else { "" },
                n.unsigned_abs() / 10,
                n.unsigned_abs() % 10
            );
            json!({"__extn": {"fn": "decimal", "arg": text}})
        }),
        any::<[u8; 4]>()
            .prop_map(|[a, b, c, d]| json!({"__extn": {"fn": "ip", "arg": format!("{a}.{b}.{c}.{d}")}})),
        (1_u8..29).prop_map(|day| json!({"__extn": {"fn": "datetime", "arg": format!("2024-02-{day:02}")}})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_ ]{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn values_are_what_cedar_reads(
        attributes in prop::collection::btree_map("[a-z]{1,6}", value(), 0..4),
        tags in prop::collection::btree_map("[a-z]{1,6}", value(), 0..3),
    ) {
        let whole = json!({"uid": {"type": "Doc", "id": "d"}, "attrs": attributes, "tags": tags, "parents": []});
        let theirs = cedar_policy::Entity::from_json_value(whole, None).unwrap();
        let row = EntityUpdate {
            attributes: json!(attributes).to_string(),
            tags: json!(tags).to_string(),
            ..entity(Kind::Entity, "Doc", "d")
        };
        let data = Data::default().apply([Update::Entity(row)]);
        let (store, principals, resource) = (EntityStore::default(), principals(), uid(&named("Doc", "d")));
        let ours = facts(&store, &principals, &data, 0).about(&resource).get(&resource).unwrap().unwrap();
        let theirs: &cedar_policy_core::ast::Entity = theirs.as_ref();
        prop_assert!(ours.deep_eq(theirs), "{ours:?} {theirs:?}");
    }
}

#[test]
fn what_cedar_cannot_say_is_refused_when_it_is_asked_about() {
    for attributes in [
        "",
        "x",
        "[]",
        "null",
        "{\"a\":null}",
        "{\"a\":1.5}",
        "{\"a\":18446744073709551615}",
        "{\"a\":1}x",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "{\"a\":{\"__entity\":{\"type\":\"not a name\",\"id\":\"x\"}}}",
        "{\"a\":{\"__entity\":{\"type\":\"User\"}}}",
        "{\"a\":{\"__entity\":{\"type\":\"User\",\"id\":\"x\"},\"b\":1}}",
        "{\"a\":{\"b\":1,\"__entity\":{\"type\":\"User\",\"id\":\"x\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"decimal\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"decimal\",\"arg\":\"x\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"nothing\",\"arg\":\"1\"}}}",
        "{\"a\":{\"__extn\":{\"fn\":\"decimal\",\"args\":\"1.0\"}}}",
        "{\"a\":{\"__expr\":\"1\"}}",
        "{\"__entity\":{\"type\":\"User\",\"id\":\"x\"}}",
    ] {
        let row = EntityUpdate { attributes: attributes.into(), ..entity(Kind::Entity, "Doc", "d") };
        let data =
            Data::default().apply([Update::Entity(row), Update::Entity(entity(Kind::Entity, "Doc", "e"))]);
        let (store, principals, resource) = (EntityStore::default(), principals(), uid(&named("Doc", "d")));
        let view = facts(&store, &principals, &data, 0).about(&resource);
        assert_eq!(view.get(&resource).map(drop), Err(Unreadable), "{attributes}");
        assert!(view.get(&uid(&named("Doc", "e"))).unwrap().is_some(), "only the one is lost");
    }
}

#[test]
fn a_type_that_is_no_name_makes_who_is_in_it_unreadable() {
    let row = EntityUpdate { parents: vec![named("no name", "x")], ..entity(Kind::Entity, "Doc", "d") };
    let held = AssignmentUpdate { role: named("1", "x"), ..assignment("a", named("User", "u"), "r") };
    let data = Data::default().apply([Update::Entity(row), Update::Assignment(held)]);
    let (store, principals, resource) = (EntityStore::default(), principals(), uid(&named("Folder", "f")));
    let view = facts(&store, &principals, &data, 0).about(&resource);
    for one in [named("Doc", "d"), named("User", "u")] {
        assert_eq!(view.get(&uid(&one)).map(drop), Err(Unreadable));
    }
}

#[test]
fn depth_is_bounded_and_does_not_end_the_process() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let row = EntityUpdate { attributes: deep, ..entity(Kind::Entity, "Doc", "d") };
    let data = Data::default().apply([Update::Entity(row)]);
    let (store, principals, resource) = (EntityStore::default(), principals(), uid(&named("Doc", "d")));
    assert!(facts(&store, &principals, &data, 0).about(&resource).get(&resource).is_err());
}

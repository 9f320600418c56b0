//! Edits by hand and by the thousand, against a model that works on values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::decision::obligation::MaskMethod;

fn edit(pointer: &str, replacement: Replacement) -> Edit {
    Edit { pointer: pointer.into(), replacement }
}

fn text(text: &str) -> Replacement {
    Replacement::Text(text.into())
}

fn musts(pointers: &[&str]) -> Musts {
    let one = |pointer: &&str| MaskObligation { pointer: (*pointer).into(), method: MaskMethod::Redact };
    Musts::of(&pointers.iter().map(one).collect::<Vec<_>>()).unwrap()
}

fn apply(written: &str, edits: Vec<Edit>, must: &[&str]) -> Result<String, EditError> {
    Edits::of(edits)?.apply(&Document::read(written).unwrap(), &musts(must))
}

#[test]
fn what_is_not_edited_stays_as_it_was_written() {
    let written = r#"{ "z": 1.50, "a": {"big": 123456789012345678901234567890, "x":"\u0041"} , "b": [ 1 ] }"#;
    assert_eq!(apply(written, vec![], &[]).unwrap(), written);
    let edited = apply(written, vec![edit("/b/0", text("***"))], &[]).unwrap();
    let kept = r#"{"z":1.50,"a":{"big": 123456789012345678901234567890, "x":"\u0041"},"b":["***"]}"#;
    assert_eq!(edited, kept);
}

#[test]
fn removed_elements_move_no_other_place() {
    let edits = vec![
        edit("/0", Replacement::Remove),
        edit("/2", text("two")),
        edit("/3", Replacement::Remove),
        edit("/4/a", Replacement::Null),
    ];
    assert_eq!(apply(r#"[0,1,2,3,{"a":4}]"#, edits, &[]).unwrap(), r#"[1,"two",{"a":null}]"#);
    let all = vec![edit("/0", Replacement::Remove), edit("/1", Replacement::Remove)];
    assert_eq!(apply("[0,1]", all, &[]).unwrap(), "[]");
    assert_eq!(apply(r#"{"a":1}"#, vec![edit("/a", Replacement::Remove)], &["/a"]).unwrap(), "{}");
    assert_eq!(apply("7", vec![edit("", Replacement::Remove)], &[]).unwrap(), "null");
}

#[test]
fn names_with_slashes_tildes_and_nul_are_met_exactly() {
    let written = r#"{"a/b":1,"m~n":2,"~1":3,"":4,"\u0000":5,"0":6,"a":{"b":7}}"#;
    for (pointer, name) in [("/a~1b", "a/b"), ("/m~0n", "m~n"), ("/~01", "~1"), ("/", ""), ("/\0", "\0")] {
        let edited = apply(written, vec![edit(pointer, text("x\0\""))], &[pointer]).unwrap();
        let mut expected: Value = serde_json::from_str(written).unwrap();
        expected[name] = json!("x\0\"");
        assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected, "{pointer:?}");
    }
}

#[test]
fn an_edit_without_a_place_gives_no_document() {
    for pointer in ["/b", "/a/0/x", "/a/01", "/a/-", "/a/2", "/a/+1", "/t/0", "/a/1e0", "/A"] {
        let refused = apply(r#"{"a":[1,2],"t":"text"}"#, vec![edit(pointer, text("x"))], &[]);
        assert_eq!(refused, Err(EditError::Nowhere(pointer.into())));
    }
    for pointer in ["a", "/a~", "/a~2", "#/a"] {
        let refused = apply(r#"{"a":1}"#, vec![edit(pointer, text("x"))], &[]);
        assert_eq!(refused, Err(EditError::NoPointer(pointer.into())));
    }
    let deep = "/a".repeat(1_000_000);
    let refused = apply(r#"{"a":1}"#, vec![edit(&deep, text("x"))], &[]).unwrap_err();
    assert!(matches!(&refused, EditError::Nowhere(shown) if shown.len() < 1_000), "{refused}");
    let long = format!("/{}", "é".repeat(1_000_000));
    assert!(apply("{}", vec![edit(&long, text("x"))], &[]).unwrap_err().to_string().len() < 1_000);
}

#[test]
fn edits_of_one_plugin_do_not_touch() {
    for (one, other) in [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a"), ("", "/a"), ("/a/b", ""), ("", "")] {
        let both = vec![edit(one, Replacement::Null), edit(other, Replacement::Null)];
        assert!(matches!(Edits::of(both), Err(EditError::Touch(_))), "{one} {other}");
    }
}

#[test]
fn of_two_plugins_the_stricter_holds() {
    let one = |pointer: &str, replacement| Edits::of(vec![edit(pointer, replacement)]).unwrap();
    let written = r#"{"a":{"b":"secret","c":1}}"#;
    let document = Document::read(written).unwrap();
    let both = |left: (&str, Replacement), right: (&str, Replacement)| {
        let apply = |first: (&str, Replacement), second: (&str, Replacement)| {
            one(first.0, first.1).and(one(second.0, second.1))?.apply(&document, &Musts::default())
        };
        let result = apply(left.clone(), right.clone());
        assert_eq!(apply(right, left), result, "the order of plugins does not count");
        result
    };
    let (null, remove) = (Replacement::Null, Replacement::Remove);
    assert_eq!(both(("/a/b", text("x")), ("/a/b", text("x"))).unwrap(), r#"{"a":{"b":"x","c":1}}"#);
    assert_eq!(both(("/a/b", text("x")), ("/a/b", null.clone())).unwrap(), r#"{"a":{"b":null,"c":1}}"#);
    assert_eq!(both(("/a/b", remove.clone()), ("/a/b", null.clone())).unwrap(), r#"{"a":{"c":1}}"#);
    assert_eq!(both(("/a/b", text("x")), ("/a", null)).unwrap(), r#"{"a":null}"#);
    assert_eq!(both(("/a/b", text("x")), ("/a", remove)).unwrap(), "{}");
    assert_eq!(both(("/a/b", text("x")), ("/a/b", text("y"))), Err(EditError::Conflict("/a/b".into())));
    assert_eq!(both(("/a/b", text("x")), ("/a", text("y"))), Err(EditError::Conflict("/a".into())));
}

#[test]
fn what_must_be_masked_and_is_not_gives_no_document() {
    let written =
        r#"{"card":{"number":"4111","holder":"Ann"},"mails":["a","b"],"age":41,"empty":{},"none":null}"#;
    let unmasked = |edits: &[(&str, &str)], must: &str, at: &str| {
        let edits = edits.iter().map(|(pointer, with)| edit(pointer, text(with))).collect();
        assert_eq!(apply(written, edits, &[must]), Err(EditError::Unmasked(at.into())), "{must}");
    };
    unmasked(&[], "/age", "/age");
    unmasked(&[], "/none", "/none");
    unmasked(&[], "", "/card/number");
    unmasked(&[("/card/number", "*")], "/card", "/card/holder");
    unmasked(&[("/mails/0", "*")], "/mails", "/mails/1");
    unmasked(&[("/mails/0", "*")], "/mails/1", "/mails/1");
    // An edit that changes nothing masks nothing.
    unmasked(&[("/card/number", "4111")], "/card/number", "/card/number");
    unmasked(&[("/age", "41")], "/age", "/age");
    let met = |edits: &[(&str, &str)], must: &str| {
        let edits = edits.iter().map(|(pointer, with)| edit(pointer, text(with))).collect();
        apply(written, edits, &[must]).unwrap()
    };
    met(&[("/card/number", "*"), ("/card/holder", "*")], "/card");
    met(&[("/card", "*")], "/card/number");
    met(&[("/mails/0", "*"), ("/mails/1", "*")], "/mails");
    met(&[("", "*")], "/age");
    assert_eq!(met(&[], "/empty"), written, "nothing is in it");
    assert_eq!(met(&[], "/absent/x"), written, "nothing is there");
    assert_eq!(met(&[], "/age/years"), written, "nothing is there");
}

#[test]
fn a_hundred_thousand_leaves_are_masked_one_by_one() {
    const LEAVES: usize = 100_000;
    let object: serde_json::Map<String, Value> =
        (0..LEAVES).map(|place| (format!("m{place}"), json!(place))).collect();
    let written = Value::from(object).to_string();
    let edits = (0..LEAVES).map(|place| edit(&format!("/m{place}"), text("*"))).collect();
    let edited = apply(&written, edits, &[""]).unwrap();
    let read: serde_json::Map<String, Value> = serde_json::from_str(&edited).unwrap();
    assert_eq!(read.len(), LEAVES);
    assert!(read.values().all(|value| value == "*"));
}

/// What the edits make of a value: each by itself, from the last place to the first.
fn model(value: &mut Value, edits: &[Edit]) {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| std::cmp::Reverse(edit.pointer.split('/').map(place).collect::<Vec<_>>()));
    for edit in sorted {
        let with = match &edit.replacement {
            Replacement::Text(text) => json!(text),
            Replacement::Null => Value::Null,
            Replacement::Remove => {
                let (parent, last) = edit.pointer.rsplit_once('/').unwrap();
                match value.pointer_mut(parent).unwrap() {
                    Value::Array(elements) => drop(elements.remove(last.parse().unwrap())),
                    Value::Object(members) => drop(members.remove(last)),
                    _ => unreachable!(),
                }
                continue;
            }
        };
        *value.pointer_mut(&edit.pointer).unwrap() = with;
    }
}

/// Tokens in an order in which a higher index comes behind a lower one.
fn place(token: &str) -> (usize, String) {
    (token.parse().unwrap_or_default(), token.to_owned())
}

fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => {
            for (place, element) in elements.iter().enumerate() {
                found.push(format!("{at}/{place}"));
                pointers(element, &format!("{at}/{place}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                found.push(format!("{at}/{name}"));
                pointers(member, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn edits_do_what_the_model_does(value in document(), chosen: Vec<(prop::sample::Index, u8)>) {
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        prop_assume!(!all.is_empty());
        let mut edits: Vec<Edit> = Vec::new();
        for (index, kind) in chosen.iter().take(6) {
            let pointer = index.get(&all).clone();
            let touches = |other: &Edit| {
                format!("{}/", other.pointer).starts_with(&format!("{pointer}/"))
                    || format!("{pointer}/").starts_with(&format!("{}/", other.pointer))
            };
            if !edits.iter().any(touches) {
                let with = [text("X"), Replacement::Null, Replacement::Remove];
                edits.push(edit(&pointer, with[usize::from(*kind) % 3].clone()));
            }
        }
        let edited = apply(&value.to_string(), edits.clone(), &[]).unwrap();
        let mut expected = value.clone();
        model(&mut expected, &edits);
        prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), expected);
    }

    #[test]
    fn whatever_must_be_masked_is_gone_or_there_is_no_document(
        value in document(), must: prop::sample::Index, chosen: Vec<prop::sample::Index>,
    ) {
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        prop_assume!(!all.is_empty());
        let must = must.get(&all).clone();
        let mut edits = Edits::default();
        for index in chosen.iter().take(8) {
            let one = Edits::of(vec![edit(index.get::<String>(&all), Replacement::Null)]).unwrap();
            edits = edits.and(one).unwrap();
        }
        let written = value.to_string();
        if let Ok(edited) = edits.apply(&Document::read(&written).unwrap(), &musts(&[&must])) {
            let edited: Value = serde_json::from_str(&edited).unwrap();
            let mut left = Vec::new();
            if let Some(part) = edited.pointer(&must) {
                leaves(part, &mut left);
            }
            prop_assert!(left.iter().all(Value::is_null), "{} at {must}: {edited}", written);
        }
    }
}

fn leaves(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| leaves(element, found)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
        leaf => found.push(leaf.clone()),
    }
}

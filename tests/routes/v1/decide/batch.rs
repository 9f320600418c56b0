//! `POST /v1/decide` with `evaluations`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{asked, send, with};
use crate::assertions::{members, names, set};

#[track_caller]
fn answers(question: &Value) -> Vec<Value> {
    let answer = send(question).expect_status(200).json();
    assert_eq!(members(&answer), names(["evaluations"]), "{answer}");
    answer["evaluations"].as_array().expect("a list").clone()
}

fn decisions(answers: &[Value]) -> Vec<bool> {
    answers.iter().map(|answer| answer["decision"].as_bool().unwrap()).collect()
}

fn batch(items: Value) -> Value {
    with(asked("own"), "evaluations", items)
}

fn resource(id: &str) -> Value {
    json!({"resource": {"type": "record", "id": id}})
}

#[test]
fn every_item_has_an_answer_of_its_own() {
    let answers = answers(&batch(json!([resource("mine"), {}, {"action": {"name": "twice"}}])));
    assert_eq!(decisions(&answers), [true, false, true]);
    assert_eq!(answers[0]["reasons"], json!(["owns-mine"]));
    assert_eq!(answers[1]["reasons"], json!(["no_permit"]));
    assert_eq!(set(&answers[2]["reasons"]), names(["first", "second"]));
    let ids: BTreeSet<&str> = answers.iter().map(|answer| answer["decision_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    for answer in &answers {
        assert_eq!(answer["revision"], answers[0]["revision"], "one batch, one revision");
        assert!(answer["obligations"].is_array() && answer["outcome"].is_string(), "{answer}");
    }
}

#[test]
fn an_items_entity_replaces_the_default_whole() {
    let mut question = batch(json!([{}, {"action": {"name": "delete"}}]));
    question["action"] = json!({"name": "delete", "properties": {"soft": true}});
    assert_eq!(decisions(&answers(&question)), [true, false]);
}

#[test]
fn an_item_that_lacks_a_field_is_denied_as_invalid() {
    let mut question = batch(json!([{}, resource("mine"), {"resource": {"type": "record"}}]));
    question.as_object_mut().unwrap().remove("resource");
    let answers = answers(&question);
    assert_eq!(decisions(&answers), [false, true, false]);
    for index in [0, 2] {
        assert!(set(&answers[index]["reasons"]).contains("invalid_item"), "{}", answers[index]);
    }
}

#[test]
fn an_item_whose_context_carries_what_was_verified_is_denied() {
    let question = batch(json!([
        {"resource": {"type": "record", "id": "mine"}, "context": {"verified": {}}},
        resource("mine")
    ]));
    assert_eq!(decisions(&answers(&question)), [false, true]);
}

#[test]
fn the_two_short_semantics_end_with_the_item_that_decided() {
    let semantic = |name: &str, items: Value| {
        let question = with(batch(items), "options", json!({"evaluations_semantic": name}));
        decisions(&answers(&question))
    };
    let (yes, no) = (resource("mine"), resource("theirs"));
    assert_eq!(semantic("execute_all", json!([no, yes, no])), [false, true, false]);
    assert_eq!(semantic("deny_on_first_deny", json!([yes, no, yes])), [true, false]);
    assert_eq!(semantic("permit_on_first_permit", json!([no, yes, no])), [false, true]);
}

#[test]
fn an_unknown_semantic_and_an_unknown_option_are_refused() {
    for options in [json!({"evaluations_semantic": "any"}), json!({"unknown": 1})] {
        let answer = send(&with(batch(json!([{}])), "options", options)).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request");
    }
}

#[test]
fn an_unknown_field_of_an_item_is_an_error() {
    let answer = send(&batch(json!([{"surprise": 1}])));
    // Either the batch is refused or the item is; it is never overlooked.
    if answer.status == 200 {
        assert_eq!(answer.json()["evaluations"][0]["decision"], json!(false));
        assert!(set(&answer.json()["evaluations"][0]["reasons"]).contains("invalid_item"));
    } else {
        assert_eq!(answer.expect_status(400).problem(), "invalid_request");
    }
}

#[test]
fn a_batch_over_the_limit_is_refused() {
    let items = |count: usize| json!(vec![json!({}); count]);
    let answer = send(&batch(items(1001))).expect_status(413);
    assert_eq!(answer.problem(), "batch_too_large");
    assert_eq!(answers(&batch(items(1000))).len(), 1000);
}

#[test]
fn defaults_can_not_blow_a_small_body_up() {
    let question = with(batch(json!(vec![json!({}); 1000])), "context", json!({"text": "x".repeat(100_000)}));
    assert_eq!(send(&question).expect_status(413).problem(), "batch_too_large");
}

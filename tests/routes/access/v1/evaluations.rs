//! `POST /access/v1/evaluations`: defaults, order and the three semantics.

use portcullis_tests::Answer;
use serde_json::{Value, json};

use crate::fixtures::{authzen, question, single_pack};

const PATH: &str = "/access/v1/evaluations";

fn ask(body: &Value) -> Answer {
    single_pack().post(PATH, body)
}

#[track_caller]
fn decides(body: &Value, expected: &[bool]) {
    let answer = ask(body).expect_status(200).json();
    let expected: Vec<Value> = expected.iter().map(|decision| json!({"decision": decision})).collect();
    assert_eq!(answer, json!({"evaluations": expected}), "asked: {body}");
}

fn resource(id: &str) -> Value {
    json!({"resource": {"type": "record", "id": id}})
}

/// Alice's writes: record-1 is allowed, record-2 is not.
fn writes(ids: &[&str]) -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "write"},
        "evaluations": ids.iter().map(|id| resource(id)).collect::<Vec<_>>()
    })
}

#[test]
fn items_are_answered_in_their_order() {
    decides(&writes(&["record-1", "record-2", "record-1", "record-9"]), &[true, false, true, false]);
    decides(&writes(&["record-2"]), &[false]);
}

#[test]
fn items_may_stand_alone() {
    let items = [
        question("alice", "read", "record-1"),
        question("bob", "write", "record-1"),
        question("bob", "write", "record-2"),
    ];
    decides(&json!({"evaluations": items}), &[true, false, true]);
}

#[test]
fn what_an_item_lacks_comes_from_the_top() {
    let asked = json!({
        "subject": {"type": "user", "id": "bob"},
        "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-1"},
        "evaluations": [
            {},
            {"action": {"name": "read"}},
            {"subject": {"type": "user", "id": "alice"}},
            {"resource": {"type": "record", "id": "record-2"}}
        ]
    });
    decides(&asked, &[false, true, true, true]);
}

#[test]
fn an_items_entity_replaces_the_default_whole() {
    // If the two were merged, carol would keep the role, and the delete its softness.
    let asked = json!({
        "subject": {"type": "user", "id": "dave", "properties": {"role": "admin"}},
        "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-2"},
        "evaluations": [{}, {"subject": {"type": "user", "id": "carol"}}]
    });
    decides(&asked, &[true, false]);
    let asked = json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "delete", "properties": {"soft": true}},
        "resource": {"type": "record", "id": "record-2"},
        "evaluations": [{}, {"action": {"name": "delete"}}]
    });
    decides(&asked, &[true, false]);
}

#[test]
fn the_context_is_inherited_and_replaced_whole() {
    let asked = json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "delete"},
        "resource": {"type": "record", "id": "record-1"},
        "context": {"action": {"soft": true}},
        "evaluations": [{}, {"context": {"other": 1}}, {"context": {"action": {"soft": false}}}]
    });
    decides(&asked, &[true, false, false]);
}

#[test]
fn an_item_that_lacks_a_field_is_denied_and_the_rest_answered() {
    let asked = json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "evaluations": [
            {},
            resource("record-1"),
            {"resource": {"type": "record"}},
            {"resource": {"id": "record-1"}},
            {"action": {}, "resource": {"type": "record", "id": "record-1"}}
        ]
    });
    decides(&asked, &[false, true, false, false, false]);
}

#[test]
fn an_item_whose_context_carries_what_was_verified_is_denied() {
    let asked = json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"},
        "evaluations": [{"context": {"verified": {}}}, {}]
    });
    decides(&asked, &[false, true]);
}

#[test]
fn without_evaluations_it_is_a_single_question() {
    let mut asked = question("alice", "read", "record-1");
    assert_eq!(ask(&asked).expect_status(200).json(), json!({"decision": true}));
    asked["evaluations"] = json!([]);
    assert_eq!(ask(&asked).expect_status(200).json(), json!({"decision": true}));
    asked["subject"]["id"] = json!("mallory");
    assert_eq!(ask(&asked).expect_status(200).json(), json!({"decision": false}));
}

fn with_semantic(mut asked: Value, semantic: &str) -> Value {
    asked["options"] = json!({"evaluations_semantic": semantic});
    asked
}

#[test]
fn execute_all_answers_every_item() {
    let asked = with_semantic(writes(&["record-1", "record-2", "record-1"]), "execute_all");
    decides(&asked, &[true, false, true]);
}

#[test]
fn deny_on_first_deny_ends_with_the_first_denied_item() {
    let semantic = "deny_on_first_deny";
    decides(&with_semantic(writes(&["record-1", "record-2", "record-1"]), semantic), &[true, false]);
    decides(&with_semantic(writes(&["record-2", "record-1"]), semantic), &[false]);
    decides(&with_semantic(writes(&["record-1", "record-1"]), semantic), &[true, true]);
}

#[test]
fn permit_on_first_permit_ends_with_the_first_allowed_item() {
    let semantic = "permit_on_first_permit";
    decides(&with_semantic(writes(&["record-2", "record-1", "record-2"]), semantic), &[false, true]);
    decides(&with_semantic(writes(&["record-1", "record-2"]), semantic), &[true]);
    decides(&with_semantic(writes(&["record-2", "record-2"]), semantic), &[false, false]);
}

#[test]
fn an_item_that_lacks_a_field_counts_as_a_deny() {
    let mut asked = with_semantic(writes(&["record-1"]), "deny_on_first_deny");
    asked["evaluations"] = json!([resource("record-1"), {}, resource("record-1")]);
    decides(&asked, &[true, false]);
}

#[test]
fn unknown_options_and_fields_are_ignored() {
    let mut asked = writes(&["record-1", "record-2"]);
    asked["options"] = json!({"another": true});
    asked["unknown"] = json!(1);
    asked["evaluations"][0]["unknown"] = json!(1);
    decides(&asked, &[true, false]);
}

#[test]
fn the_request_id_is_echoed() {
    let answer = single_pack()
        .request("POST", PATH)
        .header("content-type", "application/json")
        .header("x-request-id", "batch-1")
        .body(writes(&["record-1"]).to_string())
        .send()
        .expect_status(200);
    assert_eq!(answer.header("x-request-id"), Some("batch-1"));
}

#[test]
fn each_pack_answers_its_own_batches() {
    let path = format!("/packs/records{PATH}");
    let answer = authzen().post(&path, &writes(&["record-1", "record-2"])).expect_status(200);
    assert_eq!(answer.json(), json!({"evaluations": [{"decision": true}, {"decision": false}]}));
}

#[test]
fn an_unknown_pack_denies_every_item() {
    let path = format!("/packs/absent{PATH}");
    let answer = authzen().post(&path, &writes(&["record-1", "record-1"])).expect_status(200);
    assert_eq!(answer.json(), json!({"evaluations": [{"decision": false}, {"decision": false}]}));
}

#[test]
fn a_thousand_items_are_answered() {
    let ids: Vec<&str> = (0..1000).map(|n| if n % 2 == 0 { "record-1" } else { "record-2" }).collect();
    let expected: Vec<bool> = (0..1000).map(|n| n % 2 == 0).collect();
    decides(&writes(&ids), &expected);
}

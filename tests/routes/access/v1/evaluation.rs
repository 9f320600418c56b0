//! `POST /access/v1/evaluation`: the certification scenario of AuthZEN 1.0, and what an
//! answer looks like.

use portcullis_tests::{Answer, XorShift};
use serde_json::{Value, json};

use crate::fixtures::{authzen, question, single_pack};

const PATH: &str = "/access/v1/evaluation";

fn ask(body: &Value) -> Answer {
    single_pack().post(PATH, body)
}

#[track_caller]
fn decides(body: &Value, expected: bool) {
    let answer = ask(body).expect_status(200);
    assert_eq!(answer.json(), json!({"decision": expected}), "asked: {body}");
}

#[test]
fn alice_reads_and_writes_the_active_record() {
    decides(&question("alice", "read", "record-1"), true);
    decides(&question("alice", "write", "record-1"), true);
}

#[test]
fn bob_reads_the_active_record_and_may_not_write_it() {
    decides(&question("bob", "read", "record-1"), true);
    decides(&question("bob", "write", "record-1"), false);
}

#[test]
fn an_archived_record_is_not_written_by_alice() {
    let mut asked = question("alice", "write", "record-2");
    decides(&asked, false);
    asked["resource"]["properties"] = json!({"status": "archived"});
    decides(&asked, false);
}

#[test]
fn an_archived_record_that_only_the_request_describes_is_not_written_by_alice() {
    let mut asked = question("alice", "write", "record-3");
    asked["resource"]["properties"] = json!({"status": "archived"});
    decides(&asked, false);
    asked["resource"]["properties"] = json!({"status": "active"});
    decides(&asked, true);
}

#[test]
fn an_admin_writes_an_archived_record() {
    decides(&question("bob", "write", "record-2"), true);
    let mut asked = question("carol", "write", "record-2");
    decides(&asked, false);
    asked["subject"]["properties"] = json!({"role": "admin"});
    decides(&asked, true);
    asked["subject"]["properties"] = json!({"role": "reader"});
    decides(&asked, false);
}

#[test]
fn alice_deletes_softly_only() {
    let mut asked = question("alice", "delete", "record-1");
    decides(&asked, false);
    asked["action"]["properties"] = json!({"soft": false});
    decides(&asked, false);
    asked["action"]["properties"] = json!({"soft": true});
    decides(&asked, true);
    asked["subject"]["id"] = json!("bob");
    decides(&asked, false);
}

#[test]
fn action_properties_replace_what_the_context_says_about_the_action() {
    let mut asked = question("alice", "delete", "record-1");
    asked["context"] = json!({"action": {"soft": true}});
    asked["action"]["properties"] = json!({"soft": false});
    decides(&asked, false);
}

#[test]
fn strangers_get_nothing() {
    decides(&question("mallory", "read", "record-1"), false);
    decides(&question("alice", "fly", "record-1"), false);
    let mut asked = question("alice", "read", "record-1");
    asked["subject"]["type"] = json!("service");
    decides(&asked, false);
}

#[test]
fn the_answer_is_one_member_in_json() {
    let answer = ask(&question("alice", "read", "record-1")).expect_status(200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    let text: String = answer.text().split_whitespace().collect();
    assert_eq!(text, r#"{"decision":true}"#);
}

#[test]
fn unknown_fields_and_additional_properties_are_ignored() {
    let mut asked = question("alice", "read", "record-1");
    asked["subject"]["properties"] = json!({"department": "sales", "tags": ["a", 1, {"b": null}], "x": 1.5});
    asked["resource"]["properties"] = json!({"size": 18_446_744_073_709_551_615_u64});
    asked["context"] = json!({"ip": "10.0.0.1", "nested": {"deep": [true]}});
    asked["unknown"] = json!({"anything": [1, 2]});
    asked["subject"]["unknown"] = json!(1);
    asked["action"]["unknown"] = json!("x");
    asked["resource"]["unknown"] = json!(null);
    decides(&asked, true);
}

#[test]
fn a_malformed_time_in_the_context_is_tolerated() {
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"time": "yesterday at noon"});
    decides(&asked, true);
    asked["context"] = json!({"time": 12});
    decides(&asked, true);
}

#[test]
fn an_empty_context_and_empty_properties_change_nothing() {
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({});
    for field in ["subject", "action", "resource"] {
        asked[field]["properties"] = json!({});
    }
    decides(&asked, true);
}

#[test]
fn the_request_id_is_echoed() {
    let send = |id: Option<&str>| {
        let body = question("alice", "read", "record-1").to_string();
        let mut request = single_pack().request("POST", PATH).header("content-type", "application/json");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        request.body(body).send()
    };
    let answer = send(Some("bfe9eb29-ab87-4ca3-be83-a1d5d8305716")).expect_status(200);
    assert_eq!(answer.header("x-request-id"), Some("bfe9eb29-ab87-4ca3-be83-a1d5d8305716"));
    assert_eq!(send(None).expect_status(200).json(), json!({"decision": true}));
}

#[test]
fn the_request_id_is_echoed_on_a_refusal() {
    let answer = single_pack()
        .request("POST", PATH)
        .header("content-type", "application/json")
        .header("x-request-id", "refused-1")
        .body("{")
        .send()
        .expect_status(400);
    assert_eq!(answer.header("x-request-id"), Some("refused-1"));
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let mut random = XorShift::new(7);
    let asked = [question("alice", "write", "record-1"), question("bob", "write", "record-1")];
    for _ in 0..20 {
        let index = random.below(2);
        decides(&asked[index], index == 0);
    }
}

#[test]
fn a_charset_in_the_content_type_is_fine() {
    let body = question("alice", "read", "record-1").to_string();
    let answer = single_pack()
        .request("POST", PATH)
        .header("content-type", "application/json; charset=utf-8")
        .body(body)
        .send();
    assert_eq!(answer.expect_status(200).json(), json!({"decision": true}));
}

#[test]
fn each_pack_is_a_decision_point_of_its_own() {
    let asked = question("alice", "read", "record-1");
    let of = |pack: &str| authzen().post(&format!("/packs/{pack}{PATH}"), &asked).expect_status(200).json();
    assert_eq!(of("records"), json!({"decision": true}));
    assert_eq!(of("fill"), json!({"decision": false}));
}

#[test]
fn an_unknown_pack_denies() {
    let asked = question("alice", "read", "record-1");
    for pack in ["absent", "recordS", "record"] {
        let answer = authzen().post(&format!("/packs/{pack}{PATH}"), &asked).expect_status(200);
        assert_eq!(answer.json(), json!({"decision": false}), "{pack}");
    }
}

#[test]
fn with_several_packs_and_none_named_nothing_is_guessed() {
    let answer = authzen().post(PATH, &question("alice", "read", "record-1")).expect_status(200);
    assert_eq!(answer.json(), json!({"decision": false}));
}

#[test]
fn type_names_are_mapped_as_the_manifest_says() {
    let path = format!("/packs/mapped{PATH}");
    let mut asked = question("alice", "read", "record-1");
    assert_eq!(authzen().post(&path, &asked).json(), json!({"decision": true}));
    asked["subject"]["type"] = json!("service");
    assert_eq!(authzen().post(&path, &asked).json(), json!({"decision": false}));
}

#[track_caller]
fn with_properties(pack: &str, subject: (&str, Value), expected: bool) {
    let (id, properties) = subject;
    let asked = json!({
        "subject": {"type": "user", "id": id, "properties": properties},
        "action": {"name": "enter"},
        "resource": {"type": "door", "id": "bare"}
    });
    let answer = authzen().post(&format!("/packs/{pack}{PATH}"), &asked).expect_status(200);
    assert_eq!(answer.json(), json!({"decision": expected}), "{pack}: {asked}");
}

#[test]
fn fill_takes_from_the_request_only_what_the_store_lacks() {
    for pack in ["fill", "unsaid"] {
        with_properties(pack, ("stored-low", json!({"level": 9})), false);
        with_properties(pack, ("stored-high", json!({"level": 1})), true);
        with_properties(pack, ("bare", json!({"level": 9})), true);
        with_properties(pack, ("unknown", json!({"level": 9})), true);
        with_properties(pack, ("unknown", json!({})), false);
    }
}

#[test]
fn override_lets_the_request_win() {
    with_properties("override", ("stored-low", json!({"level": 9})), true);
    with_properties("override", ("stored-high", json!({"level": 1})), false);
    with_properties("override", ("stored-high", json!({})), true);
    with_properties("override", ("unknown", json!({"level": 9})), true);
}

#[test]
fn ignore_takes_nothing_from_the_request() {
    with_properties("ignore", ("stored-low", json!({"level": 9})), false);
    with_properties("ignore", ("stored-high", json!({"level": 1})), true);
    with_properties("ignore", ("bare", json!({"level": 9})), false);
    with_properties("ignore", ("unknown", json!({"level": 9})), false);
}

#[test]
fn the_rule_for_properties_holds_for_the_resource_too() {
    for (pack, id, expected) in [
        ("fill", "stored-closed", false),
        ("fill", "bare", true),
        ("override", "stored-closed", true),
        ("ignore", "bare", false),
    ] {
        let asked = json!({
            "subject": {"type": "user", "id": "bare"},
            "action": {"name": "open"},
            "resource": {"type": "door", "id": id, "properties": {"status": "open"}}
        });
        let answer = authzen().post(&format!("/packs/{pack}{PATH}"), &asked).expect_status(200);
        assert_eq!(answer.json(), json!({"decision": expected}), "{pack}: {id}");
    }
}

//! `POST /v1/mask`: whose decision counts, for how long, and what is no document.

use std::time::Duration;

use portcullis_tests::{Client, Pack, Server, eventually};
use serde_json::{Value, json};

use crate::fixtures::{create_key_with, limited_key, log_records, question};

const PATH: &str = "/v1/mask";

pub(crate) const POLICIES: &str = r#"
@id("plain")
permit(principal, action == Action::"read", resource);

@id("masked")
@obligation("mask:/email,mask:/cards")
permit(principal, action == Action::"list", resource);

@id("signed")
@obligation("sign:partner")
permit(principal, action == Action::"send", resource);

@id("signed-by-two")
@obligation("sign:partner,sign:other")
permit(principal, action == Action::"forward", resource);
"#;

pub(crate) fn pack() -> Pack {
    Pack::new("obliges").cedar(POLICIES)
}

/// Asks, and gives the decision's id.
pub(crate) fn decide(client: &Client, action: &str) -> String {
    let mut asked = question("alice", action, "record-1");
    asked["understands"] = json!(["mask", "sign"]);
    let answer = client.post("/v1/decide", &asked).expect_status(200).json();
    answer["decision_id"].as_str().unwrap().to_owned()
}

fn body(decision_id: &str, document: &Value) -> Value {
    json!({"decision_id": decision_id, "document": document})
}

/// The events of this action, oldest first.
pub(crate) fn events(server: &Server, action: &str) -> Vec<Value> {
    let of_action =
        |record: &Value| record["chain"]["kind"] == "event" && record["event"]["api"]["operation"] == action;
    log_records(server.data()).into_iter().filter(of_action).collect()
}

#[test]
fn a_decision_without_masks_gives_the_document_as_it_was() {
    let server = Server::with(pack());
    let id = decide(&server, "read");
    let written = r#"{"z":1.50,"a":[12345678901234567890123,"\u0041"]}"#;
    let text = format!(r#"{{"decision_id":"{id}","document":{written}}}"#);
    let answer = server.post_bytes(PATH, text).expect_status(200).text();
    assert!(answer.contains(written), "{answer}");
    for document in [json!(null), json!("x"), json!([]), json!(0)] {
        let answer = server.post(PATH, &body(&id, &document)).expect_status(200).json();
        assert_eq!(answer, json!({"decision_id": id, "document": document, "edits": 0}));
    }
}

#[test]
fn without_a_plugin_that_masks_there_is_no_document() {
    let server = Server::with(pack());
    let id = decide(&server, "list");
    let refused = server.post(PATH, &body(&id, &json!({"email": "secret@example.org"}))).expect_status(503);
    assert!(!refused.text().contains("secret@"));
    assert_eq!(refused.problem(), "no_mask_plugin");
    // Not even when there is nothing in it to be masked: what isn't looked at isn't known.
    assert_eq!(server.post(PATH, &body(&id, &json!({}))).expect_status(503).problem(), "no_mask_plugin");
}

#[test]
fn only_an_allow_that_is_the_callers_own_counts() {
    let server = Server::with(pack());
    let document = json!({"a": 1});
    let refused = |client: &Client, id: &str, status: u16| {
        client.post(PATH, &body(id, &document)).expect_status(status).problem()
    };
    let denied = decide(&server, "delete");
    assert_eq!(refused(&server, &denied, 403), "decision_denied");
    let id = decide(&server, "read");
    let same_tenant = server.with_key(Some(&limited_key(&server, &["manage", "assert_subject"])));
    let rights = ["manage", "assert_subject"];
    let (_, key) = create_key_with(server.data(), &rights, &["*"], &["--tenant", "other"]);
    let other_tenant = server.with_key(Some(&key));
    for client in [&same_tenant, &other_tenant] {
        assert_eq!(refused(client, &id, 404), "not_found");
        assert_eq!(refused(client, &denied, 404), "not_found", "nor whether it was a deny");
    }
    let unknown = "dec_0197aaaabbbb7cccddddeeeeffff0001";
    let event = events(&server, "mask").pop().unwrap()["chain"]["id"].as_str().unwrap().to_owned();
    for id in [unknown, "", "dec_", "../../x", &event, &"d".repeat(100_000), "dec_\u{0}"] {
        assert_eq!(refused(&server, id, 404), "not_found", "{id}");
    }
    assert!(
        events(&server, "mask").iter().all(|event| event.to_string().len() < 4_000),
        "the log is not filled"
    );
    assert_eq!(
        server.with_key(None).post(PATH, &body(&id, &document)).expect_status(401).problem(),
        "caller_key_missing"
    );
    let _ = server.post(PATH, &body(&id, &document)).expect_status(200);
}

#[test]
fn a_decision_counts_for_as_long_as_it_is_fresh() {
    let server = Server::builder().pack(pack()).config("[obligations]\nfresh_seconds = 1\n").start();
    let id = decide(&server, "read");
    let _ = server.post(PATH, &body(&id, &json!(1))).expect_status(200);
    std::thread::sleep(Duration::from_millis(1_300));
    assert_eq!(server.post(PATH, &body(&id, &json!(1))).expect_status(409).problem(), "decision_stale");
}

#[test]
fn a_subject_that_was_locked_since_has_no_document() {
    let server = Server::with(pack());
    let id = decide(&server, "read");
    let made = json!({"type": "user", "id": "alice"});
    let _ = server.post("/v1/principals?pack=obliges", &made).expect_status(201);
    let _ = server.post(PATH, &body(&id, &json!(1))).expect_status(200);
    let _ = server.post("/v1/principals/alice/lock?pack=obliges", &json!({})).expect_status(200);
    assert_eq!(server.post(PATH, &body(&id, &json!(1))).expect_status(403).problem(), "subject_inactive");
}

#[test]
fn a_pack_that_is_gone_opens_nothing() {
    let server = Server::builder().pack(pack()).pack(Pack::new("stays").cedar(POLICIES)).start();
    let mut asked = question("alice", "read", "record-1");
    asked["pack"] = json!("obliges");
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    let id = answer["decision_id"].as_str().unwrap();
    let _ = server.post(PATH, &body(id, &json!(1))).expect_status(200);
    std::fs::remove_dir_all(server.policies().join("obliges")).unwrap();
    let gone = eventually(Duration::from_secs(20), || {
        let answer = server.post(PATH, &body(id, &json!(1)));
        (answer.status == 403 && answer.problem() == "right_missing").then_some(())
    });
    assert!(gone.is_some());
}

#[test]
fn documents_that_readers_differ_on_are_refused() {
    let server = Server::with(pack());
    let id = decide(&server, "read");
    let send = |document: &str| {
        let text = format!(r#"{{"decision_id":"{id}","document":{document}}}"#);
        server.post_bytes(PATH, text).expect_status(400).problem()
    };
    assert_eq!(send(r#"{"email":"a","email":"b"}"#), "malformed_json");
    assert_eq!(send(r#"{"x":[{"email":"a","\u0065mail":"b"}]}"#), "malformed_json");
    assert_eq!(send(r#"{"a":"\ud800"}"#), "malformed_json");
    assert_eq!(send("{"), "malformed_json");
    assert_eq!(send("1e999"), "malformed_json");
    assert_eq!(send(&("[".repeat(200) + &"]".repeat(200))), "nesting_too_deep");
    for wrong in [
        json!({"document": 1}),
        json!({"decision_id": id}),
        json!({"decision_id": 7, "document": 1}),
        json!({"decision_id": id, "document": 1, "tenant": "x"}),
        json!([id, 1]),
    ] {
        assert_eq!(server.post(PATH, &wrong).expect_status(400).problem(), "invalid_request", "{wrong}");
    }
}

#[test]
fn each_call_is_an_event_without_the_document() {
    let server = Server::with(pack());
    let (read, list) = (decide(&server, "read"), decide(&server, "list"));
    let document = json!({"email": "secret@example.org"});
    let _ = server.post(PATH, &body(&read, &document)).expect_status(200);
    let _ = server.post(PATH, &body(&list, &document)).expect_status(503);
    let events = events(&server, "mask");
    assert_eq!(events.len(), 2);
    for (event, (id, allowed)) in events.iter().zip([(&read, 1), (&list, 2)]) {
        assert_eq!(event["event"]["resources"][0]["uid"], json!(id), "{event}");
        assert_eq!(event["event"]["action_id"], json!(allowed), "{event}");
        assert!(!event.to_string().contains("secret@"), "{event}");
    }
    assert_eq!(events[1]["event"]["unmapped"]["reasons"], json!(["no_mask_plugin"]));
}

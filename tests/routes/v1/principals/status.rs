//! `lock`, `unlock`, `disable`, `enable`: a principal that may do nothing may do nothing anywhere.

use portcullis_tests::{Answer, Client};
use serde_json::{Value, json};

use crate::directory::{at, decide_in, delete, get, order, post, put, reads, server, shared};

fn make(client: &Client, id: &str) {
    for pack in ["directory", "annex"] {
        let body = json!({"id": id, "attributes": {"level": 9}});
        let _ = client.post(&format!("/v1/principals?pack={pack}"), &body).expect_status(201);
    }
}

fn is(client: &Client, id: &str, verb: &str) -> Answer {
    order(client, &format!("/v1/principals/{id}/{verb}"))
}

fn reasons(client: &Client, id: &str) -> [Value; 2] {
    ["directory", "annex"].map(|pack| decide_in(client, pack, ("user", id), "read", "charter").1)
}

const ALLOWED: &str = "high-level-reads";

#[test]
fn a_status_counts_in_every_pack_from_the_next_decision_on() {
    let server = shared();
    make(server, "everywhere");
    assert_eq!(reasons(server, "everywhere"), [json!([ALLOWED]), json!([ALLOWED])]);
    for (verb, status, reason) in [
        ("lock", "locked", "principal_locked"),
        ("unlock", "active", ALLOWED),
        ("disable", "disabled", "principal_disabled"),
        ("enable", "active", ALLOWED),
        ("lock", "locked", "principal_locked"),
        ("disable", "disabled", "principal_disabled"),
    ] {
        let answer = is(server, "everywhere", verb).expect_status(200).json();
        assert_eq!(answer["principal"]["status"], json!(status), "{verb}: {answer}");
        assert_eq!(answer["ended"], json!({"role_assignments": 0, "elevations": 0}), "{answer}");
        assert!(answer["revision"].is_u64(), "{answer}");
        assert_eq!(reasons(server, "everywhere"), [json!([reason]), json!([reason])], "{verb}");
        for pack in ["directory", "annex"] {
            let read =
                server.get(&format!("/v1/principals/everywhere?pack={pack}")).expect_status(200).json();
            assert_eq!((&read["status"], &read["version"]), (&json!(status), &answer["revision"]), "{pack}");
        }
    }
    // Naming the Cedar type is no way around it.
    let named = decide_in(server, "directory", ("Corp::User", "everywhere"), "read", "charter");
    assert_eq!(named.1, json!(["principal_disabled"]));
}

#[test]
fn what_is_said_twice_is_answered_with_success_and_changes_nothing() {
    let server = shared();
    make(server, "twice-disabled");
    for verb in ["lock", "disable"] {
        let first = is(server, "twice-disabled", verb).expect_status(200);
        let second = is(server, "twice-disabled", verb).expect_status(200);
        assert_eq!(first.json()["principal"], second.json()["principal"]);
        assert!(second.json()["revision"].as_u64() >= first.json()["revision"].as_u64());
        assert_eq!(first.header("etag"), second.header("etag"));
    }
    let _ = is(server, "twice-disabled", "enable").expect_status(200);
    for verb in ["enable", "unlock"] {
        assert_eq!(
            is(server, "twice-disabled", verb).expect_status(200).json()["principal"]["status"],
            json!("active")
        );
    }
}

#[test]
fn a_weaker_word_does_not_undo_a_stronger() {
    let server = shared();
    make(server, "strict");
    let _ = is(server, "strict", "lock").expect_status(200);
    assert_eq!(is(server, "strict", "enable").expect_status(409).problem(), "wrong_status");
    let _ = is(server, "strict", "disable").expect_status(200);
    for verb in ["lock", "unlock"] {
        assert_eq!(is(server, "strict", verb).expect_status(409).problem(), "wrong_status", "{verb}");
    }
    // Nor does writing it anew.
    let body = json!({"attributes": {"level": 9}});
    let put = put(server, "/v1/principals/strict", Some(("if-match", "*")), body).expect_status(200);
    assert_eq!(put.json()["status"], json!("disabled"));
    assert!(!reads(server, "strict", "charter"));
}

#[test]
fn who_is_deleted_while_disabled_is_disabled_when_made_anew() {
    let mut server = server();
    make(&server, "phoenix");
    let _ = is(&server, "phoenix", "disable").expect_status(200);
    let _ = delete(&server, "/v1/principals/phoenix").expect_status(200);
    assert_eq!(reasons(&server, "phoenix"), [json!(["principal_disabled"]), json!(["principal_disabled"])]);
    let _ = server.request("DELETE", "/v1/principals/phoenix?pack=annex").send().expect_status(200);
    assert_eq!(reasons(&server, "phoenix"), [json!(["principal_disabled"]), json!(["principal_disabled"])]);
    assert_eq!(is(&server, "phoenix", "enable").expect_status(404).problem(), "not_found");
    server.restart();
    assert_eq!(reasons(&server, "phoenix"), [json!(["principal_disabled"]), json!(["principal_disabled"])]);
    let made = post(&server, "/v1/principals", json!({"id": "phoenix", "attributes": {"level": 9}}));
    assert_eq!(made.expect_status(201).json()["status"], json!("disabled"));
    assert_eq!(reasons(&server, "phoenix")[0], json!(["principal_disabled"]));
    // As another type it is another principal.
    let _ = is(&server, "phoenix", "enable").expect_status(200);
    assert_eq!(reasons(&server, "phoenix")[0], json!([ALLOWED]));
    server.restart();
    assert_eq!(reasons(&server, "phoenix")[0], json!([ALLOWED]));
    // Of the deleted one in the other pack nothing is left either.
    let made = server.post("/v1/principals?pack=annex", &json!({"id": "phoenix"})).expect_status(201).json();
    assert_eq!(made["status"], json!("active"));
}

#[test]
fn who_is_disabled_in_one_pack_is_disabled_when_made_in_another() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "spreading"})).expect_status(201);
    let _ = is(server, "spreading", "disable").expect_status(200);
    let made =
        server.post("/v1/principals?pack=annex", &json!({"id": "spreading", "attributes": {"level": 9}}));
    assert_eq!(made.expect_status(201).json()["status"], json!("disabled"));
    let answer =
        server.request("POST", "/v1/principals/spreading/enable?pack=annex").send().expect_status(200);
    assert_eq!(answer.json()["principal"]["status"], json!("active"));
    assert_eq!(get(server, "/v1/principals/spreading").expect_status(200).json()["status"], json!("active"));
}

#[test]
fn a_principal_of_the_files_is_disabled_as_any() {
    let mut server = server();
    assert!(reads(&server, "resident", "charter"));
    let answer = is(&server, "resident", "disable").expect_status(200).json();
    assert_eq!(
        (&answer["principal"]["status"], &answer["principal"]["source"], &answer["principal"]["attributes"]),
        (&json!("disabled"), &json!("pack"), &json!({"level": 9}))
    );
    for _ in 0..2 {
        assert_eq!(
            reasons(&server, "resident"),
            [json!(["principal_disabled"]), json!(["principal_disabled"])]
        );
        let read = get(&server, "/v1/principals/resident").expect_status(200).json();
        assert_eq!((&read["status"], &read["groups"]), (&json!("disabled"), &json!(["wheel"])));
        server.restart();
    }
    let _ = is(&server, "resident", "enable").expect_status(200);
    for _ in 0..2 {
        assert_eq!(reasons(&server, "resident"), [json!([ALLOWED]), json!([ALLOWED])]);
        let read = get(&server, "/v1/principals/resident").expect_status(200).json();
        assert_eq!(
            (&read["status"], &read["source"], &read["version"]),
            (&json!("active"), &json!("pack"), &json!(0))
        );
        server.restart();
    }
}

#[test]
fn another_of_the_same_id_is_not_touched() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "namesake", "attributes": {"level": 9}}))
        .expect_status(201);
    let service = json!({"id": "namesake", "type": "service", "attributes": {"level": 9}});
    let _ = server.post("/v1/principals?pack=annex", &service).expect_status(201);
    let _ = is(server, "namesake", "disable").expect_status(200);
    assert_eq!(decide_in(server, "annex", ("service", "namesake"), "read", "charter").1, json!([ALLOWED]));
    assert_eq!(
        decide_in(server, "annex", ("user", "namesake"), "read", "charter").1,
        json!(["principal_disabled"])
    );
}

#[test]
fn a_reason_is_optional_and_bounded() {
    let server = shared();
    make(server, "reasoned");
    let path = at("/v1/principals/reasoned/lock");
    let _ = server.post(&path, &json!({"reason": "é".repeat(1_000)})).expect_status(200);
    let long = server.post(&path, &json!({"reason": "x".repeat(1_001)})).expect_status(400);
    assert_eq!(long.problem(), "invalid_request");
    assert_eq!(server.post(&path, &json!({"why": "x"})).expect_status(400).problem(), "invalid_request");
    assert_eq!(server.post_bytes(&path, "").expect_status(400).problem(), "malformed_json");
    let plain = server.request("POST", &path).body("reason=x").send();
    assert_eq!(plain.expect_status(415).problem(), "unsupported_media_type");
    for verb in ["lock", "unlock", "disable", "enable"] {
        assert_eq!(is(server, "never-made", verb).expect_status(404).problem(), "not_found");
    }
}

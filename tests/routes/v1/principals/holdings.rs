//! What a principal holds ends when it is disabled, everywhere, and when it is deleted, in its pack.

use portcullis_tests::{Client, Server};
use serde_json::{Value, json};

use crate::directory::{client, decide_in, delete, get, order, post, server, walk};

fn give(client: &Client, pack: &str, who: &str, further: &Value) -> String {
    let mut body = json!({"principal": {"type": "user", "id": who}, "role": "editor"});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let made = client.post(&format!("/v1/role-assignments?pack={pack}"), &body).expect_status(201).json();
    made["id"].as_str().unwrap().to_owned()
}

fn elevate(client: &Client, who: &str) -> String {
    let body = json!({"principal": {"type": "user", "id": who}, "role": "editor", "reason": "x", "duration_seconds": 600});
    let made = post(client, "/v1/elevations", body).expect_status(201).json();
    made["id"].as_str().unwrap().to_owned()
}

fn edits(client: &Client, pack: &str, who: &str) -> bool {
    decide_in(client, pack, ("user", who), "edit", "charter").0
}

fn people(server: &Server) {
    for (pack, id) in [("directory", "ann"), ("annex", "ann"), ("directory", "ben")] {
        let _ = server.post(&format!("/v1/principals?pack={pack}"), &json!({"id": id})).expect_status(201);
    }
}

fn status(client: &Client, path: &str, id: &str) -> Value {
    client.get(&format!("{path}/{id}")).expect_status(200).json()["status"].clone()
}

#[test]
fn disabling_ends_all_in_every_pack_and_enabling_gives_nothing_back() {
    let mut server = server();
    people(&server);
    let of_ann = json!({"delegated_by": {"type": "user", "id": "ann"}});
    let held = [
        give(&server, "directory", "ann", &json!({})),
        give(&server, "annex", "ann", &json!({})),
        give(&server, "directory", "ben", &of_ann),
    ];
    // Of the pack's files, and in no other way known to the second pack.
    let resident = give(&server, "annex", "resident", &json!({}));
    let (asked, active) = (elevate(&server, "ann"), elevate(&server, "ann"));
    let other = client(&server, "default", &["manage", "assert_subject"]);
    let _ = post(&other, &format!("/v1/elevations/{active}/approve"), json!({})).expect_status(200);
    assert!(edits(&server, "directory", "ann") && edits(&server, "annex", "ann"));
    assert!(edits(&server, "directory", "ben") && edits(&server, "annex", "resident"));

    let answer = order(&server, "/v1/principals/ann/disable").expect_status(200).json();
    assert_eq!(answer["ended"], json!({"role_assignments": 4, "elevations": 2}));
    for id in &held {
        assert_eq!(status(&server, "/v1/role-assignments", id), json!("revoked"));
    }
    for id in [&asked, &active] {
        assert_eq!(status(&server, "/v1/elevations", id), json!("ended"));
    }
    assert!(!edits(&server, "directory", "ben"), "what it passed on has ended too");
    let again = order(&server, "/v1/principals/ann/disable").expect_status(200).json();
    assert_eq!(again["ended"], json!({"role_assignments": 0, "elevations": 0}));
    let _ = order(&server, "/v1/principals/ann/enable").expect_status(200);
    for _ in 0..2 {
        for (pack, who) in [("directory", "ann"), ("annex", "ann"), ("directory", "ben")] {
            let (allowed, reasons) = decide_in(&server, pack, ("user", who), "edit", "charter");
            assert!(!allowed && reasons == json!(["no_permit"]), "{pack} {who}: {reasons}");
        }
        assert!(edits(&server, "annex", "resident"), "another's is untouched");
        server.restart();
    }
    // Disabled by the other pack's name, it ends here as well.
    let answer = order(&server, "/v1/principals/resident/disable").expect_status(200).json();
    assert_eq!(answer["ended"], json!({"role_assignments": 1, "elevations": 0}));
    assert_eq!(status(&server, "/v1/role-assignments", &resident), json!("revoked"));
}

#[test]
fn what_is_given_to_one_who_is_disabled_ends_by_disabling_again() {
    let server = server();
    people(&server);
    let _ = order(&server, "/v1/principals/ann/disable").expect_status(200);
    let body = json!({"principal": {"type": "user", "id": "ann"}, "role": "editor"});
    let _ = post(&server, "/v1/role-assignments", body).expect_status(201);
    assert!(!edits(&server, "directory", "ann"));
    let answer = order(&server, "/v1/principals/ann/disable").expect_status(200).json();
    assert_eq!(answer["ended"]["role_assignments"], json!(1));
    let _ = order(&server, "/v1/principals/ann/enable").expect_status(200);
    assert!(!edits(&server, "directory", "ann"));
}

#[test]
fn locking_ends_nothing() {
    let server = server();
    people(&server);
    let id = give(&server, "directory", "ann", &json!({}));
    let answer = order(&server, "/v1/principals/ann/lock").expect_status(200).json();
    assert_eq!(answer["ended"], json!({"role_assignments": 0, "elevations": 0}));
    assert!(!edits(&server, "directory", "ann"));
    let _ = order(&server, "/v1/principals/ann/unlock").expect_status(200);
    assert!(edits(&server, "directory", "ann"));
    assert_eq!(status(&server, "/v1/role-assignments", &id), json!("active"));
}

#[test]
fn deleting_ends_what_is_held_in_the_pack_and_one_made_anew_holds_nothing() {
    let server = server();
    people(&server);
    let here = give(&server, "directory", "ann", &json!({}));
    let there = give(&server, "annex", "ann", &json!({}));
    let asked = elevate(&server, "ann");
    let gone = delete(&server, "/v1/principals/ann").expect_status(200).json();
    assert_eq!(gone["ended"], json!({"role_assignments": 1, "elevations": 1}));
    assert_eq!(status(&server, "/v1/role-assignments", &here), json!("revoked"));
    assert_eq!(status(&server, "/v1/elevations", &asked), json!("ended"));
    assert_eq!(status(&server, "/v1/role-assignments", &there), json!("active"));
    let _ = post(&server, "/v1/principals", json!({"id": "ann"})).expect_status(201);
    assert!(!edits(&server, "directory", "ann") && edits(&server, "annex", "ann"));
}

#[test]
fn a_group_that_is_deleted_takes_its_roles_along() {
    let server = server();
    people(&server);
    let _ = post(&server, "/v1/groups", json!({"id": "staff"})).expect_status(201);
    let _ =
        post(&server, "/v1/groups/staff/members", json!({"type": "user", "id": "ann"})).expect_status(201);
    let body = json!({"principal": {"type": "group", "id": "staff"}, "role": "editor"});
    let _ = post(&server, "/v1/role-assignments", body).expect_status(201);
    assert!(edits(&server, "directory", "ann"));
    let gone = delete(&server, "/v1/groups/staff").expect_status(200).json();
    assert_eq!((&gone["members"], &gone["ended"]["role_assignments"]), (&json!(1), &json!(1)));
    assert!(!edits(&server, "directory", "ann"));
    let _ = post(&server, "/v1/groups", json!({"id": "staff"})).expect_status(201);
    let _ =
        post(&server, "/v1/groups/staff/members", json!({"type": "user", "id": "ann"})).expect_status(201);
    assert!(!edits(&server, "directory", "ann"));
}

#[test]
fn a_role_is_no_group_and_no_entity_to_be_written() {
    let server = server();
    let _ = post(&server, "/v1/roles", json!({"id": "own"})).expect_status(201);
    assert_eq!(get(&server, "/v1/entities/role/own").expect_status(200).json()["type"], json!("Corp::Role"));
    for answer in [
        post(&server, "/v1/principals", json!({"id": "x", "groups": ["own"]})),
        post(&server, "/v1/groups", json!({"id": "x", "groups": ["own"]})),
    ] {
        assert_eq!(answer.expect_status(400).problem(), "unknown_reference");
    }
    assert_eq!(delete(&server, "/v1/entities/role/own").expect_status(400).problem(), "managed_elsewhere");
    assert!(!walk(&server, "/v1/principals").contains(&"own".to_owned()));
}

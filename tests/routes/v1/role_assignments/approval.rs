//! Roles that another must approve.

use portcullis_tests::{Answer, Server};
use serde_json::{Value, json};

use super::of;
use crate::fixtures::{create_key, limited_key, log_records};
use crate::team::{MANAGER, assign, delete, give, in_millis, may, role, server, sleep_until};

fn with_approval() -> Server {
    let server = server();
    role(&server, "viewer", &json!({"requires_approval": true}));
    server
}

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

fn approve(server: &Server, id: &str, approver: &str) -> Answer {
    server.post(&format!("{}/approve", of(id)), &json!({"approver": user(approver)}))
}

#[test]
fn what_waits_does_not_count_until_another_approves() {
    let server = with_approval();
    let made = assign(&server, "user:alice", "viewer", &json!({"requested_by": user("bob")}));
    let body = made.expect_status(201).json();
    let id = body["id"].as_str().unwrap();
    assert_eq!((&body["status"], &body["requested_by"]), (&json!("pending"), &user("bob")));
    assert!(!may(&server, "user:alice", "read", "alone"));
    let approved = approve(&server, id, "chloe").expect_status(200).json();
    assert_eq!((&approved["status"], &approved["decided_by"]), (&json!("active"), &user("chloe")));
    assert!(approved["decided_at"].is_string());
    assert!(may(&server, "user:alice", "read", "alone"));
    assert_eq!(approve(&server, id, "chloe").expect_status(409).problem(), "wrong_status");
    let _ = delete(server.client(), &of(id)).expect_status(200);
    assert_eq!(approve(&server, id, "chloe").expect_status(409).problem(), "wrong_status");
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn nobody_approves_what_they_asked_for_or_get() {
    let server = with_approval();
    // The caller itself asked: it does not approve.
    let id = give(&server, "user:alice", "viewer", &json!({}));
    let own = server.post(&format!("{}/approve", of(&id)), &json!({}));
    assert_eq!(own.expect_status(403).problem(), "approval_by_same");
    // A chief asked for it, or gets it, or is in the group that gets it.
    let asked = give(&server, "user:alice", "viewer", &json!({"requested_by": user("chloe")}));
    let gets = give(&server, "user:chloe", "viewer", &json!({}));
    let group = give(&server, "group:staff", "viewer", &json!({}));
    for (id, approver) in [(&asked, "chloe"), (&gets, "chloe"), (&group, "clive")] {
        assert_eq!(approve(&server, id, approver).expect_status(403).problem(), "approval_by_same");
        assert_eq!(server.get(&of(id)).expect_status(200).json()["status"], json!("pending"));
    }
    for (id, approver) in [(&asked, "clive"), (&gets, "clive"), (&group, "chloe")] {
        let _ = approve(&server, id, approver).expect_status(200);
    }
    // Another caller approves for itself, where none is named.
    let (_, key) = create_key(server.data(), &["assign_roles"], &["team"]);
    let other = server.with_key(Some(&key));
    let _ = other.post(&format!("{}/approve", of(&id)), &json!({})).expect_status(200);
    assert!(may(&server, "user:alice", "read", "alone"));
}

#[test]
fn a_caller_that_names_another_as_who_asked_does_not_approve_for_itself() {
    let server = with_approval();
    let id = give(&server, "user:alice", "viewer", &json!({"requested_by": user("bob")}));
    let own = server.post(&format!("{}/approve", of(&id)), &json!({}));
    assert_eq!(own.expect_status(403).problem(), "approval_by_same");
    assert!(!may(&server, "user:alice", "read", "alone"));
    let (_, key) = create_key(server.data(), &["assign_roles"], &["team"]);
    let _ = server.with_key(Some(&key)).post(&format!("{}/approve", of(&id)), &json!({})).expect_status(200);
    assert!(may(&server, "user:alice", "read", "alone"));
}

#[test]
fn a_role_asks_at_least_what_it_inherits_asks() {
    let server = server();
    let terms = json!({"requires_approval": true, "requires_reason": true, "max_duration_seconds": 60});
    role(&server, "viewer", &terms);
    role(&server, "lead", &json!({"inherits": ["viewer"]}));
    role(&server, "head", &json!({"inherits": ["lead"], "max_duration_seconds": 3600}));
    let bare = assign(&server, "user:alice", "head", &json!({"ends_at": in_millis(30_000).0}));
    assert_eq!(bare.expect_status(400).problem(), "reason_required");
    let long = json!({"reason": "audit", "ends_at": in_millis(120_000).0});
    assert_eq!(assign(&server, "user:alice", "head", &long).expect_status(400).problem(), "invalid_request");
    let made =
        assign(&server, "user:alice", "head", &json!({"reason": "audit", "ends_at": in_millis(30_000).0}));
    assert_eq!(made.expect_status(201).json()["status"], json!("pending"));
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn who_delegates_does_not_approve_it() {
    let server = with_approval();
    let held = give(&server, "user:chloe", "viewer", &json!({}));
    let _ = approve(&server, &held, "clive").expect_status(200);
    let passed = give(&server, "user:alice", "viewer", &json!({"delegated_by": user("chloe")}));
    assert_eq!(approve(&server, &passed, "chloe").expect_status(403).problem(), "approval_by_same");
    let _ = approve(&server, &passed, "clive").expect_status(200);
}

#[test]
fn the_pack_says_who_approves() {
    let server = with_approval();
    let id = give(&server, "user:alice", "viewer", &json!({}));
    let answer = approve(&server, &id, "bob").expect_status(403);
    assert_eq!(answer.problem(), "approver_not_permitted");
    assert!(answer.text().contains("approve_role"), "{}", answer.text());
    assert_eq!(approve(&server, &id, "nobody").expect_status(403).problem(), "approver_not_permitted");
    // It is a decision of the pack, with a record.
    let asked = |record: &Value| {
        record["event"]["api"]["operation"] == json!("approve_role")
            && record["event"]["actor"]["user"]["uid"] == json!("bob")
    };
    assert!(log_records(server.data()).iter().any(asked), "no record of the decision");
    for kind in ["caller", "group", "role", "doc", ""] {
        let body = json!({"approver": {"type": kind, "id": "chloe"}});
        let answer = server.post(&format!("{}/approve", of(&id)), &body).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{kind}");
    }
    // Who may not vouch can't name anybody.
    let giver = server.with_key(Some(&limited_key(&server, &["assign_roles"])));
    let body = json!({"approver": user("chloe")});
    let answer = giver.post(&format!("{}/approve", of(&id)), &body).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    let named = json!({"principal": user("alice"), "role": "viewer", "requested_by": user("bob")});
    let answer = giver.post("/v1/role-assignments", &named).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    // Nor is another caller named as who asked.
    let (id, _) = create_key(server.data(), MANAGER, &["team"]);
    let named =
        json!({"principal": user("alice"), "role": "viewer", "requested_by": {"type": "caller", "id": id}});
    let answer = server.post("/v1/role-assignments", &named).expect_status(400);
    assert_eq!(answer.problem(), "invalid_request");
}

#[test]
fn what_was_denied_stays_denied() {
    let server = with_approval();
    let id = give(&server, "user:alice", "viewer", &json!({}));
    let denied = server.post(&format!("{}/deny", of(&id)), &json!({"approver": user("chloe")}));
    assert_eq!(denied.expect_status(200).json()["status"], json!("denied"));
    assert_eq!(approve(&server, &id, "chloe").expect_status(409).problem(), "wrong_status");
    assert_eq!(delete(server.client(), &of(&id)).expect_status(200).json()["status"], json!("denied"));
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn an_approval_that_comes_too_late_is_none() {
    let server = with_approval();
    let (ends_at, end) = in_millis(700);
    let id = give(&server, "user:alice", "viewer", &json!({"ends_at": ends_at}));
    sleep_until(end);
    assert_eq!(approve(&server, &id, "chloe").expect_status(409).problem(), "wrong_status");
    // A role that is gone meanwhile is not given either: its requests ended with it.
    let id = give(&server, "user:alice", "viewer", &json!({}));
    let _ = delete(server.client(), "/v1/roles/viewer").expect_status(200);
    assert_eq!(approve(&server, &id, "chloe").expect_status(409).problem(), "wrong_status");
}

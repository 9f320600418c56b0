//! `/v1/elevations`: asked for, approved by another, over by themselves; and the glass that is broken.

mod bad;
mod break_glass;

use portcullis_tests::{Answer, Client, Server};
use serde_json::{Value, json};

use crate::fixtures::{create_key, limited_key};
use crate::team::{delete, give, in_millis, is_absent, may, role, send, server, sleep_until, tenant};

fn of(id: &str) -> String {
    format!("/v1/elevations/{id}")
}

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

/// Asks for a role for a minute, with these further members.
fn ask(client: &Client, who: &str, role: &str, further: &Value) -> Answer {
    let (kind, id) = who.split_once(':').unwrap();
    let mut body = json!({
        "principal": {"type": kind, "id": id}, "role": role, "reason": "the pump is down", "duration_seconds": 60,
    });
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    client.post("/v1/elevations", &body)
}

fn asked(client: &Client, who: &str, role: &str, further: &Value) -> String {
    let made = ask(client, who, role, further).expect_status(201);
    let body = made.json();
    let id = body["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("elv_"));
    assert_eq!(made.header("location"), Some(of(&id).as_str()));
    id
}

fn approve(client: &Client, id: &str, approver: &str) -> Answer {
    client.post(&format!("{}/approve", of(id)), &json!({"approver": user(approver)}))
}

fn with_editor() -> Server {
    let server = server();
    role(&server, "editor", &json!({}));
    server
}

#[test]
fn an_elevation_is_approved_in_force_and_over_by_itself() {
    let server = with_editor();
    let id = asked(&server, "user:alice", "editor", &json!({"duration_seconds": 2}));
    assert!(!may(&server, "user:alice", "write", "alone"));
    let before = server.get(&of(&id)).expect_status(200).json();
    assert_eq!((&before["status"], before.get("ends_at")), (&json!("requested"), None));
    let approved = approve(&server, &id, "chloe").expect_status(200).json();
    // The approval was answered: it is over at most two seconds from here.
    let (_, end) = in_millis(2_000);
    assert_eq!((&approved["status"], &approved["decided_by"]), (&json!("active"), &user("chloe")));
    assert!(may(&server, "user:alice", "write", "alone"));
    let assignment = approved["role_assignment_id"].as_str().unwrap();
    let assignment = server.get(&format!("/v1/role-assignments/{assignment}")).expect_status(200).json();
    assert_eq!(assignment["elevation_id"], json!(id));
    assert_eq!(
        (&assignment["ends_at"], &assignment["reason"]),
        (&approved["ends_at"], &json!("the pump is down"))
    );
    let tag = format!("\"{}\"", approved["version"]);
    let unchanged = || server.request("GET", &of(&id)).header("if-none-match", &tag).send();
    assert_eq!(unchanged().status, 304);
    sleep_until(end);
    assert!(!may(&server, "user:alice", "write", "alone"));
    assert_eq!(
        unchanged().expect_status(200).json()["status"],
        json!("ended"),
        "it ended, and the tag does not hide it"
    );
    let listed = |status: &str| {
        let page = server.get(&format!("/v1/elevations?status={status}")).expect_status(200).json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(["requested", "active", "denied", "ended"].map(listed), [0, 0, 0, 1]);
    let again = approve(&server, &id, "chloe").expect_status(409);
    assert_eq!(again.problem(), "wrong_status");
}

#[test]
fn nobody_approves_their_own_and_not_everybody_others() {
    let server = with_editor();
    let id = asked(&server, "user:alice", "editor", &json!({}));
    let own = server.post(&format!("{}/approve", of(&id)), &json!({}));
    assert_eq!(own.expect_status(403).problem(), "approval_by_same");
    let gets = asked(&server, "user:chloe", "editor", &json!({}));
    let wants = asked(&server, "user:alice", "editor", &json!({"requested_by": user("chloe")}));
    for id in [&gets, &wants] {
        assert_eq!(approve(&server, id, "chloe").expect_status(403).problem(), "approval_by_same");
    }
    assert_eq!(approve(&server, &id, "bob").expect_status(403).problem(), "approver_not_permitted");
    assert!(!may(&server, "user:alice", "write", "alone"));
    let (_, key) = create_key(server.data(), &["decide_elevations"], &["team"]);
    let other = server.with_key(Some(&key));
    let _ = other.post(&format!("{}/approve", of(&id)), &json!({})).expect_status(200);
    let vouching = other.post(&format!("{}/approve", of(&gets)), &json!({"approver": user("clive")}));
    assert_eq!(vouching.expect_status(403).problem(), "right_missing");
}

#[test]
fn what_is_denied_or_ended_is_so_at_once_and_for_good() {
    let server = with_editor();
    let denied = asked(&server, "user:alice", "editor", &json!({}));
    let answer = server.post(&format!("{}/deny", of(&denied)), &json!({"approver": user("chloe")}));
    assert_eq!(answer.expect_status(200).json()["status"], json!("denied"));
    assert_eq!(approve(&server, &denied, "clive").expect_status(409).problem(), "wrong_status");
    let id = asked(&server, "user:alice", "editor", &json!({}));
    let _ = approve(&server, &id, "chloe").expect_status(200);
    assert!(may(&server, "user:alice", "write", "alone"));
    let end = || {
        let body = json!({"reason": "the pump runs again"});
        server.post(&format!("{}/end", of(&id)), &body).expect_status(200).json()
    };
    let ended = end();
    assert_eq!(ended["status"], json!("ended"));
    assert!(!may(&server, "user:alice", "write", "alone"));
    assert_eq!(end()["version"], ended["version"], "repeated, nothing changes");
    let bodiless = server.request("POST", &format!("{}/end", of(&id))).body("").send();
    let _ = bodiless.expect_status(200);
    let assignment = ended["role_assignment_id"].as_str().unwrap();
    let assignment = server.get(&format!("/v1/role-assignments/{assignment}")).expect_status(200).json();
    assert_eq!(assignment["status"], json!("revoked"));
    // A request is taken back the same way.
    let id = asked(&server, "user:bob", "editor", &json!({}));
    let _ = server.post(&format!("{}/end", of(&id)), &json!({})).expect_status(200);
    assert_eq!(approve(&server, &id, "chloe").expect_status(409).problem(), "wrong_status");
}

#[test]
fn an_elevation_whose_assignment_is_revoked_is_over() {
    let server = with_editor();
    let id = asked(&server, "user:alice", "editor", &json!({}));
    let approved = approve(&server, &id, "chloe").expect_status(200).json();
    let assignment = approved["role_assignment_id"].as_str().unwrap();
    let _ = delete(server.client(), &format!("/v1/role-assignments/{assignment}")).expect_status(200);
    assert!(!may(&server, "user:alice", "write", "alone"));
    assert_eq!(server.get(&of(&id)).expect_status(200).json()["status"], json!("ended"));
}

#[test]
fn a_role_that_is_gone_ends_its_elevations() {
    let server = with_editor();
    let (active, waiting) = (
        asked(&server, "user:alice", "editor", &json!({})),
        asked(&server, "user:bob", "editor", &json!({})),
    );
    let _ = approve(&server, &active, "chloe").expect_status(200);
    let _ = delete(server.client(), "/v1/roles/editor").expect_status(200);
    assert_eq!(server.get(&of(&active)).expect_status(200).json()["status"], json!("ended"));
    assert_eq!(approve(&server, &waiting, "chloe").status, 400, "there is no such role any more");
}

#[test]
fn duties_are_kept_apart_when_it_is_asked_and_when_it_is_approved() {
    let server = with_editor();
    role(&server, "checker", &json!({"exclusive_with": ["editor"]}));
    let held = give(&server, "user:bob", "checker", &json!({}));
    assert_eq!(
        ask(&server, "user:bob", "editor", &json!({})).expect_status(409).problem(),
        "separation_of_duties"
    );
    let _ = delete(server.client(), &format!("/v1/role-assignments/{held}")).expect_status(200);
    let id = asked(&server, "user:alice", "editor", &json!({}));
    give(&server, "user:alice", "checker", &json!({}));
    assert_eq!(approve(&server, &id, "chloe").expect_status(409).problem(), "separation_of_duties");
    assert!(!may(&server, "user:alice", "write", "alone"));
    assert_eq!(server.get(&of(&id)).expect_status(200).json()["status"], json!("requested"));
}

#[test]
fn a_scope_bounds_an_elevation() {
    let server = with_editor();
    let scope = json!({"scope": {"kind": "resource_tree", "resource": {"type": "folder", "id": "f"}}});
    let id = asked(&server, "user:alice", "editor", &scope);
    let approved = approve(&server, &id, "chloe").expect_status(200).json();
    assert_eq!(approved["scope"], scope["scope"]);
    assert!(may(&server, "user:alice", "write", "in-f") && !may(&server, "user:alice", "write", "alone"));
}

#[test]
fn one_tenants_elevation_is_absent_for_every_other() {
    let server = server();
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    role(&red, "editor", &json!({}));
    let id = asked(&red, "user:alice", "editor", &json!({}));
    let nobody = of("elv_01970000000070008000000000000000");
    is_absent(&blue.get(&of(&id)), &blue.get(&nobody));
    for verb in ["approve", "deny", "end"] {
        let decide = |path: &str| blue.post(&format!("{path}/{verb}"), &json!({}));
        is_absent(&decide(&of(&id)), &decide(&nobody));
    }
    let page = blue.get("/v1/elevations").expect_status(200).json();
    assert_eq!(page, json!({"items": [], "next": null}));
    assert_eq!(
        ask(&blue, "user:alice", "editor", &json!({})).expect_status(400).problem(),
        "unknown_reference"
    );
    assert_eq!(red.get(&of(&id)).expect_status(200).json()["status"], json!("requested"));
}

#[test]
fn each_right_opens_its_own_door_only() {
    let server = with_editor();
    let id = asked(&server, "user:alice", "editor", &json!({}));
    let doors = |right: &str| {
        let client = server.with_key(Some(&limited_key(&server, &[right])));
        [
            client.get("/v1/elevations").status,
            ask(&client, "user:bob", "editor", &json!({})).status,
            client.post(&format!("{}/deny", of(&id)), &json!({"more": 1})).status,
            client.post(&format!("{}/end", of(&id)), &json!({"more": 1})).status,
            ask(&client, "user:bob", "editor", &json!({"break_glass": true, "reason": ""})).status,
        ]
    };
    assert_eq!(doors("read_elevations"), [200, 403, 403, 403, 403]);
    assert_eq!(doors("request_elevations"), [403, 201, 403, 403, 403]);
    assert_eq!(doors("decide_elevations"), [403, 403, 400, 400, 403]);
}

#[test]
fn a_list_goes_on_and_an_idempotency_key_makes_one() {
    let server = with_editor();
    let ids: Vec<_> = (0..3).map(|_| asked(&server, "user:alice", "editor", &json!({}))).collect();
    let (mut found, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = server.get(&format!("/v1/elevations?{query}")).expect_status(200).json();
        found.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&cursor={next}");
        let other = server.get(&format!("/v1/elevations?status=active&cursor={next}")).expect_status(400);
        assert_eq!(other.problem(), "invalid_cursor");
    }
    assert_eq!(found, ids);
    let body = json!({"principal": user("alice"), "role": "editor", "reason": "x", "duration_seconds": 1});
    let make = || send(&server, ("POST", "/v1/elevations"), &body, &[("idempotency-key", "k")]);
    assert_eq!(make().expect_status(201).json(), make().expect_status(201).json());
}

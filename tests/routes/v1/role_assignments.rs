//! `/v1/role-assignments`: given, in force, scoped, timed, taken away, listed.

mod approval;
mod bad;
mod delegation;
mod example;
mod management;
mod separation;

use std::time::Duration;

use portcullis_tests::{Client, Server};
use serde_json::{Value, json};

use crate::fixtures::create_key;
use crate::team::{
    MANAGER, assign, delete, give, in_millis, is_absent, may, role, server, sleep_until, team, tenant,
};

fn of(id: &str) -> String {
    format!("/v1/role-assignments/{id}")
}

#[test]
fn a_role_that_is_given_decides_at_once_and_no_more_when_it_is_revoked() {
    let server = server();
    role(&server, "viewer", &json!({}));
    role(&server, "editor", &json!({"inherits": ["viewer"]}));
    for who in ["user:alice", "service:robot", "device:door"] {
        assert!(!may(&server, who, "write", "alone"));
        let made = assign(&server, who, "editor", &json!({"reason": "because"})).expect_status(201);
        let body = made.json();
        let id = body["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("ras_"));
        assert_eq!(made.header("location"), Some(of(&id).as_str()));
        assert!(may(&server, who, "write", "alone") && may(&server, who, "read", "alone"));
        let read = server.get(&of(&id)).expect_status(200).json();
        assert_eq!((&read["status"], &read["reason"]), (&json!("active"), &json!("because")));
        assert_eq!((&read["scope"], &read["pack"]), (&json!({"kind": "tenant"}), &json!("team")));
        assert_eq!(read["requested_by"]["type"], json!("caller"));
        let revoked = delete(server.client(), &of(&id)).expect_status(200).json();
        assert_eq!((&revoked["status"], revoked["revision"].is_u64()), (&json!("revoked"), true));
        assert!(!may(&server, who, "write", "alone") && !may(&server, who, "read", "alone"));
        // Repeated, it is as true as before.
        let again = delete(server.client(), &of(&id)).expect_status(200).json();
        assert_eq!((&again["status"], &again["version"]), (&json!("revoked"), &revoked["version"]));
    }
}

#[test]
fn who_is_in_a_group_has_its_roles_however_far_down() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let id = give(&server, "group:staff", "viewer", &json!({}));
    assert!(may(&server, "user:carol", "read", "alone"), "carol is of the night, which is of the staff");
    assert!(!may(&server, "user:alice", "read", "alone"));
    let _ = delete(server.client(), &of(&id)).expect_status(200);
    assert!(!may(&server, "user:carol", "read", "alone"));
}

#[test]
fn an_assignment_ends_to_the_second_with_no_job_to_end_it() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let (ends_at, end) = in_millis(1_500);
    let id = give(&server, "user:alice", "viewer", &json!({"ends_at": ends_at}));
    // The server's clock is this machine's: whatever was asked and answered before the end is an allow.
    let mut allowed = 0;
    loop {
        let answer = may(&server, "user:alice", "read", "alone");
        if std::time::SystemTime::now() >= end {
            break;
        }
        assert!(answer, "denied before its end");
        allowed += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(allowed > 5, "{allowed}");
    sleep_until(end);
    for _ in 0..5 {
        assert!(!may(&server, "user:alice", "read", "alone"), "allowed after its end");
    }
    assert_eq!(server.get(&of(&id)).expect_status(200).json()["status"], json!("active"));
}

#[test]
fn an_assignment_starts_when_it_is_to_start() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let (starts_at, start) = in_millis(1_200);
    give(&server, "user:alice", "viewer", &json!({"starts_at": starts_at}));
    loop {
        let now = std::time::SystemTime::now();
        let answer = may(&server, "user:alice", "read", "alone");
        if std::time::SystemTime::now() >= start {
            break;
        }
        assert!(!answer, "allowed {:?} before its start", start.duration_since(now));
        std::thread::sleep(Duration::from_millis(20));
    }
    sleep_until(start);
    assert!(may(&server, "user:alice", "read", "alone"));
}

fn scope(kind: &str, of: (&str, &str)) -> Value {
    json!({"scope": {"kind": kind, "resource": {"type": of.0, "id": of.1}}})
}

#[test]
fn a_scope_bounds_where_a_role_counts() {
    let server = server();
    role(&server, "viewer", &json!({}));
    give(&server, "user:alice", "viewer", &scope("resource", ("doc", "in-f")));
    give(&server, "user:bob", "viewer", &scope("resource_tree", ("folder", "f")));
    give(&server, "user:carol", "viewer", &scope("resource", ("folder", "f")));
    let reads = |who: &str| ["in-f", "alone"].map(|doc| may(&server, who, "read", doc));
    assert_eq!(reads("user:alice"), [true, false]);
    assert_eq!(reads("user:bob"), [true, false]);
    assert_eq!(reads("user:carol"), [false, false], "a folder alone is not what is in it");
}

fn ids(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("/v1/role-assignments?{query}")).expect_status(200).json();
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_is_filtered_and_goes_on() {
    let server = server();
    role(&server, "viewer", &json!({}));
    role(&server, "editor", &json!({"requires_approval": true}));
    let made = [
        give(&server, "user:alice", "viewer", &json!({})),
        give(&server, "user:alice", "editor", &json!({})),
        give(&server, "group:staff", "viewer", &json!({})),
        give(&server, "service:robot", "viewer", &json!({})),
    ];
    let _ = delete(server.client(), &of(&made[3])).expect_status(200);
    let listed = |query: &str| ids(&server, query);
    let some = |which: &[usize]| which.iter().map(|place| made[*place].clone()).collect::<Vec<_>>();
    assert_eq!(listed(""), some(&[0, 1, 2, 3]));
    assert_eq!(listed("principal_type=user&principal_id=alice"), some(&[0, 1]));
    assert_eq!(listed("principal_type=service&principal_id=alice"), some(&[]));
    assert_eq!(listed("role=viewer"), some(&[0, 2, 3]));
    assert_eq!(listed("role=viewer&status=active"), some(&[0, 2]));
    assert_eq!(listed("status=pending"), some(&[1]));
    assert_eq!(listed("status=revoked"), some(&[3]));
    assert_eq!(listed("pack=team&limit=200"), some(&[0, 1, 2, 3]));
    let (mut all, mut query) = (Vec::new(), "limit=1".to_owned());
    for _ in 0..4 {
        all.extend(listed(&query));
        let page = server.get(&format!("/v1/role-assignments?{query}")).expect_status(200).json();
        query = format!("limit=1&cursor={}", page["next"].as_str().unwrap_or("none"));
    }
    assert_eq!(all, some(&[0, 1, 2, 3]));
    assert!(query.ends_with("none"));
    for query in
        ["status=over", "principal_id=alice", "principal_type=user", "principal_type=role&principal_id=x"]
    {
        let answer = server.get(&format!("/v1/role-assignments?{query}")).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{query}");
    }
    let page = server.get("/v1/role-assignments?role=viewer&limit=1").expect_status(200).json();
    let cursor = page["next"].as_str().unwrap();
    let answer = server.get(&format!("/v1/role-assignments?role=editor&cursor={cursor}")).expect_status(400);
    assert_eq!(answer.problem(), "invalid_cursor");
}

#[test]
fn one_tenants_assignment_is_absent_for_every_other() {
    let server = server();
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    role(&red, "viewer", &json!({}));
    role(&red, "editor", &json!({"requires_approval": true}));
    let active = give(&red, "user:alice", "viewer", &json!({}));
    let pending = give(&red, "user:alice", "editor", &json!({}));
    let nobody = of("ras_01970000000070008000000000000000");
    is_absent(&blue.get(&of(&active)), &blue.get(&nobody));
    is_absent(&delete(&blue, &of(&active)), &delete(&blue, &nobody));
    for verb in ["approve", "deny"] {
        let decide = |path: &str| blue.post(&format!("{path}/{verb}"), &json!({}));
        is_absent(&decide(&of(&pending)), &decide(&nobody));
    }
    assert!(ids(&blue, "").is_empty());
    let answer = assign(&blue, "user:alice", "viewer", &json!({})).expect_status(400);
    assert_eq!(answer.problem(), "unknown_reference");
    assert!(may(&red, "user:alice", "read", "alone") && !may(&blue, "user:alice", "read", "alone"));
    assert_eq!(red.get(&of(&pending)).expect_status(200).json()["status"], json!("pending"));
}

#[test]
fn an_assignment_of_a_pack_that_is_not_the_callers_is_absent() {
    let server = Server::builder().pack(team()).pack(crate::fixtures::records()).start();
    let made = server.post("/v1/roles?pack=team", &json!({"id": "viewer"})).expect_status(201);
    assert_eq!(made.status, 201);
    let body = json!({"principal": {"type": "user", "id": "alice"}, "role": "viewer"});
    let made = server.post("/v1/role-assignments?pack=team", &body).expect_status(201).json();
    let id = made["id"].as_str().unwrap();
    let (_, key) = create_key(server.data(), MANAGER, &["records"]);
    let bound = server.with_key(Some(&key));
    let nobody = of("ras_01970000000070008000000000000000");
    is_absent(&bound.get(&of(id)), &bound.get(&nobody));
    is_absent(&delete(&bound, &of(id)), &delete(&bound, &nobody));
    let _ = bound.post("/v1/role-assignments?pack=team", &body).expect_status(404);
}

#[test]
fn the_same_idempotency_key_gives_a_role_once() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let body = json!({"principal": {"type": "user", "id": "alice"}, "role": "viewer"});
    let make = || {
        crate::team::send(&server, ("POST", "/v1/role-assignments"), &body, &[("idempotency-key", "once")])
    };
    let (first, second) = (make().expect_status(201).json(), make().expect_status(201).json());
    assert_eq!(first, second);
    assert_eq!(ids(&server, "").len(), 1);
}

#[test]
fn a_version_that_was_read_can_be_a_condition_of_taking_it_away() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let id = give(&server, "user:alice", "viewer", &json!({}));
    let version = server.get(&of(&id)).expect_status(200).json()["version"].as_u64().unwrap();
    let remove =
        |tag: u64| server.request("DELETE", &of(&id)).header("if-match", &format!("\"{tag}\"")).send();
    assert_eq!(remove(version + 1).expect_status(412).problem(), "version_differs");
    assert!(may(&server, "user:alice", "read", "alone"));
    let _ = remove(version).expect_status(200);
    // The same call again is how one finds out whether all nodes know: it is no conflict.
    let _ = remove(version).expect_status(200);
}

//! Static separation of duties: no two roles come together that exclude each other.

use portcullis_tests::{Answer, Server};
use serde_json::{Value, json};

use super::of;
use crate::team::{assign, delete, give, in_millis, may, role, send, server};

/// Payers and checkers exclude each other; one of them says so.
fn duties(further: &Value) -> Server {
    let server = server();
    role(&server, "checker", further);
    role(&server, "payer", &json!({"exclusive_with": ["checker"]}));
    server
}

#[track_caller]
fn conflicts(answer: Answer, principal: &str) {
    let answer = answer.expect_status(409);
    assert_eq!(answer.problem(), "separation_of_duties");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    for word in [principal, "checker", "payer"] {
        assert!(detail.contains(&format!("`{word}`")), "{detail}");
    }
}

fn tree(id: &str) -> Value {
    json!({"scope": {"kind": "resource_tree", "resource": {"type": "folder", "id": id}}})
}

fn doc(id: &str) -> Value {
    json!({"scope": {"kind": "resource", "resource": {"type": "doc", "id": id}}})
}

#[test]
fn directly_whichever_names_the_other() {
    let server = duties(&json!({}));
    let held = give(&server, "user:alice", "payer", &json!({}));
    conflicts(assign(&server, "user:alice", "checker", &json!({})), "alice");
    give(&server, "user:bob", "checker", &json!({}));
    conflicts(assign(&server, "user:bob", "payer", &json!({})), "bob");
    let _ = delete(server.client(), &of(&held)).expect_status(200);
    give(&server, "user:alice", "checker", &json!({}));
}

#[test]
fn by_what_a_role_inherits() {
    let server = duties(&json!({}));
    role(&server, "treasurer", &json!({"inherits": ["payer"]}));
    role(&server, "everything", &json!({"inherits": ["payer", "checker"]}));
    give(&server, "user:alice", "treasurer", &json!({}));
    conflicts(assign(&server, "user:alice", "checker", &json!({})), "alice");
    conflicts(assign(&server, "user:bob", "everything", &json!({})), "bob");
}

#[test]
fn by_a_group_and_for_all_who_are_in_it() {
    let server = duties(&json!({}));
    let held = give(&server, "user:carol", "payer", &json!({}));
    conflicts(assign(&server, "group:staff", "checker", &json!({})), "carol");
    let _ = delete(server.client(), &of(&held)).expect_status(200);
    give(&server, "group:staff", "checker", &json!({}));
    conflicts(assign(&server, "user:carol", "payer", &json!({})), "carol");
    give(&server, "user:alice", "payer", &json!({}));
}

#[test]
fn at_the_approval_too() {
    let server = duties(&json!({"requires_approval": true}));
    let id = give(&server, "user:alice", "checker", &json!({}));
    // What waits does not count yet.
    let held = give(&server, "user:alice", "payer", &json!({}));
    let approve = || {
        let body = json!({"approver": {"type": "user", "id": "chloe"}});
        server.post(&format!("{}/approve", of(&id)), &body)
    };
    conflicts(approve(), "alice");
    let _ = delete(server.client(), &of(&held)).expect_status(200);
    let _ = approve().expect_status(200);
    conflicts(assign(&server, "user:alice", "payer", &json!({})), "alice");
}

#[test]
fn by_a_change_of_roles() {
    let server = server();
    role(&server, "checker", &json!({}));
    role(&server, "payer", &json!({}));
    role(&server, "junior", &json!({}));
    give(&server, "user:alice", "payer", &json!({}));
    let both = give(&server, "user:alice", "checker", &json!({}));
    let exclusive = json!({"exclusive_with": ["checker"]});
    let edit = |id: &str, body: &Value| {
        send(&server, ("PUT", &format!("/v1/roles/{id}")), body, &[("if-match", "*")])
    };
    conflicts(edit("payer", &exclusive), "alice");
    assert_eq!(server.get("/v1/roles/payer").expect_status(200).json()["exclusive_with"], json!([]));
    let _ = delete(server.client(), &of(&both)).expect_status(200);
    let _ = edit("payer", &exclusive).expect_status(200);
    give(&server, "user:alice", "junior", &json!({}));
    conflicts(edit("junior", &json!({"inherits": ["checker"]})), "alice");
}

#[test]
fn what_is_never_in_one_place_or_time_does_not_conflict() {
    let server = duties(&json!({}));
    give(&server, "user:alice", "payer", &doc("in-f"));
    give(&server, "user:alice", "checker", &doc("alone"));
    conflicts(assign(&server, "user:alice", "checker", &doc("in-f")), "alice");
    conflicts(assign(&server, "user:alice", "checker", &tree("f")), "alice");
    conflicts(assign(&server, "user:alice", "checker", &json!({})), "alice");
    let (first, second, third) = (in_millis(60_000).0, in_millis(120_000).0, in_millis(180_000).0);
    give(&server, "user:bob", "payer", &json!({"starts_at": first, "ends_at": second}));
    give(&server, "user:bob", "checker", &json!({"starts_at": second, "ends_at": third}));
    give(&server, "user:bob", "checker", &json!({"ends_at": first}));
    conflicts(assign(&server, "user:bob", "checker", &json!({"ends_at": second})), "bob");
}

#[test]
fn of_two_at_once_one_is_refused() {
    let server = duties(&json!({}));
    for round in 0..4 {
        let who = ["user:alice", "user:bob", "service:robot", "device:door"][round];
        let mut statuses = std::thread::scope(|scope| {
            let both = ["payer", "checker"].map(|id| {
                let server = &server;
                scope.spawn(move || assign(server, who, id, &json!({})).status)
            });
            both.map(|thread| thread.join().unwrap())
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{who}");
    }
    assert!(!may(&server, "user:alice", "read", "alone"));
}

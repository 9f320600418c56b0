//! Delegation: it can only be less, and ends with what it is a part of.

use serde_json::{Value, json};

use super::of;
use crate::team::{assign, delete, give, in_millis, may, role, server, sleep_until};

fn by(who: &str, further: &Value) -> Value {
    let mut body = json!({"delegated_by": {"type": "user", "id": who}});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    body
}

fn tree(folder: &str) -> Value {
    json!({"scope": {"kind": "resource_tree", "resource": {"type": "folder", "id": folder}}})
}

fn doc(id: &str) -> Value {
    json!({"scope": {"kind": "resource", "resource": {"type": "doc", "id": id}}})
}

#[test]
fn a_delegated_role_ends_with_the_delegators() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let held = give(&server, "user:alice", "viewer", &json!({}));
    let passed = give(&server, "user:bob", "viewer", &by("alice", &json!({})));
    let shown = server.get(&of(&passed)).expect_status(200).json();
    assert_eq!(shown["delegated_by"], json!({"type": "user", "id": "alice"}));
    give(&server, "service:robot", "viewer", &by("bob", &doc("in-f")));
    let reads = || ["user:alice", "user:bob", "service:robot"].map(|who| may(&server, who, "read", "in-f"));
    assert_eq!(reads(), [true; 3]);
    assert!(!may(&server, "service:robot", "read", "alone"));
    let _ = delete(server.client(), &of(&held)).expect_status(200);
    assert_eq!(reads(), [false; 3]);
}

#[test]
fn a_role_can_be_passed_on_only_by_who_has_it() {
    let server = server();
    role(&server, "viewer", &json!({}));
    role(&server, "editor", &json!({"inherits": ["viewer"]}));
    let refused = |who: &str, id: &str, further: &Value| {
        let answer = assign(&server, "user:bob", id, &by(who, further)).expect_status(403);
        assert_eq!(answer.problem(), "wider_than_delegated", "{}", answer.text());
    };
    refused("alice", "viewer", &json!({}));
    give(&server, "user:alice", "viewer", &json!({}));
    refused("alice", "editor", &json!({}));
    refused("bob", "viewer", &json!({}));
    // Nobody delegates to themselves.
    let own = assign(&server, "user:alice", "viewer", &by("alice", &json!({}))).expect_status(403);
    assert_eq!(own.problem(), "wider_than_delegated");
    // Who has more may pass less on.
    give(&server, "user:chloe", "editor", &json!({}));
    give(&server, "user:bob", "viewer", &by("chloe", &json!({})));
    assert!(may(&server, "user:bob", "read", "alone") && !may(&server, "user:bob", "write", "alone"));
    let unknown = assign(&server, "user:bob", "viewer", &by("nobody", &json!({}))).expect_status(400);
    assert_eq!(unknown.problem(), "unknown_reference");
    let body = json!({"delegated_by": {"type": "group", "id": "staff"}});
    let answer = assign(&server, "user:bob", "viewer", &body).expect_status(400);
    assert_eq!(answer.problem(), "invalid_request");
}

#[test]
fn no_scope_is_wider_than_the_delegators() {
    let server = server();
    role(&server, "viewer", &json!({}));
    give(&server, "user:alice", "viewer", &tree("f"));
    for wider in [json!({}), doc("alone"), tree("other")] {
        let answer = assign(&server, "user:bob", "viewer", &by("alice", &wider)).expect_status(403);
        assert_eq!(answer.problem(), "wider_than_delegated", "{wider}");
    }
    give(&server, "user:bob", "viewer", &by("alice", &doc("in-f")));
    assert!(may(&server, "user:bob", "read", "in-f") && !may(&server, "user:bob", "read", "alone"));
    // What a single resource is given for is not given for its tree.
    give(
        &server,
        "user:chloe",
        "viewer",
        &json!({"scope": {"kind": "resource", "resource": {"type": "folder", "id": "f"}}}),
    );
    let answer = assign(&server, "user:bob", "viewer", &by("chloe", &tree("f"))).expect_status(403);
    assert_eq!(answer.problem(), "wider_than_delegated");
}

#[test]
fn no_time_is_longer_than_the_delegators() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let (soon, _) = in_millis(1_000);
    let (ends_at, end) = in_millis(2_500);
    let (later, _) = in_millis(60_000);
    give(&server, "user:alice", "viewer", &json!({"ends_at": ends_at}));
    for longer in [json!({}), json!({"ends_at": later}), json!({"starts_at": ends_at, "ends_at": later})] {
        let answer = assign(&server, "user:bob", "viewer", &by("alice", &longer)).expect_status(403);
        assert_eq!(answer.problem(), "wider_than_delegated", "{longer}");
    }
    give(&server, "user:bob", "viewer", &by("alice", &json!({"starts_at": soon, "ends_at": ends_at})));
    sleep_until(end);
    assert!(!may(&server, "user:bob", "read", "alone"));
}

#[test]
fn a_role_is_passed_on_so_often_and_no_more() {
    let server = server();
    role(&server, "viewer", &json!({}));
    give(&server, "user:alice", "viewer", &json!({}));
    let chain = ["alice", "bob", "carol", "chloe", "clive"];
    for pair in chain.windows(2) {
        let whom = format!("user:{}", pair[1]);
        give(&server, &whom, "viewer", &by(pair[0], &json!({})));
        assert!(may(&server, &whom, "read", "alone"));
    }
    give(&server, "service:robot", "viewer", &by("clive", &json!({})));
    assert!(may(&server, "service:robot", "read", "alone"), "the fifth time");
    let body = json!({"delegated_by": {"type": "service", "id": "robot"}});
    let answer = assign(&server, "device:door", "viewer", &body).expect_status(403);
    assert_eq!(answer.problem(), "wider_than_delegated");
}

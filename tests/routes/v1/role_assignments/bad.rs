//! Bad input to `/v1/role-assignments`.

use serde_json::{Value, json};

use super::of;
use crate::team::{assign, delete, give, in_millis, may, role, server};

#[test]
fn what_a_role_asks_of_its_assignments_is_held() {
    let server = server();
    role(&server, "viewer", &json!({"requires_reason": true, "max_duration_seconds": 60}));
    let (minute, hour) = (in_millis(59_000).0, in_millis(3_600_000).0);
    let answer = assign(&server, "user:alice", "viewer", &json!({"ends_at": minute})).expect_status(400);
    assert_eq!(answer.problem(), "reason_required");
    for wrong in [
        json!({"reason": "x"}),
        json!({"reason": "x", "ends_at": hour}),
        json!({"reason": "x", "starts_at": minute, "ends_at": hour}),
        json!({"reason": "", "ends_at": minute}),
        json!({"reason": "x".repeat(1_001), "ends_at": minute}),
    ] {
        let answer = assign(&server, "user:alice", "viewer", &wrong).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{wrong}");
    }
    give(&server, "user:alice", "viewer", &json!({"reason": "x".repeat(1_000), "ends_at": minute}));
    let late = json!({"reason": "x", "starts_at": in_millis(3_590_000).0, "ends_at": hour});
    give(&server, "user:bob", "viewer", &late);
}

#[test]
fn what_is_named_must_be_there_and_of_its_kind() {
    let server = server();
    role(&server, "viewer", &json!({}));
    for (who, id, code) in [
        ("user:nobody", "viewer", "unknown_reference"),
        ("service:alice", "viewer", "unknown_reference"),
        ("group:alice", "viewer", "unknown_reference"),
        ("user:staff", "viewer", "unknown_reference"),
        ("user:alice", "nothing", "unknown_reference"),
        ("user:alice", "alice", "unknown_reference"),
        ("role:chief", "viewer", "invalid_request"),
        ("caller:clr_x", "viewer", "invalid_request"),
        ("Action:read", "viewer", "invalid_request"),
        (":alice", "viewer", "invalid_request"),
        ("user:", "viewer", "invalid_request"),
        ("user:alice", "", "invalid_request"),
        ("user:al\u{0}ice", "viewer", "invalid_request"),
        ("user:alice", "view\u{0}er", "invalid_request"),
    ] {
        let answer = assign(&server, who, id, &json!({})).expect_status(400);
        assert_eq!(answer.problem(), code, "{who:?} {id:?}: {}", answer.text());
    }
}

#[test]
fn a_body_that_does_not_fit_is_refused() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let (past, soon) = ("2001-01-01T00:00:00Z", in_millis(60_000).0);
    let resource = |kind: &str, on: Value| json!({"scope": {"kind": kind, "resource": on}});
    for wrong in [
        json!({"more": 1}),
        json!({"status": "active"}),
        json!({"ends_at": past}),
        json!({"ends_at": "tomorrow"}),
        json!({"ends_at": 5}),
        json!({"starts_at": "2030-01-01T00:00:00"}),
        json!({"starts_at": soon, "ends_at": soon}),
        json!({"scope": {"kind": "everywhere"}}),
        json!({"scope": {"kind": "resource"}}),
        json!({"scope": {"kind": "tenant", "resource": {"type": "doc", "id": "alone"}}}),
        json!({"scope": "tenant"}),
        resource("resource", json!({"type": "doc"})),
        resource("resource", json!({"type": "doc", "id": ""})),
        resource("resource", json!({"type": "doc", "id": "a\u{0}"})),
        resource("resource_tree", json!({"type": "doc", "id": "x", "more": 1})),
        json!({"reason": "a\u{0}b"}),
        json!({"principal": "alice"}),
    ] {
        let answer = assign(&server, "user:alice", "viewer", &wrong).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{wrong}: {}", answer.text());
    }
    for type_name in ["Action", "not a type", "a::", "doc\u{0}"] {
        let on = resource("resource", json!({"type": type_name, "id": "x"}));
        let answer = assign(&server, "user:alice", "viewer", &on).expect_status(400);
        assert_eq!(answer.problem(), "unknown_type", "{type_name:?}: {}", answer.text());
    }
    let page = server.get("/v1/role-assignments").expect_status(200).json();
    assert_eq!(page["items"], json!([]), "nothing is half done");
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn an_id_that_is_nobodys_is_not_found_whatever_it_is() {
    let server = server();
    for id in ["ras_x", "..%2f", "%00", "x%27%3b--", "%FF", "ras_01970000000070008000000000000000"] {
        assert_eq!(server.get(&of(id)).expect_status(404).problem(), "not_found", "{id}");
        assert_eq!(delete(server.client(), &of(id)).expect_status(404).problem(), "not_found", "{id}");
        for verb in ["approve", "deny"] {
            let answer = server.post(&format!("{}/{verb}", of(id)), &json!({})).expect_status(404);
            assert_eq!(answer.problem(), "not_found", "{id}");
        }
    }
    let bodiless = server.request("POST", &format!("{}/approve", of("ras_x"))).body("").send();
    assert_eq!(bodiless.expect_status(404).problem(), "not_found");
}

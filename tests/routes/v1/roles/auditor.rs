//! An auditor sees everything and changes nothing: every route that the API describes.

use serde_json::{Value, json};

use crate::team::{give, role, send, server, with_role};

/// A body that the route would take from somebody who may.
fn body(path: &str) -> Value {
    let party = json!({"type": "user", "id": "alice"});
    let question =
        json!({"subject": party, "action": {"name": "read"}, "resource": {"type": "doc", "id": "alone"}});
    match path {
        "/v1/decide" => question,
        path if path.ends_with("/evaluation") || path.contains("/v1/search/") => question,
        "/v1/filter" => json!({"subject": party, "action": {"name": "read"}, "resource": {"type": "doc"}}),
        path if path.ends_with("/evaluations") => json!({"evaluations": [question]}),
        "/v1/role-assignments" => json!({"principal": party, "role": "viewer"}),
        "/v1/elevations" => {
            json!({"principal": party, "role": "viewer", "reason": "x", "duration_seconds": 60})
        }
        "/v1/roles" | "/v1/groups" | "/v1/principals" => json!({"id": "x"}),
        _ => json!({}),
    }
}

#[test]
fn an_auditor_reads_every_route_and_changes_by_none() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let held = give(&server, "user:alice", "viewer", &json!({}));
    let (_, auditor) = with_role(&server, "auditor");
    let before = server.get("/v1/role-assignments").expect_status(200).json();
    let document = server.get("/openapi.json").expect_status(200).json();
    let mut seen = [0, 0];
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            // What an application asks about its own decisions changes nothing, and is not the auditor's.
            if item.get(method).is_none() || ["/v1/mask", "/v1/sign"].contains(&path.as_str()) {
                continue;
            }
            let mut filled = path.replace("{pack}", "team").replace("{type}", "user");
            let id = if path.contains("role-assignments") { held.as_str() } else { "viewer" };
            filled =
                filled.replace("{id}", id).replace("{member_id}", "carol").replace("{member_type}", "user");
            if method == "get" {
                seen[0] += 1;
                let status = auditor.get(&filled).status;
                assert!(![401, 403, 405].contains(&status), "GET {filled}: {status}");
                continue;
            }
            seen[1] += 1;
            let headers = [("if-match", "*")];
            let answer = send(&auditor, (&method.to_uppercase(), &filled), &body(path), &headers);
            assert_eq!(answer.status, 403, "{method} {filled}: {}", answer.text());
        }
    }
    assert!(seen[0] >= 15 && seen[1] >= 20, "{seen:?}");
    let after = server.get("/v1/role-assignments").expect_status(200).json();
    assert_eq!(after, before);
    let _ = server.get("/v1/roles/viewer").expect_status(200);
}

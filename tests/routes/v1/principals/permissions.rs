//! `/v1/principals/{id}/permissions`: what a principal may do, as the policies say, and as decisions go.

use portcullis_tests::Client;
use serde_json::{Value, json};

use crate::fixtures::create_key_with;
use crate::team::{give, may, role, server, tenant};

fn permissions(client: &Client, id: &str, query: &str) -> Value {
    let path = format!("/v1/principals/{id}/permissions?{query}");
    client.get(&path).expect_status(200).json()
}

fn actions(list: &Value) -> Vec<&str> {
    let mut actions: Vec<_> =
        list.as_array().unwrap().iter().filter_map(|one| one["action"].as_str()).collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

#[test]
fn a_role_that_is_given_shows_what_it_opens_and_by_which_policy() {
    let server = server();
    role(&server, "editor", &json!({"inherits": []}));
    assert_eq!(actions(&permissions(&server, "alice", "")["permissions"]), Vec::<&str>::new());
    give(&server, "user:alice", "editor", &json!({}));
    let found = permissions(&server, "alice", "");
    assert_eq!(found["principal"], json!({"type": "user", "id": "alice"}));
    assert_eq!(actions(&found["permissions"]), ["write"]);
    let writes = &found["permissions"][0];
    assert_eq!(writes["decision"], json!("allow"), "{found}");
    assert_eq!(writes["permits"], json!([{"policy": "editors-write", "when": "always"}]));
    assert!(may(&server, "user:alice", "write", "alone") && !may(&server, "user:alice", "read", "alone"));
    assert_eq!(permissions(&server, "alice", "action=read")["permissions"], json!([]));
    assert_eq!(actions(&permissions(&server, "alice", "action=write")["permissions"]), ["write"]);
}

#[test]
fn a_role_in_a_scope_shows_there_alone() {
    let server = server();
    role(&server, "editor", &json!({}));
    let scope = json!({"scope": {"kind": "resource_tree", "resource": {"type": "folder", "id": "f"}}});
    give(&server, "user:alice", "editor", &scope);
    let found = permissions(&server, "alice", "");
    assert_eq!(found["permissions"], json!([]));
    let scoped = &found["scoped"][0];
    assert_eq!(
        (&scoped["kind"], &scoped["resource_type"], &scoped["resource_id"]),
        (&json!("resource_tree"), &json!("folder"), &json!("f"))
    );
    assert_eq!(actions(&scoped["permissions"]), ["write"]);
    assert!(may(&server, "user:alice", "write", "in-f") && !may(&server, "user:alice", "write", "alone"));
}

#[test]
fn a_disabled_principal_may_do_nothing() {
    let server = server();
    let found = permissions(&server, "chloe", "");
    assert_eq!(actions(&found["permissions"]), ["approve_elevation", "approve_role"]);
    let _ = server.post("/v1/principals/chloe/disable", &json!({})).expect_status(200);
    let found = permissions(&server, "chloe", "");
    assert_eq!((&found["status"], &found["permissions"]), (&json!("disabled"), &json!([])));
}

#[test]
fn who_is_not_there_or_another_tenants_is_not_found_and_a_right_is_needed() {
    let server = server();
    let _ = server.post("/v1/principals", &json!({"id": "dora"})).expect_status(201);
    let other = tenant(&server, "other");
    for (client, id) in
        [(server.client(), "nobody"), (&other, "dora"), (server.client(), "%00"), (&other, "..")]
    {
        let answer = client.get(&format!("/v1/principals/{id}/permissions"));
        assert!([400, 404].contains(&answer.status), "{id}: {}", answer.text());
    }
    let answer = server.get("/v1/principals/dora/permissions?resource=x").expect_status(400);
    assert_eq!(answer.problem(), "invalid_request");
    let (_, key) = create_key_with(server.data(), &["read_groups"], &["*"], &[]);
    let poor = server.with_key(Some(&key));
    assert_eq!(poor.get("/v1/principals/dora/permissions").expect_status(403).problem(), "right_missing");
}

//! `/v1/roles`: made, read, replaced and deleted; circles, races and hostile input.

mod auditor;
mod bad;

use portcullis_tests::Client;
use serde_json::{Value, json};

use crate::assertions::names;
use crate::team::{delete, give, is_absent, may, role, send, server, tenant};

fn read(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/roles/{id}")).expect_status(200).json()
}

fn put(client: &Client, id: &str, body: &Value, condition: (&str, &str)) -> portcullis_tests::Answer {
    send(client, ("PUT", &format!("/v1/roles/{id}")), body, &[condition])
}

#[test]
fn a_role_is_made_read_replaced_and_deleted() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let settings = json!({
        "attributes": {"level": 3}, "inherits": ["viewer"], "exclusive_with": ["deputy"], "requires_reason": true,
        "requires_approval": true, "max_duration_seconds": 3600,
    });
    let made = send(&server, ("POST", "/v1/roles"), &merged(&settings, &json!({"id": "editor"})), &[]);
    let made = made.expect_status(201);
    assert_eq!(made.header("location"), Some("/v1/roles/editor?pack=team"));
    let tag = made.header("etag").unwrap().to_owned();
    let body = made.json();
    assert_eq!(tag, format!("\"{}\"", body["version"]));
    assert_eq!(body["revision"], body["version"]);
    let shown = read(&server, "editor");
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!((&shown[name], &body[name]), (value, value), "{name}");
    }
    assert_eq!(
        (&shown["id"], &shown["pack"], &shown["source"]),
        (&json!("editor"), &json!("team"), &json!("store"))
    );
    let unchanged = server.request("GET", "/v1/roles/editor").header("if-none-match", &tag).send();
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let replaced = put(&server, "editor", &json!({}), ("if-match", &tag)).expect_status(200);
    let after = read(&server, "editor");
    assert_eq!((&after["inherits"], &after["requires_reason"]), (&json!([]), &json!(false)));
    assert_eq!(after["created_at"], shown["created_at"]);
    assert_eq!(replaced.header("etag"), Some(format!("\"{}\"", after["version"]).as_str()));
    let gone = delete(server.client(), "/v1/roles/editor").expect_status(200).json();
    assert_eq!(gone["ended"], json!({"role_assignments": 0}));
    assert_eq!(server.get("/v1/roles/editor").expect_status(404).problem(), "not_found");
    assert_eq!(delete(server.client(), "/v1/roles/editor").expect_status(404).problem(), "not_found");
    // Made anew, it is another one.
    let again = put(&server, "editor", &json!({}), ("if-none-match", "*")).expect_status(201).json();
    assert_ne!(again["created_at"], shown["created_at"]);
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.as_object().unwrap().clone();
    all.extend(other.as_object().unwrap().clone());
    Value::Object(all)
}

#[test]
fn a_condition_is_needed_and_must_be_met() {
    let server = server();
    let made = role(&server, "viewer", &json!({}));
    let version = made["version"].as_u64().unwrap();
    let path = ("PUT", "/v1/roles/viewer");
    assert_eq!(send(&server, path, &json!({}), &[]).expect_status(428).problem(), "precondition_required");
    let stale = put(&server, "viewer", &json!({}), ("if-match", &format!("\"{}\"", version + 7)));
    assert_eq!(stale.expect_status(412).problem(), "version_differs");
    assert_eq!(
        put(&server, "viewer", &json!({}), ("if-none-match", "*")).expect_status(409).problem(),
        "already_exists"
    );
    assert_eq!(
        put(&server, "nobody", &json!({}), ("if-match", "*")).expect_status(404).problem(),
        "not_found"
    );
    let remove = |tag: &str| server.request("DELETE", "/v1/roles/viewer").header("if-match", tag).send();
    assert_eq!(remove(&format!("\"{}\"", version + 7)).expect_status(412).problem(), "version_differs");
    let _ = put(&server, "viewer", &json!({}), ("if-match", "*")).expect_status(200);
    assert_eq!(remove(&format!("\"{version}\"")).expect_status(412).problem(), "version_differs");
    let present = read(&server, "viewer")["version"].as_u64().unwrap();
    let _ = remove(&format!("\"{present}\"")).expect_status(200);
}

#[test]
fn of_two_administrators_who_edit_one_role_one_is_told_so() {
    let server = server();
    role(&server, "viewer", &json!({}));
    for _ in 0..8 {
        let tag = format!("\"{}\"", read(&server, "viewer")["version"]);
        let edit = |level: u8| {
            let body = json!({"attributes": {"level": level}});
            put(&server, "viewer", &body, ("if-match", &tag)).status
        };
        let mut statuses = std::thread::scope(|scope| {
            let both = [scope.spawn(|| edit(1)), scope.spawn(|| edit(2))];
            both.map(|thread| thread.join().unwrap())
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    }
}

#[test]
fn the_same_idempotency_key_makes_one_role() {
    let server = server();
    let body = json!({"id": "viewer"});
    let make = |body: &Value| send(&server, ("POST", "/v1/roles"), body, &[("idempotency-key", "k-1")]);
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| make(&body).expect_status(201))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let first = &answers[0];
    assert!(answers.iter().all(|answer| answer.json() == first.json()));
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == Some("true"));
    assert_eq!(replayed.count(), 5);
    assert_eq!(make(&json!({"id": "other"})).expect_status(409).problem(), "idempotency_key_reused");
    let _ = server.get("/v1/roles/other").expect_status(404);
}

#[test]
fn roles_of_the_packs_own_files_are_seen_and_changed_there() {
    let server = server();
    let chief = read(&server, "chief");
    assert_eq!((&chief["source"], &chief["inherits"]), (&json!("pack"), &json!(["deputy"])));
    let body = json!({});
    for answer in [
        put(&server, "chief", &body, ("if-match", "*")),
        put(&server, "chief", &body, ("if-none-match", "*")),
        delete(server.client(), "/v1/roles/chief"),
        server.post("/v1/roles", &json!({"id": "chief"})),
    ] {
        assert_eq!(answer.expect_status(409).problem(), "entity_of_pack");
    }
    role(&server, "boss", &json!({"inherits": ["chief"]}));
}

fn pages(client: &Client, limit: usize, between: impl Fn()) -> Vec<String> {
    let (mut ids, mut query) = (Vec::new(), format!("limit={limit}"));
    loop {
        let page = client.get(&format!("/v1/roles?{query}")).expect_status(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        ids.extend(items.iter().map(|role| role["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { return ids };
        query = format!("limit={limit}&cursor={next}");
        between();
    }
}

#[test]
fn a_list_goes_through_store_and_files_by_id_each_once() {
    let server = server();
    let made = ["b", "c", "chief2", "d", "deputy-of", "e", "zebra"];
    made.iter().for_each(|id| drop(role(&server, id, &json!({}))));
    let mut all: Vec<_> = made.iter().chain(&["chief", "deputy"]).map(|id| (*id).to_owned()).collect();
    all.sort_unstable();
    for limit in [1, 2, 3, 200] {
        assert_eq!(pages(&server, limit, || ()), all, "{limit}");
    }
    // What is made or deleted behind the place does not move it.
    let during = pages(&server, 3, || {
        let _ = server.post("/v1/roles", &json!({"id": "a"}));
        delete(server.client(), "/v1/roles/b");
    });
    assert_eq!(during, all);
}

#[test]
fn a_cursor_is_of_its_list_alone() {
    let server = server();
    let red = tenant(&server, "red");
    let next = |client: &Client, path: &str| {
        let page = client.get(path).expect_status(200).json();
        page["next"].as_str().expect("a further page").to_owned()
    };
    let cursor = next(server.client(), "/v1/roles?limit=1");
    let _ = server.get(&format!("/v1/roles?limit=2&cursor={cursor}")).expect_status(200);
    for (client, path) in [
        (&red, "/v1/roles?"),
        (server.client(), "/v1/roles?pack=portcullis&"),
        (server.client(), "/v1/role-assignments?"),
        (server.client(), "/v1/elevations?"),
    ] {
        let answer = client.get(&format!("{path}cursor={cursor}")).expect_status(400);
        assert_eq!(answer.problem(), "invalid_cursor", "{path}");
    }
    let owned = next(server.client(), "/v1/roles?pack=portcullis&limit=1");
    let _ = server.get(&format!("/v1/roles?pack=portcullis&cursor={owned}")).expect_status(200);
}

#[test]
fn the_roles_of_the_management_pack_are_seen_and_not_changed() {
    let server = server();
    let page = server.get("/v1/roles?pack=portcullis").expect_status(200).json();
    let ids = page["items"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap().to_owned());
    let all = ["owner", "administrator", "auditor", "developer", "operator"];
    assert_eq!(ids.collect::<std::collections::BTreeSet<_>>(), names(all));
    let owner = server.get("/v1/roles/owner?pack=portcullis").expect_status(200).json();
    assert_eq!(owner["inherits"], json!(["administrator"]));
    let answer = server.post("/v1/roles?pack=portcullis", &json!({"id": "super"}));
    assert_eq!(answer.expect_status(404).problem(), "not_found");
    let answer =
        send(&server, ("PUT", "/v1/roles/super?pack=portcullis"), &json!({}), &[("if-none-match", "*")]);
    assert_eq!(answer.expect_status(404).problem(), "not_found");
    let _ = delete(server.client(), "/v1/roles/owner?pack=portcullis").expect_status(404);
}

#[test]
fn a_circle_is_refused_with_the_way_around() {
    let server = server();
    let detail = |answer: portcullis_tests::Answer| {
        let answer = answer.expect_status(409);
        assert_eq!(answer.problem(), "role_cycle");
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    role(&server, "r0", &json!({}));
    let inherits = |id: &str| json!({"inherits": [id]});
    let own = put(&server, "r0", &inherits("r0"), ("if-match", "*"));
    assert!(detail(own).ends_with("r0 → r0"));
    role(&server, "r1", &inherits("r0"));
    let two = put(&server, "r0", &inherits("r1"), ("if-match", "*"));
    assert!(detail(two).ends_with("r0 → r1 → r0"));
    for number in 2..50 {
        role(&server, &format!("r{number}"), &inherits(&format!("r{}", number - 1)));
    }
    let fifty = detail(put(&server, "r0", &inherits("r49"), ("if-match", "*")));
    let way: Vec<_> = (0..50).rev().map(|number| format!("r{number}")).collect();
    assert!(fifty.ends_with(&format!("r0 → {}", way.join(" → "))), "{fifty}");
    assert_eq!(read(&server, "r0")["inherits"], json!([]));
}

#[test]
fn fifty_levels_of_roles_decide() {
    let server = server();
    role(&server, "viewer", &json!({}));
    let mut below = "viewer".to_owned();
    for level in 1..50 {
        let id = format!("level-{level}");
        role(&server, &id, &json!({"inherits": [below]}));
        below = id;
    }
    assert!(!may(&server, "user:alice", "read", "alone"));
    give(&server, "user:alice", &below, &json!({}));
    assert!(may(&server, "user:alice", "read", "alone"));
    // Cut in the middle, the top does not reach the bottom any more.
    let _ = put(&server, "level-25", &json!({}), ("if-match", "*")).expect_status(200);
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn with_a_role_end_its_assignments_and_one_that_is_inherited_stays() {
    let server = server();
    role(&server, "viewer", &json!({}));
    role(&server, "editor", &json!({"inherits": ["viewer"]}));
    let held = give(&server, "user:alice", "viewer", &json!({}));
    let answer = delete(server.client(), "/v1/roles/viewer").expect_status(409);
    assert_eq!(answer.problem(), "in_use");
    assert!(answer.text().contains("editor"), "{}", answer.text());
    let _ = delete(server.client(), "/v1/roles/editor").expect_status(200);
    assert!(may(&server, "user:alice", "read", "alone"));
    let gone = delete(server.client(), "/v1/roles/viewer").expect_status(200).json();
    assert_eq!(gone["ended"], json!({"role_assignments": 1}));
    assert!(!may(&server, "user:alice", "read", "alone"));
    let assignment = server.get(&format!("/v1/role-assignments/{held}")).expect_status(200).json();
    assert_eq!(assignment["status"], json!("revoked"));
    // The name made anew gives nothing back.
    role(&server, "viewer", &json!({}));
    assert!(!may(&server, "user:alice", "read", "alone"));
}

#[test]
fn one_tenants_role_is_absent_for_every_other() {
    let server = server();
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    role(&red, "viewer", &json!({}));
    is_absent(&blue.get("/v1/roles/viewer"), &blue.get("/v1/roles/nobodys"));
    let edit = |id: &str| put(&blue, id, &json!({}), ("if-match", "*"));
    is_absent(&edit("viewer"), &edit("nobodys"));
    is_absent(&delete(&blue, "/v1/roles/viewer"), &delete(&blue, "/v1/roles/nobodys"));
    assert!(!blue.get("/v1/roles").expect_status(200).text().contains("viewer"));
    // As a reference it is as unknown as one that nobody has, and the name is free.
    for field in ["inherits", "exclusive_with"] {
        let answer = blue.post("/v1/roles", &json!({"id": "x", field: ["viewer"]})).expect_status(400);
        assert_eq!(answer.problem(), "unknown_reference");
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    role(&blue, "viewer", &json!({"requires_reason": true}));
    assert_eq!(read(&red, "viewer")["requires_reason"], json!(false));
    let _ = delete(&blue, "/v1/roles/viewer").expect_status(200);
    read(&red, "viewer");
}

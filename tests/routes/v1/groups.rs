//! `/v1/groups`: what principals belong to, and what follows from it.

use serde_json::{Value, json};

use crate::directory::{client, delete, get, is_absent, order, post, put, reads, server, shared, walk};

mod members;
mod separation;
mod tenants;

#[test]
fn a_group_is_made_read_replaced_and_deleted() {
    let server = shared();
    let made =
        post(server, "/v1/groups", json!({"id": "life", "attributes": {"purpose": "x"}})).expect_status(201);
    assert_eq!(made.header("location"), Some("/v1/groups/life?pack=directory"));
    let tag = made.header("etag").unwrap().to_owned();
    let read = get(server, "/v1/groups/life").expect_status(200);
    assert_eq!(read.header("etag"), Some(tag.as_str()));
    assert_eq!(
        (&read.json()["attributes"], &read.json()["source"], &read.json()["groups"]),
        (&json!({"purpose": "x"}), &json!("store"), &json!([]))
    );
    assert_eq!(
        post(server, "/v1/groups", json!({"id": "life"})).expect_status(409).problem(),
        "already_exists"
    );
    assert_eq!(
        put(server, "/v1/groups/life", None, json!({})).expect_status(428).problem(),
        "precondition_required"
    );
    let changed = put(server, "/v1/groups/life", Some(("if-match", &tag)), json!({"groups": ["wheel"]}));
    assert_eq!(changed.expect_status(200).json()["groups"], json!(["wheel"]));
    let late = put(server, "/v1/groups/life", Some(("if-match", &tag)), json!({})).expect_status(412);
    assert_eq!(late.problem(), "version_differs");
    let wrong =
        post(server, "/v1/groups", json!({"id": "odd", "attributes": {"level": 1}})).expect_status(400);
    assert_eq!(wrong.problem(), "attributes_invalid");
    let missing =
        post(server, "/v1/groups", json!({"id": "odd", "groups": ["life", "nobody"]})).expect_status(400);
    assert_eq!(missing.problem(), "unknown_reference");
    let gone = delete(server, "/v1/groups/life").expect_status(200).json();
    assert_eq!(gone["ended"], json!({"role_assignments": 0, "elevations": 0}));
    is_absent(get(server, "/v1/groups/life"));
    is_absent(delete(server, "/v1/groups/life"));
}

#[test]
fn groups_of_the_files_are_shown_and_not_changed() {
    let server = shared();
    let wheel = get(server, "/v1/groups/wheel").expect_status(200).json();
    assert_eq!((&wheel["source"], &wheel["attributes"]), (&json!("pack"), &json!({"purpose": "files"})));
    assert!(walk(server, "/v1/groups?limit=3").contains(&"wheel".to_owned()));
    for answer in [
        post(server, "/v1/groups", json!({"id": "wheel"})),
        put(server, "/v1/groups/wheel", Some(("if-match", "*")), json!({})),
        delete(server, "/v1/groups/wheel"),
    ] {
        assert_eq!(answer.expect_status(409).problem(), "entity_of_pack");
    }
}

#[test]
fn a_group_in_a_group_gives_what_that_has() {
    let server = server();
    let _ = post(&server, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    let mut last = "readers".to_owned();
    for level in 0..50 {
        let id = format!("level-{level}");
        let _ = post(&server, "/v1/groups", json!({"id": id, "groups": [last]})).expect_status(201);
        last = id;
    }
    let _ = post(&server, "/v1/principals", json!({"id": "deep", "groups": [last]})).expect_status(201);
    assert!(reads(&server, "deep", "charter"));
    // One that is taken out in the middle takes it from all below.
    let _ = put(&server, "/v1/groups/level-20", Some(("if-match", "*")), json!({})).expect_status(200);
    assert!(!reads(&server, "deep", "charter"));
    let back = json!({"groups": ["level-19"]});
    let _ = put(&server, "/v1/groups/level-20", Some(("if-match", "*")), back).expect_status(200);
    assert!(reads(&server, "deep", "charter"));
}

#[track_caller]
fn is_cycle(answer: portcullis_tests::Answer, way: &[&str]) {
    let answer = answer.expect_status(409);
    assert_eq!(answer.problem(), "parent_cycle");
    assert!(answer.text().contains(&way.join(" → ")), "{}", answer.text());
}

#[test]
fn a_group_is_not_in_itself() {
    let server = shared();
    let set = |id: &str, groups: Value| {
        put(server, &format!("/v1/groups/{id}"), Some(("if-match", "*")), json!({"groups": groups}))
    };
    for n in 0..50 {
        let groups = if n == 0 { json!([]) } else { json!([format!("circle-{}", n - 1)]) };
        let _ = post(server, "/v1/groups", json!({"id": format!("circle-{n}"), "groups": groups}))
            .expect_status(201);
    }
    is_cycle(set("circle-0", json!(["circle-0"])), &["circle-0", "circle-0"]);
    is_cycle(set("circle-0", json!(["circle-1"])), &["circle-0", "circle-1", "circle-0"]);
    let mut way: Vec<String> = (0..50).rev().map(|n| format!("circle-{n}")).collect();
    way.insert(0, "circle-0".into());
    let way: Vec<&str> = way.iter().map(String::as_str).collect();
    is_cycle(set("circle-0", json!(["circle-49"])), &way);
    let added = post(server, "/v1/groups/circle-2/members", json!({"type": "group", "id": "circle-1"}));
    is_cycle(added, &["circle-1", "circle-2", "circle-1"]);
    assert_eq!(get(server, "/v1/groups/circle-0").expect_status(200).json()["groups"], json!([]));
}

#[test]
fn a_group_that_is_deleted_leaves_nothing_behind() {
    let server = server();
    let _ = post(&server, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    let _ = post(&server, "/v1/groups", json!({"id": "inner", "groups": ["readers"]})).expect_status(201);
    for (id, group) in [("direct", "readers"), ("indirect", "inner")] {
        let _ = post(&server, "/v1/principals", json!({"id": id, "groups": [group]})).expect_status(201);
        assert!(reads(&server, id, "charter"));
    }
    let gone = delete(&server, "/v1/groups/readers").expect_status(200).json();
    assert_eq!(gone["members"], json!(2));
    for id in ["direct", "indirect"] {
        assert!(!reads(&server, id, "charter"), "{id}");
    }
    assert_eq!(get(&server, "/v1/principals/direct").expect_status(200).json()["groups"], json!([]));
    // One of the same name has no members.
    let _ = post(&server, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    for id in ["direct", "indirect"] {
        assert!(!reads(&server, id, "charter"), "{id}");
    }
    assert!(walk(&server, "/v1/groups/readers/members").is_empty());
}

#[test]
fn a_pack_that_can_not_say_group_tells_which_line_is_missing() {
    let schema = "entity User; entity Doc; action read appliesTo { principal: [User], resource: [Doc] };";
    let pack = portcullis_tests::Pack::new("plain").manifest("[types]\nuser = \"User\"");
    let pack = pack.file("schema.cedarschema", schema).cedar("permit(principal, action, resource);");
    let server = portcullis_tests::Server::with(pack);
    for answer in [
        server.post("/v1/groups", &json!({"id": "g"})),
        server.post("/v1/principals", &json!({"id": "u", "groups": ["g"]})),
        server.post("/v1/principals", &json!({"id": "u", "type": "device"})),
    ] {
        let answer = answer.expect_status(400);
        assert_eq!(answer.problem(), "unknown_type");
        assert!(answer.text().contains("[types]"), "{}", answer.text());
    }
    assert_eq!(server.get("/v1/groups").expect_status(200).json(), json!({"items": [], "next": null}));
    assert_eq!(server.get("/v1/groups/g").expect_status(404).problem(), "not_found");
    let _ = server.post("/v1/principals", &json!({"id": "u"})).expect_status(201);
}

#[test]
fn each_call_takes_its_right() {
    let server = shared();
    let _ = post(server, "/v1/groups", json!({"id": "righted"})).expect_status(201);
    let reader = client(server, "default", &["read_groups"]);
    for path in ["/v1/groups", "/v1/groups/righted", "/v1/groups/righted/members"] {
        let _ = get(&reader, path).expect_status(200);
    }
    let writer = client(server, "default", &["change_groups"]);
    let calls = |client: &portcullis_tests::Client| {
        [
            post(client, "/v1/groups", json!({"id": "righted"})),
            put(client, "/v1/groups/righted", Some(("if-match", "*")), json!({})),
            post(client, "/v1/groups/righted/members", json!({"type": "user", "id": "nobody"})),
            delete(client, "/v1/groups/righted/members/user/nobody"),
            delete(client, "/v1/groups/nothing"),
        ]
    };
    for answer in calls(&reader) {
        assert_eq!(answer.expect_status(403).problem(), "right_missing");
    }
    for answer in calls(&writer) {
        assert_ne!(answer.status, 403, "{}", answer.text());
    }
    for path in ["/v1/groups", "/v1/groups/righted", "/v1/groups/righted/members"] {
        assert_eq!(get(&writer, path).expect_status(403).problem(), "right_missing");
    }
    for answer in calls(&server.with_key(None)) {
        assert_eq!(answer.expect_status(401).problem(), "caller_key_missing");
    }
}

#[test]
fn ids_of_any_text_name_one_group() {
    let server = shared();
    for id in ["a/b", "..", "%2e%2e", "é 漢", "'; --", "members"] {
        let path = format!("/v1/groups/{}", crate::directory::encoded(id));
        let _ = post(server, "/v1/groups", json!({"id": id})).expect_status(201);
        let _ = post(server, "/v1/principals", json!({"id": format!("in {id}"), "groups": [id]}))
            .expect_status(201);
        assert_eq!(walk(server, &format!("{path}/members")), [format!("in {id}")]);
        let _ = delete(server, &path).expect_status(200);
    }
    let long = "x".repeat(10_240);
    for id in ["", "\0", "a\tb", long.as_str()] {
        assert_eq!(
            post(server, "/v1/groups", json!({"id": id})).expect_status(400).problem(),
            "invalid_request"
        );
    }
    assert_eq!(order(server, "/v1/groups").status, 415);
}

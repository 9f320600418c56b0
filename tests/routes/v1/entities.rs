//! `/v1/entities`: resources and whatever else policies judge by.

use serde_json::{Value, json};

use crate::directory::{
    client, decide_in, delete, encoded, get, is_absent, post, put, reads, server, shared, walk,
};

mod tenants;

fn owner(id: &str) -> Value {
    json!({"owner": {"__entity": {"type": "Corp::User", "id": id}}})
}

#[test]
fn an_entity_is_made_read_replaced_and_deleted() {
    let server = shared();
    let body = json!({"type": "document", "id": "life", "attributes": owner("ann"),
        "parents": [{"type": "folder", "id": "f"}, {"type": "Corp::Folder", "id": "e"}], "tags": {"k": "v"}});
    let made = post(server, "/v1/entities", body.clone()).expect_status(201);
    assert_eq!(made.header("location"), Some("/v1/entities/Corp%3A%3ADocument/life?pack=directory"));
    let shown = made.json();
    assert_eq!((&shown["type"], &shown["tags"]), (&json!("Corp::Document"), &json!({"k": "v"})));
    let parents = json!([{"type": "Corp::Folder", "id": "e"}, {"type": "Corp::Folder", "id": "f"}]);
    assert_eq!(shown["parents"], parents, "they need not exist");
    let tag = made.header("etag").unwrap().to_owned();
    for path in [
        "/v1/entities/document/life",
        "/v1/entities/Corp::Document/life",
        "/v1/entities/Corp%3A%3ADocument/life",
    ] {
        assert_eq!(get(server, path).expect_status(200).header("etag"), Some(tag.as_str()), "{path}");
    }
    assert!(decide_in(server, "directory", ("user", "ann"), "edit", "life").0);
    assert_eq!(post(server, "/v1/entities", body).expect_status(409).problem(), "already_exists");
    let path = "/v1/entities/document/life";
    assert_eq!(put(server, path, None, json!({})).expect_status(428).problem(), "precondition_required");
    let changed =
        put(server, path, Some(("if-match", &tag)), json!({"attributes": owner("bob")})).expect_status(200);
    assert_eq!((&changed.json()["parents"], &changed.json()["tags"]), (&json!([]), &json!({})));
    assert!(!decide_in(server, "directory", ("user", "ann"), "edit", "life").0);
    assert!(decide_in(server, "directory", ("user", "bob"), "edit", "life").0);
    assert_eq!(
        put(server, path, Some(("if-match", &tag)), json!({})).expect_status(412).problem(),
        "version_differs"
    );
    let late =
        server.request("DELETE", "/v1/entities/document/life?pack=directory").header("if-match", &tag).send();
    assert_eq!(late.expect_status(412).problem(), "version_differs");
    assert!(delete(server, path).expect_status(200).json()["revision"].is_u64());
    assert!(!decide_in(server, "directory", ("user", "bob"), "edit", "life").0);
    is_absent(get(server, path));
    is_absent(delete(server, path));
    let again = put(server, path, Some(("if-none-match", "*")), json!({"attributes": owner("ann")}));
    let _ = again.expect_status(201);
    assert!(decide_in(server, "directory", ("user", "ann"), "edit", "life").0);
}

#[test]
fn what_is_in_a_folder_has_what_the_folder_gives() {
    let server = server();
    let folder = |id: &str, parents: Value| json!({"type": "folder", "id": id, "parents": parents});
    let _ = post(&server, "/v1/entities", folder("archive", json!([]))).expect_status(201);
    let year = folder("2020", json!([{"type": "folder", "id": "archive"}]));
    let _ = post(&server, "/v1/entities", year).expect_status(201);
    let letter = json!({"type": "document", "id": "letter", "parents": [{"type": "folder", "id": "2020"}]});
    let _ = post(&server, "/v1/entities", letter).expect_status(201);
    assert!(reads(&server, "anybody", "letter"));
    let _ = put(&server, "/v1/entities/folder/2020", Some(("if-match", "*")), json!({})).expect_status(200);
    assert!(!reads(&server, "anybody", "letter"));
    let circle = json!({"parents": [{"type": "folder", "id": "2020"}]});
    let _ = put(&server, "/v1/entities/folder/archive", Some(("if-match", "*")), circle.clone())
        .expect_status(200);
    let back = json!({"parents": [{"type": "folder", "id": "archive"}]});
    let refused = put(&server, "/v1/entities/folder/2020", Some(("if-match", "*")), back).expect_status(409);
    assert_eq!(refused.problem(), "parent_cycle");
    assert!(refused.text().contains("2020 → archive → 2020"), "{}", refused.text());
    // A circle by what is not there yet is found when it comes.
    let ahead = folder("ahead", json!([{"type": "folder", "id": "behind"}]));
    let _ = post(&server, "/v1/entities", ahead).expect_status(201);
    let behind = folder("behind", json!([{"type": "folder", "id": "ahead"}]));
    assert_eq!(post(&server, "/v1/entities", behind).expect_status(409).problem(), "parent_cycle");
}

#[test]
fn what_has_a_resource_of_its_own_is_shown_here_and_written_there() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "shown"})).expect_status(201);
    let _ = post(server, "/v1/groups", json!({"id": "shown"})).expect_status(201);
    for kind in ["user", "group", "Corp::User", "Corp::Group"] {
        let _ = get(server, &format!("/v1/entities/{kind}/shown")).expect_status(200);
    }
    for kind in ["user", "service", "device", "group", "role", "Corp::User", "Corp::Role"] {
        let path = format!("/v1/entities/{kind}/shown");
        for answer in [
            post(server, "/v1/entities", json!({"type": kind, "id": "shown"})),
            put(server, &path, Some(("if-match", "*")), json!({})),
            put(server, &path, Some(("if-none-match", "*")), json!({})),
            delete(server, &path),
        ] {
            let answer = answer.expect_status(400);
            assert_eq!(answer.problem(), "managed_elsewhere", "{kind}");
            assert!(answer.text().contains("`/v1/"), "{}", answer.text());
        }
    }
    let _ = get(server, "/v1/principals/shown").expect_status(200);
}

#[test]
fn types_and_parents_are_what_the_pack_can_say() {
    let server = shared();
    let make = |kind: &str, parents: Value| {
        post(server, "/v1/entities", json!({"type": kind, "id": "typed", "parents": parents}))
            .expect_status(400)
    };
    for kind in [
        "",
        "nothing",
        "Corp::Nothing",
        "Document",
        "not a type",
        "Corp::Document::\"x\"",
        "Action",
        "Corp::Action",
        "a\0b",
    ] {
        assert_eq!(make(kind, json!([])).problem(), "unknown_type", "{kind:?}");
        let parent = make("document", json!([{"type": kind, "id": "x"}]));
        assert_eq!(parent.problem(), "unknown_type", "{kind:?}");
    }
    let role = make("document", json!([{"type": "role", "id": "editor"}]));
    assert_eq!(role.problem(), "role_by_parent");
    let unfit = make("document", json!([{"type": "user", "id": "ann"}]));
    assert_eq!(unfit.problem(), "attributes_invalid");
    assert_eq!(make("folder", json!([{"type": "folder", "id": ""}])).problem(), "invalid_request");
    for parents in [
        json!("x"),
        json!(["x"]),
        json!([["folder", "x"]]),
        json!([{"type": "folder"}]),
        json!([{"type": "folder", "id": "x", "y": 1}]),
    ] {
        assert_eq!(make("folder", parents).problem(), "invalid_request");
    }
    is_absent(get(server, "/v1/entities/document/typed"));
    for kind in ["nothing", "not%20a%20type", "Action", "%00"] {
        is_absent(get(server, &format!("/v1/entities/{kind}/read")));
        is_absent(delete(server, &format!("/v1/entities/{kind}/read")));
    }
}

#[test]
fn entities_of_the_files_are_shown_and_not_changed() {
    let server = shared();
    let charter = get(server, "/v1/entities/document/charter").expect_status(200).json();
    assert_eq!((&charter["source"], &charter["version"]), (&json!("pack"), &json!(0)));
    for answer in [
        post(server, "/v1/entities", json!({"type": "document", "id": "charter"})),
        put(server, "/v1/entities/document/charter", Some(("if-match", "*")), json!({})),
        delete(server, "/v1/entities/document/charter"),
    ] {
        assert_eq!(answer.expect_status(409).problem(), "entity_of_pack");
    }
}

#[test]
fn a_list_has_all_types_or_one() {
    let server = server();
    for n in 0..12 {
        let kind = if n % 2 == 0 { "document" } else { "folder" };
        let _ = post(&server, "/v1/entities", json!({"type": kind, "id": format!("e-{n:02}")}))
            .expect_status(201);
    }
    let documents = ["charter", "e-00", "e-02", "e-04", "e-06", "e-08", "e-10"];
    for kind in ["document", "Corp::Document"] {
        assert_eq!(walk(&server, &format!("/v1/entities?type={kind}&limit=2")), documents);
    }
    let all = walk(&server, "/v1/entities?limit=5");
    assert_eq!(all.len(), 12 + 4, "{all:?}");
    assert_eq!(all, walk(&server, "/v1/entities?limit=200"));
    assert_eq!(get(&server, "/v1/entities?type=nothing").expect_status(400).problem(), "unknown_type");
    let page = get(&server, "/v1/entities?limit=1").expect_status(200).json();
    let cursor = page["next"].as_str().unwrap();
    let other = get(&server, &format!("/v1/entities?type=document&cursor={cursor}")).expect_status(400);
    assert_eq!(other.problem(), "invalid_cursor");
}

#[test]
fn each_call_takes_its_right_and_groups_take_theirs() {
    let server = shared();
    let reader = client(server, "default", &["read_entities"]);
    let writer = client(server, "default", &["change_entities"]);
    let _ = get(&reader, "/v1/entities").expect_status(200);
    let _ = post(&writer, "/v1/entities", json!({"type": "document", "id": "righted"})).expect_status(201);
    let _ = get(&reader, "/v1/entities/document/righted").expect_status(200);
    for path in ["/v1/entities", "/v1/entities/document/righted"] {
        assert_eq!(get(&writer, path).expect_status(403).problem(), "right_missing");
    }
    let grouped = json!({"parents": [{"type": "group", "id": "wheel"}]});
    let path = "/v1/entities/document/righted";
    for answer in [
        post(&reader, "/v1/entities", json!({"type": "document", "id": "righted-2"})),
        put(&reader, path, Some(("if-match", "*")), json!({})),
        delete(&reader, path),
        post(&reader, "/v1/entities", json!("no object")),
        put(&writer, path, Some(("if-match", "*")), grouped.clone()),
    ] {
        assert_eq!(answer.expect_status(403).problem(), "right_missing");
    }
    let _ = put(server, path, Some(("if-match", "*")), grouped).expect_status(200);
    for answer in [put(&writer, path, Some(("if-match", "*")), json!({})), delete(&writer, path)] {
        let answer = answer.expect_status(403);
        assert!(answer.text().contains("change_groups"), "{}", answer.text());
    }
    for answer in [
        get(&server.with_key(None), path),
        delete(&server.with_key(None), path),
        post(&server.with_key(None), "/v1/entities", json!({})),
    ] {
        assert_eq!(answer.expect_status(401).problem(), "caller_key_missing");
    }
    let _ = delete(server, path).expect_status(200);
}

#[test]
fn hostile_ids_and_values_are_kept_or_refused_whole() {
    let server = shared();
    for id in ["a/b", "..", "%2F", "é 漢", "'; DROP TABLE entities; --", "\u{202e}x", "{id}"] {
        let path = format!("/v1/entities/document/{}", encoded(id));
        let made = post(server, "/v1/entities", json!({"type": "document", "id": id, "tags": {id: id}}));
        let location = made.expect_status(201).header("location").unwrap().to_owned();
        assert_eq!(server.get(&location).expect_status(200).json()["tags"], json!({id: id}));
        let _ = delete(server, &path).expect_status(200);
    }
    let long = "x".repeat(10_240);
    for id in ["", "\0", "a\rb", long.as_str()] {
        let refused = post(server, "/v1/entities", json!({"type": "document", "id": id})).expect_status(400);
        assert_eq!(refused.problem(), "invalid_request");
    }
    for (what, body) in [
        ("a tag of another type", json!({"tags": {"k": 1}})),
        ("an unknown attribute", json!({"attributes": {"x": 1}})),
        ("an attribute of another type", json!({"attributes": {"secret": "yes"}})),
    ] {
        let refused = put(server, "/v1/entities/document/wrong", Some(("if-none-match", "*")), body);
        assert_eq!(refused.expect_status(400).problem(), "attributes_invalid", "{what}");
    }
    let tags =
        put(server, "/v1/entities/folder/wrong", Some(("if-none-match", "*")), json!({"tags": {"k": "v"}}));
    assert_eq!(tags.expect_status(400).problem(), "attributes_invalid", "folders have no tags");
    let twice = r#"{"type": "document", "id": "wrong", "tags": {"k": "a", "k": "b"}}"#;
    let refused = server.post_bytes("/v1/entities?pack=directory", twice).expect_status(400);
    assert_eq!(refused.problem(), "malformed_json");
    is_absent(get(server, "/v1/entities/document/wrong"));
}

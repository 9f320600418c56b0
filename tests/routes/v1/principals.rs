//! `/v1/principals`: made, read, replaced and deleted; the next decision sees it.

use serde_json::{Value, json};

use crate::directory::{client, decide_in, delete, get, is_absent, post, put, reads, shared};

mod attributes;
mod holdings;
mod idempotency;
mod ids;
mod list;
mod permissions;
mod rights;
mod status;
mod tenants;

#[test]
fn a_principal_is_made_read_replaced_and_deleted() {
    let server = shared();
    let body = json!({"type": "service", "id": "life", "attributes": {"level": 1}});
    let made = post(server, "/v1/principals", body).expect_status(201);
    assert_eq!(made.header("location"), Some("/v1/principals/life?pack=directory"));
    let shown = made.json();
    let version = shown["version"].as_u64().unwrap();
    assert_eq!(shown["revision"], shown["version"]);
    assert_eq!(made.header("etag").unwrap(), format!("\"{version}\""));
    assert_eq!(
        (&shown["type"], &shown["status"], &shown["source"], &shown["pack"], &shown["groups"]),
        (&json!("service"), &json!("active"), &json!("store"), &json!("directory"), &json!([]))
    );

    let read = get(server, "/v1/principals/life").expect_status(200);
    assert_eq!(read.header("etag"), made.header("etag"));
    let mut expected = shown.clone();
    expected.as_object_mut().unwrap().remove("revision");
    assert_eq!(read.json(), expected);
    let known = server.request("GET", "/v1/principals/life?pack=directory");
    let known = known.header("if-none-match", read.header("etag").unwrap()).send();
    assert!(known.status == 304 && known.body.is_empty(), "{} {}", known.status, known.text());

    let change = json!({"attributes": {"level": 2}});
    let unsaid = put(server, "/v1/principals/life", None, change.clone()).expect_status(428);
    assert_eq!(unsaid.problem(), "precondition_required");
    let tag = format!("\"{version}\"");
    let changed =
        put(server, "/v1/principals/life", Some(("if-match", &tag)), change.clone()).expect_status(200);
    assert_eq!(changed.json()["attributes"], json!({"level": 2}));
    assert!(changed.json()["version"].as_u64().unwrap() > version);
    assert_eq!(changed.json()["created_at"], shown["created_at"]);
    let late =
        put(server, "/v1/principals/life", Some(("if-match", &tag)), change.clone()).expect_status(412);
    assert_eq!(late.problem(), "version_differs");
    let new = put(server, "/v1/principals/life", Some(("if-none-match", "*")), change).expect_status(409);
    assert_eq!(new.problem(), "already_exists");

    let late = server.request("DELETE", "/v1/principals/life?pack=directory").header("if-match", &tag).send();
    assert_eq!(late.expect_status(412).problem(), "version_differs");
    let gone = delete(server, "/v1/principals/life").expect_status(200).json();
    assert_eq!(gone["ended"], json!({"role_assignments": 0, "elevations": 0}));
    assert!(gone["revision"].is_u64(), "{gone}");
    is_absent(get(server, "/v1/principals/life"));
    is_absent(delete(server, "/v1/principals/life"));
    is_absent(put(server, "/v1/principals/life", Some(("if-match", "*")), json!({})));
}

#[test]
fn each_change_is_seen_by_the_next_decision() {
    let server = shared();
    let level = |level: i64| json!({"attributes": {"level": level}});
    let path = "/v1/principals/seen";
    assert!(!reads(server, "seen", "charter"));
    for _ in 0..5 {
        let _ = put(server, path, Some(("if-none-match", "*")), level(9)).expect_status(201);
        assert!(reads(server, "seen", "charter"));
        let _ = put(server, path, Some(("if-match", "*")), level(1)).expect_status(200);
        assert!(!reads(server, "seen", "charter"));
        let _ = put(server, path, Some(("if-match", "*")), level(5)).expect_status(200);
        assert!(reads(server, "seen", "charter"));
        let _ = delete(server, path).expect_status(200);
        assert!(!reads(server, "seen", "charter"));
    }
}

#[test]
fn a_revision_is_one_that_a_decision_can_wait_for() {
    let server = shared();
    let made = post(server, "/v1/principals", json!({"id": "revision"})).expect_status(201).json();
    let ask = |revision: u64| {
        server.post(
            "/v1/decide",
            &json!({"subject": {"type": "user", "id": "revision"}, "action": {"name": "read"},
                "resource": {"type": "document", "id": "charter"}, "pack": "directory", "at_least_revision": revision}),
        )
    };
    let _ = ask(made["revision"].as_u64().unwrap()).expect_status(200);
    assert_eq!(ask(u64::from(u32::MAX)).expect_status(409).problem(), "revision_not_reached");
}

#[test]
fn an_id_is_of_one_principal_whatever_its_type() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "one"})).expect_status(201);
    for kind in ["user", "service", "device"] {
        let again = post(server, "/v1/principals", json!({"type": kind, "id": "one"})).expect_status(409);
        assert_eq!(again.problem(), "already_exists");
    }
    let other = put(server, "/v1/principals/one", Some(("if-match", "*")), json!({"type": "device"}));
    assert_eq!(other.expect_status(400).problem(), "invalid_request");
    let same = put(server, "/v1/principals/one", Some(("if-match", "*")), json!({"type": "user"}));
    assert_eq!(same.expect_status(200).json()["type"], json!("user"));
    is_absent(get(server, "/v1/principals/one?type=device"));
    let _ = get(server, "/v1/principals/one?type=user").expect_status(200);
    // In another pack it is another's to say.
    let elsewhere = server.post("/v1/principals?pack=annex", &json!({"type": "device", "id": "one"}));
    let _ = elsewhere.expect_status(201);
}

#[test]
fn groups_are_named_and_must_be_there() {
    let server = shared();
    for id in ["named-a", "named-b"] {
        let _ = post(server, "/v1/groups", json!({"id": id})).expect_status(201);
    }
    let body = json!({"id": "grouped", "groups": ["named-b", "named-a", "named-a", "wheel"]});
    let made = post(server, "/v1/principals", body).expect_status(201).json();
    assert_eq!(made["groups"], json!(["named-a", "named-b", "wheel"]));
    let missing = json!({"id": "lost", "groups": ["named-a", "nobody"]});
    let refused = post(server, "/v1/principals", missing).expect_status(400);
    assert_eq!(refused.problem(), "unknown_reference");
    assert!(refused.text().contains("groups[1]"), "{}", refused.text());
    is_absent(get(server, "/v1/principals/lost"));
    let left = put(server, "/v1/principals/grouped", Some(("if-match", "*")), json!({"groups": ["wheel"]}));
    assert_eq!(left.expect_status(200).json()["groups"], json!(["wheel"]));
}

#[test]
fn the_files_of_a_pack_are_shown_and_not_changed() {
    let server = shared();
    let resident = get(server, "/v1/principals/resident").expect_status(200).json();
    assert_eq!(
        (
            &resident["source"],
            &resident["attributes"],
            &resident["groups"],
            &resident["version"],
            &resident["created_at"]
        ),
        (&json!("pack"), &json!({"level": 9}), &json!(["wheel"]), &json!(0), &Value::Null)
    );
    let refused = [
        post(server, "/v1/principals", json!({"id": "resident"})),
        post(server, "/v1/principals", json!({"id": "resident", "type": "service"})),
        put(server, "/v1/principals/resident", Some(("if-match", "*")), json!({})),
        put(server, "/v1/principals/resident", Some(("if-none-match", "*")), json!({})),
        delete(server, "/v1/principals/resident"),
        post(server, "/v1/groups/wheel/members", json!({"type": "user", "id": "resident"})),
        delete(server, "/v1/groups/wheel/members/user/resident"),
    ];
    for answer in refused {
        assert_eq!(answer.expect_status(409).problem(), "entity_of_pack");
    }
    assert!(reads(server, "resident", "charter"));
}

#[test]
fn a_pack_is_named_among_those_of_the_caller() {
    let server = shared();
    for path in ["/v1/principals", "/v1/principals?pack=nowhere", "/v1/principals?pack=portcullis"] {
        is_absent(server.get(path));
        is_absent(server.post(path, &json!({"id": "nobody"})));
    }
    let (_, key) = crate::fixtures::create_key(server.data(), &["manage"], &["annex"]);
    let bound = server.with_key(Some(&key));
    is_absent(bound.get("/v1/principals?pack=directory"));
    // The only one that it is bound to need not be named.
    let _ = bound.get("/v1/principals").expect_status(200);
    let made = bound.post("/v1/principals", &json!({"id": "of-annex"})).expect_status(201).json();
    assert_eq!(made["pack"], json!("annex"));
    is_absent(get(server, "/v1/principals/of-annex"));
}

#[test]
fn each_change_is_in_the_decision_log() {
    let server = shared();
    let admin = client(server, "logged", &["manage"]);
    let _ = post(&admin, "/v1/principals", json!({"id": "log-me"})).expect_status(201);
    let _ = admin
        .post("/v1/principals/log-me/disable?pack=directory", &json!({"reason": "left the company"}))
        .expect_status(200);
    let _ = delete(&admin, "/v1/principals/log-me").expect_status(200);
    let seen = portcullis_tests::eventually(std::time::Duration::from_secs(5), || {
        let records = crate::fixtures::log_records(server.data());
        let has = |word: &str| {
            records.iter().any(|record| {
                let text = record.to_string();
                text.contains(word) && text.contains("user:log-me")
            })
        };
        ["principal_created", "principal_disabled", "left the company", "principal_deleted"]
            .iter()
            .all(|word| has(word))
            .then_some(())
    });
    assert!(seen.is_some());
}

#[test]
fn what_a_decision_says_of_a_service_is_not_said_of_a_user() {
    let server = shared();
    let body = json!({"type": "service", "id": "robot", "attributes": {"level": 7}});
    let _ = post(server, "/v1/principals", body).expect_status(201);
    assert!(decide_in(server, "directory", ("service", "robot"), "read", "charter").0);
    assert!(!decide_in(server, "directory", ("user", "robot"), "read", "charter").0);
}

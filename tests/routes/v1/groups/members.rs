//! `/v1/groups/{id}/members`: who is directly in a group.

use serde_json::json;

use crate::directory::{delete, encoded, get, is_absent, order, post, put, reads, server, shared, walk};

#[test]
fn a_member_is_put_in_and_taken_out() {
    let server = server();
    let _ = post(&server, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    let _ =
        post(&server, "/v1/principals", json!({"id": "ann", "attributes": {"level": 1}})).expect_status(201);
    let member = json!({"type": "user", "id": "ann"});
    let added = post(&server, "/v1/groups/readers/members", member.clone()).expect_status(201);
    assert_eq!(added.header("location"), Some("/v1/groups/readers/members/user/ann?pack=directory"));
    assert!(added.json()["revision"].is_u64());
    assert!(reads(&server, "ann", "charter"));
    // It stands with the member, whose version is the change's.
    let ann = get(&server, "/v1/principals/ann").expect_status(200);
    assert_eq!(
        (&ann.json()["groups"], &ann.json()["attributes"]),
        (&json!(["readers"]), &json!({"level": 1}))
    );
    assert_eq!(ann.header("etag"), added.header("etag"));
    let again = post(&server, "/v1/groups/readers/members", member).expect_status(200);
    assert_eq!(again.header("etag"), added.header("etag"));
    assert_eq!(walk(&server, "/v1/groups/readers/members"), ["ann"]);
    is_absent(delete(&server, "/v1/groups/readers/members/service/ann"));
    assert_eq!(
        delete(&server, "/v1/groups/readers/members/user/ann").expect_status(200).json()["id"],
        json!("ann")
    );
    assert!(!reads(&server, "ann", "charter"));
    is_absent(delete(&server, "/v1/groups/readers/members/user/ann"));
    assert!(walk(&server, "/v1/groups/readers/members").is_empty());
}

#[test]
fn members_are_of_every_kind_and_paged_in_order() {
    let server = server();
    for id in ["crowd", "part"] {
        let _ = post(&server, "/v1/groups", json!({"id": id})).expect_status(201);
    }
    for n in 0..15 {
        let kind = ["user", "service", "device"][n % 3];
        let _ = post(
            &server,
            "/v1/principals",
            json!({"id": format!("m-{n:02}"), "type": kind, "groups": ["crowd"]}),
        )
        .expect_status(201);
    }
    let _ =
        post(&server, "/v1/groups/crowd/members", json!({"type": "group", "id": "part"})).expect_status(201);
    // A resource may be in a group, and is no member.
    let document = json!({"type": "document", "id": "d", "parents": [{"type": "group", "id": "crowd"}]});
    let _ = post(&server, "/v1/entities", document).expect_status(201);
    let all = walk(&server, "/v1/groups/crowd/members");
    assert_eq!(all.len(), 16);
    for limit in [1, 4, 16] {
        assert_eq!(walk(&server, &format!("/v1/groups/crowd/members?limit={limit}")), all, "{limit}");
    }
    let page = get(&server, "/v1/groups/crowd/members").expect_status(200).json();
    let kinds: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "group").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == "service").count(), 5);
    assert_eq!(walk(&server, "/v1/groups/wheel/members"), ["resident"]);
    is_absent(get(&server, "/v1/groups/nothing/members"));
}

#[test]
fn who_is_not_there_is_no_member() {
    let server = shared();
    let _ = post(server, "/v1/groups", json!({"id": "closed"})).expect_status(201);
    let _ = post(server, "/v1/principals", json!({"id": "solo"})).expect_status(201);
    let add = |body| post(server, "/v1/groups/closed/members", body);
    for (kind, id) in [("user", "nobody"), ("service", "solo"), ("group", "solo"), ("group", "nobody")] {
        let refused = add(json!({"type": kind, "id": id})).expect_status(400);
        assert_eq!(refused.problem(), "unknown_reference", "{kind} {id}");
    }
    for body in [
        json!({}),
        json!({"type": "role", "id": "editor"}),
        json!({"type": "user"}),
        json!([]),
        json!({"type": "user", "id": "solo", "until": "x"}),
    ] {
        assert_eq!(add(body).expect_status(400).problem(), "invalid_request");
    }
    is_absent(post(server, "/v1/groups/nothing/members", json!({"type": "user", "id": "solo"})));
    for path in [
        "/v1/groups/closed/members/role/editor",
        "/v1/groups/closed/members/user/%00",
        "/v1/groups/nothing/members/user/solo",
    ] {
        is_absent(delete(server, path));
    }
    // The schema's word on who may be in what is asked too: a role is no group.
    is_absent(post(server, "/v1/groups/editor/members", json!({"type": "user", "id": "solo"})));
}

#[test]
fn a_member_keeps_all_else_that_it_is() {
    let server = shared();
    for id in ["keeps-a", "keeps-b"] {
        let _ = post(server, "/v1/groups", json!({"id": id})).expect_status(201);
    }
    let attributes = json!({"level": 4, "manager": {"__entity": {"type": "Corp::User", "id": "resident"}}});
    let body = json!({"id": "keeper", "attributes": attributes, "groups": ["keeps-a"]});
    let _ = post(server, "/v1/principals", body).expect_status(201);
    let _ = order(server, "/v1/principals/keeper/lock").expect_status(200);
    let _ = post(server, "/v1/groups/keeps-b/members", json!({"type": "user", "id": "keeper"}))
        .expect_status(201);
    let _ = delete(server, "/v1/groups/keeps-a/members/user/keeper").expect_status(200);
    let read = get(server, "/v1/principals/keeper").expect_status(200).json();
    assert_eq!(
        (&read["attributes"], &read["groups"], &read["status"]),
        (&attributes, &json!(["keeps-b"]), &json!("locked"))
    );
}

#[test]
fn a_principal_in_ten_thousand_groups_is_decided_about() {
    let server = server();
    // One by one that would be ten thousand calls; the file of the pack holds as many.
    let groups: Vec<_> = (0..10_000)
        .map(|n| json!({"uid": {"type": "Corp::Group", "id": format!("g-{n}")}, "attrs": {}, "parents": []}))
        .chain([json!({"uid": {"type": "Corp::Group", "id": "readers"}, "attrs": {}, "parents": []})])
        .collect();
    let many = crate::directory::pack("directory").entities(&json!(groups));
    many.write(&server.policies());
    let ids: Vec<String> = (0..10_000).map(|n| format!("g-{n}")).chain(["readers".to_owned()]).collect();
    let made = portcullis_tests::eventually(std::time::Duration::from_secs(20), || {
        let answer = post(&server, "/v1/principals", json!({"id": "joiner", "groups": ids}));
        (answer.status == 201).then_some(answer)
    });
    assert_eq!(made.expect("it is made").0.json()["groups"].as_array().map(Vec::len), Some(10_001));
    assert!(reads(&server, "joiner", "charter"));
    let all_but_one = json!({"groups": ids[..10_000]});
    let _ = put(&server, "/v1/principals/joiner", Some(("if-match", "*")), all_but_one).expect_status(200);
    assert!(!reads(&server, "joiner", "charter"));
}

#[test]
fn hostile_ids_are_members_as_any() {
    let server = shared();
    let (group, member) = ("g/../%2F?", "m\"';--/..");
    let _ = post(server, "/v1/groups", json!({"id": group})).expect_status(201);
    let _ = post(server, "/v1/principals", json!({"id": member})).expect_status(201);
    let path = format!("/v1/groups/{}/members", encoded(group));
    let added = post(server, &path, json!({"type": "user", "id": member})).expect_status(201);
    let location = added.header("location").unwrap().to_owned();
    assert_eq!(walk(server, &path), [member]);
    let removed = server.request("DELETE", &location).send().expect_status(200);
    assert_eq!(removed.json()["id"], json!(member));
}

//! `GET /v1/principals`: a stable order, cursors of one list alone, filters.

use serde_json::{Value, json};

use crate::directory::{at, client, delete, get, order, post, server, shared, walk};

fn names(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_hold_every_principal_once_and_in_order() {
    let server = server();
    let mut ids: Vec<String> = (0..25).map(|n| format!("user-{n:02}")).collect();
    for id in &ids {
        let _ = post(&server, "/v1/principals", json!({"id": id})).expect_status(201);
    }
    // The pack's own is among them, in its place.
    ids.insert(0, "resident".into());
    ids.sort();
    for limit in [1, 7, 26, 200] {
        assert_eq!(walk(&server, &format!("/v1/principals?limit={limit}")), ids, "{limit}");
    }
    let service = json!({"id": "a-service", "type": "service"});
    let _ = post(&server, "/v1/principals", service).expect_status(201);
    // By Cedar's type and then by id: `Corp::Service` is before `Corp::User`.
    assert_eq!(walk(&server, "/v1/principals?limit=3")[0], "a-service");
    assert_eq!(walk(&server, "/v1/principals?type=service"), ["a-service"]);
    assert_eq!(walk(&server, "/v1/principals?type=user&limit=5"), ids);
    assert!(walk(&server, "/v1/principals?type=device").is_empty());
}

#[test]
fn a_walk_is_not_disturbed_by_changes() {
    let server = server();
    for n in 0..12 {
        let _ = post(&server, "/v1/principals", json!({"id": format!("steady-{n:02}")})).expect_status(201);
    }
    let first = get(&server, "/v1/principals?limit=4").expect_status(200).json();
    // Before the place, at it, and behind it.
    let _ = post(&server, "/v1/principals", json!({"id": "a-newcomer"})).expect_status(201);
    let _ = delete(&server, "/v1/principals/steady-00").expect_status(200);
    let _ = delete(&server, &format!("/v1/principals/{}", names(&first)[3])).expect_status(200);
    let _ = post(&server, "/v1/principals", json!({"id": "steady-05-b"})).expect_status(201);
    let mut seen = names(&first);
    let next = first["next"].as_str().unwrap();
    seen.extend(walk_from(&server, next));
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), seen.len(), "{seen:?}");
    for n in 0..12 {
        assert!(seen.contains(&format!("steady-{n:02}")), "{seen:?}");
    }
    assert!(seen.contains(&"steady-05-b".to_owned()) && !seen.contains(&"a-newcomer".to_owned()), "{seen:?}");
}

fn walk_from(server: &portcullis_tests::Client, cursor: &str) -> Vec<String> {
    let mut next = Some(cursor.to_owned());
    let mut seen = Vec::new();
    while let Some(cursor) = next {
        let page = get(server, &format!("/v1/principals?limit=4&cursor={cursor}")).expect_status(200).json();
        seen.extend(names(&page));
        next = page["next"].as_str().map(str::to_owned);
    }
    seen
}

#[test]
fn a_cursor_is_of_one_list_alone() {
    let server = server();
    for n in 0..3 {
        let _ = post(&server, "/v1/principals", json!({"id": format!("paged-{n}")})).expect_status(201);
        let _ = post(&server, "/v1/groups", json!({"id": format!("paged-{n}")})).expect_status(201);
    }
    let page = get(&server, "/v1/principals?limit=1").expect_status(200).json();
    let cursor = page["next"].as_str().unwrap().to_owned();
    // The same list with another limit goes on.
    let _ = get(&server, &format!("/v1/principals?limit=2&cursor={cursor}")).expect_status(200);
    let others = [
        at(&format!("/v1/principals?type=user&cursor={cursor}")),
        at(&format!("/v1/principals?status=active&cursor={cursor}")),
        at(&format!("/v1/groups?cursor={cursor}")),
        at(&format!("/v1/entities?cursor={cursor}")),
        at(&format!("/v1/groups/paged-1/members?cursor={cursor}")),
        format!("/v1/principals?pack=annex&cursor={cursor}"),
        at(&format!("/v1/principals?cursor=A{cursor}")),
        at(&format!("/v1/principals?cursor={}", &cursor[..cursor.len() - 1])),
        at("/v1/principals?cursor="),
        at("/v1/principals?cursor=AAAA"),
    ];
    for path in others {
        assert_eq!(server.get(&path).expect_status(400).problem(), "invalid_cursor", "{path}");
    }
    let other = client(&server, "other", &["manage"]);
    let refused = get(&other, &format!("/v1/principals?limit=1&cursor={cursor}")).expect_status(400);
    assert_eq!(refused.problem(), "invalid_cursor");
}

#[test]
fn parameters_that_are_none_are_refused() {
    let server = shared();
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "type=group",
        "type=User",
        "status=gone",
        "tenant=default",
        "offset=1",
        "pack=annex",
    ] {
        let answer = get(server, &format!("/v1/principals?{query}")).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{query}");
    }
}

#[test]
fn a_status_finds_those_that_have_it() {
    let server = server();
    for n in 0..6 {
        let _ = post(&server, "/v1/principals", json!({"id": format!("status-{n}")})).expect_status(201);
    }
    let device = json!({"id": "status-device", "type": "device"});
    let _ = post(&server, "/v1/principals", device).expect_status(201);
    for id in ["status-1", "status-4", "status-device", "resident"] {
        let _ = order(&server, &format!("/v1/principals/{id}/disable")).expect_status(200);
    }
    let _ = order(&server, "/v1/principals/status-2/lock").expect_status(200);
    for limit in [1, 2, 50] {
        let list = |query: &str| walk(&server, &format!("/v1/principals?{query}&limit={limit}"));
        assert_eq!(list("status=disabled"), ["status-device", "resident", "status-1", "status-4"]);
        assert_eq!(list("status=disabled&type=user"), ["resident", "status-1", "status-4"]);
        assert_eq!(list("status=locked"), ["status-2"]);
        assert_eq!(list("status=active"), ["status-0", "status-3", "status-5"]);
    }
    let page = get(&server, "/v1/principals?status=disabled").expect_status(200).json();
    assert!(
        page["items"].as_array().unwrap().iter().all(|item| item["status"] == json!("disabled")),
        "{page}"
    );
    // A deleted one is in no list, though it stays disabled.
    let _ = delete(&server, "/v1/principals/status-1").expect_status(200);
    assert_eq!(walk(&server, "/v1/principals?status=disabled&type=user"), ["resident", "status-4"]);
}

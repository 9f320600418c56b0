//! Pages of a search: each result once, and tokens that open nothing else.

use std::collections::BTreeSet;

use portcullis_tests::{Client, Pack, Server};
use serde_json::{Value, json};

use super::{ACTION, RESOURCE, SUBJECT, readers};
use crate::fixtures::{create_key_with, single_pack};

const POLICIES: &str =
    r#"permit(principal, action == Action::"read", resource) when { resource has open && resource.open };"#;

/// A pack with so many documents, of which every other one is open.
fn documents(name: &str, count: usize) -> Pack {
    let document = |n: usize| json!({"uid": {"type": "doc", "id": format!("d{n}")}, "attrs": {"open": n.is_multiple_of(2)}, "parents": []});
    Pack::new(name).cedar(POLICIES).entities(&(0..count).map(document).collect())
}

fn asked() -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"}, "resource": {"type": "doc"}})
}

fn on_page(mut asked: Value, token: &str, limit: Option<u64>) -> Value {
    asked["page"] = json!({"token": token});
    if let Some(limit) = limit {
        asked["page"]["limit"] = json!(limit);
    }
    asked
}

/// The ids of one page, and the token of the next.
fn page(client: &Client, token: &str, limit: Option<u64>) -> (Vec<String>, String) {
    let answer = client.post(RESOURCE, &on_page(asked(), token, limit)).expect_status(200).json();
    let ids =
        answer["results"].as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap().to_owned());
    let ids: Vec<String> = ids.collect();
    assert_eq!(answer["page"]["count"], json!(ids.len()));
    (ids, answer["page"]["next_token"].as_str().unwrap().to_owned())
}

#[track_caller]
fn is_refused(client: &Client, path: &str, body: &Value, says: &str) {
    let answer = client.post(path, body).expect_status(400);
    assert!(answer.text().contains(says), "{}", answer.text());
}

#[test]
fn pages_have_each_result_once_in_order() {
    let server = Server::with(documents("documents", 500));
    for limit in [1, 7, 100, 249, 250] {
        let (mut all, mut token) = page(&server, "", Some(limit));
        while !token.is_empty() {
            // Without a limit, it is that of the page before.
            let (more, next) = page(&server, &token, None);
            assert!(!more.is_empty() && more.len() as u64 <= limit);
            all.extend(more);
            token = next;
        }
        let expected: BTreeSet<String> = (0..250).map(|n| format!("d{}", 2 * n)).collect();
        assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "{limit}");
    }
    let (ids, token) = page(&server, "", Some(u64::MAX));
    assert_eq!((ids.len(), token.as_str()), (250, ""));
    let first = server.post(RESOURCE, &asked()).expect_status(200).json();
    assert_eq!(first["results"].as_array().unwrap().len(), 100);
    assert_ne!(first["page"]["next_token"], "");
}

#[test]
fn a_token_opens_its_own_search_alone() {
    let server = single_pack();
    let mut first = readers();
    first["page"] = json!({"limit": 1});
    let answer = server.post(SUBJECT, &first).expect_status(200).json();
    let token = answer["page"]["next_token"].as_str().unwrap();
    let again = on_page(readers(), token, None);
    let found = server.post(SUBJECT, &again).expect_status(200).json();
    assert_eq!(found["results"], json!([{"type": "user", "id": "bob"}]));
    assert_eq!(found["page"]["next_token"], "");
    let changes: [(&str, Value); 8] = [
        ("/subject/type", json!("admin")),
        ("/subject/properties", json!({"role": "admin"})),
        ("/action/name", json!("write")),
        ("/action/properties", json!({})),
        ("/resource/id", json!("record-2")),
        ("/resource/type", json!("file")),
        ("/resource/properties", json!({"status": "active"})),
        ("/context", json!({"a": 1})),
    ];
    for (at, value) in changes {
        let mut changed = again.clone();
        let (parent, name) = at.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = value;
        is_refused(server, SUBJECT, &changed, "belongs to another search");
    }
    let other = json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"}, "page": {"token": token}});
    is_refused(server, RESOURCE, &other, "belongs to another search");
    is_refused(server, ACTION, &other, "belongs to another search");
    let mut ignored = again;
    ignored["subject"]["id"] = json!("whoever");
    let _ = server.post(SUBJECT, &ignored).expect_status(200);
}

#[test]
fn a_token_that_was_changed_anywhere_is_refused() {
    let server = Server::with(documents("documents", 10));
    let (_, token) = page(&server, "", Some(2));
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        is_refused(&server, RESOURCE, &on_page(asked(), &forged, None), "page.token");
    }
    for forged in
        ["x", "AAAA", "é", &token[1..], &token[..token.len() - 1], &format!("{token}A"), &"A".repeat(100_000)]
    {
        is_refused(&server, RESOURCE, &on_page(asked(), forged, None), "page.token");
    }
    is_refused(&server, RESOURCE, &on_page(asked(), "", Some(0)), "page.limit");
    for wrong in [
        json!({"limit": -1}),
        json!({"limit": "1"}),
        json!({"limit": 1.5}),
        json!({"token": 7}),
        json!([]),
        json!("x"),
    ] {
        let mut asked = asked();
        asked["page"] = wrong;
        let _ = server.post(RESOURCE, &asked).expect_status(400);
    }
}

#[test]
fn a_token_is_nothing_to_another_tenant_or_pack() {
    let server = Server::builder().pack(documents("one", 10)).pack(documents("two", 10)).start();
    let client = |pack: &str, tenant: &str| {
        let further = ["--tenant", tenant];
        let (_, key) = create_key_with(server.data(), &["assert_subject"], &[pack], &further);
        server.with_key(Some(&key))
    };
    let red = client("one", "red");
    let (_, token) = page(&red, "", Some(2));
    assert_eq!(page(&red, &token, None).0.len(), 2);
    let again = on_page(asked(), &token, None);
    is_refused(&client("one", "blue"), RESOURCE, &again, "belongs to another search");
    is_refused(&client("two", "red"), RESOURCE, &again, "belongs to another search");
}

#[test]
fn pages_go_on_with_their_revision_until_it_is_dropped() {
    let config = "[search]\nrevision_seconds = 3\n";
    let server = Server::builder().pack(documents("documents", 0)).config(config).start();
    let document = |id: &str| {
        let body = json!({"type": "doc", "id": id, "attributes": {"open": true}});
        let _ = server.post("/v1/entities", &body).expect_status(201);
    };
    ["a", "c", "e"].into_iter().for_each(document);
    let (ids, token) = page(&server, "", Some(1));
    assert_eq!(ids, ["a"]);
    ["b", "d"].into_iter().for_each(document);
    let rest = page(&server, &token, Some(9)).0;
    assert_eq!(rest, ["c", "e"], "the pages are of one revision");
    assert_eq!(page(&server, "", None).0, ["a", "b", "c", "d", "e"]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    is_refused(&server, RESOURCE, &on_page(asked(), &token, None), "search again from the first page");
}

//! What the server knows beside the rows: locks, stored resources, tenants, roles in scopes.

use std::collections::BTreeSet;

use portcullis_tests::{Client, Pack, Server, select_in_sqlite};
use serde_json::{Value, json};

use super::PATH;
use crate::team::{give, role, team, tenant};

const IDS: [&str; 4] = ["alone", "in-f", "new", "other"];

fn filter(client: &Client, who: &str, action: &str) -> Value {
    let (kind, id) = who.split_once(':').unwrap();
    let body = json!({"subject": {"type": kind, "id": id}, "action": {"name": action},
        "resource": {"type": "doc"}, "dialect": "sqlite"});
    client.post(PATH, &body).expect_status(200).json()
}

/// The ids that are selected of a table that has them all.
fn rows(client: &Client, who: &str, action: &str) -> Vec<String> {
    let answer = filter(client, who, action);
    let table = IDS.map(|id| format!("INSERT INTO docs VALUES ('{id}', 1);")).concat();
    let table = format!("CREATE TABLE docs (id TEXT, level INTEGER); {table}");
    let query = format!("SELECT id FROM docs WHERE {} ORDER BY id", answer["sql"].as_str().unwrap());
    select_in_sqlite(&table, &query, answer["parameters"].as_array().unwrap())
}

fn decided(client: &Client, who: &str, action: &str) -> Vec<String> {
    let may = |id: &&&str| crate::team::may(client, who, action, id);
    IDS.iter().filter(may).map(|id| (*id).to_owned()).collect()
}

fn with_rows() -> Server {
    let mapping = "[properties]\nresource = \"fill\"\n[filter.doc]\nid = \"id\"\n\
        [filter.doc.columns]\nlevel = { column = \"level\", type = \"long\" }";
    let more =
        "@id(\"high\") permit(principal, action == Action::\"enter\", resource) when { resource.level > 5 };";
    Server::with(team().manifest(mapping).file("more.cedar", more))
}

#[test]
fn roles_in_scopes_select_what_is_in_them() {
    let server = with_rows();
    role(&server, "viewer", &json!({}));
    let scope = |kind: &str, of: (&str, &str)| json!({"scope": {"kind": kind, "resource": {"type": of.0, "id": of.1}}});
    give(&server, "user:alice", "viewer", &scope("resource", ("doc", "new")));
    give(&server, "user:bob", "viewer", &scope("resource_tree", ("folder", "f")));
    give(&server, "user:carol", "viewer", &scope("resource", ("folder", "f")));
    give(&server, "user:chloe", "viewer", &json!({}));
    for (who, expected) in [
        ("user:alice", &["new"][..]),
        ("user:bob", &["in-f"]),
        ("user:carol", &[]),
        ("user:chloe", &IDS),
        ("user:nobody", &[]),
    ] {
        assert_eq!(rows(&server, who, "read"), expected, "{who}: {}", filter(&server, who, "read"));
        assert_eq!(decided(&server, who, "read"), expected, "{who}");
    }
    // In another tenant, nobody was given anything.
    let red = tenant(&server, "red");
    assert_eq!(filter(&red, "user:chloe", "read")["outcome"], "never");
}

#[test]
fn what_one_tenant_stores_of_a_resource_is_nothing_to_another() {
    let server = with_rows();
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    let stored = json!({"type": "doc", "id": "secret-of-red", "attributes": {"level": 9}});
    let _ = red.post("/v1/entities?pack=team", &stored).expect_status(201);
    let answer = filter(&red, "user:alice", "enter");
    assert!(answer["parameters"].as_array().unwrap().contains(&json!("secret-of-red")), "{answer}");
    for other in [&blue, server.client()] {
        let answer = filter(other, "user:alice", "enter");
        assert_eq!(answer["outcome"], "conditional");
        assert!(!answer.to_string().contains("secret-of-red"), "{answer}");
    }
}

#[test]
fn who_is_locked_gets_no_row() {
    let server = with_rows();
    let _ = server.post("/v1/principals?pack=team", &json!({"id": "lena"})).expect_status(201);
    assert_eq!(filter(&server, "user:lena", "enter")["outcome"], "conditional");
    let _ = server.request("POST", "/v1/principals/lena/lock?pack=team").send().expect_status(200);
    let answer = filter(&server, "user:lena", "enter");
    assert_eq!((&answer["outcome"], &answer["sql"]), (&json!("never"), &json!("0")));
    let _ = server.request("POST", "/v1/principals/lena/unlock?pack=team").send().expect_status(200);
    assert_eq!(filter(&server, "user:lena", "enter")["outcome"], "conditional");
}

#[test]
fn more_stored_resources_than_can_be_named_are_an_error() {
    let many: Vec<Value> = (0..1_001)
        .map(|number| json!({"uid": {"type": "doc", "id": number.to_string()}, "attrs": {"level": 1}, "parents": []}))
        .collect();
    let pack = Pack::new("many")
        .manifest("[properties]\nresource = \"fill\"\n[filter.doc]\nid = \"id\"\n[filter.doc.columns]\nlevel = { column = \"level\", type = \"long\" }")
        .cedar("permit(principal, action == Action::\"read\", resource) when { resource.level > 5 };
            permit(principal, action == Action::\"list\", resource);")
        .entities(&json!(many));
    let server = Server::with(pack);
    let body = json!({"subject": {"type": "user", "id": "a"}, "action": {"name": "read"}, "resource": {"type": "doc"}});
    let refused = server.post(PATH, &body).expect_status(422);
    assert_eq!(refused.problem(), "filter_too_large");
    assert!(refused.text().contains("1000"), "{}", refused.text());
    // Where nobody reads them, they are as any other.
    let mut list = body;
    list["action"]["name"] = json!("list");
    assert_eq!(server.post(PATH, &list).expect_status(200).json()["outcome"], "always");
}

#[test]
fn a_pack_of_the_examples_filters_its_documents() {
    let server = Server::builder().repository_policies().start();
    let mut seen = BTreeSet::new();
    for who in ["alice", "bob", "dana", "erin", "frank"] {
        let body = json!({"subject": {"type": "user", "id": who}, "action": {"name": "read"},
            "resource": {"type": "document"}, "dialect": "sqlite", "pack": "documents"});
        let answer = server.post(PATH, &body).expect_status(200).json();
        seen.insert(answer["sql"].as_str().unwrap().to_owned());
        let (table, ids) = documents();
        let query = format!("SELECT id FROM documents WHERE {} ORDER BY id", answer["sql"].as_str().unwrap());
        let found = select_in_sqlite(&table, &query, answer["parameters"].as_array().unwrap());
        let allowed: Vec<&str> = ids.into_iter().filter(|id| reads(&server, who, id)).collect();
        assert_eq!(found, allowed, "{who}: {answer}");
    }
    assert!(seen.len() > 3, "{seen:?}");
}

/// A table with the stored documents' ids and one more, and what of the other columns a request can say as well.
fn documents() -> (String, [&'static str; 11]) {
    let ids = [
        "budget-2026",
        "circular",
        "draft",
        "embargo",
        "forecast",
        "handbook",
        "merger",
        "minutes",
        "new",
        "payroll-2026",
        "team-photo",
    ];
    let rows = ids.map(|id| {
        let columns = if id == "new" { "'public', 0" } else { "NULL, NULL" };
        format!("INSERT INTO documents VALUES ('{id}', NULL, {columns});")
    });
    let made = "CREATE TABLE documents (id TEXT, owner_id TEXT, classification TEXT, personal_data BOOLEAN);
        CREATE TABLE document_viewers (document_id TEXT, user_id TEXT);
        CREATE TABLE document_editors (document_id TEXT, user_id TEXT);";
    (format!("{made} {}", rows.concat()), ids)
}

fn reads(client: &Client, who: &str, id: &str) -> bool {
    let mut body = json!({"subject": {"type": "user", "id": who}, "action": {"name": "read"},
        "resource": {"type": "document", "id": id}, "pack": "documents"});
    if id == "new" {
        body["resource"]["properties"] = json!({"classification": "public", "personal_data": false});
    }
    client.post("/v1/decide", &body).expect_status(200).json()["decision"] == json!(true)
}

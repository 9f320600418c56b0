//! Tenants: what is one's own is nothing to another, not even its absence.

use portcullis_tests::{Cli, Client, Server};
use serde_json::Value;

use crate::fixtures::{create_key_with, log_records, question, records};

const RIGHTS: &[&str] = &["assert_subject", "read_decisions", "manage"];

/// A client of this tenant with every right that it can use here.
fn tenant(server: &Server, name: &str) -> Client {
    let (_, key) = create_key_with(server.data(), RIGHTS, &["*"], &["--tenant", name]);
    server.with_key(Some(&key))
}

fn decide(client: &Client, subject: &str) -> String {
    let answer = client.post("/v1/decide", &question(subject, "read", "record-1")).expect_status(200).json();
    answer["decision_id"].as_str().unwrap().to_owned()
}

fn page(client: &Client, query: &str) -> (Vec<String>, Option<String>) {
    let page = client.get(&format!("/v1/decisions?{query}")).expect_status(200).json();
    let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next"].as_str().map(str::to_owned))
}

fn list(client: &Client, query: &str) -> Vec<String> {
    page(client, query).0
}

#[track_caller]
fn is_absent(client: &Client, id: &str) {
    let absent = client.get("/v1/decisions/dec_01970000000070008000000000000000").expect_status(404);
    let answer = client.get(&format!("/v1/decisions/{id}")).expect_status(404);
    assert_eq!(answer.problem(), "not_found");
    assert_eq!(answer.body, absent.body, "it can be told from an id that is nobody's");
}

#[test]
fn one_tenants_decision_is_absent_for_every_other() {
    let server = Server::with(records());
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    let (of_red, of_blue) = (decide(&red, "alice"), decide(&blue, "alice"));
    let _ = red.get(&format!("/v1/decisions/{of_red}")).expect_status(200);
    let _ = blue.get(&format!("/v1/decisions/{of_blue}")).expect_status(200);
    is_absent(&blue, &of_red);
    is_absent(&red, &of_blue);
    is_absent(server.client(), &of_red);
    let of_default = decide(server.client(), "alice");
    is_absent(&red, &of_default);
}

#[test]
fn a_tenants_name_is_not_a_prefix_or_a_spelling_of_anothers() {
    let server = Server::with(records());
    let of_red = decide(&tenant(&server, "red"), "alice");
    for other in ["re", "red2", "Red", "RED", "red-"] {
        is_absent(&tenant(&server, other), &of_red);
    }
}

#[test]
fn a_list_holds_ones_own_alone_whatever_it_is_asked_for() {
    let server = Server::with(records());
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(decide(&red, "alice"));
        decide(&blue, "alice");
        decide(server.client(), "alice");
    }
    mine.reverse();
    for query in
        ["", "limit=500", "subject_id=alice", "outcome=allow", "pack=records", "from=2020-01-01T00:00:00Z"]
    {
        assert_eq!(list(&red, query), mine, "{query}");
    }
    assert!(list(&tenant(&server, "green"), "").is_empty());
    // There is no parameter that names a tenant.
    let answer = red.get("/v1/decisions?tenant=blue").expect_status(400);
    assert_eq!(answer.problem(), "invalid_request");
}

#[test]
fn a_cursor_is_refused_for_another_tenant() {
    let server = Server::with(records());
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    let mine: Vec<_> = (0..4).map(|_| (decide(&red, "alice"), decide(&blue, "alice")).0).collect();
    let (first, next) = page(&red, "limit=2");
    let next = next.expect("a further page");
    let answer = blue.get(&format!("/v1/decisions?limit=2&cursor={next}")).expect_status(400);
    assert_eq!(answer.problem(), "invalid_cursor");
    let rest = list(&red, &format!("limit=2&cursor={next}"));
    let newest_first: Vec<_> = mine.into_iter().rev().collect();
    assert_eq!([first, rest].concat(), newest_first);
}

#[test]
fn another_key_of_the_same_tenant_sees_the_same() {
    let server = Server::with(records());
    let id = decide(&tenant(&server, "red"), "alice");
    let other = tenant(&server, "red");
    let _ = other.get(&format!("/v1/decisions/{id}")).expect_status(200);
    assert_eq!(list(&other, ""), [id]);
}

#[test]
fn events_are_no_decisions_of_anybody() {
    let server = Server::with(records());
    let red = tenant(&server, "red");
    let _ = server.with_key(None).get("/v1/decisions").expect_status(401);
    decide(&red, "alice");
    let _ = red.get("/v1/decisions").expect_status(200);
    let events: Vec<String> =
        log_records(server.data()).iter().filter_map(|record| find(record, "evt_")).collect();
    assert!(events.len() >= 2, "{events:?}");
    for id in &events {
        is_absent(&red, id);
        is_absent(server.client(), id);
    }
}

/// The first string with this prefix.
fn find(value: &Value, prefix: &str) -> Option<String> {
    match value {
        Value::String(text) => text.starts_with(prefix).then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(|item| find(item, prefix)),
        Value::Object(members) => members.values().find_map(|member| find(member, prefix)),
        _ => None,
    }
}

#[test]
fn keys_are_listed_and_revoked_within_their_tenant_alone() {
    let server = Server::with(records());
    let (id, key) = create_key_with(server.data(), RIGHTS, &["*"], &["--tenant", "red"]);
    let run = |arguments: &[&str]| Cli::new(arguments.to_vec()).path("--data", server.data()).run();
    for tenant in ["default", "blue"] {
        let listed = run(&["key", "list", "--tenant", tenant]).expect_status(0);
        assert!(!listed.stdout.contains(&id), "{}", listed.stdout);
        let revoked = run(&["key", "revoke", "--tenant", tenant, &id]);
        assert_ne!(revoked.status, 0, "{}", revoked.output());
    }
    let client = server.with_key(Some(&key));
    decide(&client, "alice");
    let listed = run(&["key", "list", "--tenant", "red"]).expect_status(0);
    assert!(listed.stdout.contains(&id), "{}", listed.stdout);
    let _ = run(&["key", "revoke", "--tenant", "red", &id]).expect_status(0);
}

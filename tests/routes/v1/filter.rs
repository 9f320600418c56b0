//! `POST /v1/filter`: rows of a real table against the decision about each, both dialects, and what an answer looks like.

use portcullis_tests::{Client, Pack, Server, select_in_sqlite};
use serde_json::{Value, json};

use crate::fixtures::log_records;

mod known;
mod refused;

const PATH: &str = "/v1/filter";

const POLICIES: &str = r#"
@id("own")
permit(principal, action == Action::"read", resource)
when { resource has owner && resource.owner == principal.name };

@id("open")
permit(principal, action == Action::"read", resource)
when { resource has tags && resource.tags.contains("open") && resource.title like "a*_%" };

@id("archived")
forbid(principal, action == Action::"read", resource)
when { resource has archived && resource.archived }
unless { context has audit && context.audit };

@id("large")
forbid(principal, action == Action::"read", resource)
when { resource.size > 100 };

@id("all")
permit(principal, action == Action::"count", resource);

@id("sum")
permit(principal, action == Action::"sum", resource)
when {
  resource.size +
    1 == 2
};

@id("hidden")
permit(principal, action == Action::"peek", resource) when { resource.hidden == true };
"#;

const FILTER: &str = r#"
[properties]
subject = "fill"
resource = "fill"

[filter.document]
table = "d"
id = "id"

[filter.document.columns]
owner = "owner"
title = "title"
size = { column = "size", type = "long" }
archived = { column = "archived", type = "bool" }
tags = { table = "tags", key = "document", value = "tag" }
"#;

fn pack() -> Pack {
    let user = |id: &str, name: &str| json!({"uid": {"type": "user", "id": id}, "attrs": {"name": name}, "parents": []});
    let people = json!([user("alice", "Alice"), user("bob", "b'o\"b")]);
    Pack::new("rows").manifest(FILTER).cedar(POLICIES).entities(&people)
}

fn asked(who: &str, action: &str, dialect: &str) -> Value {
    json!({"subject": {"type": "user", "id": who}, "action": {"name": action},
        "resource": {"type": "document"}, "dialect": dialect})
}

/// Id, owner, title, size, archived, tags.
type Row = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<i64>,
    Option<bool>,
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    ("1", Some("Alice"), None, Some(1), None, &[]),
    ("2", Some("alice"), None, Some(1), None, &[]),
    ("3", Some("b'o\"b"), Some(""), Some(100), Some(false), &["open"]),
    ("4", Some("Alice"), Some("x"), Some(101), None, &[]),
    ("5", Some("Alice"), Some("x"), None, None, &[]),
    ("6", None, Some("a_%"), Some(0), None, &["open", "b"]),
    ("7", None, Some("aXY_%"), Some(-5), Some(true), &["open"]),
    ("8", None, Some("abc"), Some(0), None, &["open"]),
    ("9", None, Some("A_%"), Some(0), None, &["open"]),
    ("10", None, None, Some(0), None, &["open"]),
    ("11", None, Some("a%_%"), Some(0), None, &["Open", ""]),
    ("12", None, None, None, None, &[]),
];

/// Statements that make the table and its rows.
fn table() -> String {
    let mut made = String::from(
        "CREATE TABLE documents (id TEXT NOT NULL, owner TEXT COLLATE NOCASE, title TEXT COLLATE NOCASE, size INTEGER,
        archived BOOLEAN); CREATE TABLE tags (document TEXT NOT NULL, tag TEXT COLLATE NOCASE);",
    );
    let text = |text: &Option<&str>| {
        text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
    };
    for (id, owner, title, size, archived, tags) in ROWS {
        let size = size.map_or("NULL".to_owned(), |size| size.to_string());
        let archived = archived.map_or("NULL".to_owned(), |archived| archived.to_string());
        let (owner, title) = (text(owner), text(title));
        made += &format!("INSERT INTO documents VALUES ('{id}', {owner}, {title}, {size}, {archived});");
        for tag in *tags {
            made += &format!("INSERT INTO tags VALUES ('{id}', '{tag}');");
        }
    }
    made
}

/// The ids of the rows that an answer selects.
fn selected(answer: &Value) -> Vec<String> {
    let query = format!(
        "SELECT id FROM documents AS d WHERE ({}) ORDER BY CAST(id AS INTEGER)",
        answer["sql"].as_str().unwrap()
    );
    select_in_sqlite(&table(), &query, answer["parameters"].as_array().unwrap())
}

/// The ids of the rows that decisions allow, each asked for alone.
fn allowed(client: &Client, who: &str, context: &Value) -> Vec<String> {
    let may = |row: &&Row| {
        let (id, owner, title, size, archived, tags) = **row;
        let mut properties =
            json!({"owner": owner, "title": title, "size": size, "archived": archived, "tags": tags});
        properties.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let body = json!({"subject": {"type": "user", "id": who}, "action": {"name": "read"},
            "resource": {"type": "document", "id": id, "properties": properties}, "context": context});
        client.post("/v1/decide", &body).expect_status(200).json()["decision"] == json!(true)
    };
    ROWS.iter().filter(may).map(|row| row.0.to_owned()).collect()
}

#[test]
fn rows_that_are_selected_are_those_that_decisions_allow() {
    let server = Server::with(pack());
    for (who, context, expected) in [
        ("alice", json!({}), &["1", "6"][..]),
        ("bob", json!({}), &["3", "6"]),
        ("nobody", json!({}), &["6"]),
        ("alice", json!({"audit": true}), &["1", "6", "7"]),
        ("alice", json!({"audit": "yes"}), &["1", "6"]),
    ] {
        let mut body = asked(who, "read", "sqlite");
        body["context"] = context.clone();
        let answer = server.post(PATH, &body).expect_status(200).json();
        assert_eq!(answer["outcome"], "conditional", "{answer}");
        assert_eq!(selected(&answer), expected, "{who}: {answer}");
        assert_eq!(allowed(&server, who, &context), expected, "{who} {context}");
    }
}

#[test]
fn values_are_parameters_and_never_text_of_the_statement() {
    let server = Server::with(pack());
    for (dialect, mark) in [("sqlite", "?"), ("postgresql", "$")] {
        let mut body = asked("eve", "read", dialect);
        body["subject"]["properties"] = json!({"name": "x' OR 1=1 --"});
        let answer = server.post(PATH, &body).expect_status(200).json();
        let (sql, parameters) = (answer["sql"].as_str().unwrap(), answer["parameters"].as_array().unwrap());
        assert!(parameters.contains(&json!("x' OR 1=1 --")), "{answer}");
        assert!(!sql.contains("OR 1=1") && !sql.contains("open"), "{sql}");
        for number in 1..=parameters.len() {
            assert!(sql.contains(&format!("{mark}{number}")), "{sql}");
        }
        assert!(!sql.contains(&format!("{mark}{}", parameters.len() + 1)), "{sql}");
    }
}

#[test]
fn an_answer_has_the_tree_the_revision_and_the_id_of_its_record() {
    let mut server = Server::with(pack());
    let mut body = asked("alice", "read", "postgresql");
    let answer = server.post(PATH, &body).expect_status(200).json();
    assert!(answer["event_id"].as_str().unwrap().starts_with("evt_"), "{answer}");
    assert!(answer["revision"].is_string() && answer["condition"]["op"] == "and", "{answer}");
    assert!(answer["sql"].as_str().unwrap().contains("\"d\".\"owner\" IS NOT NULL"), "{answer}");
    body.as_object_mut().unwrap().remove("dialect");
    let tree = server.post(PATH, &body).expect_status(200).json();
    assert!(tree.get("sql").is_none() && tree.get("parameters").is_none(), "{tree}");
    assert_eq!(tree["condition"], answer["condition"]);
    assert_eq!(server.get("/v1/decisions").expect_status(200).json()["items"], json!([]));
    server.stop();
    let records = log_records(server.data());
    let filters: Vec<&Value> = records
        .iter()
        .map(|record| &record["event"])
        .filter(|event| event["unmapped"]["filter"].is_object())
        .collect();
    let [first, second] = filters.as_slice() else { panic!("{filters:?}") };
    assert_eq!(first["metadata"]["uid"], answer["event_id"], "{first}");
    assert_eq!(second["unmapped"]["filter"]["parameters"], 0);
    assert_eq!(first["unmapped"]["filter"]["outcome"], "conditional");
    assert_eq!(first["actor"]["user"], json!({"uid": "alice", "type": "user"}));
}

#[test]
fn always_and_never_are_said_and_are_conditions_too() {
    let server = Server::with(pack());
    for (action, dialect, outcome, sql) in [
        ("count", "sqlite", "always", "1"),
        ("count", "postgresql", "always", "TRUE"),
        ("fly", "sqlite", "never", "0"),
        ("fly", "postgresql", "never", "FALSE"),
    ] {
        let answer = server.post(PATH, &asked("alice", action, dialect)).expect_status(200).json();
        assert_eq!((&answer["outcome"], &answer["sql"]), (&json!(outcome), &json!(sql)), "{answer}");
        assert_eq!((&answer["condition"], &answer["parameters"]), (&json!({"op": outcome}), &json!([])));
    }
    // Of a type that nothing can be of, there is no row.
    for of_type in ["not a type", ""] {
        let mut body = asked("alice", "count", "postgresql");
        body["resource"]["type"] = json!(of_type);
        let answer = server.post(PATH, &body).expect_status(200).json();
        assert_eq!((&answer["outcome"], &answer["sql"]), (&json!("never"), &json!("FALSE")), "{of_type}");
    }
}

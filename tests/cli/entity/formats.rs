//! What is exported, imports again to the same, in each format that can say it.

use portcullis_tests::Server;
use serde_json::{Value, json};

use crate::import::fixture::{entity, exported, file, import, import_lines, number, serve_office};

/// Users with every kind of value, a hierarchy, tags, and ids that formats could stumble upon.
fn all_kinds() -> Vec<Value> {
    let extn = |function: &str, arg: &str| json!({"__extn": {"fn": function, "arg": arg}});
    vec![
        json!({"type": "role", "id": "viewer"}),
        json!({"type": "role", "id": "editor", "parents": [{"type": "role", "id": "viewer"}]}),
        json!({"type": "group", "id": "staff"}),
        json!({"type": "group", "id": "a|b", "parents": [{"type": "group", "id": "staff"}]}),
        json!({"type": "user", "id": "full", "attributes": {
            "level": -7, "email": "a \"b\", c\r\nd\u{0000}é", "manager": {"type": "User", "id": "x"},
            "address": "10.0.0.0/8", "hired": extn("datetime", "2026-01-31T08:00:00.123Z"),
            "shift": extn("duration", "1d2h"), "rate": "12.50", "remote": false,
            "skills": ["b", "a", "b"], "peers": [{"__entity": {"type": "User", "id": "x"}}]
        }, "parents": [{"type": "group", "id": "staff"}], "tags": {"desk": "7"}}),
        json!({"type": "user", "id": "../../etc/passwd", "attributes": {"skills": [], "email": ""}}),
        json!({"type": "user", "id": "x"}),
        json!({"type": "document", "id": " spaced, \"quoted\" ", "attributes": {"owner": {"type": "User", "id": "x"}}}),
    ]
}

fn again(server: &Server, format: &str, further: &[&str]) -> (String, String) {
    let name = format!("out.{format}");
    let out = server.policies().with_file_name(&name);
    let arguments = [&["--format", format, "--out", out.to_str().unwrap()], further].concat();
    let _ = entity(server, "export", &arguments).run().expect_status(0);
    let said = import(server, &out, &[&["--format", format], further].concat()).expect_status(0).stdout;
    (std::fs::read_to_string(out).unwrap(), said)
}

#[test]
fn json_and_lines_say_everything_and_import_to_unchanged() {
    let server = serve_office();
    let said = import_lines(&server, &all_kinds());
    assert!(said.starts_with("created 8,"), "{said}");
    let revision = number(&said, "revision");
    let expected = format!("created 0, updated 0, unchanged 8, revision {revision}\n");
    let (text, said) = again(&server, "cedar-json", &[]);
    assert_eq!(said, expected);
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(list.len(), 8);
    assert_eq!(again(&server, "ndjson", &[]).1, expected);
    // A pack could have the list as its own entities.
    let other = serve_office();
    let path = file(&other, "all.json", &text);
    assert!(import(&other, &path, &[]).stdout.starts_with("created 8,"));
    assert_eq!(exported(&other, &[]), exported(&server, &[]));
}

const USERS: &str = r#"
type = "user"
id = "login"
delimiter = ";"
[attributes]
level = { column = "Level", type = "long" }
email = {}
manager = { type = "entity", entity = "user" }
address = { type = "ip" }
hired = { type = "datetime" }
shift = { type = "duration" }
rate = { type = "decimal" }
remote = { type = "bool" }
skills = { separator = "|" }
peers = { type = "entity", entity = "user", separator = "|" }
[[parents]]
column = "groups"
type = "group"
separator = "|"
"#;

#[test]
fn a_table_says_what_it_can_and_imports_to_unchanged() {
    let server = serve_office();
    let mut users =
        vec![all_kinds()[4].clone(), json!({"type": "user", "id": "x"}), json!({"type": "group", "id": "g"})];
    users[0].as_object_mut().unwrap().remove("tags");
    users[0]["parents"] = json!([{"type": "group", "id": "staff"}, {"type": "group", "id": "all"}]);
    let revision = number(&import_lines(&server, &users), "revision");
    let mapping = file(&server, "users.toml", USERS);
    let (text, said) = again(&server, "csv", &["--mapping", mapping.to_str().unwrap()]);
    assert_eq!(said, format!("created 0, updated 0, unchanged 2, revision {revision}\n"));
    assert!(
        text.starts_with("login;address;email;hired;Level;manager;peers;rate;remote;shift;skills;groups\n"),
        "{text}"
    );
    assert!(text.contains("all|staff"), "{text}");
}

#[test]
fn what_a_table_can_not_say_is_an_error_and_no_file() {
    let server = serve_office();
    let mapping = file(&server, "users.toml", USERS);
    for (entity_, field) in [
        (json!({"type": "user", "id": "x", "attributes": {"skills": []}}), "skills"),
        (json!({"type": "user", "id": "x", "attributes": {"email": ""}}), "email"),
        (json!({"type": "user", "id": "x", "attributes": {"skills": ["a|b"]}}), "skills"),
        (json!({"type": "user", "id": "x", "tags": {"a": "b"}}), "tags"),
        (json!({"type": "user", "id": "x", "parents": [{"type": "group", "id": "a|b"}]}), "parents"),
    ] {
        let _ = import_lines(&server, std::slice::from_ref(&entity_));
        let out = server.policies().with_file_name("users.csv");
        let ran = entity(
            &server,
            "export",
            &["--mapping", mapping.to_str().unwrap(), "--out", out.to_str().unwrap()],
        )
        .run();
        assert_eq!(ran.status, 1, "{entity_}: {}", ran.output());
        assert!(ran.stderr.contains(&format!("`{field}`")) && ran.stderr.contains("x"), "{}", ran.stderr);
        assert!(!out.exists(), "half an export was left");
    }
}

#[test]
fn an_export_has_one_type_when_that_is_said_and_its_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let server = serve_office();
    let _ = import_lines(&server, &all_kinds());
    let found = exported(&server, &["--type", "user"]);
    assert!(found.len() == 3 && found.iter().all(|entity| entity["type"] == "User"), "{found:?}");
    assert_eq!(exported(&server, &["--type", "User"]), found);
    let ran = entity(&server, "export", &["--type", "planet"]).run();
    assert!(ran.status == 1 && ran.stderr.contains("planet"), "{}", ran.output());
    let out = server.policies().with_file_name("out.json");
    let _ = entity(&server, "export", &["--out", out.to_str().unwrap()]).run().expect_status(0);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
}

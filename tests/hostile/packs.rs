//! Packs that are as large and as crooked as packs can be, put beside one that is served.
//!
//! Whatever they hold, the pack that is served is served on, and what is refused is named.

use std::fmt::Write as _;
use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Pack, Server, eventually, soak};
use serde_json::{Value, json};

use crate::fixtures::{metric, question};

const LIMIT: Duration = Duration::from_secs(120);

fn server() -> Server {
    Server::with(
        Pack::new("served").cedar("@id(\"all\")\npermit(principal, action == Action::\"read\", resource);\n"),
    )
}

fn decide(server: &Server, pack: &str, subject: &str) -> Value {
    let path = format!("/packs/{pack}/access/v1/evaluation");
    server.post(&path, &question(subject, "read", "r")).expect_status(200).json()
}

fn reloads(server: &Server, result: &str) -> f64 {
    metric(server, &format!("portcullis_reloads_total{{result=\"{result}\"}}"))
}

/// Puts a pack beside and waits until it was taken or refused; meanwhile and after it the other one is served.
#[track_caller]
fn put(server: &Server, name: &str, files: &[(&str, String)], expected: &str) {
    let before = reloads(server, expected);
    let folder = server.policies().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        write(&folder.join(file), text);
    }
    write(&folder.join("pack.toml"), format!("name = \"{name}\"\nversion = \"1.0.0\"\n"));
    let settled = eventually(LIMIT, || {
        assert_eq!(decide(server, "served", "alice"), json!({"decision": true}));
        (reloads(server, expected) > before).then_some(())
    });
    let stderr = server.stderr();
    assert!(
        settled.is_some(),
        "{name} was not `{expected}`: {}",
        stderr.chars().take(2_000).collect::<String>()
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(decide(server, "served", "alice"), json!({"decision": true}));
}

#[test]
fn very_many_policies_are_served_and_the_others_as_before() {
    let server = server();
    let count = soak(5_000, 100_000);
    let mut text = String::new();
    for n in 0..count {
        writeln!(text, "@id(\"p{n}\")\npermit(principal == User::\"u{n}\", action, resource);").unwrap();
    }
    put(&server, "many", &[("many.cedar", text)], "ok");
    let last = format!("u{}", count - 1);
    let asked = |id: &str| {
        let question = json!({
            "subject": {"type": "User", "id": id}, "action": {"name": "read"}, "resource": {"type": "Doc", "id": "d"}
        });
        server.post("/packs/many/access/v1/evaluation", &question).expect_status(200).json()
    };
    assert_eq!(asked(&last), json!({"decision": true}));
    assert_eq!(asked("nobody"), json!({"decision": false}));
}

#[test]
fn a_policy_of_a_megabyte_is_served_when_it_is_a_list_and_refused_when_it_is_work() {
    let server = server();
    let mut text = "@id(\"long\")\npermit(principal, action, resource) when { context.n == 0".to_owned();
    while text.len() < 1 << 20 {
        write!(text, " || context.n == {}", text.len()).unwrap();
    }
    text.push_str(" };\n");
    put(&server, "long", &[("long.cedar", text)], "failed");
    assert!(server.stderr().contains("long.cedar:2:"), "{}", server.stderr());
    let server = self::server();
    let names: Vec<String> = (0..80_000).map(|n| format!("\"name-{n}\"")).collect();
    let list = names.join(", ");
    let text = format!(
        "@id(\"list\")\npermit(principal, action, resource) when {{ [{list}].contains(context.name) }};\n"
    );
    assert!(text.len() > 1 << 20);
    put(&server, "list", &[("list.cedar", text)], "ok");
    let asked = |name: &str| {
        let mut question = question("alice", "read", "r");
        question["context"] = json!({"name": name});
        server.post("/packs/list/access/v1/evaluation", &question).expect_status(200).json()
    };
    assert_eq!(asked("name-79999"), json!({"decision": true}));
    assert_eq!(asked("name-80000"), json!({"decision": false}));
}

#[test]
fn a_thousand_nested_ifs_are_refused_by_name() {
    let server = server();
    let condition =
        format!("{}true{}", "if principal has a then (".repeat(1_000), ") else false".repeat(1_000));
    let text = format!("@id(\"nested\")\npermit(principal, action, resource) when {{ {condition} }};\n");
    put(&server, "nested", &[("nested.cedar", text)], "failed");
    let stderr = server.stderr();
    assert!(stderr.contains("nested.cedar") && stderr.contains("nest"), "{stderr}");
}

#[test]
fn entities_in_a_circle_are_refused_by_name() {
    let server = server();
    let group = |id: usize, parent: usize| {
        json!({
            "uid": {"type": "Group", "id": format!("g{id}")}, "attrs": {},
            "parents": [{"type": "Group", "id": format!("g{parent}")}]
        })
    };
    let circle: Vec<Value> = (0..1_000).map(|n| group(n, (n + 1) % 1_000)).collect();
    let policy = "permit(principal in Group::\"g0\", action, resource);".to_owned();
    let files = [("x.cedar", policy), ("entities.json", json!(circle).to_string())];
    put(&server, "circle", &files, "failed");
    assert!(server.stderr().contains("circle/entities.json"), "{}", server.stderr());
}

#[test]
fn an_entity_with_ten_thousand_attributes_is_served() {
    let server = server();
    let attributes: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("a{n}"), json!(n))).collect();
    let entities = json!([{"uid": {"type": "User", "id": "wide"}, "attrs": attributes, "parents": []}]);
    let policy = "@id(\"wide\")\npermit(principal, action, resource) when { principal has a9999 && principal.a9999 == 9999 };";
    put(&server, "wide", &[("x.cedar", policy.to_owned()), ("entities.json", entities.to_string())], "ok");
    let asked = |id: &str| {
        let question = json!({
            "subject": {"type": "User", "id": id}, "action": {"name": "read"}, "resource": {"type": "Doc", "id": "d"}
        });
        server.post("/packs/wide/access/v1/evaluation", &question).expect_status(200).json()
    };
    assert_eq!(asked("wide"), json!({"decision": true}));
    assert_eq!(asked("narrow"), json!({"decision": false}));
}

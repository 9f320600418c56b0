//! What gives no filter, and says so.

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use super::{PATH, asked, pack};
use crate::fixtures::limited_key;

#[test]
fn it_needs_a_key_with_the_right_to_vouch() {
    let server = Server::with(pack());
    let body = asked("alice", "read", "sqlite");
    let _ = server.with_key(None).post(PATH, &body).expect_status(401);
    for rights in [&["simulate"][..], &["read_decisions"], &["manage"]] {
        let key = limited_key(&server, rights);
        let _ = server.with_key(Some(&key)).post(PATH, &body).expect_status(403);
    }
    let key = limited_key(&server, &["assert_subject"]);
    let _ = server.with_key(Some(&key)).post(PATH, &body).expect_status(200);
    let _ = server.get(PATH).expect_status(405);
}

#[test]
fn what_is_unknown_missing_or_of_another_kind_is_400() {
    let server = Server::with(pack());
    let with = |pointer: &str, member: &str, value: Value| {
        let mut body = asked("alice", "read", "sqlite");
        body.pointer_mut(pointer).unwrap()[member] = value;
        body
    };
    let without = |member: &str| {
        let mut body = asked("alice", "read", "sqlite");
        body.as_object_mut().unwrap().remove(member);
        body
    };
    for body in [
        with("", "limit", json!(1)),
        with("", "tenant", json!("other")),
        with("", "dialect", json!("mysql")),
        with("", "context", json!([])),
        with("", "pack", json!(7)),
        with("/resource", "id", json!("1")),
        with("/resource", "properties", json!({"owner": "Alice"})),
        with("/resource", "type", json!(1)),
        with("/subject", "id", json!(1)),
        with("/subject", "properties", json!([])),
        without("subject"),
        without("action"),
        without("resource"),
        json!([]),
        json!(null),
    ] {
        assert_eq!(server.post(PATH, &body).expect_status(400).problem(), "invalid_request", "{body}");
    }
    let reserved = with("", "context", json!({"verified": {"findings": {}}}));
    assert_eq!(server.post(PATH, &reserved).expect_status(400).problem(), "context_verified_reserved");
    let twice = r#"{"subject":{"type":"user","id":"alice"},"subject":{"type":"user","id":"bob"},
        "action":{"name":"read"},"resource":{"type":"document"}}"#;
    let _ = server.post_bytes(PATH, twice).expect_status(400);
    let deep = format!(
        r#"{{"subject":{{"type":"user","id":"alice"}},"action":{{"name":"read"}},"resource":{{"type":"document"}},
        "context":{{"a":{}{}}}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let _ = server.post_bytes(PATH, deep).expect_status(400);
    let _ = server.post(PATH, &with("", "dialect", json!(1))).expect_status(400);
    let _ = server.post(PATH, &asked("alice", "read", "sqlite")).expect_status(200);
}

#[test]
fn what_no_condition_can_say_is_named_with_policy_line_and_clause() {
    let server = Server::with(pack());
    for (action, line, clause) in [
        ("sum", "(policies.cedar:22)", "resource.size +"),
        ("peek", "(policies.cedar:29)", "resource.hidden"),
    ] {
        let answer = server.post(PATH, &asked("alice", action, "sqlite")).expect_status(422);
        assert_eq!(answer.problem(), "filter_inexpressible");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(line) && detail.contains(clause), "{detail}");
        assert!(!detail.contains('/'), "the folder is the operator's business: {detail}");
    }
}

#[test]
fn a_type_without_a_table_is_unmapped() {
    let server = Server::with(pack());
    let mut body = asked("alice", "count", "sqlite");
    body["resource"]["type"] = json!("folder");
    let answer = server.post(PATH, &body).expect_status(422);
    assert_eq!(answer.problem(), "filter_unmapped");
    assert!(answer.text().contains("[filter.folder]"), "{}", answer.text());
}

#[test]
fn a_pack_whose_table_is_no_name_is_not_loaded() {
    for lines in [
        "[filter.document]\nid = \"id\"\ntable = \"documents; DROP TABLE x\"",
        "[filter.document]\nid = \"id\\\"\"",
        "[filter.document]\nid = \"id\"\nlimit = 1",
        "[filter.document]\nid = \"id\"\n[filter.document.columns]\na = { column = \"a\", type = \"blob\" }",
        "[filter.document]\nid = \"id\"\n[filter.document.columns]\na = { table = \"a\", key = \"k\" }",
        "[filter.document]\ntable = \"t\"",
    ] {
        let folder = tempfile::tempdir().unwrap();
        Pack::new("rows").manifest(lines).cedar("permit(principal, action, resource);").write(folder.path());
        let ran = portcullis_tests::Cli::new(["policy", "check"]).operand(folder.path()).run();
        assert_ne!(ran.status, 0, "{lines}: {}", ran.output());
    }
}

#[test]
fn a_long_value_is_not_repeated_without_bounds() {
    let policies: String = (0..500)
        .map(|size| {
            format!(
                "permit(principal, action == Action::\"read\", resource)
                 when {{ resource.owner == context.name && resource.size == {size} }};\n"
            )
        })
        .collect();
    let server = Server::with(Pack::new("rows").manifest(super::FILTER).cedar(&policies));
    let mut body = asked("alice", "read", "postgresql");
    body["context"] = json!({"name": "short"});
    let _ = server.post(PATH, &body).expect_status(200);
    // Five hundred times 200 KB would be 100 MB, three times.
    body["context"] = json!({"name": "x".repeat(200_000)});
    assert_eq!(server.post(PATH, &body).expect_status(422).problem(), "filter_too_large");
    assert!(server.peak_memory_bytes() < 500 << 20, "{}", server.peak_memory_bytes());
}

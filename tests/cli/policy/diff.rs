//! `portcullis policy diff`: recorded decisions, made again by other policies.

use std::path::Path;

use portcullis_tests::{Cli, Pack, Ran, Server};
use serde_json::{Value, json};

const OLD: &str = "@id(\"alice-reads\")
permit(principal == user::\"alice\", action == Action::\"read\", resource);
@id(\"public\")
permit(principal, action == Action::\"read\", resource) when { resource has public && resource.public };
";

fn pack(cedar: &str) -> Pack {
    Pack::new("small").cedar(cedar)
}

fn ask(server: &Server, subject: &str, resource: &str) -> bool {
    let body = json!({
        "subject": {"type": "user", "id": subject},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": resource},
        "pack": "small",
    });
    server.post("/v1/decide", &body).expect_status(200).json()["decision"].as_bool().unwrap()
}

/// `policy diff FLAGS -- OLD NEW`.
fn run(flags: &[&str], source: (&str, &Path), sides: [&Path; 2]) -> Ran {
    let mut cli = Cli::new(["policy", "diff"].iter().chain(flags));
    cli = cli.path(source.0, source.1);
    cli.path("--", sides[0]).operand(sides[1]).run()
}

fn diff(server: &Server, new: &Path, flags: &[&str]) -> Ran {
    run(flags, ("--data", server.data()), [&server.policies(), new])
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.output()))
}

#[test]
fn decisions_that_flip_are_counted_by_policy_and_shown() {
    let server = Server::with(pack(OLD));
    assert!(ask(&server, "alice", "r"));
    assert!(ask(&server, "alice", "s"));
    assert!(!ask(&server, "bob", "r"));
    let new = tempfile::tempdir().unwrap();
    pack(&OLD.replace("user::\"alice\"", "user::\"bob\"").replace("alice-reads", "bob-reads"))
        .write(new.path());

    let ran = diff(&server, new.path(), &["--format", "json"]);
    assert_eq!(ran.status, 3, "{}", ran.output());
    let report = json_of(&ran);
    for (name, count) in
        [("decisions", 3), ("flipped", 3), ("to_allow", 1), ("same", 0), ("old_differs_from_record", 0)]
    {
        assert_eq!(report[name], count, "{name}: {report}");
    }
    assert_eq!(report["policies"]["alice-reads"], json!({"before": 2, "after": 0}));
    assert_eq!(report["policies"]["bob-reads"], json!({"before": 0, "after": 1}));
    let first = &report["flips"][0];
    assert_eq!(first["before"], json!({"decision": "allow", "reasons": ["alice-reads"]}));
    assert_eq!(first["after"], json!({"decision": "deny", "reasons": ["no_permit"]}));
    assert_eq!((&first["count"], first["samples"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(first["samples"][0]["subject"], "user:alice");

    let ran = diff(&server, new.path(), &["--samples", "1"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stdout.contains("allow [alice-reads] -> deny [no_permit]: 2"), "{}", ran.output());
    assert_eq!(ran.stdout.matches(" user:alice read record:").count(), 1, "{}", ran.output());
}

#[test]
fn policies_that_say_the_same_flip_nothing() {
    let server = Server::with(pack(OLD));
    assert!(ask(&server, "alice", "r"));
    let ran = diff(&server, &server.policies(), &["--strict"]);
    assert_eq!(ran.status, 0, "{}", ran.output());
    assert!(ran.stdout.contains("1 decisions: 0 flip"), "{}", ran.output());
    let ran = diff(&server, &server.policies(), &["--since", "2999-01-01T00:00:00Z"]);
    assert_eq!(ran.status, 1, "what looked at nothing says nothing: {}", ran.output());
}

#[test]
fn stored_entities_count_and_those_that_changed_since_are_said() {
    let server = Server::with(pack(OLD));
    let body = json!({"type": "record", "id": "open", "attributes": {"public": true}});
    let made = server.post("/v1/entities?pack=small", &body).expect_status(201);
    let tag = made.header("etag").unwrap().to_owned();
    assert!(ask(&server, "bob", "open"));
    let new = tempfile::tempdir().unwrap();
    pack("@id(\"none\") permit(principal == user::\"alice\", action, resource);").write(new.path());
    let report = json_of(&diff(&server, new.path(), &["--format", "json"]));
    assert_eq!((&report["flipped"], &report["entities_changed_since"]), (&json!(1), &json!(0)), "{report}");

    let request = server.request("PUT", "/v1/entities/record/open?pack=small").header("if-match", &tag);
    let closed = json!({"attributes": {"public": false}}).to_string();
    let _ = request.header("content-type", "application/json").body(closed).send().expect_status(200);
    let report = json_of(&diff(&server, new.path(), &["--format", "json"]));
    assert_eq!(report["entities_changed_since"], 1, "{report}");
    assert_eq!(report["old_differs_from_record"], 1, "{report}");

    let copied = tempfile::tempdir().unwrap();
    portcullis_tests::files::copy(&server.data().join("log"), copied.path());
    let ran = run(&[], ("--log", copied.path()), [&server.policies(), new.path()]);
    assert!(ran.stderr.contains("of the store are not known"), "{}", ran.output());
}

#[test]
fn what_cannot_be_replayed_is_counted_and_fails_when_asked_to() {
    let server = Server::builder().pack(pack(OLD)).pack(Pack::new("other").cedar(OLD)).start();
    assert!(ask(&server, "alice", "r"));
    let old = server.policies().join("other");
    let run = |flags: &[&str]| run(flags, ("--data", server.data()), [&old, &old]);
    let ran = run(&[]);
    assert_eq!(ran.status, 0, "{}", ran.output());
    assert!(
        ran.stderr.contains("not replayed: 1 were judged by a pack that is not in both"),
        "{}",
        ran.output()
    );
    assert_eq!(run(&["--strict"]).status, 4);
}

#[test]
fn what_was_found_of_a_request_counts_for_every_item_of_its_batch() {
    let cedar = "@id(\"clean\") permit(principal, action, resource)
        when { context.verified has findings && context.verified.findings.count == 0 };";
    let config = "[[validate.routes]]\nmethod = \"GET\"\npath = \"/orders\"\nquery_schema = { additionalProperties = false }\n";
    let server = Server::builder().pack(pack(cedar)).config(config).start();
    let body = json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "r"},
        "http": {"method": "GET", "path": "/orders"},
        "evaluations": [{}, {"action": {"name": "write"}}, {"resource": {"type": "record", "id": "s"}}],
    });
    let answer = server.post("/v1/decide", &body).expect_status(200).json();
    assert!(answer["evaluations"].as_array().unwrap().iter().all(|one| one["decision"] == true), "{answer}");
    let ran = diff(&server, &server.policies(), &["--strict", "--format", "json"]);
    assert_eq!(ran.status, 0, "{}", ran.output());
    let report = json_of(&ran);
    assert_eq!((&report["same"], &report["old_differs_from_record"]), (&json!(3), &json!(0)), "{report}");
}

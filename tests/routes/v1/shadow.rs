//! `/v1/shadow`: what a candidate would have answered, beside what is answered, and its promotion.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Cli, Client, Pack, Server, eventually, execute_sql};
use serde_json::{Value, json};

use crate::fixtures::{create_key_with, limited_key, metric, question};

const LIMIT: Duration = Duration::from_secs(10);
const OPEN: &str = "@id(\"open\")\npermit(principal, action, resource);\n";
const SHUT: &str = "@id(\"open\")\npermit(principal, action, resource);\n\
     @id(\"no-write\")\nforbid(principal, action == Action::\"write\", resource);\n";

fn server() -> Server {
    Server::builder()
        .pack(Pack::new("live").cedar(OPEN))
        .config("[policies]\nshadow = \"candidates\"\n")
        .start()
}

fn folder(server: &Server) -> PathBuf {
    server.policies().parent().unwrap().join("candidates")
}

fn shown(server: &Client) -> Value {
    server.get("/v1/shadow").expect_status(200).json()
}

/// Puts a candidate there, and waits until it is in shadow; gives its revision.
#[track_caller]
fn put(server: &Server, cedar: &str) -> String {
    let before = shown(server)["revision"].clone();
    Pack::new("live").cedar(cedar).write(&folder(server));
    let seen = eventually(LIMIT, || {
        let shown = shown(server);
        (shown["revision"] != before).then(|| shown["revision"].as_str().unwrap().to_owned())
    });
    seen.unwrap_or_else(|| panic!("no candidate: {}\n{}", shown(server), server.stderr())).0
}

fn ask(client: &Client, action: &str) -> Value {
    client.post("/v1/decide", &question("alice", action, "r")).expect_status(200).json()
}

/// What is counted of the pack, once so many decisions are.
#[track_caller]
fn counted(server: &Server, decisions: u64) -> Value {
    let seen = eventually(LIMIT, || {
        let pack = shown(server)["packs"][0].clone();
        let sum =
            ["same", "changed", "flipped"].iter().map(|name| pack[name].as_u64().unwrap_or(0)).sum::<u64>();
        (sum == decisions).then_some(pack)
    });
    seen.unwrap_or_else(|| panic!("not {decisions}: {}", shown(server))).0
}

#[test]
fn without_a_candidate_nothing_is_shown_or_counted() {
    let server = server();
    let _ = ask(&server, "read");
    assert_eq!(
        shown(&server),
        json!({"revision": null, "since": null, "problem": null, "packs": [], "samples": []})
    );
    for result in ["same", "changed", "flipped", "not_compared", "dropped"] {
        assert!(
            metric(&server, &format!("portcullis_shadow_decisions_total{{result=\"{result}\"}}")).abs() < 0.5
        );
    }
}

#[test]
fn what_would_be_answered_otherwise_is_counted_and_sampled() {
    let server = server();
    put(&server, SHUT);
    let _ = ask(&server, "read");
    let written = ask(&server, "write");
    assert_eq!(written["decision"], json!(true), "a candidate has no say");
    let batch = json!({"evaluations": [question("bob", "read", "a"), question("bob", "write", "b")]});
    let _ = server.post("/v1/decide", &batch).expect_status(200);
    let pack = counted(&server, 4);
    assert_eq!(
        (&pack["name"], &pack["same"], &pack["flipped"], &pack["to_allow"], &pack["dropped"]),
        (&json!("live"), &json!(2), &json!(2), &json!(0), &json!(0))
    );
    assert_eq!(
        pack["policies"],
        json!([{"id": "no-write", "before": 0, "after": 2}, {"id": "open", "before": 2, "after": 0}])
    );
    let shown = shown(&server);
    let samples = shown["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    let oldest = &samples[1];
    assert_eq!(oldest["decision_id"], written["decision_id"]);
    assert_eq!((&oldest["action"], &oldest["before"]["decision"]), (&json!("write"), &json!("allow")));
    assert_eq!(oldest["after"], json!({"decision": "deny", "reasons": ["no-write"], "obligations": []}));
    let flipped = metric(&server, "portcullis_shadow_decisions_total{result=\"flipped\"}");
    assert!((flipped - 2.0).abs() < 0.5, "{flipped}");
}

#[test]
fn another_candidate_begins_at_nought_and_a_broken_one_is_a_problem() {
    let server = server();
    let first = put(&server, SHUT);
    let _ = ask(&server, "write");
    counted(&server, 1);
    let second = put(&server, OPEN);
    assert_ne!(first, second);
    counted(&server, 0);
    write(&folder(&server).join("live/policies.cedar"), "permit (");
    let broken = eventually(LIMIT, || Some(shown(&server)).filter(|shown| !shown["problem"].is_null()));
    let (broken, _) = broken.expect("a problem is shown");
    assert!(broken["problem"].as_str().unwrap().contains("policies.cedar"), "{broken}");
    assert_eq!(ask(&server, "write")["decision"], json!(true), "what is served is unhurt");
    std::fs::remove_dir_all(folder(&server)).unwrap();
    let gone = eventually(LIMIT, || Some(()).filter(|()| shown(&server)["revision"].is_null()));
    assert!(gone.is_some(), "a candidate that is taken away is in shadow no more");
}

#[test]
fn a_pack_that_the_candidate_lacks_is_not_compared() {
    let server = server();
    Pack::new("other").cedar(OPEN).write(&folder(&server));
    assert!(eventually(LIMIT, || Some(()).filter(|()| !shown(&server)["revision"].is_null())).is_some());
    let _ = ask(&server, "read");
    let seen = eventually(LIMIT, || {
        let shown = shown(&server);
        (shown["packs"][0]["not_compared"] == json!({"pack_missing": 1})).then_some(())
    });
    assert!(seen.is_some(), "{}", shown(&server));
}

#[test]
fn what_was_seen_is_promoted_and_nothing_else() {
    let server = server();
    let promote = |client: &Client, body: &Value| client.post("/v1/shadow/promote", body);
    let served = server.get("/v1/revisions").json()["active"].clone();
    // Nothing is in shadow; and what is served is not either.
    for revision in [json!("rev_none"), served.clone()] {
        let refused = promote(&server, &json!({"revision": revision})).expect_status(409);
        assert_eq!(refused.problem(), "not_in_shadow");
    }
    let first = put(&server, SHUT);
    let second = put(&server, &SHUT.replace("write", "delete"));
    assert_eq!(promote(&server, &json!({"revision": first})).expect_status(409).problem(), "not_in_shadow");
    for body in [json!({}), json!({"revision": second, "force": true}), json!([second])] {
        assert_eq!(promote(&server, &body).expect_status(400).problem(), "invalid_request", "{body}");
    }
    let done = promote(&server, &json!({"revision": second})).expect_status(200).json();
    assert_eq!((&done["pinned"], &done["id"]), (&json!(true), &json!(second)));
    assert_eq!(ask(&server, "delete")["decision"], json!(false), "the very next decision is by it");
    std::fs::remove_dir_all(folder(&server)).unwrap();
    let gone = eventually(LIMIT, || Some(()).filter(|()| shown(&server)["revision"].is_null()));
    assert!(gone.is_some());
    let again = promote(&server, &json!({"revision": second})).expect_status(200).json();
    assert_eq!(again["id"], done["id"], "said twice, it is done once");
    let page = server.get("/v1/revisions").expect_status(200).json();
    assert_eq!((&page["active"], &page["items"][0]["origin"]), (&json!(second), &json!("promotion")));
    let _ = Cli::new(["policy", "rollback"]).path("--data", server.data()).run().expect_status(0);
    let back = eventually(LIMIT, || Some(()).filter(|()| ask(&server, "delete")["decision"] == json!(true)));
    assert!(back.is_some(), "{}", server.get("/v1/revisions").text());
}

#[test]
fn a_promotion_that_is_asked_for_again_after_it_was_taken_back_changes_nothing() {
    let server = server();
    let served = server.get("/v1/revisions").json()["active"].clone();
    let revision = put(&server, SHUT);
    let promote = || {
        let body = json!({"revision": revision});
        let request = server.request("POST", "/v1/shadow/promote").header("idempotency-key", "once");
        request.header("content-type", "application/json").body(body.to_string()).send()
    };
    let first = promote().expect_status(200);
    let back = format!("/v1/revisions/{}/activate", served.as_str().unwrap());
    let _ = server.request("POST", &back).send().expect_status(200);
    let replayed = |when: &str| {
        let again = promote().expect_status(200);
        assert_eq!(again.text(), first.text(), "{when}");
        let page = server.get("/v1/revisions").expect_status(200).json();
        // What was active last stands first: that is what one command goes back from.
        assert_eq!((&page["active"], &page["items"][0]["id"]), (&served, &served), "{when}");
    };
    replayed("while it is in shadow");
    std::fs::remove_dir_all(folder(&server)).unwrap();
    let gone = eventually(LIMIT, || Some(()).filter(|()| shown(&server)["revision"].is_null()));
    assert!(gone.is_some());
    replayed("when it is not any more");
}

#[test]
fn what_was_altered_where_it_is_kept_is_not_promoted() {
    let server = server();
    let revision = put(&server, SHUT);
    let promote = || server.post("/v1/shadow/promote", &json!({"revision": revision}));
    let _ = promote().expect_status(200);
    let _ = server.request("POST", "/v1/revisions/follow").send().expect_status(200);
    execute_sql(server.data(), "UPDATE revision_texts SET content = 'x' WHERE content LIKE '%no-write%'");
    assert_eq!(promote().expect_status(409).problem(), "revision_altered");
    let config = server.policies().parent().unwrap().join("portcullis.toml");
    let said = Cli::new(["policy", "promote", &revision])
        .path("--data", server.data())
        .path("--config", &config)
        .current_dir(config.parent().unwrap())
        .run()
        .expect_status(1)
        .stderr;
    assert!(said.contains("altered"), "{said}");
    assert_eq!(server.get("/v1/revisions").json()["pinned"], json!(false));
}

#[test]
fn the_command_line_promotes_what_is_named() {
    let server = server();
    let revision = put(&server, SHUT);
    let config = server.policies().parent().unwrap().join("portcullis.toml");
    let promote = |revision: &str| {
        Cli::new(["policy", "promote", revision])
            .path("--data", server.data())
            .path("--config", &config)
            .current_dir(config.parent().unwrap())
            .run()
    };
    assert!(promote("rev_other").expect_status(1).stderr.contains(&revision));
    let _ = promote(&revision).expect_status(0);
    let live = eventually(LIMIT, || Some(()).filter(|()| ask(&server, "write")["decision"] == json!(false)));
    assert!(live.is_some());
}

#[test]
fn it_takes_the_right_and_shows_no_tenant_anothers_questions() {
    let server = server();
    let revision = put(&server, SHUT);
    assert_eq!(server.with_key(None).get("/v1/shadow").expect_status(401).problem(), "caller_key_missing");
    let without = server.with_key(Some(&limited_key(&server, &["read_plugins", "read_decisions"])));
    assert_eq!(without.get("/v1/shadow").expect_status(403).problem(), "right_missing");
    let reading = server.with_key(Some(&limited_key(&server, &["read_revisions"])));
    let body = json!({"revision": revision});
    assert_eq!(reading.post("/v1/shadow/promote", &body).expect_status(403).problem(), "right_missing");
    let rights = ["manage", "assert_subject", "read_revisions", "manage_revisions"];
    let (_, key) = create_key_with(server.data(), &rights, &["*"], &["--tenant", "blue"]);
    let blue = server.with_key(Some(&key));
    assert_eq!(blue.get("/v1/shadow").expect_status(403).problem(), "right_missing");
    assert_eq!(blue.post("/v1/shadow/promote", &body).expect_status(403).problem(), "right_missing");
    let _ = blue.post("/v1/decide", &question("secret-of-blue", "write", "r")).expect_status(200);
    let pack = counted(&server, 1);
    assert_eq!(pack["flipped"], json!(1));
    let shown = shown(&reading);
    assert_eq!(shown["samples"], json!([]));
    assert!(!shown.to_string().contains("secret-of-blue"));
}

#[test]
fn ids_as_long_as_a_request_are_not_kept_whole() {
    let server = server();
    put(&server, SHUT);
    let long = "x".repeat(100_000);
    let _ = server.post("/v1/decide", &question(&long, "write", &long)).expect_status(200);
    counted(&server, 1);
    let sample = shown(&server)["samples"][0].clone();
    for name in ["subject", "resource"] {
        assert!(sample[name].as_str().unwrap().chars().count() < 300, "{name}");
    }
}

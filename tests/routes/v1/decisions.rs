//! `GET /v1/decisions/{id}` and `GET /v1/decisions`: what was decided, and why.

use portcullis_tests::{Client, Server};
use serde_json::{Value, json};

use crate::assertions::holds_string;
use crate::fixtures::{limited_key, now, properties, question, records};

fn decide(server: &Client, subject: &str) -> String {
    let asked = question(subject, "read", "record-1");
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    answer["decision_id"].as_str().unwrap().to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn list(server: &Client, query: &str) -> Value {
    server.get(&format!("/v1/decisions?pack=records&{query}")).expect_status(200).json()
}

/// All pages of a list, which may be short while `next` is there.
fn all(server: &Client, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..200 {
        let page = list(server, &format!("{query}{cursor}"));
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
    panic!("the list has no end");
}

#[test]
fn a_decision_is_readable_at_once() {
    let server = Server::with(records());
    for subject in ["alice", "mallory"] {
        for _ in 0..20 {
            let id = decide(&server, subject);
            let shown = server.get(&format!("/v1/decisions/{id}")).expect_status(200).json();
            assert_eq!(shown["id"], json!(id), "{shown}");
        }
    }
}

#[test]
fn a_decision_shows_inputs_reasons_and_stages() {
    let server = Server::with(records());
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"ticket": "T-4711"});
    asked["subject"]["properties"] = json!({"department": "research"});
    asked["http"] = json!({"method": "GET", "path": "/records/record-1"});
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    let id = answer["decision_id"].as_str().unwrap();
    let shown = server.get(&format!("/v1/decisions/{id}")).expect_status(200).json();
    for text in ["alice", "read", "record-1", "T-4711", "research", "/records/record-1", "alice-and-bob-read"]
    {
        assert!(holds_string(&shown, text), "no `{text}`: {shown}");
    }
    assert_eq!(shown["outcome"], json!("allow"), "{shown}");
    assert_eq!(shown["reasons"], answer["reasons"], "{shown}");
    assert_eq!(shown["revision"], answer["revision"], "{shown}");
    let stages = shown["stages"].as_array().expect("stages");
    assert!(!stages.is_empty());
    for stage in stages {
        assert!(stage["name"].is_string() && stage["duration_ns"].is_u64(), "{stage}");
    }
    assert!(stages.iter().any(|stage| stage["name"] == "decide"), "{shown}");
}

#[test]
fn no_key_is_in_a_record() {
    let server = Server::with(records());
    let id = decide(&server, "alice");
    let shown = server.get(&format!("/v1/decisions/{id}")).expect_status(200).text();
    let secret = server.key().unwrap().strip_prefix("pcc_").unwrap();
    assert!(!shown.contains(secret));
    for entry in std::fs::read_dir(server.data().join("log")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert!(!server.stderr().contains(secret));
}

#[test]
fn an_authzen_decision_and_every_item_of_a_batch_are_recorded() {
    let server = Server::with(records());
    let since = now();
    let _ = server.post("/access/v1/evaluation", &question("alice", "read", "record-1")).expect_status(200);
    let items = json!({"evaluations": vec![question("bob", "read", "record-1"); 4]});
    let _ = server.post("/access/v1/evaluations", &items).expect_status(200);
    assert_eq!(all(&server, &format!("from={since}&subject_id=alice")).len(), 1);
    assert_eq!(all(&server, &format!("from={since}&subject_id=bob")).len(), 4);
}

#[test]
fn a_decision_is_readable_after_a_restart_and_by_a_later_dev_key() {
    let mut server = Server::with(records());
    let before: Vec<String> = (0..5).map(|_| decide(&server, "alice")).collect();
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    server.restart();
    for id in &before {
        let shown = server.get(&format!("/v1/decisions/{id}")).expect_status(200).json();
        assert!(holds_string(&shown, "alice"), "{shown}");
    }
    let after = decide(&server, "alice");
    let listed = all(&server, "limit=3");
    let mut expected = vec![after];
    expected.extend(before.into_iter().rev());
    assert_eq!(listed, expected);
}

#[test]
fn the_list_is_newest_first_and_in_pages() {
    let server = Server::with(records());
    let mut made: Vec<String> = (0..7).map(|_| decide(&server, "alice")).collect();
    made.reverse();
    for limit in [1, 2, 3, 7, 50, 500] {
        assert_eq!(all(&server, &format!("limit={limit}")), made, "limit {limit}");
        assert!(ids(&list(&server, &format!("limit={limit}"))).len() <= limit);
    }
}

#[test]
fn the_list_takes_a_span_of_time() {
    let server = Server::with(records());
    let pause = || std::thread::sleep(std::time::Duration::from_millis(20));
    let early = decide(&server, "alice");
    pause();
    let middle = now();
    pause();
    let late = decide(&server, "alice");
    assert_eq!(all(&server, &format!("from={middle}")), std::slice::from_ref(&late));
    assert_eq!(all(&server, &format!("to={middle}")), std::slice::from_ref(&early));
    assert_eq!(all(&server, &format!("from=2020-01-01T00:00:00Z&to={}", now())), [late, early]);
    assert!(all(&server, "from=2099-01-01T00:00:00Z").is_empty());
}

#[test]
fn the_list_is_filtered() {
    let server = Server::builder().pack(records()).pack(properties("fill")).start();
    let of = |subject: &str, pack: &str| {
        let mut asked = question(subject, "read", "record-1");
        asked["pack"] = json!(pack);
        let answer = server.post("/v1/decide", &asked).expect_status(200).json();
        answer["decision_id"].as_str().unwrap().to_owned()
    };
    let (allowed, denied, other) = (of("alice", "records"), of("mallory", "records"), of("alice", "fill"));
    assert_eq!(all(&server, "outcome=allow"), std::slice::from_ref(&allowed));
    assert_eq!(all(&server, "outcome=deny"), std::slice::from_ref(&denied));
    assert_eq!(all(&server, "subject_id=mallory&subject_type=user"), std::slice::from_ref(&denied));
    assert!(all(&server, "subject_id=mallory&subject_type=service").is_empty());
    assert_eq!(all(&server, "limit=10"), [denied, allowed]);
    let page = server.get("/v1/decisions?pack=fill").expect_status(200).json();
    assert_eq!(ids(&page), [other]);
}

#[test]
fn bad_parameters_are_refused() {
    let server = Server::with(records());
    for query in [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=-1",
        "from=yesterday",
        "to=2026-13-01T00:00:00Z",
        "from=1",
        "outcome=maybe",
        "surprise=1",
    ] {
        let answer = server.get(&format!("/v1/decisions?{query}"));
        assert_eq!(answer.clone().expect_status(400).problem(), "invalid_request", "{query}");
    }
}

#[test]
fn a_cursor_holds_for_its_own_list_alone() {
    let server = Server::with(records());
    for _ in 0..5 {
        decide(&server, "alice");
    }
    let next = list(&server, "limit=2")["next"].as_str().expect("a further page").to_owned();
    let forged: String = next.chars().rev().collect();
    for query in [
        format!("pack=records&limit=2&outcome=deny&cursor={next}"),
        format!("pack=records&cursor={forged}"),
        "cursor=x".into(),
    ] {
        let answer = server.get(&format!("/v1/decisions?{query}")).expect_status(400);
        assert_eq!(answer.problem(), "invalid_cursor", "{query}");
    }
}

#[test]
fn an_unknown_id_is_not_found() {
    let server = Server::with(records());
    for id in
        ["dec_01970000000070008000000000000000", "dec_", "x", "dec_01970000000070008000000000000000x", "%00"]
    {
        let answer = server.get(&format!("/v1/decisions/{id}")).expect_status(404);
        assert_eq!(answer.problem(), "not_found", "{id}");
    }
}

#[test]
fn reading_needs_the_right() {
    let server = Server::with(records());
    let id = decide(&server, "alice");
    let key = limited_key(&server, &["assert_subject", "simulate", "read_metrics", "read_readiness"]);
    for path in [format!("/v1/decisions/{id}"), "/v1/decisions".into()] {
        let answer = server.with_key(Some(&key)).get(&path).expect_status(403);
        assert_eq!(answer.problem(), "right_missing");
        assert!(answer.json()["detail"].as_str().unwrap().contains("read_decisions"), "{}", answer.text());
        let answer = server.with_key(None).get(&path).expect_status(401);
        assert_eq!(answer.problem(), "caller_key_missing");
    }
    let key = limited_key(&server, &["read_decisions"]);
    let _ = server.with_key(Some(&key)).get(&format!("/v1/decisions/{id}")).expect_status(200);
}

#[test]
fn another_tenants_decision_is_not_found() {
    let server = Server::with(records());
    let id = decide(&server, "alice");
    let made = portcullis_tests::Cli::new(["key", "create", "--name", "other", "--tenant", "other"])
        .path("--data", server.data())
        .path("--pack", "*".as_ref())
        .path("--right", "read_decisions".as_ref())
        .run()
        .expect_status(0);
    let client = server.with_key(made.value("key "));
    let answer = client.get(&format!("/v1/decisions/{id}")).expect_status(404);
    assert_eq!(answer.problem(), "not_found");
    assert!(all(&client, "limit=50").is_empty());
}

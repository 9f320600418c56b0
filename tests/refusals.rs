//! Calls that are refused: what the caller is told, and what the decision log keeps of it.

use std::time::{Duration, Instant};

use portcullis_tests::{Client, Server, eventually};
use serde_json::{Value, json};

use crate::assertions::holds_string;
use crate::audit::verify;
use crate::fixtures::{create_key, limited_key, log_records, metric, question, records};

/// Every call that takes a right, with the right.
fn calls(client: &Client) -> [(&'static str, portcullis_tests::Answer); 7] {
    let asked = question("alice", "read", "record-1");
    let simulation = json!({"policies": "", "entities": [], "requests": []});
    [
        ("assert_subject", client.post("/v1/decide", &asked)),
        ("simulate", client.post("/v1/policies/simulate", &simulation)),
        ("claim", client.post("/v1/claims", &json!({"key": "k", "ttl_seconds": 600}))),
        ("read_decisions", client.get("/v1/decisions")),
        ("read_decisions", client.get("/v1/decisions/dec_01970000000070008000000000000000")),
        ("read_metrics", client.get("/metrics")),
        ("read_readiness", client.get("/readyz?details=true")),
    ]
}

/// The records that hold this reason.
fn records_with(server: &Server, reason: &str) -> Vec<Value> {
    log_records(server.data()).into_iter().filter(|record| holds_string(record, reason)).collect()
}

#[test]
fn a_missing_right_is_named_and_is_an_event_of_its_caller() {
    let server = Server::with(records());
    let (id, key) = create_key(server.data(), &[], &["*"]);
    for (right, answer) in calls(&server.with_key(Some(&key))) {
        let answer = answer.expect_status(403);
        assert_eq!(answer.problem(), "right_missing", "{right}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(right), "{}", answer.text());
    }
    let events: Vec<Value> =
        log_records(server.data()).into_iter().filter(|record| holds_string(record, &id)).collect();
    for right in ["assert_subject", "simulate", "claim", "read_decisions", "read_metrics", "read_readiness"] {
        let of_right: Vec<_> = events.iter().filter(|event| holds_string(event, right)).collect();
        let wanted = if right == "read_decisions" { 2 } else { 1 };
        assert_eq!(of_right.len(), wanted, "{right}: {events:?}");
        for event in of_right {
            assert!(holds_string(event, "deny") && !holds_string(event, "allow"), "{event}");
            assert!(!event.to_string().contains("dec_"), "an event and no decision: {event}");
        }
    }
    assert_eq!(metric(&server, "portcullis_refused_total"), 7.0);
    let _ = verify(server.data()).expect_status(0);
}

#[test]
fn a_batch_without_the_right_is_refused_whole() {
    let server = Server::with(records());
    let client = server.with_key(Some(&limited_key(&server, &[]))).clone();
    let items = json!({"evaluations": vec![question("alice", "read", "record-1"); 3]});
    assert_eq!(client.post("/v1/decide", &items).expect_status(403).problem(), "right_missing");
    let answer = client.post("/access/v1/evaluations", &items).expect_status(403);
    assert!(answer.text().contains("assert_subject"), "{}", answer.text());
    assert!(!answer.text().contains("\"decision\""), "{}", answer.text());
    assert_eq!(records_with(&server, "right_missing:assert_subject").len(), 2);
}

#[test]
fn the_description_of_the_api_takes_a_key_and_no_right() {
    let server = Server::with(records());
    let _ = server.with_key(Some(&limited_key(&server, &[]))).get("/openapi.json").expect_status(200);
    let _ = server.with_key(None).get("/openapi.json").expect_status(401);
}

#[test]
fn calls_without_a_known_key_are_counted_all_and_recorded_a_few_a_second() {
    const CALLS: u32 = 400;
    let server = Server::with(records());
    let unknown = format!("pcc_{}", "0".repeat(64));
    let unknown = Client::keeping_alive(server.base(), Some(&unknown));
    let missing = Client::keeping_alive(server.base(), None);
    let begun = Instant::now();
    for _ in 0..CALLS / 2 {
        assert_eq!(unknown.get("/v1/decisions").expect_status(401).problem(), "caller_key_invalid");
        assert_eq!(missing.get("/v1/decisions").expect_status(401).problem(), "caller_key_missing");
    }
    let seconds = begun.elapsed().as_secs() + 2;
    let counted = metric(&server, "portcullis_unauthenticated_total");
    assert_eq!(counted, f64::from(CALLS));
    let kept = ["caller_key_invalid", "caller_key_missing"].map(|reason| records_with(&server, reason).len());
    assert!(kept.iter().all(|kept| *kept > 0), "{kept:?}");
    let kept = kept[0] + kept[1];
    let most = usize::try_from(seconds).unwrap() * 10;
    assert!(kept >= 10 && kept <= most, "{kept} events of {CALLS} calls, at most {most}");
    assert!(most < 400, "too slow to show anything: {seconds} s");
    // Later ones are recorded again.
    let more = || {
        let _ = missing.get("/v1/decisions").expect_status(401);
        let now = records_with(&server, "caller_key_invalid").len();
        (records_with(&server, "caller_key_missing").len() + now > kept).then_some(())
    };
    assert!(eventually(Duration::from_secs(3), more).is_some(), "no event any more");
    let _ = verify(server.data()).expect_status(0);
}

#[test]
fn no_event_holds_a_key() {
    let server = Server::with(records());
    let (_, key) = create_key(server.data(), &[], &["*"]);
    let presented = format!("pcc_{}", "a1".repeat(32));
    for key in [&key, &presented] {
        let answer = server.with_key(Some(key)).get("/v1/decisions");
        assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
        let secret = key.strip_prefix("pcc_").unwrap();
        assert!(!log_records(server.data()).iter().any(|record| record.to_string().contains(secret)));
        assert!(!server.stderr().contains(secret) && !answer.text().contains(secret));
    }
}

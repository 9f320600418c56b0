//! `[limits]`: what is too large is refused with the limit's name, as it is configured.

use std::time::{Duration, Instant};

use portcullis_tests::{Answer, Server};
use serde_json::{Value, json};

use crate::fixtures::{question, records, single_pack};

const BATCHES: [&str; 2] = ["/v1/decide", "/access/v1/evaluations"];

/// A batch of `items` empty items, whose defaults have a context of so many bytes.
fn batch(items: usize, context_bytes: usize) -> Value {
    let mut batch = question("alice", "read", "record-1");
    batch["context"] = json!({"text": "x".repeat(context_bytes)});
    batch["evaluations"] = json!(vec![json!({}); items]);
    batch
}

#[track_caller]
fn refused(answer: &Answer, path: &str, code: &str, limit: &str) {
    assert_eq!(answer.status, 413, "{path}: {}", answer.text());
    if path == "/v1/decide" {
        assert_eq!(answer.problem(), code);
    }
    assert!(answer.text().contains(limit), "{path}: no `{limit}`: {}", answer.text());
}

#[track_caller]
fn all_allowed(answer: Answer, items: usize) {
    let answer = answer.expect_status(200).json();
    let answers = answer["evaluations"].as_array().expect("a batch").clone();
    assert_eq!(answers.len(), items);
    assert!(answers.iter().all(|one| one["decision"] == json!(true)), "{}", answers[0]);
}

#[test]
fn a_thousand_items_with_a_large_default_are_refused_by_what_they_would_become() {
    let server = Server::with(records());
    for path in BATCHES {
        let begun = Instant::now();
        refused(&server.post(path, &batch(1_000, 900_000)), path, "batch_too_large", "limits.batch_bytes");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // 900 KB a thousand times would be most of a gigabyte.
    let peak = server.peak_memory_bytes();
    assert!(peak < 200 << 20, "{peak} bytes");
    let _ = server.get("/healthz").expect_status(200);
}

#[test]
fn what_fits_once_its_defaults_are_laid_in_is_answered() {
    let server = Server::with(records());
    for path in BATCHES {
        all_allowed(server.post(path, &batch(17, 900_000)), 17);
        refused(&server.post(path, &batch(19, 900_000)), path, "batch_too_large", "limits.batch_bytes");
    }
}

#[test]
fn an_items_own_parts_count_instead_of_the_defaults() {
    let server = Server::with(records());
    let mut asked = batch(100, 900_000);
    for item in asked["evaluations"].as_array_mut().unwrap() {
        item["context"] = json!({});
    }
    for path in BATCHES {
        all_allowed(server.post(path, &asked), 100);
    }
}

#[test]
fn a_default_subject_counts_as_a_default_context_does() {
    let mut asked = batch(1_000, 0);
    asked["subject"]["properties"] = json!({"text": "x".repeat(900_000)});
    for path in BATCHES {
        let answer = single_pack().post(path, &asked);
        refused(&answer, path, "batch_too_large", "limits.batch_bytes");
    }
}

#[test]
fn configured_limits_of_a_batch_are_honoured_and_named() {
    let server =
        Server::builder().pack(records()).config("[limits]\nbatch_items = 3\nbatch_bytes = 5000\n").start();
    for path in BATCHES {
        all_allowed(server.post(path, &batch(3, 100)), 3);
        let answer = server.post(path, &batch(4, 100));
        refused(&answer, path, "batch_too_large", "limits.batch_items");
        assert!(answer.text().contains("at most 3"), "{}", answer.text());
        let answer = server.post(path, &batch(3, 2_000));
        refused(&answer, path, "batch_too_large", "limits.batch_bytes");
        assert!(answer.text().contains("5000"), "{}", answer.text());
        all_allowed(server.post(path, &batch(2, 2_000)), 2);
    }
}

#[test]
fn a_configured_limit_of_a_body_is_honoured_to_the_byte_and_named() {
    let server = Server::builder().pack(records()).config("[limits]\nbody_bytes = 1000\n").start();
    let fill = |bytes: usize| {
        let body = question("alice", "read", "record-1").to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    for path in ["/v1/decide", "/access/v1/evaluation"] {
        let _ = server.post_bytes(path, fill(1_000)).expect_status(200);
        let answer = server.post_bytes(path, fill(1_001));
        refused(&answer, path, "body_too_large", "limits.body_bytes");
        assert!(answer.text().contains("1000"), "{}", answer.text());
    }
}

#[test]
fn a_body_without_a_length_is_held_to_the_limit_too() {
    let server = Server::builder().pack(records()).config("[limits]\nbody_bytes = 1000\n").start();
    let body = question("alice", "read", "record-1").to_string();
    let send = |padding: usize| {
        let body = format!("{body}{}", " ".repeat(padding));
        let head = format!(
            "POST /v1/decide HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            server.key().unwrap()
        );
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        portcullis_tests::raw(server.base(), (head + &chunked).as_bytes())
    };
    assert_eq!(send(0).status(), Some(200));
    let answer = send(2_000);
    assert_eq!(answer.status(), Some(413), "{}", answer.text());
    assert!(answer.text().contains("body_too_large"), "{}", answer.text());
}

#[test]
fn a_limit_can_be_raised() {
    let config = "[limits]\nbody_bytes = 8000000\nbatch_items = 2000\nnesting = 100\n";
    let server = Server::builder().pack(records()).config(config).start();
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"text": "x".repeat(6_000_000)});
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["decision"], json!(true), "{answer}");
    all_allowed(server.post("/v1/decide", &batch(2_000, 10)), 2_000);
    let deep = (0..90).fold(json!(1), |inner, _| json!([inner]));
    asked["context"] = json!({"deep": deep});
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["decision"], json!(true), "{answer}");
}

#[test]
fn a_configured_nesting_is_honoured_and_named() {
    let server = Server::builder().pack(records()).config("[limits]\nnesting = 4\n").start();
    let mut asked = question("alice", "read", "record-1");
    // The body and its context are the first two levels.
    asked["context"] = json!({"a": {"b": {}}});
    let _ = server.post("/v1/decide", &asked).expect_status(200);
    asked["context"] = json!({"a": {"b": {"c": {}}}});
    let answer = server.post("/v1/decide", &asked).expect_status(400);
    assert_eq!(answer.problem(), "nesting_too_deep");
    assert!(answer.text().contains("limits.nesting") && answer.text().contains('4'), "{}", answer.text());
}

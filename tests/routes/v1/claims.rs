//! `POST /v1/claims`: one claimant a key and tenant, whatever is sent.

use std::time::Duration;

use portcullis_tests::{Answer, Client, Server};
use serde_json::{Value, json};

use crate::assertions::{members, names};
use crate::fixtures::{create_key_with, limited_key, now, records};

const PATH: &str = "/v1/claims";

fn claim(client: &Client, body: &Value) -> bool {
    let answer = client.post(PATH, body).expect_status(200).json();
    let claimed = answer["claimed"].as_bool().expect("a boolean");
    assert_eq!(answer.get("claimed_until").is_some(), claimed, "{answer}");
    claimed
}

fn refused(answer: Answer) -> String {
    answer.expect_status(400).problem()
}

#[test]
fn the_first_call_claims_and_no_other() {
    let server = Server::with(records());
    let before = now();
    let answer = server.post(PATH, &json!({"key": "link-1", "ttl_seconds": 600})).expect_status(200).json();
    assert_eq!(members(&answer), names(["claimed", "claimed_until"]));
    assert_eq!(answer["claimed"], json!(true));
    assert!(answer["claimed_until"].as_str().unwrap() > before.as_str(), "{answer}");
    for _ in 0..3 {
        let answer = server.post(PATH, &json!({"key": "link-1", "ttl_seconds": 1})).expect_status(200).json();
        assert_eq!(answer, json!({"claimed": false}));
    }
    assert!(claim(&server, &json!({"key": "link-2", "ttl_seconds": 600})));
}

#[test]
fn a_claimant_is_told_again_that_it_is_its_own() {
    let server = Server::with(records());
    let of = |who: &str| json!({"key": "k", "ttl_seconds": 600, "claimant": who});
    let first = server.post(PATH, &of("job 7")).expect_status(200).json();
    let again = server.post(PATH, &of("job 7")).expect_status(200).json();
    assert_eq!(first, again, "the same end too");
    assert!(!claim(&server, &of("job 70")));
    assert!(!claim(&server, &json!({"key": "k", "ttl_seconds": 600})));
}

#[test]
fn a_key_is_free_again_when_its_time_is_over() {
    let server = Server::with(records());
    assert!(claim(&server, &json!({"key": "k", "ttl_seconds": 1})));
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(claim(&server, &json!({"key": "k", "ttl_seconds": 600})));
}

#[test]
fn the_same_key_of_another_tenant_is_another_key() {
    let server = Server::with(records());
    let tenant = |name: &str| {
        let (_, key) = create_key_with(server.data(), &["claim"], &["*"], &["--tenant", name]);
        server.with_key(Some(&key))
    };
    let (red, blue) = (tenant("red"), tenant("blue"));
    let body = json!({"key": "k", "ttl_seconds": 600, "claimant": "one"});
    assert!(claim(&red, &body) && claim(&blue, &body) && claim(&server, &body));
    let other = json!({"key": "k", "ttl_seconds": 600, "claimant": "two"});
    assert!(!claim(&red, &other) && !claim(&blue, &other) && !claim(&server, &other));
    // Nor can a key reach into another tenant's.
    assert!(claim(&red, &json!({"key": "blue/k2", "ttl_seconds": 600})));
    assert!(claim(&blue, &json!({"key": "k2", "ttl_seconds": 600})));
}

#[test]
fn it_takes_a_key_and_its_right() {
    let server = Server::with(records());
    let body = json!({"key": "k", "ttl_seconds": 600});
    assert_eq!(server.with_key(None).post(PATH, &body).expect_status(401).problem(), "caller_key_missing");
    for rights in [&["manage"][..], &["assert_subject", "simulate"], &[]] {
        let client = server.with_key(Some(&limited_key(&server, rights)));
        assert_eq!(client.post(PATH, &body).expect_status(403).problem(), "right_missing");
    }
    let client = server.with_key(Some(&limited_key(&server, &["claim"])));
    assert!(claim(&client, &body), "what was refused claimed nothing");
}

#[test]
fn hostile_input_is_refused_and_claims_nothing() {
    let server = Server::with(records());
    let fits = json!({"key": "k", "ttl_seconds": 600});
    let with = |name: &str, value: Value| {
        let mut body = fits.clone();
        body[name] = value;
        body
    };
    for body in [
        with("key", json!("")),
        with("key", json!("x".repeat(513))),
        with("key", json!("x".repeat(500_000))),
        with("key", json!("a\u{0}b")),
        with("key", json!(7)),
        with("key", Value::Null),
        with("ttl_seconds", json!(0)),
        with("ttl_seconds", json!(-1)),
        with("ttl_seconds", json!(1.5)),
        with("ttl_seconds", json!(2_592_001)),
        with("ttl_seconds", json!(u64::MAX)),
        with("ttl_seconds", json!("600")),
        with("claimant", json!("")),
        with("claimant", json!("x".repeat(513))),
        with("claimant", json!("a\u{0}b")),
        with("claimant", json!({})),
        with("tenant", json!("other")),
        json!({"key": "k"}),
        json!({"ttl_seconds": 600}),
        json!([]),
    ] {
        assert_eq!(refused(server.post(PATH, &body)), "invalid_request", "{body}");
    }
    let twice = br#"{"key": "k", "key": "l", "ttl_seconds": 600}"#;
    assert_eq!(refused(server.post_bytes(PATH, *twice)), "malformed_json");
    for key in ["k", "l", "{k}", "}", "a/../b", "\u{1f511}\r\n", &"x".repeat(512)] {
        assert!(claim(&server, &with("key", json!(key))), "{key}");
    }
    assert!(claim(&server, &json!({"key": "longest", "ttl_seconds": 2_592_000})));
}

#[test]
fn a_claim_survives_kill_9() {
    let mut server = Server::with(records());
    let body = |round: usize| json!({"key": format!("k{round}"), "ttl_seconds": 600});
    for round in 0..20 {
        assert!(claim(&server, &body(round)));
    }
    server.kill();
    server.restart();
    for round in 0..20 {
        assert!(!claim(&server, &body(round)), "k{round} was won twice");
    }
}

#[test]
fn of_many_at_once_one_claims() {
    let server = Server::with(records());
    for round in 0..20 {
        let body = json!({"key": format!("k{round}"), "ttl_seconds": 600});
        let won = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| claim(&server, &body))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1, "round {round}");
    }
}

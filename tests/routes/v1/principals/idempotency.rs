//! What is sent twice is done once; what two send at once is done by one.

use portcullis_tests::{Answer, Client};
use serde_json::{Value, json};

use crate::directory::{at, client, delete, get, post, put, server, shared};

fn keyed(client: &Client, key: &str, body: &Value) -> Answer {
    let request = client.request("POST", &at("/v1/principals")).header("content-type", "application/json");
    request.header("idempotency-key", key).body(body.to_string()).send()
}

#[test]
fn the_same_key_is_answered_as_before() {
    let server = shared();
    let body = json!({"id": "again", "attributes": {"level": 1}});
    let first = keyed(server, "key-1", &body).expect_status(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let second = keyed(server, "key-1", &body).expect_status(201);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.json(), first.json());
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(second.header("location"), first.header("location"));
    // Also when it is gone: the answer is about the call.
    let _ = delete(server, "/v1/principals/again").expect_status(200);
    assert_eq!(keyed(server, "key-1", &body).expect_status(201).json(), first.json());
    let _ = get(server, "/v1/principals/again").expect_status(404);
    let other = keyed(server, "key-1", &json!({"id": "again-2"})).expect_status(409);
    assert_eq!(other.problem(), "idempotency_key_reused");
    // Another caller's key is another key.
    let theirs = client(server, "default", &["manage"]);
    assert_eq!(
        keyed(&theirs, "key-1", &json!({"id": "again-2"})).expect_status(201).json()["id"],
        json!("again-2")
    );
}

#[test]
fn a_refused_call_keeps_nothing() {
    let server = shared();
    let refused = keyed(server, "key-2", &json!({"id": "kept", "groups": ["nobody"]})).expect_status(400);
    assert_eq!(refused.problem(), "unknown_reference");
    let _ = keyed(server, "key-2", &json!({"id": "kept"})).expect_status(201);
}

#[test]
fn what_is_no_key_is_refused() {
    let server = shared();
    let long = "k".repeat(256);
    for key in ["", "a b", "é", long.as_str()] {
        let refused = keyed(server, key, &json!({"id": "keyless"})).expect_status(400);
        assert_eq!(refused.problem(), "invalid_request", "{key:?}");
    }
    let request = server.request("POST", &at("/v1/principals")).header("content-type", "application/json");
    let twice = request.header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(
        twice.body(json!({"id": "keyless"}).to_string()).send().expect_status(400).problem(),
        "invalid_request"
    );
    let _ = get(server, "/v1/principals/keyless").expect_status(404);
}

/// What so many clients at once are answered.
fn at_once(count: usize, send: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                scope.spawn({
                    let send = &send;
                    move || send(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn one_key_sent_by_many_at_once_makes_one() {
    let server = server();
    for round in 0..5 {
        let body = json!({"id": format!("parallel-{round}")});
        let key = format!("parallel-{round}");
        let answers = at_once(8, |_| keyed(&server, &key, &body));
        let made: Vec<Value> = answers.into_iter().map(|answer| answer.expect_status(201).json()).collect();
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
        let read = get(&server, &format!("/v1/principals/parallel-{round}")).expect_status(200).json();
        assert_eq!(read["version"], made[0]["version"]);
    }
}

#[test]
fn of_two_administrators_who_edit_one_principal_one_is_told() {
    let server = server();
    let made = post(&server, "/v1/principals", json!({"id": "edited"})).expect_status(201);
    let mut tag = made.header("etag").unwrap().to_owned();
    for round in 0..5_i64 {
        let answers = at_once(4, |n| {
            let level = round * 10 + i64::try_from(n).unwrap();
            let body = json!({"attributes": {"level": level}});
            put(&server, "/v1/principals/edited", Some(("if-match", &tag)), body)
        });
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((lost.status, lost.problem().as_str()), (412, "version_differs"), "{}", lost.text());
        }
        tag = won[0].header("etag").unwrap().to_owned();
        let read = get(&server, "/v1/principals/edited").expect_status(200);
        assert_eq!(read.header("etag"), Some(tag.as_str()));
        assert_eq!(read.json()["attributes"], won[0].json()["attributes"]);
    }
}

#[test]
fn of_many_who_make_one_principal_one_does() {
    let server = server();
    let answers = at_once(8, |n| {
        let kind = ["user", "service", "device"][n % 3];
        post(&server, "/v1/principals", json!({"id": "contended", "type": kind}))
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.problem() == "already_exists"));
}

#[test]
fn conditions_that_can_not_be_met_are_refused() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "conditional"})).expect_status(201);
    for condition in [("if-match", "7"), ("if-match", "\"x\""), ("if-match", ""), ("if-none-match", "\"7\"")]
    {
        let refused =
            put(server, "/v1/principals/conditional", Some(condition), json!({})).expect_status(400);
        assert_eq!(refused.problem(), "invalid_request", "{condition:?}");
    }
    let weak = put(server, "/v1/principals/conditional", Some(("if-match", "W/\"7\"")), json!({}));
    assert_eq!(weak.expect_status(400).problem(), "invalid_request");
    let both =
        server.request("PUT", &at("/v1/principals/conditional")).header("content-type", "application/json");
    let both = both.header("if-match", "*").header("if-none-match", "*").body("{}").send();
    assert_eq!(both.expect_status(400).problem(), "invalid_request");
}

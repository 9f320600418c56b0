//! `POST /v1/sign`: which key, which message, and whose decision.

use portcullis_tests::{Client, Server};
use serde_json::{Value, json};

use super::mask::{decide, events, pack};
use crate::fixtures::limited_key;

const PATH: &str = "/v1/sign";

fn body(decision_id: &str) -> Value {
    json!({"decision_id": decision_id, "message": {"bytes_base64": "aGVsbG8="}})
}

fn refused(client: &Client, body: &Value, status: u16) -> String {
    client.post(PATH, body).expect_status(status).problem()
}

#[test]
fn only_a_decision_that_obliges_to_it_and_its_own_keys_count() {
    let server = Server::with(pack());
    assert_eq!(refused(&server, &body(&decide(&server, "read")), 403), "no_sign_obligation");
    assert_eq!(refused(&server, &body(&decide(&server, "delete")), 403), "decision_denied");
    let id = decide(&server, "send");
    let with_key = |id: &str, key: &str| {
        let mut body = body(id);
        body["key"] = json!(key);
        body
    };
    for key in ["other", "Partner", "", "partner\u{0}"] {
        assert_eq!(refused(&server, &with_key(&id, key), 403), "no_sign_obligation", "{key}");
    }
    let by_two = decide(&server, "forward");
    assert_eq!(refused(&server, &body(&by_two), 400), "key_required");
    let stranger = server.with_key(Some(&limited_key(&server, &["manage", "assert_subject"])));
    assert_eq!(refused(&stranger, &body(&id), 404), "not_found");
    assert_eq!(refused(&server.with_key(None), &body(&id), 401), "caller_key_missing");
    // Nothing can sign here.
    assert_eq!(refused(&server, &body(&id), 503), "no_sign_plugin");
    assert_eq!(refused(&server, &with_key(&by_two, "other"), 503), "no_sign_plugin");
    let last = events(&server, "sign").pop().unwrap();
    assert_eq!(last["event"]["unmapped"]["context"]["key"], json!("other"), "{last}");
    assert_eq!(last["event"]["resources"][0]["uid"], json!(by_two), "{last}");
}

#[test]
fn a_message_is_bytes_or_a_request() {
    let server = Server::with(pack());
    let id = decide(&server, "send");
    let request = json!({"method": "POST", "target_uri": "https://partner.example/orders"});
    let with = |name: &str, value: Value| {
        let mut message = request.clone();
        message[name] = value;
        message
    };
    for message in [
        json!({}),
        json!([]),
        json!({"bytes_base64": "%%"}),
        json!({"bytes_base64": "aGVsbG8=", "method": "GET"}),
        json!({"method": "POST"}),
        with("method", json!("GET /\r\n")),
        with("target_uri", json!("/orders")),
        with("target_uri", json!("https://a\r\nx: y")),
        with("headers", json!("a: b")),
        with("headers", json!({"a": "b\r\nc: d"})),
        with("headers", json!([["a"]])),
        with("headers", json!({"a b": "c"})),
        with("body_base64", json!("!")),
        with("bodies", json!("x")),
        json!({"method": "POST", "target_uri": "https://a", "body_text": "x", "body": {}}),
    ] {
        let body = json!({"decision_id": id, "message": message});
        assert_eq!(refused(&server, &body, 400), "invalid_request", "{message}");
    }
    let twice = format!(
        r#"{{"decision_id":"{id}","message":{{"method":"GET","target_uri":"https://a","headers":{{"a":"1","a":"2"}}}}}}"#
    );
    assert_eq!(server.post_bytes(PATH, twice).expect_status(400).problem(), "malformed_json");
    for message in [
        request.clone(),
        with("headers", json!({"Content-Type": "text/plain"})),
        with("headers", json!([["a", "1"], ["a", "2"]])),
        with("body", json!({"x": 1})),
        with("body_text", json!("x")),
        with("body_base64", json!("aGVsbG8=")),
    ] {
        let body = json!({"decision_id": id, "message": message});
        assert_eq!(refused(&server, &body, 503), "no_sign_plugin", "{message}");
    }
}

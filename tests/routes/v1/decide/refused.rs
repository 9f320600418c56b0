//! What `POST /v1/decide` refuses.

use serde_json::{Value, json};

use super::{PATH, asked, send, with};
use crate::fixtures::native;

#[track_caller]
fn refused(question: &Value, code: &str) -> String {
    let answer = send(question).expect_status(400);
    assert_eq!(answer.problem(), code, "asked: {question}; answer: {}", answer.text());
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_field_is_named() {
    for field in ["subject", "action", "resource"] {
        let mut question = asked("read");
        question.as_object_mut().unwrap().remove(field);
        let detail = refused(&question, "invalid_request");
        assert!(detail.contains(field), "{detail}");
    }
    for (part, field) in [("subject", "id"), ("subject", "type"), ("action", "name"), ("resource", "id")] {
        let mut question = asked("read");
        question[part].as_object_mut().unwrap().remove(field);
        let detail = refused(&question, "invalid_request");
        assert!(detail.contains(field), "{detail}");
    }
}

#[test]
fn an_unknown_field_is_named() {
    let detail = refused(&with(asked("read"), "surprise", json!(1)), "invalid_request");
    assert!(detail.contains("surprise"), "{detail}");
    for part in ["subject", "action", "resource"] {
        let mut question = asked("read");
        question[part]["surprise"] = json!(1);
        let detail = refused(&question, "invalid_request");
        assert!(detail.contains("surprise"), "{detail}");
    }
    let http = json!({"method": "GET", "path": "/", "surprise": 1});
    let detail = refused(&with(asked("read"), "http", http), "invalid_request");
    assert!(detail.contains("surprise"), "{detail}");
}

#[test]
fn wrong_types_are_named() {
    for (field, wrong) in [
        ("subject", json!("alice")),
        ("action", json!(["read"])),
        ("resource", json!(1)),
        ("context", json!([])),
        ("context", json!("x")),
        ("pack", json!(1)),
        ("understands", json!("mask")),
        ("understands", json!([1])),
        ("at_least_revision", json!("0")),
        ("at_least_revision", json!(-1)),
        ("at_least_revision", json!(1.5)),
        ("http", json!("GET /")),
        ("explain", json!("yes")),
        ("evaluations", json!({})),
        ("options", json!(1)),
    ] {
        let detail = refused(&with(asked("read"), field, wrong), "invalid_request");
        assert!(detail.contains(field), "{field}: {detail}");
    }
}

#[test]
fn the_http_request_needs_a_method_and_a_path() {
    for http in [json!({}), json!({"method": "GET"}), json!({"path": "/"})] {
        refused(&with(asked("read"), "http", http), "invalid_request");
    }
    let http = json!({"method": "GET", "path": "/", "headers": {"a": 1}});
    refused(&with(asked("read"), "http", http), "invalid_request");
}

#[test]
fn a_context_with_what_was_verified_is_refused() {
    for verified in [json!({"assurance": {"aal": 3}}), json!(null), json!(1)] {
        let question = with(asked("read"), "context", json!({"verified": verified}));
        refused(&question, "context_verified_reserved");
    }
    // Only the context's own member is reserved.
    let deeper = with(asked("read"), "context", json!({"inner": {"verified": true}}));
    send(&deeper).expect_status(200).json();
}

#[test]
fn a_credential_is_refused_for_now() {
    let mut question = asked("read");
    question.as_object_mut().unwrap().remove("subject");
    question["credential"] = json!({"type": "api_key", "value": "pck_x"});
    refused(&question, "credential_unsupported");
}

#[test]
fn what_is_not_json_is_refused() {
    let text = asked("read").to_string();
    let twice = text.replacen('{', "{\"explain\":true,\"explain\":true,", 1);
    let inside = text.replacen("\"id\":\"alice\"", "\"id\":\"bob\",\"id\":\"alice\"", 1);
    assert_ne!(inside, text);
    let trailing = text.trim_end_matches('}').to_owned() + "},}";
    let in_context = text.replacen('{', "{\"context\":{\"a\":{\"b\":1,\"b\":2}},", 1);
    for body in ["", " ", "{", "{]", "nul", &trailing, &twice, &inside, &in_context, "\u{feff}{}"] {
        let answer = native().post_bytes(PATH, body).expect_status(400);
        assert_eq!(answer.problem(), "malformed_json", "{body}");
    }
    for body in [&b"{\"subject\": \"\xff\"}"[..], b"\xff\xfe{\0}\0", b"\xc0\x80", b"{\"pack\": \"\\ud800\"}"]
    {
        let answer = native().post_bytes(PATH, body).expect_status(400);
        assert_eq!(answer.problem(), "malformed_json", "{body:?}");
    }
}

#[test]
fn what_is_json_but_no_object_is_refused() {
    for body in ["[]", "1", "null", "\"x\""] {
        let answer = native().post_bytes(PATH, body).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{body}");
    }
}

#[test]
fn more_than_32_levels_are_refused() {
    let nested = |levels: usize| {
        let mut value = json!(1);
        for _ in 0..levels {
            value = json!({"a": value});
        }
        value
    };
    // The question and its context are two levels themselves.
    send(&with(asked("read"), "context", nested(31))).expect_status(200).json();
    refused(&with(asked("read"), "context", nested(32)), "nesting_too_deep");
    refused(&with(asked("read"), "context", nested(64)), "nesting_too_deep");
    let brackets = "[".repeat(200_000);
    let body = asked("read").to_string().replacen('{', &format!("{{\"context\":{{\"a\":{brackets}"), 1);
    let answer = native().post_bytes(PATH, body).expect_status(400);
    assert_eq!(answer.problem(), "nesting_too_deep");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let question = with(asked("read"), "context", json!({"text": "x".repeat(2 * 1024 * 1024)}));
    let answer = native().post_refusable(PATH, question.to_string().as_bytes()).expect_status(413);
    assert_eq!(answer.problem(), "body_too_large");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("1048576"), "the limit is not named: {detail}");
    let question = with(asked("read"), "context", json!({"text": "x".repeat(900_000)}));
    send(&question).expect_status(200).json();
}

#[test]
fn another_content_type_is_refused() {
    for kind in ["text/plain", "application/xml", "application/problem+json"] {
        let answer = native()
            .request("POST", PATH)
            .header("content-type", kind)
            .body(asked("read").to_string())
            .send()
            .expect_status(415);
        assert_eq!(answer.problem(), "unsupported_media_type");
    }
    let answer = native().request("POST", PATH).body(asked("read").to_string()).send();
    assert_eq!(answer.expect_status(415).problem(), "unsupported_media_type");
}

#[test]
fn a_question_without_a_key_is_refused() {
    let missing = native().with_key(None).post(PATH, &asked("read")).expect_status(401);
    assert_eq!(missing.problem(), "caller_key_missing");
    for key in ["pcc_unknown", "pck_unknown", "x"] {
        let invalid = native().with_key(Some(key)).post(PATH, &asked("read")).expect_status(401);
        assert_eq!(invalid.problem(), "caller_key_invalid", "{key}");
    }
}

#[test]
fn another_method_is_refused() {
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = native().request(method, PATH);
        let request = if ["PUT", "PATCH"].contains(&method) { request.body("{}") } else { request };
        let answer = request.send().expect_status(405);
        assert_eq!(answer.problem(), "method_not_allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{method}");
    }
}

#[test]
fn an_unknown_path_is_not_found() {
    for path in
        ["/", "/v1", "/v1/", "/v1/decide/", "/v1/unknown", "/V1/decide", "/v1//decide", "/%00", "/..%2f"]
    {
        let answer = native().get(path).expect_status(404);
        assert_eq!(answer.problem(), "not_found", "{path}");
    }
}

#[test]
fn an_answer_that_comes_before_the_body_says_if_the_connection_ends() {
    // A client that keeps connections alive would else send its next request into a closed one.
    let head = "POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    let answer = portcullis_tests::raw(native().base(), head.as_bytes());
    assert_eq!(answer.status(), Some(401), "{}", answer.text());
    let says = answer.text().to_lowercase().contains("connection: close");
    assert_eq!(says, answer.closed, "{}", answer.text());
}

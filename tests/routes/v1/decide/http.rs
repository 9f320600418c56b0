//! `http` of `POST /v1/decide`: how it is read, validated by its route, shown to policies and recorded.

use std::sync::OnceLock;

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use crate::assertions::{members, names};
use crate::fixtures::{metric, question};

pub(super) const POLICIES: &str = r#"
@id("open")
permit(principal, action == Action::"open", resource);

@id("looked-at")
permit(principal, action == Action::"looked-at", resource)
when { context.verified has findings && context.verified.findings.count == 0 && !(context.verified has risk) };

@id("calm")
permit(principal, action == Action::"calm", resource)
when { context.verified has risk && context.verified.risk.score < 30 };

@id("alarmed")
permit(principal, action == Action::"alarmed", resource)
when { context.verified has risk && context.verified.risk.reasons.contains("http-tool") &&
       context.verified.findings.rules.contains("http-tool") && context.verified.findings.highest == 50 };

@id("echoed")
permit(principal, action == Action::"echoed", resource)
when { context.verified has findings && context.verified.findings.plugins == ["echo"] };
"#;

const CONFIG: &str = r#"
[[validate.routes]]
method = "POST"
path = "/orders"
body_schema = { type = "object", required = ["id"], properties = { id = { type = "integer" } } }
query_schema = { type = "object", properties = { page = { pattern = "^[0-9]+$" } } }

[[validate.routes]]
method = "GET"
path = "/plain"
"#;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::builder().pack(Pack::new("web").cedar(POLICIES)).config(CONFIG).start())
}

pub(super) fn reported(action: &str, http: Value) -> Value {
    let mut asked = question("alice", action, "record-1");
    asked["http"] = http;
    asked
}

#[track_caller]
fn ask(action: &str, http: Value) -> Value {
    server().post("/v1/decide", &reported(action, http)).expect_status(200).json()
}

fn order(body: Value) -> Value {
    json!({"method": "POST", "path": "/orders", "body": body})
}

#[test]
fn what_fits_its_route_goes_on_and_policies_see_that_it_was_looked_at() {
    let answer = ask("looked-at", order(json!({"id": 1})));
    assert_eq!(answer["reasons"], json!(["looked-at"]), "{answer}");
    let expected = ["decision", "outcome", "decision_id", "revision", "reasons", "obligations"];
    assert_eq!(members(&answer), names(expected));
}

#[test]
fn what_nothing_looks_at_is_absent_in_what_was_verified() {
    let known = ask("looked-at", json!({"method": "GET", "path": "/plain"}));
    assert_eq!(known["reasons"], json!(["no_permit"]), "{known}");
    let asked = question("alice", "looked-at", "record-1");
    let without = server().post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(without["reasons"], json!(["no_permit"]), "{without}");
    let authzen = server().post("/access/v1/evaluation", &question("alice", "open", "record-1"));
    assert_eq!(authzen.expect_status(200).json(), json!({"decision": true}));
}

#[test]
fn what_does_not_fit_is_denied_with_places_and_without_values() {
    let mut http = order(json!({"id": "hunter2"}));
    http["query"] = json!("page=hunter3");
    let answer = ask("open", http);
    assert_eq!((&answer["decision"], &answer["reasons"]), (&json!(false), &json!(["request_invalid"])));
    let findings = answer["findings"].as_array().unwrap();
    let places: Vec<(&str, &str)> = findings
        .iter()
        .map(|finding| (finding["rule"].as_str().unwrap(), finding["where"].as_str().unwrap()))
        .collect();
    assert_eq!(places, [("schema.pattern", "query:page"), ("schema.type", "body:/id")]);
    assert!(findings.iter().all(|finding| finding["plugin"] == "portcullis"), "{answer}");
    assert!(!answer.to_string().contains("hunter"), "{answer}");
}

#[test]
fn a_body_can_come_in_three_forms() {
    let typed = |body: &str, value: &str, media_type: &str| {
        let mut http =
            json!({"method": "POST", "path": "/orders", "headers": [["Content-Type", media_type]]});
        http[body] = json!(value);
        ask("open", http)["reasons"].clone()
    };
    assert_eq!(typed("body_text", r#"{"id": 1}"#, "application/json"), json!(["open"]));
    assert_eq!(typed("body_base64", "eyJpZCI6IDF9", "application/vnd.order+json"), json!(["open"]));
    assert_eq!(typed("body_text", r#"{"id": 1}"#, "text/plain"), json!(["request_invalid"]));
    assert_eq!(typed("body_text", r#"{"id": 1, "id": 2}"#, "application/json"), json!(["request_invalid"]));
    assert_eq!(typed("body_text", "id=1", "application/x-www-form-urlencoded"), json!(["request_invalid"]));
    assert_eq!(
        ask("open", json!({"method": "POST", "path": "/orders"}))["reasons"],
        json!(["request_invalid"])
    );
}

#[test]
fn what_is_no_known_route_is_denied_however_it_is_written() {
    for path in [
        "/",
        "/ORDERS",
        "/orders/",
        "//orders",
        "/x/../orders",
        "/x/%2e%2e/orders",
        "/%2Forders",
        "/orders%00",
    ] {
        let answer = ask("open", json!({"method": "POST", "path": path, "body": {"id": 1}}));
        assert_eq!(answer["reasons"], json!(["route_unknown"]), "{path}: {answer}");
        assert_eq!(answer["findings"][0]["where"], json!("path"), "{path}: {answer}");
    }
    let encoded = ask("open", json!({"method": "POST", "path": "/%6Frders", "body": {"id": 1}}));
    assert_eq!(encoded["reasons"], json!(["open"]), "{encoded}");
}

#[test]
fn what_is_no_request_is_refused() {
    for http in [
        json!({"method": "GET /", "path": "/"}),
        json!({"method": "GET", "path": "/?a=b"}),
        json!({"method": "GET", "path": "/", "headers": {"a\r\nb": "c"}}),
        json!({"method": "GET", "path": "/", "headers": [["a", "b\nc"]]}),
        json!({"method": "GET", "path": "/", "headers": vec![["a", "b"]; 257]}),
        json!({"method": "GET", "path": "/", "body": 1, "body_text": "1"}),
        json!({"method": "GET", "path": "/", "body_base64": "%"}),
        json!({"method": "GET", "path": "/", "address": "nowhere"}),
    ] {
        let answer = server().post("/v1/decide", &reported("open", http.clone())).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{http}");
    }
    let text = reported("open", json!({})).to_string();
    let twice = text.replace("{}", r#"{"method": "GET", "path": "/", "body": {"a": 1, "a": 2}}"#);
    assert_eq!(server().post_bytes("/v1/decide", twice).expect_status(400).problem(), "malformed_json");
}

#[test]
fn a_batch_is_looked_at_once_and_its_items_lead_to_what_was_found() {
    let server = Server::builder().pack(Pack::new("web").cedar(POLICIES)).config(CONFIG).start();
    let mut asked = reported("open", order(json!({})));
    asked["evaluations"] = json!([{}, {"action": {"name": "looked-at"}}, {"resource": 7}]);
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    let items = answer["evaluations"].as_array().unwrap();
    let reasons: Vec<&Value> = items.iter().map(|item| &item["reasons"]).collect();
    assert_eq!(reasons, [&json!(["request_invalid"]), &json!(["request_invalid"]), &json!(["invalid_item"])]);
    assert_eq!(answer["findings"][0]["rule"], json!("schema.required"), "{answer}");
    assert!(items.iter().all(|item| item.get("findings").is_none()), "{answer}");
    let shown = |place: usize| {
        let id = items[place]["decision_id"].as_str().unwrap();
        server.get(&format!("/v1/decisions/{id}")).expect_status(200).json()
    };
    assert_eq!(shown(0)["findings"][0]["rule"], json!("schema.required"));
    assert_eq!(shown(1)["inspected_with"], items[0]["decision_id"]);
    assert!(shown(1).get("findings").is_none());
    assert_eq!(metric(&server, "portcullis_validation_requests_total{result=\"invalid\"}"), 1.0);
    assert_eq!(metric(&server, "portcullis_validation_request_share"), 1.0);
    assert_eq!(metric(&server, "portcullis_validation_route_share"), 0.5);
}

#[test]
fn a_record_has_neither_a_body_nor_credentials() {
    let mut http = order(json!({"id": 1, "note": "hunter2"}));
    http["query"] = json!("page=1&access_token=hunter2");
    http["headers"] =
        json!([["Authorization", "Bearer hunter2"], ["Cookie", "a=hunter2"], ["Accept", "text/html"]]);
    http["address"] = json!("203.0.113.7");
    let answer = ask("open", http);
    let id = answer["decision_id"].as_str().unwrap();
    let shown = server().get(&format!("/v1/decisions/{id}")).expect_status(200).json();
    assert_eq!(
        shown["http"],
        json!({
            "method": "POST", "path": "/orders", "query": "page=1&access_token=*",
            "headers": [["authorization", "*"], ["cookie", "*"], ["accept", "text/html"]],
            "body": {"form": "json", "bytes": 26}, "address": "203.0.113.7"
        })
    );
    let stages: Vec<&Value> =
        shown["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    assert_eq!(stages, ["caller", "validate", "decide", "oblige"]);
    for entry in std::fs::read_dir(server().data().join("log")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"));
    }
}

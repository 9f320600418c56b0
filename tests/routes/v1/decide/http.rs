//! `http` of `POST /v1/decide`: the application's own request, by the schemas of its route.

use std::sync::OnceLock;

use portcullis_tests::{Answer, Pack, Server};
use serde_json::{Value, json};

use crate::assertions::members;
use crate::fixtures::metric;

const POLICIES: &str = r#"
@id("any")
permit(principal, action == Action::"any", resource);

@id("inspected")
permit(principal, action == Action::"inspected", resource)
when {
  context.verified has findings && context.verified.findings.count == 0 &&
  context.verified.findings.highest == 0 && context.verified.findings.rules.isEmpty() &&
  context.verified.findings.plugins.isEmpty()
};

@id("not-inspected")
permit(principal, action == Action::"not-inspected", resource)
unless { context.verified has findings || context.verified has risk };

@id("without-risk")
permit(principal, action == Action::"without-risk", resource)
unless { context.verified has risk };
"#;

const ROUTES: &str = r#"
[[validate.routes]]
method = "POST"
path = "/orders"
query_schema = { additionalProperties = false, properties = { tag = { type = "array", items = { pattern = "^[a-z]+$" } } } }
header_schema = { required = ["idempotency-key"] }

[validate.routes.body_schema]
type = "object"
required = ["id"]
additionalProperties = false
properties = { id = { type = "integer" }, mail = { type = "string", format = "email" } }

[[validate.routes]]
method = "GET"
path = "/orders/{id}"

[[validate.routes]]
method = "POST"
path = "/form"
body_schema = { required = ["name"] }
"#;

fn pack() -> Pack {
    Pack::new("app").cedar(POLICIES)
}

/// A server where unknown routes are rejected.
fn strict() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::builder().pack(pack()).config(ROUTES).start())
}

/// The same where they pass.
fn lax() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let config = format!("[validate]\nunknown_routes = \"pass\"\n{ROUTES}");
    SERVER.get_or_init(|| Server::builder().pack(pack()).config(&config).start())
}

fn asked(action: &str, http: &Value) -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"}, "action": {"name": action},
        "resource": {"type": "shop", "id": "main"}, "http": http
    })
}

fn post(server: &Server, action: &str, http: &Value) -> Answer {
    server.post(super::PATH, &asked(action, http)).expect_status(200)
}

fn order(body: &Value) -> Value {
    json!({"method": "POST", "path": "/orders", "headers": {"Idempotency-Key": "k"}, "body": body})
}

/// Rules and places of the findings.
fn found(answer: &Value) -> Vec<String> {
    let findings = answer["findings"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = findings
        .iter()
        .map(|finding| {
            assert_eq!(finding["plugin"], "portcullis", "{finding}");
            assert_eq!(members(finding), crate::assertions::names(MEMBERS), "{finding}");
            format!("{} {}", finding["rule"].as_str().unwrap(), finding["where"].as_str().unwrap())
        })
        .collect();
    found.sort();
    found
}

const MEMBERS: [&str; 5] = ["plugin", "rule", "score", "where", "detail"];

#[track_caller]
fn denied<const N: usize>(server: &Server, http: &Value, reason: &str, places: [&str; N]) -> Value {
    let answer = post(server, "any", http).json();
    assert_eq!(answer["decision"], json!(false), "{http}: {answer}");
    assert_eq!(answer["reasons"], json!([reason]), "{http}: {answer}");
    assert_eq!(found(&answer), places, "{http}: {answer}");
    assert!(answer.get("risk").is_none(), "{answer}");
    answer
}

#[track_caller]
fn allowed(server: &Server, action: &str, http: &Value) -> Value {
    let answer = post(server, action, http).json();
    assert_eq!(answer["reasons"], json!([action]), "{http}: {answer}");
    assert!(answer.get("findings").is_none() && answer.get("risk").is_none(), "{answer}");
    answer
}

#[test]
fn what_fits_its_route_is_for_policies_to_judge() {
    allowed(strict(), "any", &order(&json!({"id": 1, "mail": "a@example.org"})));
    allowed(strict(), "inspected", &order(&json!({"id": 1})));
    allowed(strict(), "without-risk", &order(&json!({"id": 1})));
    let answer = post(strict(), "not-inspected", &order(&json!({"id": 1}))).json();
    assert_eq!(answer["reasons"], json!(["no_permit"]), "{answer}");
}

#[test]
fn what_does_not_fit_is_denied_where_it_does_not() {
    for (body, place) in [
        (json!({"id": "1"}), "schema.type body:/id"),
        (json!({"id": 1, "more": 1}), "schema.additionalProperties body:"),
        (json!({"mail": "a@example.org"}), "schema.required body:"),
        (json!({"id": 1, "mail": "no mail"}), "schema.format body:/mail"),
        (json!([]), "schema.type body:"),
        (json!(null), "schema.type body:"),
    ] {
        denied(strict(), &order(&body), "request_invalid", [place]);
    }
    let mut without = order(&json!({"id": 1}));
    without["headers"] = json!({});
    denied(strict(), &without, "request_invalid", ["schema.required request"]);
    without.as_object_mut().unwrap().remove("body");
    denied(strict(), &without, "request_invalid", ["schema.no_body body:", "schema.required request"]);
}

#[test]
fn no_finding_shows_what_was_sent() {
    let mut http = order(&json!({"id": "hunter2", "hunter2": 1, "mail": "hunter2"}));
    http["query"] = json!("tag=hunter2&tag=%68unter2&hunter2=1");
    let answer = post(strict(), "any", &http).text();
    assert!(answer.contains("request_invalid") && !answer.contains("hunter2"), "{answer}");
}

#[test]
fn a_query_is_decoded_and_what_stands_twice_is_a_list() {
    let with = |query: &str| {
        let mut http = order(&json!({"id": 1}));
        http["query"] = json!(query);
        http
    };
    allowed(strict(), "any", &with("tag=a&tag=b"));
    allowed(strict(), "any", &with("t%61g=a&tag=%62"));
    denied(strict(), &with("tag=a"), "request_invalid", ["schema.type query:tag"]);
    denied(strict(), &with("tag=a&tag=1"), "request_invalid", ["schema.pattern query:tag"]);
    denied(strict(), &with("other="), "request_invalid", ["schema.additionalProperties request"]);
}

#[test]
fn bodies_as_text_and_as_bytes_are_read_by_their_type() {
    let with = |path: &str, kind: &str, member: &str, body: &str| {
        let headers = json!([["idempotency-key", "k"], ["Content-Type", kind]]);
        let mut http = json!({"method": "POST", "path": path, "headers": headers});
        http[member] = json!(body);
        http
    };
    let json_type = "application/json";
    allowed(strict(), "inspected", &with("/orders", json_type, "body_text", r#"{"id": 1}"#));
    allowed(
        strict(),
        "inspected",
        &with("/orders", "application/json; charset=utf-8", "body_text", r#"{"id":1}"#),
    );
    allowed(strict(), "inspected", &with("/orders", json_type, "body_base64", "eyJpZCI6IDF9"));
    let form = "application/x-www-form-urlencoded";
    allowed(strict(), "inspected", &with("/form", form, "body_text", "n%61me=a"));
    let none = ["schema.no_document body:"];
    for http in [
        with("/orders", json_type, "body_text", r#"{"id": 1, "id": "x"}"#),
        with("/orders", json_type, "body_text", r#"{"id": 1"#),
        with("/orders", "text/plain", "body_text", r#"{"id": 1}"#),
        with("/orders", json_type, "body_base64", "//79"),
    ] {
        denied(strict(), &http, "request_invalid", none);
    }
}

#[test]
fn an_unknown_route_is_denied_or_passes_unseen() {
    let unknown = json!({"method": "GET", "path": "/other"});
    denied(strict(), &unknown, "route_unknown", ["route.unknown path"]);
    denied(strict(), &json!({"method": "PUT", "path": "/orders"}), "route_unknown", ["route.unknown path"]);
    allowed(lax(), "not-inspected", &unknown);
    allowed(lax(), "not-inspected", &json!({"method": "GET", "path": "/orders/1"}));
    allowed(strict(), "not-inspected", &json!({"method": "GET", "path": "/orders/1"}));
}

#[test]
fn no_spelling_of_a_path_gets_around_its_schema() {
    for path in [
        "/orders/",
        "//orders",
        "/./orders",
        "/x/../orders",
        "/x/%2e%2e/orders",
        "/orders/.",
        "/ORDERS",
        "/orders;a=b",
        "/orders%2f",
        "/%6frders/",
        "/orders%00",
        "/x%2f..%2forders",
        "/\\orders",
        "/orders%20",
        "/orders.",
        "/orders/..;/orders",
        "/%256frders",
        "orders",
    ] {
        for server in [strict(), lax()] {
            let http = json!({"method": "POST", "path": path, "body": {"id": "wrong"}});
            denied(server, &http, "route_unknown", ["route.lookalike path"]);
        }
    }
    for server in [strict(), lax()] {
        // Written in escapes, and yet the same to all.
        let mut http = order(&json!({"id": "wrong"}));
        http["path"] = json!("/%6frders");
        denied(server, &http, "request_invalid", ["schema.type body:/id"]);
    }
}

#[test]
fn a_batch_is_inspected_once_and_every_item_is_judged_by_it() {
    let item = |action: &str| json!({"action": {"name": action}});
    let ask = |http: &Value| {
        let mut batch = asked("any", http);
        batch["evaluations"] = json!([item("any"), item("inspected"), item("not-inspected")]);
        strict().post(super::PATH, &batch).expect_status(200).json()
    };
    let good = ask(&order(&json!({"id": 1})));
    let reasons: Vec<&Value> =
        good["evaluations"].as_array().unwrap().iter().map(|one| &one["reasons"]).collect();
    assert_eq!(reasons, [&json!(["any"]), &json!(["inspected"]), &json!(["no_permit"])], "{good}");
    assert!(good.get("findings").is_none(), "{good}");
    let bad = ask(&order(&json!({"id": "1"})));
    assert_eq!(found(&bad), ["schema.type body:/id"]);
    for one in bad["evaluations"].as_array().unwrap() {
        assert_eq!(one["reasons"], json!(["request_invalid"]), "{bad}");
        assert!(one.get("findings").is_none(), "{bad}");
    }
    let shown = |place: usize| {
        let id = bad["evaluations"][place]["decision_id"].as_str().unwrap();
        strict().get(&format!("/v1/decisions/{id}")).expect_status(200).json()
    };
    let (first, second) = (shown(0), shown(1));
    assert_eq!(first["findings"], bad["findings"], "{first}");
    assert_eq!(second["inspected_with"], first["id"], "{second}");
    assert!(second.get("findings").is_none(), "{second}");
}

#[test]
fn a_record_has_the_stage_and_the_findings_and_neither_credentials_nor_bodies() {
    let http = json!({
        "method": "POST", "path": "/orders", "query": "access_token=hunter2&tag=a&tag=b",
        "headers": [["Authorization", "Bearer hunter2"], ["cookie", "a=hunter2"], ["X-Api-Key", "hunter2"], ["accept", "*/*"]],
        "body_text": "{\"id\": \"hunter2\"}", "address": "203.0.113.7"
    });
    let answer = denied_anyhow(&http);
    let id = answer["decision_id"].as_str().unwrap();
    let shown = strict().get(&format!("/v1/decisions/{id}")).expect_status(200).json();
    assert_eq!(shown["findings"], answer["findings"], "{shown}");
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    assert_eq!(shown["http"]["body"], json!({"form": "text", "bytes": 17}), "{shown}");
    assert_eq!(shown["http"]["query"], "access_token=*&tag=a&tag=b", "{shown}");
    assert_eq!(shown["http"]["address"], "203.0.113.7", "{shown}");
    let headers = shown["http"]["headers"].to_string();
    assert!(
        headers.contains(r#"["accept","*/*"]"#) && headers.contains(r#"["authorization","*"]"#),
        "{headers}"
    );
    let stages: Vec<&str> =
        shown["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(stages, ["caller", "validate", "decide", "oblige"], "{shown}");
    for entry in std::fs::read_dir(strict().data().join("log")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
}

fn denied_anyhow(http: &Value) -> Value {
    let answer = post(strict(), "any", http).json();
    assert_eq!(answer["reasons"], json!(["request_invalid"]), "{answer}");
    answer
}

#[test]
fn an_authzen_call_and_one_without_http_are_not_inspected() {
    let mut question = asked("not-inspected", &json!({"method": "GET", "path": "/unknown"}));
    let answer = strict().post("/access/v1/evaluation", &question).expect_status(200).json();
    assert_eq!(answer, json!({"decision": true}));
    question.as_object_mut().unwrap().remove("http");
    let answer = strict().post(super::PATH, &question).expect_status(200).json();
    assert_eq!(answer["reasons"], json!(["not-inspected"]), "{answer}");
}

#[test]
fn without_routes_nothing_is_inspected() {
    let server = crate::fixtures::native();
    let mut question = super::asked("read");
    question["http"] = json!({"method": "GET", "path": "/../x", "body_text": "x"});
    let answer = server.post(super::PATH, &question).expect_status(200).json();
    assert_eq!(answer["reasons"], json!(["everyone-reads"]), "{answer}");
}

#[test]
fn of_a_request_that_is_none_the_answer_says_what_is_wrong() {
    for (http, named) in [
        (json!({"method": "GET", "path": "/", "body": 1, "body_text": "1"}), "only one of"),
        (json!({"method": "GET", "path": "/", "body_base64": "!"}), "base64"),
        (json!({"method": "GET", "path": "/?a"}), "path"),
        (json!({"method": "G T", "path": "/"}), "method"),
        (json!({"method": "GET", "path": "/", "headers": [["a"]]}), "http"),
        (json!({"method": "GET", "path": "/", "headers": {"a": "b\r\nc: d"}}), "headers"),
        (json!({"method": "GET", "path": "/", "headers": vec![["a", "b"]; 257]}), "256"),
        (json!({"method": "GET", "path": "/", "address": "here"}), "http"),
    ] {
        let answer = strict().post(super::PATH, &asked("any", &http)).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{}", answer.text());
        assert!(answer.text().contains(named), "{}", answer.text());
    }
}

#[test]
fn metrics_say_how_much_is_validated() {
    let server = Server::builder().pack(pack()).config(ROUTES).start();
    for http in [
        order(&json!({"id": 1})),
        order(&json!({"id": 2})),
        order(&json!({"id": "3"})),
        json!({"method": "GET", "path": "/orders/1"}),
        json!({"method": "GET", "path": "/other"}),
    ] {
        let _ = post(&server, "any", &http);
    }
    let counted = |result: &str| {
        metric(&server, &format!("portcullis_validation_requests_total{{result=\"{result}\"}}"))
    };
    assert_eq!(["valid", "invalid", "unknown", "unchecked"].map(counted), [2.0, 1.0, 1.0, 1.0]);
    let share = |name: &str| metric(&server, &format!("portcullis_validation_{name}"));
    assert_eq!(["request_share", "routes", "routes_used"].map(share), [0.6, 3.0, 1.0]);
    assert!((share("route_share") - 2.0 / 3.0).abs() < 1e-9);
}

#[test]
fn what_can_not_be_used_stops_the_start_and_is_named() {
    for (config, named) in [
        (
            "[[validate.routes]]\nmethod = \"GET\"\npath = \"/a\"\nbody_schema = \"missing.json\"",
            "missing.json",
        ),
        ("[[validate.routes]]\nmethod = \"GET\"\npath = \"a\"", "validate.routes[0]"),
        (
            "[[validate.routes]]\nmethod = \"GET\"\npath = \"/a\"\nbody_schema = { type = \"strin\" }",
            "body_schema",
        ),
        (
            "[[validate.routes]]\nmethod = \"GET\"\npath = \"/a\"\nbody_schema = { \"$ref\" = \"http://127.0.0.1:9/a\" }",
            "127.0.0.1:9",
        ),
        ("[[validate.routes]]\nmethod = \"GET\"\npath = \"/a\"\nschema = {}", "schema"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
        let ran = portcullis_tests::Cli::new([
            "serve",
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--config",
            "portcullis.toml",
        ])
        .current_dir(folder.path())
        .run_refused();
        assert!(ran.output().contains(named), "{named}: {}", ran.output());
    }
}

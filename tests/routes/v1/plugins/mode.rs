//! `/v1/plugins/{name}/mode`: what is sent twice is done once, and what is set shows in the next decision.

use portcullis_tests::{Answer, Client};
use serde_json::{Value, json};

use super::{MODE, put, server, shown, tenant};
use crate::fixtures::question;
use crate::plugins::placed::{PATIENT, Placed};

fn keyed(client: &Client, method: &str, key: &str, mode: &str) -> Answer {
    let request = client.request(method, MODE).header("idempotency-key", key);
    match method {
        "PUT" => {
            let body = json!({"mode": mode}).to_string();
            request.header("content-type", "application/json").body(body).send()
        }
        _ => request.send(),
    }
}

#[test]
fn a_call_with_the_same_key_is_answered_as_before_and_made_once() {
    let server = server();
    let set = || keyed(&server, "PUT", "set", "off").expect_status(201);
    let take = || keyed(&server, "DELETE", "take", "").expect_status(200);
    let is_replay = |again: &Answer, first: &Answer| {
        assert_eq!(first.header("idempotency-replayed"), None);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(again.json(), first.json());
    };
    let made = set();
    is_replay(&set(), &made);
    let taken = take();
    is_replay(&take(), &taken);
    // The answer is about the call: what was taken back since is not set again.
    is_replay(&set(), &made);
    assert_eq!(shown(&server)["mode"], json!("enforce"));
    // Nor is taken back what was set since.
    let _ = put(&server, &json!({"mode": "shadow"})).expect_status(201);
    is_replay(&take(), &taken);
    assert_eq!(shown(&server)["mode"], json!("shadow"));
}

#[test]
fn a_key_stands_for_one_request_of_one_caller() {
    let server = server();
    let _ = keyed(&server, "PUT", "key", "off").expect_status(201);
    for (method, mode) in [("PUT", "shadow"), ("DELETE", "")] {
        let other = keyed(&server, method, "key", mode).expect_status(409);
        assert_eq!(other.problem(), "idempotency_key_reused", "{method}");
    }
    assert_eq!(shown(&server)["mode"], json!("off"));
    let other = tenant(&server, "default");
    let theirs = keyed(&other, "PUT", "key", "shadow").expect_status(200);
    assert_eq!((theirs.header("idempotency-replayed"), &theirs.json()["mode"]), (None, &json!("shadow")));
    for key in ["", "a b", "é"] {
        assert_eq!(
            keyed(&server, "PUT", key, "off").expect_status(400).problem(),
            "invalid_request",
            "{key}"
        );
    }
    assert_eq!(shown(&server)["mode"], json!("shadow"));
}

#[test]
fn a_refused_call_keeps_nothing_under_its_key() {
    let server = server();
    assert_eq!(keyed(&server, "DELETE", "take", "").expect_status(404).problem(), "not_found");
    assert_eq!(keyed(&server, "PUT", "set", "loud").expect_status(400).problem(), "invalid_request");
    let _ = keyed(&server, "PUT", "set", "off").expect_status(201);
    let taken = keyed(&server, "DELETE", "take", "").expect_status(200);
    assert_eq!(taken.header("idempotency-replayed"), None);
    assert_eq!(shown(&server)["mode"], json!("enforce"));
}

fn guarded() -> Placed {
    let section = format!("[plugins.injection-guard]\ncapabilities = [\"config\"]\n{PATIENT}");
    Placed::with(&["injection-guard"], &section)
}

/// What is decided on a request to this path that carries an attack.
fn attack(client: &Client, path: &str) -> Value {
    let mut asked = question("alice", "read", "record-1");
    asked["http"] =
        json!({"method": "GET", "path": path, "query": "id=1%27+union+select+password+from+users--"});
    client.post("/v1/decide", &asked).expect_status(200).json()
}

#[track_caller]
fn is_rejected(answer: &Value) {
    assert_eq!(answer["decision"], json!(false), "{answer}");
    assert_eq!(answer["reasons"], json!(["rejected:injection-guard:injection"]), "{answer}");
}

#[track_caller]
fn is_let_pass(answer: &Value) {
    assert_eq!(answer["decision"], json!(true), "{answer}");
    assert!(answer.get("findings").is_none(), "{answer}");
}

const GUARD: &str = "/v1/plugins/injection-guard/mode";

fn set(client: &Client, body: &Value) -> Answer {
    client.request("PUT", GUARD).header("content-type", "application/json").body(body.to_string()).send()
}

#[test]
fn a_plugin_that_is_set_to_shadow_looks_on_until_that_is_taken_back() {
    let server = guarded();
    is_rejected(&attack(&server, "/records"));
    assert_eq!(set(&server, &json!({"mode": "shadow"})).expect_status(201).json()["mode"], json!("shadow"));
    is_let_pass(&attack(&server, "/records"));
    let looked_on = |shown: &Value| shown["statistics"]["shadow"]["calls"] == json!(1);
    let shown = server.shows("injection-guard", looked_on);
    assert_eq!(shown["mode"], json!("shadow"), "{shown}");
    assert_eq!(shown["statistics"]["shadow"]["rejections"], json!(1), "{shown}");
    assert_eq!(shown["statistics"]["enforced"]["calls"], json!(1), "{shown}");
    let _ = server.request("DELETE", GUARD).send().expect_status(200);
    is_rejected(&attack(&server, "/records"));
    let shown = server.shows("injection-guard", |shown| shown["mode"] == json!("enforce"));
    assert_eq!(shown["statistics"]["enforced"]["calls"], json!(2), "{shown}");
    assert_eq!(shown["statistics"]["shadow"]["calls"], json!(1), "{shown}");
}

#[test]
fn no_letter_case_of_a_path_turns_a_plugin_off() {
    let server = guarded();
    let _ = set(&server, &json!({"mode": "shadow", "route": "GET /health/*"})).expect_status(201);
    is_let_pass(&attack(&server, "/health/x"));
    for path in ["/Health/x", "/health./x", "/records"] {
        is_rejected(&attack(&server, path));
    }
    let _ = set(&server, &json!({"mode": "off"})).expect_status(201);
    let _ = set(&server, &json!({"mode": "enforce", "route": "GET /admin/*"})).expect_status(201);
    is_let_pass(&attack(&server, "/records"));
    for path in ["/admin", "/Admin", "/%41DMIN/x", "//admin"] {
        is_rejected(&attack(&server, path));
    }
}

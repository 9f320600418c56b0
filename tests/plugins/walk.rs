//! Plugins that look at a request before policies judge: whom they see, where they count, and how often they are called.
//! What becomes of their answers is in `routes/v1/decide/plugins.rs`.

use portcullis_tests::Pack;
use serde_json::{Value, json};

use super::guests::{Guests, with};

const POLICIES: &str = r#"
@id("reads")
permit(principal, action == Action::"read", resource);

@id("riskless")
permit(principal, action == Action::"riskless", resource)
when { context.verified has risk && context.verified.risk.score == 0 };

@id("unseen")
permit(principal, action == Action::"unseen", resource)
unless { context.verified has findings || context.verified has risk };
"#;

/// Time enough on a machine that is kept busy.
const TIME: &str = "budget = { deadline_milliseconds = 5000 }\n";

fn start(sections: &[(&str, &str)]) -> Guests {
    let plugins: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let written: String =
        sections.iter().map(|(name, lines)| format!("[plugins.{name}]\n{TIME}{lines}\n")).collect();
    let pack = Pack::new("app").cedar(POLICIES).entities(
        &json!([{"uid": {"type": "user", "id": "alice"}, "attrs": {"department": "sales"}, "parents": []}]),
    );
    with(pack, &plugins, &written)
}

fn asked(action: &str, http: &Value) -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"}, "action": {"name": action},
        "resource": {"type": "page", "id": "main"}, "http": http
    })
}

fn get(path: &str, headers: &Value) -> Value {
    json!({"method": "GET", "path": path, "headers": headers})
}

fn ask(server: &Guests, action: &str, http: &Value) -> Value {
    server.post("/v1/decide", &asked(action, http)).expect_status(200).json()
}

#[track_caller]
fn answered(server: &Guests, action: &str, http: &Value, reasons: &[&str]) -> Value {
    let answer = ask(server, action, http);
    assert_eq!(answer["reasons"], json!(reasons), "{http}: {answer}");
    answer
}

/// The record of an answer.
fn shown(server: &Guests, answer: &Value) -> Value {
    let id = answer["decision_id"].as_str().unwrap();
    server.get(&format!("/v1/decisions/{id}")).expect_status(200).json()
}

/// A section of `everything`: it gets its configuration and these capabilities, and nothing else that it declares.
fn granting(more: &[&str]) -> String {
    const OTHERS: [&str; 8] = ["log", "clock", "random", "counter", "kv", "crypto", "lookup", "credentials"];
    let (granted, withheld): (Vec<&str>, Vec<&str>) = OTHERS.into_iter().partition(|one| more.contains(one));
    let granted: Vec<&str> = granted.into_iter().chain(["config"]).collect();
    format!("capabilities = {granted:?}\nwithhold = {withheld:?}")
}

const LOG: &str = "capabilities = [\"log\"]\nbreaker = { failures = 1000 }";
const CONFIG: &str = "capabilities = [\"config\"]";

#[test]
fn where_a_plugin_is_off_no_spelling_of_another_path_is() {
    let off_there = format!("{LOG}\nmodes = [{{ route = \"GET /free\", mode = \"off\" }}]");
    let server = start(&[("hostile", &off_there), ("bot-hint", &format!("{CONFIG}\nmode = \"shadow\""))]);
    let http = |path: &str| get(path, &json!({"x-do": "panic", "user-agent": "curl/8.5.0"}));
    answered(&server, "read", &http("/other"), &["plugin_failed:hostile:trap"]);
    let answer = answered(&server, "unseen", &http("/free"), &["unseen"]);
    assert!(answer.get("risk").is_none() && answer.get("findings").is_none(), "{answer}");
    assert!(shown(&server, &answer).get("plugins").is_none());
    // No spelling of another path takes it off.
    for path in ["//free", "/free/../other", "/x/../free", "/free%2f..%2fother", "/free;/x"] {
        answered(&server, "read", &http(path), &["plugin_failed:hostile:trap"]);
    }
}

#[test]
fn credentials_are_seen_by_whom_they_are_granted() {
    let http = get("/", &json!({"authorization": "Bearer hunter2", "x-use": "credentials"}));
    let plain = start(&[("everything", &granting(&[]))]);
    let answer = answered(&plain, "read", &http, &["reads"]);
    assert_eq!(answer["findings"][0]["detail"], "absent", "{answer}");
    let granted = start(&[("everything", &granting(&["credentials", "lookup", "random"]))]);
    let answer = answered(&granted, "read", &http, &["reads"]);
    assert_eq!(answer["findings"][0]["detail"], "Bearer hunter2", "{answer}");
    let answer = answered(&granted, "read", &get("/", &json!({"x-use": "lookup,random"})), &["reads"]);
    assert!(answer["findings"][0]["detail"].as_str().unwrap().contains("sales"), "{answer}");
    let again = answered(&granted, "read", &get("/", &json!({"x-use": "lookup,random"})), &["reads"]);
    assert_ne!(
        answer["findings"][1]["detail"], again["findings"][1]["detail"],
        "two calls share their randomness"
    );
}

#[test]
fn a_batch_is_looked_at_once() {
    let server = start(&[("bot-hint", CONFIG), ("everything", &granting(&["clock"]))]);
    let mut batch = asked("read", &get("/", &json!({"user-agent": "curl/8.5.0", "x-use": "clock"})));
    batch["evaluations"] = json!([{"action": {"name": "read"}}, {"action": {"name": "unseen"}}, {"action": {"name": "riskless"}}]);
    let answer = server.post("/v1/decide", &batch).expect_status(200).json();
    let items = answer["evaluations"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["reasons"]), (3, &json!(["reads"])), "{answer}");
    assert_eq!(items[1]["reasons"], json!(["no_permit"]), "{answer}");
    assert_eq!(answer["findings"].as_array().unwrap().iter().filter(|one| one["rule"] == "clock").count(), 1);
    let (first, second) = (shown(&server, &items[0]), shown(&server, &items[1]));
    let called: Vec<&Value> = first["plugins"].as_array().unwrap().iter().map(|call| &call["name"]).collect();
    assert_eq!(called, [&json!("everything"), &json!("bot-hint")], "{first}");
    assert!(second.get("plugins").is_none(), "{second}");
    assert_eq!(second["inspected_with"], first["id"]);
}

#[test]
fn what_its_route_does_not_take_is_shown_to_no_plugin() {
    let route = "[[validate.routes]]\nmethod = \"GET\"\npath = \"/\"\nquery_schema = { maxProperties = 0 }";
    let server = start(&[("hostile", &format!("{LOG}\n{route}"))]);
    let mut http = get("/", &json!({"x-do": "panic"}));
    answered(&server, "read", &http, &["plugin_failed:hostile:trap"]);
    http["query"] = json!("a=b");
    let answer = answered(&server, "read", &http, &["request_invalid"]);
    assert!(shown(&server, &answer).get("plugins").is_none());
}

#[test]
fn an_authzen_call_is_looked_at_by_no_plugin() {
    let server = start(&[("hostile", LOG)]);
    let question = asked("unseen", &get("/", &json!({"x-do": "panic"})));
    let answer = server.post("/access/v1/evaluation", &question).expect_status(200).json();
    assert_eq!(answer, json!({"decision": true}));
}

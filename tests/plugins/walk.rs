//! Plugins that look at a request before policies judge.

use std::time::{Duration, Instant};

use portcullis_tests::{Pack, eventually};
use serde_json::{Value, json};

use super::guests::{Guests, with};
use crate::assertions::{names, set};
use crate::routes::v1::mask::events;

const POLICIES: &str = r#"
@id("reads")
permit(principal, action == Action::"read", resource);

@id("sure")
forbid(principal, action, resource)
when { context.verified has findings && context.verified.findings.highest >= 50 };

@id("by-name")
permit(principal, action == Action::"by-name", resource)
when {
  context.verified has findings && context.verified.findings.plugins.contains("everything") &&
  context.verified.findings.rules.contains("config") && context.verified.findings.count == 1
};

@id("risky")
forbid(principal, action, resource)
when { context.verified has risk && context.verified.risk.score >= 40 && context.verified.risk.reasons.contains("http-tool") };

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

fn stages(shown: &Value) -> Vec<String> {
    let stages = shown["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage["name"].as_str().unwrap().to_owned()).collect()
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";

#[test]
fn a_rejection_denies_with_the_plugins_code_and_ends_the_stages() {
    let server = start(&[("injection-guard", ""), ("bot-hint", "")]);
    let attack = json!({"method": "GET", "path": "/items", "query": "id=1%20UNION%20SELECT%20null%2Cversion()",
        "headers": {"user-agent": "curl/8.5.0"}});
    let answer = answered(&server, "read", &attack, &["rejected:injection-guard:injection"]);
    assert_eq!(answer["decision"], json!(false));
    let first = &answer["findings"][0];
    assert_eq!(
        (&first["plugin"], &first["where"]),
        (&json!("injection-guard"), &json!("query:id")),
        "{answer}"
    );
    assert!(first["score"].as_u64().unwrap() >= 80 && answer.get("risk").is_none(), "{answer}");
    let record = shown(&server, &answer);
    assert_eq!(record["findings"], answer["findings"]);
    let calls = record["plugins"].as_array().unwrap();
    assert_eq!((calls.len(), &calls[0]["name"]), (1, &json!("injection-guard")), "{record}");
    assert!(calls[0]["fuel"].as_u64().unwrap() > 0 && calls[0].get("failure").is_none(), "{record}");
    assert_eq!(stages(&record), ["caller", "validate", "decide", "oblige"]);
    let plain = get(
        "/items",
        &json!({"user-agent": BROWSER, "accept": "*/*", "accept-language": "de", "accept-encoding": "gzip"}),
    );
    let record = shown(&server, &ask(&server, "read", &plain));
    assert_eq!(stages(&record), ["caller", "validate", "detect", "decide", "oblige"], "{record}");
}

#[test]
fn what_plugins_find_is_for_policies_to_judge() {
    let server = start(&[
        ("injection-guard", "config = { reject_at = 101 }"),
        ("everything", "config = { word = \"w\" }\ncapabilities = [\"config\"]"),
    ]);
    let attack =
        json!({"method": "GET", "path": "/items", "query": "id=1%20UNION%20SELECT%20null%2Cversion()"});
    let answer = answered(&server, "read", &attack, &["sure"]);
    assert_eq!(answer["findings"][0]["plugin"], "injection-guard", "{answer}");
    let named = answered(&server, "by-name", &get("/", &json!({"x-use": "config"})), &["by-name"]);
    let finding =
        json!({"plugin": "everything", "rule": "config", "score": 0, "where": "request", "detail": "w"});
    assert_eq!(named["findings"], json!([finding]));
    let plain = answered(&server, "read", &get("/", &json!({})), &["reads"]);
    assert!(plain.get("findings").is_none(), "{plain}");
    answered(&server, "unseen", &get("/", &json!({})), &["no_permit"]);
}

#[test]
fn a_risk_adds_up_and_says_why() {
    let server = start(&[("bot-hint", "")]);
    let answer = answered(&server, "read", &get("/", &json!({"user-agent": "curl/8.5.0"})), &["risky"]);
    assert_eq!(answer["risk"], json!({"score": 40, "reasons": ["http-tool"]}), "{answer}");
    assert_eq!(shown(&server, &answer)["risk"], answer["risk"]);
    let twice = json!({"user-agent": "HeadlessChrome", "x-puppeteer": "1"});
    let score = ask(&server, "read", &get("/", &twice))["risk"]["score"].clone();
    assert!((60..=100).contains(&score.as_u64().unwrap()), "{score}");
    let allowed = start(&[("bot-hint", "config = { allowed_agents = [\"curl/\"] }")]);
    let answer =
        answered(&allowed, "riskless", &get("/", &json!({"user-agent": "curl/8.5.0"})), &["riskless"]);
    assert!(answer.get("risk").is_none(), "{answer}");
}

/// What `hostile` does, and what its calls fail of.
const HARM: [(&str, &str); 12] = [
    ("loop", "fuel"),
    ("recurse", "trap"),
    ("grow", "memory"),
    ("panic", "trap"),
    ("million-findings", ""),
    ("findings", "bad_answer"),
    ("long-text", ""),
    ("large-answer", "output_size"),
    ("score", "bad_answer"),
    ("rule", "bad_answer"),
    ("reason", "bad_answer"),
    ("log-flood", "none"),
];

#[test]
fn a_plugin_that_fails_denies_or_is_a_finding_as_the_operator_says() {
    let breaker = "breaker = { failures = 1000 }";
    let denies = start(&[("hostile", breaker)]);
    let allows = start(&[("hostile", &format!("on_failure = \"allow\"\n{breaker}"))]);
    for (harm, kind) in HARM {
        let http = get("/", &json!({"x-do": harm}));
        let began_at = Instant::now();
        let denied = ask(&denies, "read", &http);
        assert!(began_at.elapsed() < Duration::from_secs(20), "{harm}: {:?}", began_at.elapsed());
        if kind == "none" {
            assert_eq!(denied["reasons"], json!(["reads"]), "{harm}: {denied}");
            continue;
        }
        let reason = denied["reasons"][0].as_str().unwrap();
        let found =
            reason.strip_prefix("plugin_failed:hostile:").unwrap_or_else(|| panic!("{harm}: {denied}"));
        assert!(kind.is_empty() || found == kind, "{harm}: {denied}");
        assert_eq!(denied["decision"], json!(false));
        let call = shown(&denies, &denied)["plugins"][0].clone();
        assert_eq!(call["failure"], json!(found), "{harm}: {call}");
        let allowed = answered(&allows, "read", &http, &["reads"]);
        let finding = &allowed["findings"][0];
        assert_eq!(finding["rule"], json!(format!("plugin_failed.{found}")), "{harm}: {allowed}");
        assert_eq!((&finding["plugin"], &finding["score"]), (&json!("hostile"), &json!(0)), "{allowed}");
    }
    answered(&denies, "read", &get("/", &json!({})), &["reads"]);
}

#[test]
fn nothing_of_one_call_is_seen_by_the_next() {
    let server = start(&[("hostile", "")]);
    for word in ["first", "second", "third"] {
        let answer =
            answered(&server, "read", &get("/", &json!({"x-do": "remember", "x-word": word})), &["reads"]);
        assert!(answer.get("findings").is_none(), "{answer}");
    }
}

#[test]
fn a_plugin_that_watches_or_is_off_changes_no_answer() {
    let off_there = "modes = [{ route = \"GET /free\", mode = \"off\" }]";
    let server = start(&[("hostile", off_there), ("bot-hint", "mode = \"shadow\"")]);
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
    let plain = start(&[("everything", "withhold = [\"credentials\"]")]);
    let answer = answered(&plain, "read", &http, &["reads"]);
    assert_eq!(answer["findings"][0]["detail"], "absent", "{answer}");
    let granted = start(&[("everything", "capabilities = [\"credentials\", \"lookup\", \"random\"]")]);
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
    let server = start(&[("bot-hint", ""), ("everything", "capabilities = [\"clock\"]")]);
    let mut batch = asked("read", &get("/", &json!({"user-agent": BROWSER, "x-use": "clock"})));
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
fn detectors_hear_of_decisions_after_their_answers() {
    let server = start(&[("bot-hint", "config = { denials = 3 }")]);
    for _ in 0..3 {
        let denied = asked("never", &json!(null));
        let answer = server.post("/v1/decide", &denied).expect_status(200).json();
        assert_eq!(answer["reasons"], json!(["no_permit"]), "{answer}");
    }
    let detected = || events(&server, "detected").pop();
    let (event, _) = eventually(Duration::from_secs(20), detected).expect("an event of the third denial");
    let own = &event["event"]["unmapped"];
    assert_eq!(own["reasons"], json!(["detected:bot-hint"]), "{event}");
    assert_eq!(set(&own["risk"]["reasons"]), names(["many-denials"]), "{event}");
    // The next request meets the count.
    let http = get("/", &json!({"user-agent": BROWSER}));
    let answer = ask(&server, "read", &http);
    assert!(set(&answer["risk"]["reasons"]).contains("many-denials"), "{answer}");
    // Another's count is another's.
    let mut other = asked("read", &http);
    other["subject"]["id"] = json!("bob");
    let answer = server.post("/v1/decide", &other).expect_status(200).json();
    assert!(!answer["risk"].to_string().contains("many-denials"), "{answer}");
}

#[test]
fn an_authzen_call_is_looked_at_by_no_plugin() {
    let server = start(&[("hostile", "")]);
    let question = asked("unseen", &get("/", &json!({"x-do": "panic"})));
    let answer = server.post("/access/v1/evaluation", &question).expect_status(200).json();
    assert_eq!(answer, json!({"decision": true}));
}

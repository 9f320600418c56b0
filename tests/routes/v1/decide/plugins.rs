//! Plugins in the path of a decision: what counts, what only looks on, and what becomes of those that fail.

use std::time::{Duration, Instant};

use portcullis_tests::{Pack, Server, eventually, repository};
use serde_json::{Value, json};

use crate::fixtures::{log_records, question};

const POLICIES: &str = r#"
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

const LOG: &str = "capabilities = [\"log\"]";
const CONFIG: &str = "capabilities = [\"config\"]";
/// Time enough on a machine that is kept busy.
const PATIENT: &str = "budget = { deadline_milliseconds = 5000 }";

/// A server with these plugins of a folder: each a name, and what its section says.
fn server(folder: &str, plugins: &[(&str, &str)]) -> Server {
    let folder = repository().join(folder);
    let mut config = format!("[plugins]\nfolder = {}\n", json!(folder));
    for (name, section) in plugins {
        let budget = if section.contains("budget") { "" } else { PATIENT };
        config.push_str(&format!("[plugins.{name}]\n{budget}\n{section}\n"));
    }
    Server::builder().pack(Pack::new("web").cedar(POLICIES)).config(&config).start()
}

fn guests(plugins: &[(&str, &str)]) -> Server {
    server("tests/guests", plugins)
}

fn bundled(plugins: &[(&str, &str)]) -> Server {
    server("plugins", plugins)
}

fn reported(action: &str, http: Value) -> Value {
    let mut asked = question("alice", action, "record-1");
    asked["http"] = http;
    asked
}

fn http(headers: &Value) -> Value {
    json!({"method": "POST", "path": "/orders", "headers": headers, "body": {"id": 1}})
}

#[track_caller]
fn ask(server: &Server, action: &str, headers: &Value) -> Value {
    server.post("/v1/decide", &reported(action, http(headers))).expect_status(200).json()
}

fn shown(server: &Server, answer: &Value) -> Value {
    let id = answer["decision_id"].as_str().unwrap();
    server.get(&format!("/v1/decisions/{id}")).expect_status(200).json()
}

fn events(server: &Server) -> Vec<Value> {
    log_records(server.data()).into_iter().filter(|record| record["chain"]["kind"] == "event").collect()
}

const HARM: [(&str, &str); 10] = [
    ("loop", "fuel"),
    ("recurse", "trap"),
    ("grow", "memory"),
    ("panic", "trap"),
    ("findings", "bad_answer"),
    ("score", "bad_answer"),
    ("rule", "bad_answer"),
    ("reason", "bad_answer"),
    ("large-answer", "output_size"),
    ("million-findings", ""),
];

#[test]
fn a_validators_findings_are_in_the_answer_the_record_and_what_policies_see() {
    let server = guests(&[("echo", "")]);
    let answer = ask(&server, "echoed", &json!({"a": "b"}));
    assert_eq!(answer["reasons"], json!(["echoed"]), "{answer}");
    let findings = answer["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0]["plugin"], &findings[0]["rule"]), (&json!("echo"), &json!("echo")));
    assert!(answer.get("risk").is_none(), "{answer}");
    let shown = shown(&server, &answer);
    assert_eq!(shown["findings"], answer["findings"]);
    let called = &shown["plugins"][0];
    assert_eq!(called["name"], json!("echo"), "{shown}");
    assert!(called["fuel"].as_u64().unwrap() > 0 && called.get("failure").is_none(), "{shown}");
    assert!(called["digest"].as_str().unwrap().starts_with("sha256:"), "{shown}");
    let stages: Vec<&Value> =
        shown["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    assert_eq!(stages, ["caller", "validate", "decide", "oblige"]);
    // No plugin is asked about what has no request.
    let without = server.post("/v1/decide", &question("alice", "echoed", "record-1")).json();
    assert_eq!(without["reasons"], json!(["no_permit"]), "{without}");
}

#[test]
fn whatever_harm_a_plugin_does_the_answer_is_deny_in_time_and_says_why() {
    // With less memory than its fuel can fill.
    let budget = "budget = { deadline_milliseconds = 5000, memory_bytes = 4194304 }";
    let section = format!("{LOG}\n{budget}\nbreaker = {{ failures = 1000 }}");
    let server = guests(&[("hostile", &section)]);
    for (harm, kind) in HARM {
        let began_at = Instant::now();
        let answer = ask(&server, "open", &json!({"x-do": harm}));
        assert!(began_at.elapsed() < Duration::from_secs(6), "{harm}: {:?}", began_at.elapsed());
        assert_eq!(answer["decision"], json!(false), "{harm}: {answer}");
        let reason = answer["reasons"][0].as_str().unwrap();
        let failed = reason.strip_prefix("plugin_failed:hostile:").expect(reason);
        assert!(kind.is_empty() || failed == kind, "{harm}: {answer}");
        assert_eq!(answer["findings"][0]["rule"], json!(format!("plugin_failed.{failed}")), "{answer}");
        assert_eq!(shown(&server, &answer)["plugins"][0]["failure"], json!(failed));
    }
    // It serves on, and a call sees nothing of the one before.
    for secret in ["one", "two"] {
        let answer = ask(&server, "open", &json!({"x-do": "remember", "x-word": secret}));
        assert_eq!(answer["reasons"], json!(["open"]), "{answer}");
        assert!(answer.get("findings").is_none(), "{answer}");
    }
}

#[test]
fn a_failure_that_may_be_is_a_finding_and_the_policies_judge() {
    let server = guests(&[("hostile", &format!("{LOG}\non_failure = \"allow\""))]);
    let answer = ask(&server, "open", &json!({"x-do": "panic"}));
    assert_eq!(answer["reasons"], json!(["open"]), "{answer}");
    assert_eq!(answer["findings"][0]["rule"], json!("plugin_failed.trap"), "{answer}");
    let seen = ask(&server, "looked-at", &json!({"x-do": "panic"}));
    assert_eq!(seen["reasons"], json!(["no_permit"]), "{seen}");
    assert_eq!(ask(&server, "looked-at", &json!({}))["reasons"], json!(["looked-at"]));
}

#[test]
fn in_shadow_mode_nothing_changes_and_off_nothing_runs() {
    let shadow = guests(&[
        (
            "hostile",
            &format!(
                "{LOG}
mode = \"shadow\""
            ),
        ),
        ("echo", "mode = \"off\""),
    ]);
    for harm in ["panic", "loop"] {
        let answer = ask(&shadow, "open", &json!({"x-do": harm}));
        assert_eq!(answer["reasons"], json!(["open"]), "{answer}");
        assert!(answer.get("findings").is_none(), "{answer}");
        assert!(shown(&shadow, &answer).get("plugins").is_none());
    }
    // Nothing that counts looked at it.
    assert_eq!(ask(&shadow, "looked-at", &json!({}))["reasons"], json!(["no_permit"]));
}

#[test]
fn a_rejection_denies_with_the_plugins_code_and_ends_the_walk() {
    let server = bundled(&[("injection-guard", CONFIG), ("bot-hint", CONFIG)]);
    let mut asked = reported("open", http(&json!({"user-agent": "curl/8.0"})));
    asked["http"]["query"] = json!("id=1%27%20UNION%20SELECT%20password%20FROM%20users--");
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["decision"], json!(false), "{answer}");
    assert_eq!(answer["reasons"], json!(["rejected:injection-guard:injection"]), "{answer}");
    assert_eq!(answer["findings"][0]["where"], json!("query:id"), "{answer}");
    assert!(answer.get("risk").is_none(), "no detector looks at what was rejected: {answer}");
    let names: Vec<Value> = shown(&server, &answer)["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["name"].clone())
        .collect();
    assert_eq!(names, ["injection-guard"]);
}

#[test]
fn a_detectors_points_are_a_risk_with_its_reasons() {
    let server = bundled(&[("bot-hint", CONFIG)]);
    let tool = json!({"user-agent": "curl/8.0"});
    let answer = ask(&server, "alarmed", &tool);
    assert_eq!(answer["reasons"], json!(["alarmed"]), "{answer}");
    assert_eq!(answer["risk"]["score"], json!(40), "{answer}");
    assert_eq!(answer["risk"]["reasons"], json!(["http-tool"]), "{answer}");
    assert_eq!(shown(&server, &answer)["risk"], answer["risk"]);
    assert_eq!(ask(&server, "calm", &tool)["reasons"], json!(["no_permit"]));
}

#[test]
fn decisions_are_counted_and_told_to_detectors_after_the_answer() {
    let server = bundled(&[(
        "bot-hint",
        &format!(
            "{CONFIG}
config = {{ denials = 3 }}"
        ),
    )]);
    let mut denied = Vec::new();
    for _ in 0..4 {
        let answer = server.post("/v1/decide", &question("mallory", "never", "record-1")).json();
        denied.push(answer["decision_id"].as_str().unwrap().to_owned());
    }
    let tells = |record: &Value| {
        let own = &record["event"]["unmapped"];
        own["reasons"] == json!(["detected:bot-hint"])
            && own["risk"]["reasons"] == json!(["many-denials"])
            && record["event"]["actor"]["user"]["uid"] == "mallory"
            && record["event"]["resources"][0]["uid"] == json!(denied[3])
    };
    let told = eventually(Duration::from_secs(10), || events(&server).iter().any(tells).then_some(()));
    assert!(told.is_some(), "no event tells of many denials: {:?}", events(&server));
    // What was counted is a part of the next request's risk, and nobody else's.
    let risk = |subject: &str| {
        let mut asked = reported("open", http(&json!({"user-agent": "curl/8.0"})));
        asked["subject"]["id"] = json!(subject);
        server.post("/v1/decide", &asked).expect_status(200).json()["risk"]["score"].clone()
    };
    assert_eq!(risk("mallory"), json!(80));
    assert_eq!(risk("alice"), json!(40));
}

//! Guests that do harm on a server that runs: the decision follows the failure policy in time, its finding names the cause,
//! the server serves on, and memory returns.

use std::time::{Duration, Instant};

use portcullis_tests::{Client, Pack, Server, eventually, guest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::placed::{PATIENT, place};
use crate::fixtures::{question, records};

/// Guests in the text format, and what a call of each fails of.
const FAIL: [(&str, &str); 15] = [
    ("loop", "deadline"),
    ("recursion", "trap"),
    ("memory-at-once", "memory"),
    ("memory-by-pages", "memory"),
    ("table-bomb", "memory"),
    ("trap", "trap"),
    ("answer-outside", "bad_answer"),
    ("answer-of-no-kind", "bad_answer"),
    ("utf8-in-answer", "bad_answer"),
    ("utf8-to-host", "bad_answer"),
    ("million-findings", "bad_answer"),
    ("findings-of-memory", "host_bytes"),
    ("huge-text", "bad_answer"),
    ("shared-text", "host_bytes"),
    ("huge-line", "host_bytes"),
];
/// Those that are no failure: what they log is capped, and they see nothing of the call before.
const FINE: [&str; 3] = ["harmless", "log-flood", "remember"];
/// With all the time, memory and bytes that there may be: what ends `loop` is the clock alone.
const LARGE: &str = "fuel = 10000000000, deadline_milliseconds = 500";

/// A server with all of them, each for its own path, and with `hostile` for `/hostile`.
struct Guests {
    server: Server,
    _folder: TempDir,
}

fn start(on_failure: &str) -> Guests {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let mut config = format!("[plugins]\nfolder = {shown:?}\nallow_unsigned = true\n");
    for name in FAIL.iter().map(|(name, _)| *name).chain(FINE) {
        guest::place(name, folder.path());
        let limits = if name == "loop" { LARGE } else { "deadline_milliseconds = 5000" };
        config.push_str(&section(name, on_failure, limits));
    }
    place("hostile", folder.path());
    let manifest = folder.path().join("hostile/plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}routes = [\"* /hostile\"]\n")).unwrap();
    let limits =
        "deadline_milliseconds = 5000, fuel = 1000000000, memory_bytes = 67108864, host_bytes = 67108864";
    config.push_str(&section("hostile", on_failure, limits));
    Guests { server: Server::builder().pack(records()).config(&config).start(), _folder: folder }
}

fn section(name: &str, on_failure: &str, limits: &str) -> String {
    format!(
        "[plugins.{name}]\ncapabilities = [\"log\"]\non_failure = {on_failure:?}\nbudget = {{ {limits} }}\nbreaker = {{ failures = 10000 }}\n"
    )
}

fn ask(client: &Client, name: &str, deed: &str) -> Value {
    let mut asked = question("alice", "read", "record-1");
    asked["http"] = json!({"method": "GET", "path": format!("/{name}"), "headers": {"x-do": deed}});
    let began_at = Instant::now();
    let answer = client.post("/v1/decide", &asked).expect_status(200).json();
    // Its deadline, and what a busy machine takes besides.
    assert!(began_at.elapsed() < Duration::from_secs(6), "{name} {deed}: {:?}", began_at.elapsed());
    answer
}

#[track_caller]
fn fails_of(answer: &Value, name: &str, kind: &str, decision: bool) {
    let reasons = if decision {
        json!(["alice-and-bob-read"])
    } else {
        json!([format!("plugin_failed:{name}:{kind}")])
    };
    assert_eq!((&answer["decision"], &answer["reasons"]), (&json!(decision), &reasons), "{name}: {answer}");
    let finding = &answer["findings"][0];
    let named = (&finding["plugin"], &finding["rule"]);
    assert_eq!(named, (&json!(name), &json!(format!("plugin_failed.{kind}"))), "{name}: {answer}");
}

#[test]
fn each_ends_in_time_by_the_failure_policy_with_its_cause_and_the_server_serves_on() {
    for (policy, decision) in [("deny", false), ("allow", true)] {
        let guests = start(policy);
        for (name, kind) in FAIL {
            fails_of(&ask(&guests.server, name, ""), name, kind, decision);
            let fine = ask(&guests.server, "harmless", "");
            assert_eq!(fine["reasons"], json!(["alice-and-bob-read"]), "after {name}: {fine}");
            assert!(fine.get("findings").is_none(), "after {name}: {fine}");
        }
        for name in FINE.into_iter().cycle().take(3 * FINE.len()) {
            let fine = ask(&guests.server, name, "");
            assert_eq!(fine["reasons"], json!(["alice-and-bob-read"]), "{name}: {fine}");
            assert!(fine.get("findings").is_none(), "{name}: {fine}");
        }
        assert!(guests.server.stderr().contains("the plugin logged more than it may"));
    }
}

#[test]
fn a_text_of_100_mb_passes_neither_the_memory_nor_the_boundary() {
    let guests = start("deny");
    // It can't be made, even with the most memory that any budget gives.
    fails_of(&ask(&guests.server, "hostile", "huge-text"), "hostile", "memory", false);
    // This one is made, and passes the boundary: no finding has so much to say.
    fails_of(&ask(&guests.server, "hostile", "long-text"), "hostile", "bad_answer", false);
    let shown = guests.server.get("/v1/plugins/hostile").expect_status(200).json();
    let message = shown["statistics"]["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("detail") && message.len() < 1_000, "{message}");
    // An answer of many that each may be.
    fails_of(&ask(&guests.server, "hostile", "large-answer"), "hostile", "output_size", false);
}

#[test]
fn the_memory_that_they_took_returns() {
    let guests = start("deny");
    let round = |client: &Client| {
        for (name, _) in FAIL {
            let _ = ask(client, name, "");
        }
        for deed in
            ["grow", "recurse", "huge-text", "long-text", "million-findings", "large-answer", "log-flood"]
        {
            let _ = ask(client, "hostile", deed);
        }
    };
    round(&guests.server);
    let before = guests.server.memory_bytes();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| round(&guests.server));
            }
        });
    }
    // Twelve rounds: each takes 64 MiB at least three times over.
    let most = before + (64 << 20);
    let settled = eventually(Duration::from_secs(20), || (guests.server.memory_bytes() < most).then_some(()));
    assert!(settled.is_some(), "it had {before} bytes, and has {}", guests.server.memory_bytes());
}

#[test]
fn each_capability_that_is_withheld_ends_the_call_that_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    place("everything", folder.path());
    let shown = folder.path().display().to_string();
    let all = ["log", "clock", "random", "counter", "kv", "crypto", "lookup", "credentials"];
    let config = format!(
        "[plugins]\nfolder = {shown:?}\nallow_unsigned = true\n[plugins.everything]\ncapabilities = [\"config\"]\nwithhold = {all:?}\nbreaker = {{ failures = 1000 }}\n{PATIENT}"
    );
    let pack = Pack::new("app").cedar("@id(\"reads\") permit(principal, action, resource);");
    let server = Server::builder().pack(pack).config(&config).start();
    for wanted in all {
        let mut asked = question("alice", "read", "record-1");
        asked["http"] = json!({
            "method": "GET", "path": "/", "headers": {"x-use": wanted, "authorization": "Bearer hunter2"}
        });
        let answer = server.post("/v1/decide", &asked).expect_status(200).json();
        if wanted == "credentials" {
            // It is no function to be called: what would be seen with it is not there.
            assert_eq!(answer["findings"][0]["detail"], json!("absent"), "{answer}");
            assert_eq!(answer["decision"], json!(true), "{answer}");
        } else {
            fails_of(&answer, "everything", "capability", false);
            let shown = server.get("/v1/plugins/everything").expect_status(200).json();
            let message = shown["statistics"]["last_error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{wanted}`")), "{message}");
        }
    }
}

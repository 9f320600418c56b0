//! What can't be loaded: a server does not start with it, and one that runs keeps the build before and names the cause.
//! Compiled code that the node did not make, or that was changed, is compiled again and never run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_tests::{Cli, Server, guest, repository};
use serde_json::{Value, json};

use super::placed::{PATIENT, Placed, place, rebuilt};
use crate::fixtures::{metric, question};

fn built(name: &str) -> Vec<u8> {
    std::fs::read(repository().join("tests/guests").join(name).join("plugin.wasm")).unwrap()
}

/// A plugin of another hook, without imports.
fn masker() -> Vec<u8> {
    std::fs::read(repository().join("tests/fixtures/plugins-1.0/mask/plugin.wasm")).unwrap()
}

/// Components that are no plugin, and what a message says of each.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let echo = built("echo");
    let named = |name, why| (name, guest::component(name), why);
    vec![
        named("wasi", "imports `wasi:cli/environment@0.2.0`, which no plugin is given"),
        named("module", "no component"),
        named("init-trap", "its initialiser failed: trap"),
        named("init-loop", "its initialiser failed: "),
        named("init-memory", "its initialiser failed: memory"),
        named("table-declared", "table"),
        named("memory-declared", "memory"),
        ("init-panic", built("init-trap"), "its initialiser failed: trap"),
        ("undeclared", built("undeclared"), "its manifest does not declare the capability `clock`"),
        ("other-hook", masker(), "does not export `portcullis:plugin/validator@1`"),
        ("empty", Vec::new(), "no component"),
        ("magic", echo[..8].to_vec(), ""),
        ("half", echo[..echo.len() / 2].to_vec(), "no component"),
        ("last-byte", echo[..echo.len() - 1].to_vec(), "no component"),
    ]
}

fn ask(server: &Server) -> Value {
    let mut asked = question("alice", "read", "record-1");
    asked["http"] = json!({"method": "GET", "path": "/", "headers": {"a": "b"}});
    let began_at = Instant::now();
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert!(began_at.elapsed() < Duration::from_secs(6), "{:?}", began_at.elapsed());
    answer
}

#[track_caller]
fn is_right(server: &Server) {
    let answer = ask(server);
    assert_eq!(answer["decision"], json!(true), "{answer}");
    assert_eq!(answer["findings"][0]["rule"], json!("echo"), "{answer}");
}

#[test]
fn no_server_starts_with_them_and_each_cause_is_named() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("plugins");
    let mut config =
        format!("[plugins]\nfolder = {:?}\nallow_unsigned = true\n", folder.display().to_string());
    for (name, component, _) in broken() {
        let own = folder.join(name);
        std::fs::create_dir_all(&own).unwrap();
        let manifest =
            format!("name = {name:?}\nversion = \"1.0.0\"\nhook = \"validate\"\ncapabilities = []\n");
        std::fs::write(own.join("plugin.toml"), manifest).unwrap();
        std::fs::write(own.join("plugin.wasm"), component).unwrap();
        config.push_str(&format!("[plugins.{name}]\n{PATIENT}"));
    }
    let file = home.path().join("portcullis.toml");
    std::fs::write(&file, config).unwrap();
    let refused = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
        .path("--config", &file)
        .path("--data", &home.path().join("data"))
        .path("--policies", &home.path().join("policies"))
        .run_refused();
    for (name, _, why) in broken() {
        let line = refused.stderr.lines().find(|line| line.contains(&format!("`[plugins.{name}]`")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {why}: {}", refused.output());
    }
}

#[test]
fn a_server_that_runs_keeps_the_build_before_and_says_why() {
    let server = Placed::with(&["echo"], &format!("[plugins.echo]\n{PATIENT}"));
    let before = server.shows("echo", |shown| shown["state"] == "loaded");
    for (name, component, why) in broken() {
        server.put("echo", "plugin.wasm", &component);
        let shown = server.shows("echo", |shown| {
            shown["load_error"]["message"].as_str().is_some_and(|message| message.contains(why))
        });
        assert_eq!(
            (&shown["state"], &shown["digest"]),
            (&json!("failed"), &before["digest"]),
            "{name}: {shown}"
        );
        is_right(&server);
    }
    server.put("echo", "plugin.wasm", &built("echo"));
    let _ = server.shows("echo", |shown| shown["state"] == "loaded");
    is_right(&server);
}

#[test]
fn with_a_bit_flipped_anywhere_it_is_refused_or_held_to_its_budget() {
    let lines = format!("[plugins.echo]\nbreaker = {{ failures = 1000 }}\n{PATIENT}");
    let server = Placed::with(&["echo"], &lines);
    let good = built("echo");
    let failures = || metric(&server, "portcullis_plugin_load_failures_total{plugin=\"echo\"}");
    for step in 0..16 {
        let mut flipped = good.clone();
        let at = step * good.len() / 16 + step;
        flipped[at] ^= 1 << (step % 8);
        let (failed, digest) = (failures(), server.shows("echo", |_| true)["digest"].clone());
        server.put("echo", "plugin.wasm", &flipped);
        let _ = server.shows("echo", |shown| shown["digest"] != digest || failures() > failed);
        let answer = ask(&server);
        let failure = answer["reasons"][0].as_str().unwrap().strip_prefix("plugin_failed:echo:");
        assert!(answer["decision"] == json!(true) || failure.is_some(), "byte {at}: {answer}");
    }
    server.put("echo", "plugin.wasm", &good);
    let _ = server.shows("echo", |shown| shown["state"] == "loaded");
    is_right(&server);
}

#[test]
fn a_server_that_is_to_run_cases_at_its_start_does_not_start_when_one_fails() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    place("echo", &folder);
    let cases = folder.join("echo/cases");
    std::fs::create_dir(&cases).unwrap();
    let text = "cases:\n  - {name: nothing is found, request: {path: /}, expect: {findings: []}}\n";
    std::fs::write(cases.join("a.yaml"), text).unwrap();
    let start = |lines: &str| {
        // `bot-hint` is not in the folder: its component and its cases are the binary's own.
        let config = format!(
            "[plugins]\nfolder = {:?}\n{lines}[plugins.echo]\n[plugins.bot-hint]\ncapabilities = [\"config\"]\n",
            folder.display().to_string()
        );
        let file = home.path().join("portcullis.toml");
        std::fs::write(&file, config).unwrap();
        Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .path("--config", &file)
            .path("--data", &home.path().join("data"))
            .path("--policies", &home.path().join("policies"))
    };
    let listens = |lines: &str| {
        let served = start(lines).start();
        let line = served.line(Duration::from_secs(60));
        assert!(line.is_some_and(|line| line.contains("listening")), "{}", served.stderr());
    };
    listens("");
    let refused = start("cases_at_start = true\n").run_refused();
    assert!(
        refused
            .stderr
            .contains("`[plugins.echo]`: 1 of its own cases fail, the first: `nothing is found` in")
    );
    assert!(!refused.stderr.contains("[plugins.bot-hint]"), "{}", refused.stderr);
    let expecting = text.replace("findings: []", "findings: [{rule: echo}]");
    std::fs::write(cases.join("a.yaml"), expecting).unwrap();
    listens("cases_at_start = true\n");
}

fn compiled(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("plugin-cache")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn only_compiled(data: &Path) -> PathBuf {
    let [entry] = &compiled(data)[..] else { panic!("{:?}", compiled(data)) };
    entry.clone()
}

#[test]
fn compiled_code_from_elsewhere_or_damaged_is_made_again_and_never_run() {
    let lines = format!("[plugins.echo]\n{PATIENT}");
    // Another node compiles the same: its code has the same name here.
    let other = Placed::with(&["echo"], &lines);
    let theirs = only_compiled(other.data());
    let foreign = std::fs::read(&theirs).unwrap();
    drop(other.server);

    let mut server = Placed::with(&["echo"], &lines);
    let (entry, component) = (only_compiled(server.data()), built("echo"));
    assert_eq!(entry.file_name(), theirs.file_name());
    let good = std::fs::read(&entry).unwrap();
    let mut flipped = good.clone();
    let last = flipped.len() / 2;
    flipped[last] ^= 1;
    let bad = [foreign, flipped, good[..good.len() / 2].to_vec(), Vec::new(), b"\x7fELF".to_vec()];
    let digest = server.shows("echo", |_| true)["digest"].clone();
    for (number, bad) in (0..).zip(&bad) {
        // Another build, and back: the one that is damaged meanwhile is wanted again.
        server.put("echo", "plugin.wasm", &rebuilt(&component, number));
        let _ = server.shows("echo", |shown| shown["digest"] != digest);
        std::fs::write(&entry, bad).unwrap();
        server.put("echo", "plugin.wasm", &component);
        let _ = server.shows("echo", |shown| shown["digest"] == digest);
        is_right(&server);
        assert_ne!(&std::fs::read(&entry).unwrap(), bad, "{number}: it was taken as it was");
    }
    for bad in &bad {
        std::fs::write(&entry, bad).unwrap();
        server.server.restart();
        is_right(&server);
        assert_ne!(&std::fs::read(&entry).unwrap(), bad, "it was taken as it was");
        assert!(server.stderr().contains("compiled code was not made by this node"), "{}", server.stderr());
    }
}

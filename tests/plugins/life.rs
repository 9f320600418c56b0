//! The life of a plugin: loaded, swapped, trusted, in a mode, left alone when it fails.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_tests::{Cli, Client, Server, eventually, soak};
use serde_json::{Value, json};

use super::placed::{PATIENT, Placed, place, rebuilt};
use crate::fixtures::{create_key_with, log_records, question};

/// Alice's question, with a request that the guests look at.
fn reported(deed: &str) -> Value {
    let mut asked = question("alice", "read", "record-1");
    asked["http"] = json!({"method": "GET", "path": "/records/1", "headers": {"x-do": deed}});
    asked
}

fn decide(client: &Client, deed: &str) -> Value {
    client.post("/v1/decide", &reported(deed)).expect_status(200).json()
}

fn has_finding(answer: &Value, plugin: &str) -> bool {
    answer["findings"].as_array().is_some_and(|all| all.iter().any(|found| found["plugin"] == plugin))
}

fn echo() -> Placed {
    Placed::with(&["echo"], &format!("[plugins.echo]\n{PATIENT}"))
}

#[test]
fn a_mode_that_is_set_counts_with_the_next_decision_and_until_it_is_taken_back() {
    let server = echo();
    let path = "/v1/plugins/echo/mode";
    assert!(has_finding(&decide(&server, ""), "echo"));
    let set = server
        .request("PUT", path)
        .header("content-type", "application/json")
        .body(json!({"mode": "off"}).to_string())
        .send()
        .expect_status(201);
    assert_eq!(set.json()["mode"], json!("off"));
    assert!(!has_finding(&decide(&server, ""), "echo"));
    let mine = json!({"mode": "enforce", "tenant": "default", "route": "GET /records/{id}"});
    let _ = server
        .request("PUT", path)
        .header("content-type", "application/json")
        .body(mine.to_string())
        .send()
        .expect_status(201);
    assert!(has_finding(&decide(&server, ""), "echo"), "the tenant's own says more");
    let mut other = reported("");
    other["http"]["path"] = json!("/other");
    let answer = server.post("/v1/decide", &other).expect_status(200).json();
    assert!(!has_finding(&answer, "echo"), "{answer}");
    other["http"]["path"] = json!("//records/1");
    let answer = server.post("/v1/decide", &other).expect_status(200).json();
    assert!(has_finding(&answer, "echo"), "a path that can be read in two ways turns nothing off: {answer}");
    let at = format!("{path}?tenant=default&route=GET%20/records/%7Bid%7D");
    let _ = server.request("DELETE", &at).send().expect_status(200);
    assert!(!has_finding(&decide(&server, ""), "echo"));
    let _ = server.request("DELETE", path).send().expect_status(200);
    assert!(has_finding(&decide(&server, ""), "echo"));
    let changes = || {
        let records = log_records(server.data());
        let operation = |record: &Value| record["event"]["api"]["operation"].as_str().map(str::to_owned);
        let of_modes = records.iter().filter_map(operation).filter(|name| name.starts_with("plugin_mode_"));
        of_modes.collect::<Vec<_>>()
    };
    let expected = ["plugin_mode_set", "plugin_mode_set", "plugin_mode_deleted", "plugin_mode_deleted"];
    let recorded = eventually(Duration::from_secs(10), || (changes() == expected).then_some(()));
    assert!(recorded.is_some(), "{:?}", changes());
}

#[test]
fn what_a_plugin_in_shadow_mode_would_have_done_is_recorded_and_counts_for_nothing() {
    let server = Placed::with(
        &["hostile"],
        &format!("[plugins.hostile]\nwithhold = [\"log\"]\nmode = \"shadow\"\n{PATIENT}"),
    );
    let answer = decide(&server, "panic");
    assert_eq!(answer["decision"], json!(true), "{answer}");
    let shown = server.shows("hostile", |shown| shown["statistics"]["shadow"]["calls"] == json!(1));
    assert_eq!(shown["statistics"]["shadow"]["failures"], json!({"trap": 1}), "{shown}");
    assert_eq!(shown["statistics"]["enforced"]["calls"], json!(0));
    let effects = || -> Vec<Value> {
        let of_plugin = |record: &Value| record["event"]["actor"]["user"]["type"] == "plugin";
        log_records(server.data()).into_iter().filter(of_plugin).collect()
    };
    let found = eventually(Duration::from_secs(20), || effects().pop());
    let text = found.unwrap_or_else(|| panic!("no effect in {:?}", log_records(server.data()))).0.to_string();
    for part in
        ["shadow_failed:hostile:trap", answer["decision_id"].as_str().unwrap(), "\"failure\":\"trap\""]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_would_be_rejected_in_shadow_mode_is_allowed_recorded_and_counted() {
    let section = |mode: &str| {
        format!("[plugins.injection-guard]\ncapabilities = [\"config\"]\nmode = \"{mode}\"\n{PATIENT}")
    };
    let mut asked = question("alice", "read", "record-1");
    asked["http"] =
        json!({"method": "GET", "path": "/records", "query": "id=1%27+union+select+password+from+users--"});
    let enforced = Placed::with(&["injection-guard"], &section("enforce"));
    let answer = enforced.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(
        (&answer["decision"], &answer["reasons"]),
        (&json!(false), &json!(["rejected:injection-guard:injection"]))
    );

    let server = Placed::with(&["injection-guard"], &section("shadow"));
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["decision"], json!(true), "{answer}");
    assert!(!has_finding(&answer, "injection-guard"), "{answer}");
    let shown = server.shows("injection-guard", |shown| shown["statistics"]["shadow"]["calls"] == json!(1));
    assert_eq!(shown["statistics"]["shadow"]["rejections"], json!(1), "{shown}");
    assert_eq!(shown["statistics"]["enforced"]["calls"], json!(0), "{shown}");
    let effect = || {
        let of_plugin = |record: &Value| record["event"]["actor"]["user"]["type"] == "plugin";
        log_records(server.data()).into_iter().find(of_plugin)
    };
    let found = eventually(Duration::from_secs(20), effect);
    let event =
        found.unwrap_or_else(|| panic!("no effect in {:?}", log_records(server.data()))).0["event"].clone();
    assert_eq!(event["unmapped"]["reasons"], json!(["shadow_rejected:injection-guard:injection"]), "{event}");
    assert_eq!(event["resources"], json!([{"uid": answer["decision_id"], "type": "decision"}]), "{event}");
    assert_eq!(event["unmapped"]["context"]["rejection"], json!("injection"), "{event}");
}

#[test]
fn a_plugin_that_fails_again_and_again_is_left_alone_for_that_tenant_and_closes_nothing_for_another() {
    let lines = format!(
        "[plugins.hostile]\nwithhold = [\"log\"]\n{PATIENT}breaker = {{failures = 3, window_seconds = 600, open_seconds = 600}}\n"
    );
    let server = Placed::with(&["hostile"], &lines);
    let reason =
        |client: &Client, deed: &str| decide(client, deed)["reasons"][0].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert_eq!(reason(&server, "panic"), "plugin_failed:hostile:trap");
    }
    let answer = decide(&server, "");
    assert_eq!(
        (&answer["decision"], &answer["reasons"]),
        (&json!(false), &json!(["plugin_failed:hostile:circuit_open"]))
    );
    let (_, key) = create_key_with(server.data(), &["assert_subject"], &["*"], &["--tenant", "blue"]);
    let blue = server.with_key(Some(&key));
    assert_eq!(decide(&blue, "")["decision"], json!(true));
    assert_eq!(reason(&blue, "panic"), "plugin_failed:hostile:trap");
    let shown = server.get("/v1/plugins/hostile").expect_status(200).json();
    let statistics = &shown["statistics"];
    assert_eq!(statistics["open_circuits"], json!(1), "{shown}");
    assert_eq!(statistics["enforced"]["failures"], json!({"trap": 4, "circuit_open": 1}), "{shown}");
    // The last error was blue's: its text is not for another tenant.
    assert_eq!(statistics["last_error"]["kind"], json!("trap"));
    assert!(statistics["last_error"].get("message").is_none(), "{shown}");
    let metrics = server.get("/metrics").expect_status(200).text();
    let line = "portcullis_plugin_failures_total{plugin=\"hostile\",mode=\"enforce\",kind=\"trap\"} 4";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_build_that_does_not_load_leaves_the_one_before_and_says_so() {
    let server = echo();
    let component = std::fs::read(server.file("echo", "plugin.wasm")).unwrap();
    let before = server.shows("echo", |shown| shown["state"] == "loaded");
    for (broken, why) in [(&component[..component.len() / 2], "no component"), (b"", "no component")] {
        server.put("echo", "plugin.wasm", broken);
        let shown = server.shows("echo", |shown| shown["state"] == "failed");
        assert_eq!(shown["digest"], before["digest"]);
        assert!(shown["load_error"]["message"].as_str().unwrap().contains(why), "{shown}");
        assert!(has_finding(&decide(&server, ""), "echo"), "it serves on");
    }
    let details = server.get("/readyz?details=true").expect_status(200).json();
    assert_eq!(details["details"]["plugins"]["failed"], json!(["echo"]), "{details}");
    server.put("echo", "plugin.wasm", &rebuilt(&component, 1));
    let shown =
        server.shows("echo", |shown| shown["state"] == "loaded" && shown["digest"] != before["digest"]);
    assert!(shown.get("load_error").is_none(), "{shown}");
    // What asks for more is refused until it is granted, by name.
    let manifest = std::fs::read_to_string(server.file("echo", "plugin.toml")).unwrap();
    let wanting = manifest.replace("capabilities = []", "capabilities = [\"clock\", \"kv\"]");
    assert_ne!(wanting, manifest);
    server.put("echo", "plugin.toml", wanting.as_bytes());
    let shown = server.shows("echo", |shown| shown["state"] == "failed");
    let message = shown["load_error"]["message"].as_str().unwrap();
    assert!(message.contains("`clock`, `kv`") && message.contains("[plugins.echo]"), "{message}");
    assert!(has_finding(&decide(&server, ""), "echo"));
}

#[test]
fn builds_are_swapped_under_load_and_no_decision_fails_or_is_mixed() {
    let server = echo();
    let component = std::fs::read(server.file("echo", "plugin.wasm")).unwrap();
    let stop = AtomicBool::new(false);
    let swaps = u32::try_from(soak(5, 1_000)).unwrap();
    let answers = std::thread::scope(|scope| {
        let load = || {
            let client = Client::keeping_alive(server.base(), server.key());
            let mut revisions = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = decide(&client, "");
                assert!(answer["decision"] == json!(true) && has_finding(&answer, "echo"), "{answer}");
                revisions.push(answer["decision_id"].as_str().unwrap().to_owned());
            }
            revisions
        };
        let loads = [scope.spawn(load), scope.spawn(load)];
        let mut digest = server.shows("echo", |_| true)["digest"].clone();
        for number in 0..swaps {
            server.put("echo", "plugin.wasm", &rebuilt(&component, number));
            digest = server.shows("echo", |shown| shown["digest"] != digest)["digest"].clone();
        }
        stop.store(true, Ordering::Relaxed);
        loads.map(|load| load.join().unwrap()).concat()
    });
    assert!(answers.len() > 10, "there was no load");
    // One revision is one build: what a decision says it was decided by is what ran.
    let mut seen: HashMap<String, String> = HashMap::new();
    for record in log_records(server.data()) {
        let unmapped = &record["event"]["unmapped"];
        let Some(digest) = unmapped["plugins"][0]["digest"].as_str() else { continue };
        let revision = unmapped["revision"].as_str().unwrap_or_else(|| panic!("no revision: {record}"));
        let known = seen.entry(revision.to_owned()).or_insert_with(|| digest.to_owned());
        assert_eq!(known, digest, "{record}");
    }
    assert!(seen.len() > usize::try_from(swaps).unwrap() / 2, "{seen:?}");
}

#[test]
fn a_plugin_runs_by_the_signature_of_a_key_that_is_trusted() {
    let home = tempfile::tempdir().unwrap();
    let (key, other) = (home.path().join("signing.pem"), home.path().join("other.pem"));
    let public =
        Cli::new(["plugin", "keygen"]).path("--", &key).run().expect_status(0).stdout.trim().to_owned();
    assert!(public.starts_with("ed25519:"), "{public}");
    let again = Cli::new(["plugin", "keygen"]).path("--", &key).run().expect_status(1);
    assert!(again.stderr.contains("can't write"), "{}", again.output());
    let _ = Cli::new(["plugin", "keygen"]).path("--", &other).run().expect_status(0);
    place("echo", home.path());
    let folder = home.path().join("echo");
    let verify = |trusted: &[&str]| {
        let mut arguments = vec!["plugin", "verify"];
        arguments.extend(trusted.iter().flat_map(|key| ["--key", key]));
        Cli::new(arguments).path("--", &folder).run()
    };
    assert!(verify(&[]).expect_status(1).stderr.contains("is not signed"));
    let sign =
        |key| Cli::new(["plugin", "sign"]).path("--key", key).path("--", &folder).run().expect_status(0);
    let _ = sign(&other);
    assert!(verify(&[&public]).expect_status(1).stderr.contains("not trusted"));
    let _ = sign(&key);
    assert!(verify(&[&public]).expect_status(0).stdout.contains(&public));

    // A server without `--dev` and without `allow_unsigned` runs it by that key alone.
    let start = |trusted: &str| {
        let data = home.path().join("data");
        let shown = home.path().display().to_string();
        let config =
            format!("[plugins]\nfolder = {shown:?}\ntrusted_keys = [{trusted}]\n[plugins.echo]\n{PATIENT}");
        let file = home.path().join("portcullis.toml");
        std::fs::write(&file, config).unwrap();
        let policies = home.path().join("policies");
        Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .env("PORTCULLIS_PLUGINS__ALLOW_UNSIGNED", "false")
            .path("--config", &file)
            .path("--data", &data)
            .path("--policies", &policies)
    };
    let refused = start("").run_refused();
    assert!(refused.stderr.contains("not in `plugins.trusted_keys`"), "{}", refused.output());
    let served = start(&format!("{public:?}")).start();
    let line = served.line(std::time::Duration::from_secs(60));
    assert!(line.is_some_and(|line| line.contains("listening")), "{}", served.stderr());
    drop(served);
    std::fs::write(
        folder.join("plugin.toml"),
        std::fs::read_to_string(folder.join("plugin.toml")).unwrap() + "\n",
    )
    .unwrap();
    assert!(verify(&[&public]).expect_status(1).stderr.contains("not of this component"));
    let refused = start(&format!("{public:?}")).run_refused();
    assert!(refused.stderr.contains("is not of this component with this manifest"), "{}", refused.output());
}

#[test]
fn a_server_starts_with_all_that_is_configured_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("portcullis.toml");
    let shown = home.path().join("plugins").display().to_string();
    std::fs::write(&file, format!("[plugins]\nfolder = {shown:?}\n[plugins.no-such-rule]\n")).unwrap();
    let refused = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
        .path("--config", &file)
        .path("--data", &home.path().join("data"))
        .run_refused();
    assert!(refused.stderr.contains("`[plugins.no-such-rule]`: there is no"), "{}", refused.output());
    // A plugin without a section is told of, and does not run.
    let server = Placed::on(Server::builder(), &["echo"], "");
    let shown = server.get("/v1/plugins").expect_status(200).json();
    assert_eq!(shown["items"], json!([{"name": "echo", "state": "not_configured"}]));
    assert!(!has_finding(&decide(&server, ""), "echo"));
}

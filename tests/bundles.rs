//! A server whose policies and plugins come from a bundle: what is newer and vouched for is live, anything else leaves what
//! is served where it is, and a restart makes nothing older of it.

mod http;
pub(crate) mod made;

use std::time::Duration;

use portcullis_tests::files::{replace, write};
use portcullis_tests::{Cli, Server};
use serde_json::{Value, json};

use crate::fixtures::metric;
use crate::plugins::placed::{PATIENT, place};
use made::Made;

const LIMIT: Duration = Duration::from_secs(20);

fn status(server: &Server) -> Value {
    server.get("/readyz?details=true").expect_status(200).json()["details"]["bundle"].clone()
}

/// Waits until the bundle's status is so.
#[track_caller]
fn shows(server: &Server, is_so: impl Fn(&Value) -> bool) -> Value {
    let seen = portcullis_tests::eventually(LIMIT, || Some(status(server)).filter(&is_so));
    seen.unwrap_or_else(|| panic!("it shows {}; stderr:\n{}", status(server), server.stderr())).0
}

/// Waits until the bundle's error has these words; the server serves on what it had.
#[track_caller]
fn refuses(server: &Server, version: u64, words: &str) {
    let shown = shows(server, |status| status["error"].as_str().is_some_and(|error| error.contains(words)));
    assert_eq!(shown["version"], version);
    assert_eq!(made::reasons(server), json!([format!("v{version}")]));
}

#[test]
fn a_newer_bundle_is_live_and_what_is_not_vouched_for_is_not() {
    let made = Made::new();
    made.place(5, &made.key);
    let server = made.builder(&made.source()).start();
    assert_eq!(made::reasons(&server), json!(["v5"]));
    made.place(6, &made.key);
    let shown = shows(&server, |status| status["version"] == 6);
    assert_eq!(made::reasons(&server), json!(["v6"]));
    assert_eq!((&shown["error"], shown["digest"].as_str().unwrap().len()), (&Value::Null, 71));
    assert!(metric(&server, "portcullis_bundle_version") > 5.5);

    let refused: [(&str, Vec<u8>); 6] = [
        ("is signed by", made.signed(7, &made.other)),
        ("is not signed", made.unsigned(7)),
        ("version 6 was taken already", made.signed(5, &made.key)),
        ("was changed or damaged", {
            let mut bytes = made.signed(7, &made.key);
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        }),
        ("is cut off", made.signed(7, &made.key)[..500].to_vec()),
        ("does not begin as one", b"permit(principal, action, resource);".to_vec()),
    ];
    for (words, bytes) in refused {
        replace(&made.file, bytes);
        refuses(&server, 6, words);
    }
    made.write_pack(6, "// Other content of the same version.");
    replace(&made.file, made.sign(made.build(6), &made.key));
    refuses(&server, 6, "was taken with other content");
    std::fs::remove_file(&made.file).unwrap();
    refuses(&server, 6, "can't read the bundle");
    std::fs::create_dir(&made.file).unwrap();
    refuses(&server, 6, "no regular file");
    std::fs::remove_dir(&made.file).unwrap();
    assert!(metric(&server, "portcullis_bundle_polls_total{result=\"failed\"}") >= 8.0);
    assert!(metric(&server, "portcullis_bundle_failing") > 0.5);

    made.place(8, &made.key);
    let shown = shows(&server, |status| status["version"] == 8);
    assert_eq!(shown["error"], Value::Null);
    assert_eq!(made::reasons(&server), json!(["v8"]));
}

#[test]
fn a_restart_serves_nothing_older_and_needs_no_source() {
    let made = Made::new();
    made.place(2, &made.key);
    let mut server = made.builder(&made.source()).start();
    made.place(1, &made.key);
    server.restart();
    refuses(&server, 2, "version 2 was taken already");
    std::fs::remove_file(&made.file).unwrap();
    server.restart();
    refuses(&server, 2, "can't read the bundle");
    // What is kept is judged as what comes from the source is.
    server.stop();
    let kept = server.data().join("last.bundle");
    let whole = std::fs::read(&kept).unwrap();
    for changed in [made.signed(2, &made.other), made.signed(1, &made.key), whole[..whole.len() - 1].to_vec()]
    {
        write(&kept, changed);
        let ran = Cli::new(["serve", "--listen", "127.0.0.1:0", "--dev"])
            .path("--data", server.data())
            .path("--config", &made.config_file())
            .run_refused();
        assert_ne!(ran.status, 0, "{}", ran.output());
        assert!(ran.stderr.contains("the bundle can't be served"), "{}", ran.output());
    }
    write(&kept, whole);
    server.restart();
    assert_eq!(made::reasons(&server), json!(["v2"]));
}

#[test]
fn a_bundle_whose_packs_do_not_load_is_refused_whole() {
    let made = Made::new();
    made.place(1, &made.key);
    let server = made.builder(&made.source()).start();
    made.write_pack(2, "");
    let sound = made.build(2);
    // Nothing builds such a bundle but somebody who means harm and has the key: the same length, and no policy.
    let broken = made::with_content(&sound, "resource);", "resource((");
    replace(&made.file, made.sign(broken, &made.key));
    refuses(&server, 1, "policies do not load");
    made.place(3, &made.key);
    shows(&server, |status| status["version"] == 3 && status["error"].is_null());
}

#[test]
fn plugins_come_from_the_bundle_with_its_packs_or_not_at_all() {
    let made = Made::new();
    std::fs::create_dir(made.plugins()).unwrap();
    place("echo", &made.plugins());
    made.place(1, &made.key);
    let lines = format!("[plugins.echo]\n{PATIENT}");
    let server = made.builder_with(&made.source(), &lines).start();
    let shown = server.get("/v1/plugins/echo").expect_status(200).json();
    assert_eq!((&shown["name"], &shown["embedded"]), (&json!("echo"), &json!(false)));
    std::fs::remove_dir_all(made.plugins()).unwrap();
    made.place(2, &made.key);
    refuses(&server, 1, "`[plugins.echo]`: there is no `(bundle)/echo/plugin.toml`");
    let _ = server.get("/v1/plugins/echo").expect_status(200);
    std::fs::create_dir(made.plugins()).unwrap();
    place("echo", &made.plugins());
    made.place(3, &made.key);
    shows(&server, |status| status["version"] == 3 && status["error"].is_null());
}

#[test]
fn a_pinned_revision_stays_before_newer_bundles_until_they_are_followed() {
    let made = Made::new();
    made.place(1, &made.key);
    let mut server = made.builder(&made.source()).start();
    let active = |server: &Server| server.get("/v1/revisions").expect_status(200).json()["active"].clone();
    let first = active(&server).as_str().unwrap().to_owned();
    made.place(2, &made.key);
    shows(&server, |status| status["version"] == 2);
    let kept = portcullis_tests::eventually(LIMIT, || (active(&server) != *first).then_some(()));
    assert!(kept.is_some(), "{}", server.stderr());
    let path = format!("/v1/revisions/{first}/activate");
    let _ = server.request("POST", &path).send().expect_status(200);
    assert_eq!(made::reasons(&server), json!(["v1"]));
    let page = server.get("/v1/revisions").expect_status(200).json();
    let origins: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["origin"]).collect();
    assert_eq!(origins, ["rollback", "bundle"]);
    made.place(3, &made.key);
    shows(&server, |status| status["version"] == 3 && status["error"].is_null());
    assert_eq!(made::reasons(&server), json!(["v1"]));
    let waits = server.get("/v1/revisions").json()["files_not_served"].clone();
    assert!(waits.is_string() && waits != json!(first), "{waits}");
    // The same packs as those that are pinned are not told of.
    made.write_pack(1, "");
    replace(&made.file, made.sign(made.build(4), &made.key));
    shows(&server, |status| status["version"] == 4 && status["error"].is_null());
    assert_eq!(server.get("/v1/revisions").json()["files_not_served"], json!(null));
    made.place(5, &made.key);
    shows(&server, |status| status["version"] == 5 && status["error"].is_null());
    server.restart();
    assert_eq!((&status(&server)["version"], made::reasons(&server)), (&json!(5), json!(["v1"])));
    let _ = server.request("POST", "/v1/revisions/follow").send().expect_status(200);
    assert_eq!(made::reasons(&server), json!(["v5"]));
}

#[test]
fn commands_beside_the_server_know_the_bundles_packs() {
    let made = Made::new();
    made.place(1, &made.key);
    let server = made.builder(&made.source()).start();
    let export = |data: &std::path::Path| {
        Cli::new(["entity", "export"]).path("--data", data).path("--config", &made.config_file()).run()
    };
    let ran = export(server.data()).expect_status(0);
    assert!(!ran.output().contains("no pack"), "{}", ran.output());
    let kept = server.data().join("last.bundle");
    write(&kept, made.signed(1, &made.other));
    let ran = export(server.data()).expect_status(1);
    assert!(ran.stderr.contains("no such key is trusted"), "{}", ran.output());
}

#[test]
fn a_bundle_without_a_key_to_trust_is_an_error_of_the_configuration() {
    let made = Made::new();
    made.place(1, &made.key);
    for (lines, word) in [
        ("source = \"a.bundle\"\n", "bundle.trusted_keys"),
        ("source = \"http://example.com/a\"\n", "bundle.source"),
        ("poll_seconds = 0\n", "bundle.poll_seconds"),
        ("trusted_key = []\n", "trusted_key"),
    ] {
        write(&made.config_file(), format!("[bundle]\n{lines}"));
        let ran = Cli::new(["serve", "--dev"]).path("--config", &made.config_file()).run_refused();
        assert!(ran.status != 0 && ran.stderr.contains(word), "{word}: {}", ran.output());
    }
}

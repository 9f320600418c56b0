//! Masks and signatures by plugins that run, and their calls made again.

use std::path::Path;
use std::time::Duration;

use portcullis_tests::{Cli, Server, eventually, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::question;
use crate::routes::v1::mask::{decide, events, pack};

/// A server with guests of the tests, and the folder that they are in.
struct Guests {
    server: Server,
    _plugins: TempDir,
}

impl std::ops::Deref for Guests {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

const KEYS: &str = "[keys.partner]\nalgorithm = \"ed25519\"\n[keys.other]\nalgorithm = \"ed25519\"\n";
/// Time enough on a machine that is kept busy.
const MASK: &str = "[plugins.mask-badly]\ncapabilities = [\"log\", \"lookup\"]\nrecord = true\nbudget = { deadline_milliseconds = 5000 }\n";
const SIGN: &str = "[plugins.sign-plainly]\ncapabilities = [\"clock\", \"crypto\", \"lookup\"]\nkeys = [\"partner\"]\nrecord = true\n\
    budget = { deadline_milliseconds = 5000 }\n";

fn with(names: &[&str], sections: &str) -> Guests {
    let plugins = tempfile::tempdir().unwrap();
    for name in names {
        copy(&repository().join("tests/guests").join(name), &plugins.path().join(name));
    }
    let config = format!(
        "{KEYS}[plugins]\nfolder = {:?}\nallow_unsigned = true\n{sections}",
        plugins.path().display().to_string()
    );
    Guests {
        server: Server::builder().pack(pack().entities(&entities())).config(&config).start(),
        _plugins: plugins,
    }
}

fn entities() -> Value {
    json!([{"uid": {"type": "user", "id": "alice"}, "attrs": {"department": "sales"}, "parents": []}])
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in ["plugin.toml", "plugin.wasm"] {
        std::fs::copy(from.join(file), to.join(file))
            .unwrap_or_else(|error| panic!("{}/{file}: {error}: run `cargo xtask plugins`", from.display()));
    }
}

fn mask(server: &Server, id: &str, document: &Value, status: u16) -> Value {
    let body = json!({"decision_id": id, "document": document});
    server.post("/v1/mask", &body).expect_status(status).json()
}

#[test]
fn what_a_decision_obliges_to_is_masked_and_nothing_else() {
    let server = with(&["mask-badly"], MASK);
    let id = decide(&server, "list");
    let document = json!({"email": "ann@example.org", "cards": ["4111"], "name": "Ann", "n": 1.5});
    let masked = mask(&server, &id, &document, 200);
    let expected = json!({"email": "***", "cards": "***", "name": "Ann", "n": 1.5});
    assert_eq!(masked, json!({"decision_id": id, "document": expected, "edits": 2}));
    let event = events(&server, "mask").pop().unwrap();
    assert_eq!(event["event"]["unmapped"]["context"]["edits"], json!(2), "{event}");
    assert!(!event.to_string().contains("ann@"), "{event}");
}

#[test]
fn a_plugin_that_does_not_do_it_gives_no_document() {
    let server = with(&["mask-badly"], MASK);
    let id = decide(&server, "list");
    for (wish, status, code, failure) in [
        ("nothing", 422, "mask_incomplete", json!(null)),
        ("outside", 503, "mask_failed", json!("bad_answer")),
        ("same", 503, "mask_failed", json!("bad_answer")),
        ("within", 503, "mask_failed", json!("bad_answer")),
        ("fail", 503, "mask_failed", json!("failed")),
        ("panic", 503, "mask_failed", json!("trap")),
        ("long", 503, "mask_failed", json!("host_bytes")),
    ] {
        let document = json!({"do": wish, "email": "ann@example.org", "secret": 1, "inner": {"secret": 2}});
        let refused = mask(&server, &id, &document, status);
        assert_eq!(refused["code"], json!(code), "{wish}: {refused}");
        assert!(!refused.to_string().contains("ann@"), "{wish}: {refused}");
        // The event names the cause.
        let event = events(&server, "mask").pop().unwrap();
        let called = &event["event"]["unmapped"]["context"]["plugins"][0];
        assert_eq!(
            (&called["name"], &called["failure"]),
            (&json!("mask-badly"), &failure),
            "{wish}: {event}"
        );
    }
    // It serves on.
    let document = json!({"email": "ann@example.org", "cards": []});
    assert_eq!(mask(&server, &id, &document, 200)["document"], json!({"email": "***", "cards": "***"}));
}

#[test]
fn a_plugin_that_only_watches_masks_nothing() {
    let server =
        with(&["mask-badly"], "[plugins.mask-badly]\nwithhold = [\"log\", \"lookup\"]\nmode = \"shadow\"\n");
    let document = json!({"email": "ann@example.org"});
    let refused = mask(&server, &decide(&server, "list"), &document, 503);
    assert_eq!(refused["code"], json!("no_mask_plugin"));
    assert_eq!(mask(&server, &decide(&server, "read"), &document, 200)["document"], document);
}

fn sign(server: &Server, id: &str, wish: &str, status: u16) -> Value {
    let message = json!({"method": "POST", "target_uri": "https://partner.example/", "headers": {"X-Do": wish},
        "body_text": "hello"});
    let body = json!({"decision_id": id, "message": message});
    server.post("/v1/sign", &body).expect_status(status).json()
}

#[test]
fn a_message_is_signed_with_the_key_that_the_decision_says() {
    let server = with(&["sign-plainly"], SIGN);
    let id = decide(&server, "send");
    let signed = sign(&server, &id, "", 200);
    assert_eq!(signed["key"], json!("partner"));
    assert_eq!(signed["headers"][1]["name"], json!("x-signature"), "{signed}");
    assert_eq!(signed["headers"][1]["value"].as_str().unwrap().len(), 128, "{signed}");
    // It may not use another key, must sign, and can't add a header in another's value.
    for wish in ["other-key", "nothing", "smuggle"] {
        assert_eq!(sign(&server, &id, wish, 503)["code"], json!("sign_failed"), "{wish}");
    }
    // The other key that a decision names is not granted to it.
    let by_two = decide(&server, "forward");
    let body = json!({"decision_id": by_two, "key": "other", "message": {"bytes_base64": "aGk="}});
    assert_eq!(server.post("/v1/sign", &body).expect_status(503).problem(), "no_sign_plugin");
}

fn replay(server: &Server, arguments: &[&str]) -> portcullis_tests::Ran {
    Cli::new([&["plugin", "replay"], arguments].concat()).path("--data", server.data()).run()
}

#[test]
fn calls_that_were_kept_come_out_the_same() {
    let server = with(&["mask-badly", "sign-plainly"], &format!("{MASK}{SIGN}"));
    let (list, send) = (decide(&server, "list"), decide(&server, "send"));
    for number in 0..20 {
        let _ = mask(&server, &list, &json!({"email": format!("{number}@example.org"), "cards": []}), 200);
        let _ = sign(&server, &send, "", 200);
    }
    for wish in ["outside", "fail", "panic"] {
        let _ = mask(&server, &list, &json!({"do": wish, "email": "x"}), 503);
    }
    let all = replay(&server, &["--all", "--json"]).expect_status(0);
    let lines: Vec<Value> = all.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 43, "{}", all.stdout);
    assert!(lines.iter().all(|line| line["result"] == "same" && line["fuel"].as_u64() > Some(0)));
    let newest = lines[0]["record"].as_str().unwrap();
    assert_eq!(replay(&server, &[newest]).expect_status(0).stdout.lines().count(), 1);
    assert_eq!(replay(&server, &["--all", "--limit", "5"]).expect_status(0).stdout.lines().count(), 5);
    // Nothing was kept with a decision that no plugin took part in, nor is there any other.
    for (id, why) in [
        (list.as_str(), "keeps no calls"),
        ("dec_0197aaaabbbb7cccddddeeeeffff0001", "is not in"),
        ("x", "is no id"),
    ] {
        let refused = replay(&server, &[id]).expect_status(1);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
}

#[test]
fn entities_of_the_decisions_pack_are_looked_up_by_whom_it_is_granted() {
    let server = with(&["mask-badly", "sign-plainly"], &format!("{MASK}{SIGN}"));
    let document = json!({"do": "look-up", "secret": 1});
    let masked = mask(&server, &decide(&server, "read"), &document, 200);
    assert_eq!(masked["document"]["secret"], json!("sales"));
    let signed = sign(&server, &decide(&server, "send"), "look-up", 200);
    assert_eq!(signed["headers"], json!([{"name": "x-department", "value": "sales"}]));
    let all = replay(&server, &["--all", "--json"]).expect_status(0);
    assert_eq!(all.stdout.matches("\"same\"").count(), 2, "{}", all.output());
    let withheld = MASK.replace("capabilities = [\"log\", \"lookup\"]", "withhold = [\"log\", \"lookup\"]");
    let server = with(&["mask-badly"], &withheld);
    let refused = mask(&server, &decide(&server, "read"), &document, 503);
    assert_eq!(refused["code"], json!("mask_failed"));
}

#[test]
fn a_panic_that_is_to_be_reported_says_why_in_the_servers_log() {
    let server = with(&["mask-badly"], MASK);
    let _ = mask(&server, &decide(&server, "list"), &json!({"do": "panic"}), 503);
    let said = eventually(Duration::from_secs(10), || {
        let text = server.stderr();
        (text.contains("portcullis::plugin::log") && text.contains("it wants to")).then_some(())
    });
    assert!(said.is_some(), "{}", server.stderr());
}

#[test]
fn calls_open_in_their_own_record_alone() {
    let mut server = with(&["sign-plainly"], SIGN);
    let id = decide(&server, "send");
    let _ = sign(&server, &id, "", 200);
    let _ = sign(&server, &id, "", 200);
    let ids: Vec<String> = events(&server, "sign")
        .iter()
        .map(|event| event["chain"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(server.server.stop(), 0);
    let segment = crate::audit::segments(server.data()).pop().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    // The second's calls under the first's id.
    let swapped: Vec<String> = text
        .lines()
        .filter(|line| !line.contains(&format!("\"id\":\"{}\"", ids[0])))
        .map(|line| line.replace(&ids[1], &ids[0]))
        .collect();
    std::fs::write(&segment, swapped.join("\n") + "\n").unwrap();
    let refused = replay(&server, &[&ids[0]]).expect_status(1);
    assert!(refused.stderr.contains("does not open"), "{}", refused.stderr);
}

#[test]
fn a_component_that_was_taken_away_or_changed_is_not_run() {
    let server = with(&["sign-plainly"], SIGN);
    let _ = sign(&server, &decide(&server, "send"), "", 200);
    let kept = server.data().join("plugins");
    let component = std::fs::read_dir(&kept)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .expect("the component of a plugin that is recorded is kept");
    let mut bytes = std::fs::read(&component).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&component, &bytes).unwrap();
    let changed = replay(&server, &["--all"]).expect_status(1);
    assert!(changed.stdout.contains("is not what it was"), "{}", changed.stdout);
    std::fs::remove_file(&component).unwrap();
    let gone = replay(&server, &["--all"]).expect_status(1);
    assert!(gone.stdout.contains("can't be made again"), "{}", gone.stdout);
}

#[test]
fn a_document_of_a_hundred_thousand_values_is_masked_or_refused_in_time() {
    let server = with(&["mask-badly"], MASK);
    let id = decide(&server, "list");
    let cards: Vec<Value> = (0..100_000).map(Value::from).collect();
    let masked = mask(&server, &id, &json!({"email": "x", "cards": cards, "rest": "stays"}), 200);
    assert_eq!(masked["document"], json!({"email": "***", "cards": "***", "rest": "stays"}));
    // Another question is answered beside it.
    let _ = server.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200);
}

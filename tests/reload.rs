//! Edits of policies while the server runs: live in under a second, whole, or not at all.

mod load;

use std::time::{Duration, Instant};

use portcullis_tests::files::{replace, write};
use portcullis_tests::{Pack, Server, eventually};
use serde_json::{Value, json};

use crate::fixtures::{metric, question};

const LIMIT: Duration = Duration::from_secs(10);
const LIVE: Duration = Duration::from_secs(1);

fn policy(id: &str) -> String {
    format!("@id(\"{id}\")\npermit(principal, action, resource);\n")
}

fn server() -> Server {
    Server::with(Pack::new("edited").cedar(&policy("first")))
}

fn reasons(server: &Server) -> Value {
    server.post("/v1/decide", &question("alice", "read", "r")).expect_status(200).json()["reasons"].clone()
}

/// Waits until the answer's reasons are these; it may take a second.
#[track_caller]
fn is_live(server: &Server, wanted: &Value) {
    let seen = eventually(LIMIT, || (reasons(server) == *wanted).then_some(()));
    let Some(((), took)) = seen else {
        panic!("{wanted} never came, but {}; stderr:\n{}", reasons(server), server.stderr())
    };
    assert!(took < LIVE, "{wanted} took {took:?}");
}

fn reloads(server: &Server, result: &str) -> f64 {
    metric(server, &format!("portcullis_reloads_total{{result=\"{result}\"}}"))
}

/// Waits until a failed reload more is counted.
#[track_caller]
fn has_failed(server: &Server, before: f64) {
    let failed = eventually(LIMIT, || (reloads(server, "failed") > before).then_some(()));
    assert!(failed.is_some(), "no reload failed; stderr:\n{}", server.stderr());
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[test]
fn an_edit_is_live_in_under_a_second() {
    let server = server();
    let file = server.policies().join("edited/policies.cedar");
    is_live(&server, &json!(["first"]));
    for n in 0..5 {
        write(&file, policy(&format!("edit-{n}")));
        is_live(&server, &json!([format!("edit-{n}")]));
    }
}

#[test]
fn an_editors_rename_and_replace_is_seen() {
    let server = server();
    let file = server.policies().join("edited/policies.cedar");
    for n in 0..5 {
        replace(&file, policy(&format!("edit-{n}")));
        is_live(&server, &json!([format!("edit-{n}")]));
    }
}

#[test]
fn a_backup_by_rename_and_a_new_file_is_seen() {
    let server = server();
    let file = server.policies().join("edited/policies.cedar");
    std::fs::rename(&file, file.with_extension("cedar~")).unwrap();
    write(&file, policy("second"));
    is_live(&server, &json!(["second"]));
}

#[test]
fn the_revision_changes_with_the_files() {
    let server = server();
    let revision = || server.post("/v1/decide", &question("a", "read", "r")).json()["revision"].clone();
    let file = server.policies().join("edited/policies.cedar");
    let first = revision();
    write(&file, policy("second"));
    is_live(&server, &json!(["second"]));
    assert_ne!(revision(), first);
}

#[test]
fn a_new_file_and_a_new_pack_are_seen() {
    let server = server();
    write(
        &server.policies().join("edited/more.cedar"),
        "@id(\"veto\")\nforbid(principal, action, resource);",
    );
    is_live(&server, &json!(["veto"]));
    std::fs::remove_file(server.policies().join("edited/more.cedar")).unwrap();
    is_live(&server, &json!(["first"]));
    Pack::new("added").cedar(&policy("added")).write(&server.policies());
    let path = "/packs/added/access/v1/evaluation";
    let seen = eventually(LIMIT, || {
        let answer = server.post(path, &question("alice", "read", "r")).expect_status(200).json();
        (answer["decision"] == json!(true)).then_some(())
    });
    assert!(seen.is_some_and(|(_, took)| took < LIVE), "{}", server.stderr());
}

#[test]
fn an_edit_of_entities_is_seen() {
    let policies = "@id(\"admins\")\npermit(principal, action, resource) when { principal.admin };";
    let user = |admin: bool| json!([{"uid": {"type": "user", "id": "alice"}, "attrs": {"admin": admin}, "parents": []}]);
    let server = Server::with(Pack::new("edited").cedar(policies).entities(&user(false)));
    is_live(&server, &json!(["no_permit"]));
    write(&server.policies().join("edited/entities.json"), user(true).to_string());
    is_live(&server, &json!(["admins"]));
}

#[test]
fn a_broken_file_never_replaces_a_good_one() {
    let server = server();
    let file = server.policies().join("edited/policies.cedar");
    let broken = [
        "permit(principal, action, resource",
        "@id(\"x\")\npermit(principal, action, resource) when { principal. };",
        "\u{0}\u{1}garbage",
        "@id(\"same\")\npermit(principal, action, resource);\n@id(\"same\")\nforbid(principal, action, resource);",
        "@id(\"no_permit\")\npermit(principal, action, resource);",
        "@id(\"x\")\n@obligation(\"burn:/everything\")\npermit(principal, action, resource);",
    ];
    for text in broken {
        let before = reloads(&server, "failed");
        write(&file, text);
        has_failed(&server, before);
        assert_eq!(reasons(&server), json!(["first"]), "{text}");
    }
    write(&file, policy("mended"));
    is_live(&server, &json!(["mended"]));
}

#[test]
fn a_broken_file_beside_the_policies_never_replaces_a_good_one() {
    let server = server();
    let folder = server.policies().join("edited");
    let manifest = std::fs::read_to_string(folder.join("pack.toml")).unwrap();
    for (name, text) in [
        ("entities.json", ""),
        ("entities.json", "[{]"),
        ("entities.json", "[{\"uid\": 1}]"),
        ("schema.cedarschema", "entity {"),
        ("pack.toml", ""),
        ("pack.toml", "name = "),
        ("pack.toml", "name = \"edited\"\nversion = \"1.0.0\"\nsurprise = 1\n"),
        ("pack.toml", "name = \"edited\"\nversion = \"1.0.0\"\non_policy_error = \"allow\"\n"),
    ] {
        let before = reloads(&server, "failed");
        write(&folder.join(name), text);
        has_failed(&server, before);
        assert_eq!(reasons(&server), json!(["first"]), "{name}: {text}");
        match name {
            "pack.toml" => write(&folder.join(name), &manifest),
            _ => std::fs::remove_file(folder.join(name)).unwrap(),
        }
    }
}

#[test]
fn a_failed_reload_says_where_and_leaves_the_server_ready() {
    let server = server();
    let before = reloads(&server, "failed");
    let text = "@id(\"ok\")\npermit(principal, action, resource);\npermit(principal, acton, resource);\n";
    write(&server.policies().join("edited/policies.cedar"), text);
    has_failed(&server, before);
    assert_eq!(server.with_key(None).get("/readyz").expect_status(200).json(), json!({"status": "ready"}));
    let details = server.get("/readyz?details=true").expect_status(200).text();
    assert!(details.contains("policies.cedar") && details.contains('3'), "{details}");
    assert!(details.contains("acton"), "the source line is not shown: {details}");
    let logged = server.stderr();
    assert!(logged.contains("policies.cedar"), "{logged}");
}

#[test]
fn one_pack_that_fails_does_not_hold_the_others_up_for_ever() {
    let server = Server::builder()
        .pack(Pack::new("edited").cedar(&policy("first")))
        .pack(Pack::new("other").cedar(&policy("o")))
        .start();
    let of = |pack: &str| {
        let mut asked = question("alice", "read", "r");
        asked["pack"] = json!(pack);
        server.post("/v1/decide", &asked).expect_status(200).json()["reasons"].clone()
    };
    let before = reloads(&server, "failed");
    write(&server.policies().join("other/policies.cedar"), "broken(");
    has_failed(&server, before);
    assert_eq!((of("edited"), of("other")), (json!(["first"]), json!(["o"])));
    write(&server.policies().join("other/policies.cedar"), policy("o2"));
    let seen = eventually(LIMIT, || (of("other") == json!(["o2"])).then_some(()));
    assert!(seen.is_some(), "{}", server.stderr());
}

#[test]
fn many_files_at_once_are_one_reload() {
    let mut pack = Pack::new("edited");
    for n in 0..40 {
        pack = pack.file(&format!("{n}.cedar"), &policy(&format!("first-{n}")));
    }
    let server = Server::with(pack);
    let (mut ok, mut failed) = (0.0, 0.0);
    // As a checkout does: the old file goes, the new one comes, one after the other. A busy machine may hold this
    // very test up in the middle for so long that it looks like two checkouts; then it is tried again.
    let all = (0..5).find_map(|attempt| {
        (ok, failed) = (reloads(&server, "ok"), reloads(&server, "failed"));
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        for n in 0..40 {
            let file = server.policies().join(format!("edited/{n}.cedar"));
            std::fs::remove_file(&file).unwrap();
            write(&file, policy(&format!("attempt-{attempt}-{n}")));
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        if longest > Duration::from_millis(100) {
            std::thread::sleep(LIVE);
            return None;
        }
        let names = (0..40).map(|n| format!("attempt-{attempt}-{n}"));
        Some(names.collect::<std::collections::BTreeSet<String>>())
    });
    let all = all.expect("the machine is too busy to write 40 files in one go");
    let seen = eventually(LIMIT, || (crate::assertions::set(&reasons(&server)) == all).then_some(()));
    assert!(seen.is_some_and(|(_, took)| took < LIVE), "{}", server.stderr());
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!((reloads(&server, "ok") - ok, reloads(&server, "failed") - failed), (1.0, 0.0));
}

#[test]
fn files_that_are_no_policies_do_not_disturb() {
    let server = server();
    let folder = server.policies().join("edited");
    for name in [".policies.cedar.swp", "policies.cedar~", "4913", "#policies.cedar#", ".hidden.cedar"] {
        write(&folder.join(name), "broken(");
    }
    write(&server.policies().join("README.md"), "no pack");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(reasons(&server), json!(["first"]));
    assert_eq!(reloads(&server, "failed"), 0.0, "{}", server.stderr());
}

//! Which pack judges: the named one among the caller's, else its default, else its only one.

use std::time::Duration;

use portcullis_tests::{Cli, Client, Pack, Server, eventually};
use serde_json::{Value, json};

use crate::fixtures::{create_key_with, question};

/// A pack that permits everything, by a policy that bears the pack's name.
fn open(name: &str) -> Pack {
    Pack::new(name).cedar(&format!("@id(\"by-{name}\")\npermit(principal, action, resource);\n"))
}

fn server() -> Server {
    Server::builder().pack(open("one")).pack(open("two")).pack(open("three")).start()
}

fn bound(server: &Server, packs: &[&str], default: Option<&str>) -> Client {
    let default = default.map(|pack| ["--default-pack", pack]);
    let further = default.as_ref().map(<[&str; 2]>::as_slice).unwrap_or_default();
    let (_, key) = create_key_with(server.data(), &["assert_subject"], packs, further);
    server.with_key(Some(&key))
}

/// The reasons of the answer by each way to ask: natively, in a batch, and by AuthZEN.
#[track_caller]
fn judged(client: &Client, pack: Option<&str>) -> Value {
    let mut asked = question("alice", "read", "record-1");
    if let Some(pack) = pack {
        asked["pack"] = json!(pack);
    }
    let answer = client.post("/v1/decide", &asked).expect_status(200).json();
    let mut batch = json!({"evaluations": [question("alice", "read", "record-1")]});
    if let Some(pack) = pack {
        batch["pack"] = json!(pack);
    }
    let of_batch = client.post("/v1/decide", &batch).expect_status(200).json();
    assert_eq!(of_batch["evaluations"][0]["reasons"], answer["reasons"], "{of_batch}");
    assert_eq!(of_batch["evaluations"][0]["decision"], answer["decision"], "{of_batch}");
    let prefix = pack.map(|pack| format!("/packs/{pack}")).unwrap_or_default();
    let path = format!("{prefix}/access/v1/evaluation");
    let authzen = client.post(&path, &question("alice", "read", "record-1")).expect_status(200).json();
    assert_eq!(authzen, json!({"decision": answer["decision"]}), "{path}");
    let path = format!("{prefix}/access/v1/evaluations");
    let items = json!({"evaluations": [question("alice", "read", "record-1")]});
    let authzen = client.post(&path, &items).expect_status(200).json();
    assert_eq!(authzen, json!({"evaluations": [{"decision": answer["decision"]}]}), "{path}");
    answer["reasons"].clone()
}

/// Edits the policies, and waits until they are served.
#[track_caller]
fn reloads(server: &Server, edit: impl FnOnce()) {
    let revision = || {
        let answer = server.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200);
        answer.json()["revision"].as_str().unwrap().split_once('.').unwrap().1.to_owned()
    };
    let before = revision();
    edit();
    let live = eventually(Duration::from_secs(5), || (revision() != before).then_some(()));
    assert!(live.is_some(), "{}", server.stderr());
    // The files of a pack are written one by one, and may be served one by one.
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_caller_bound_to_one_of_several_packs_gets_that() {
    let server = server();
    for pack in ["one", "two", "three"] {
        let client = bound(&server, &[pack], None);
        assert_eq!(judged(&client, None), json!([format!("by-{pack}")]));
        assert_eq!(judged(&client, Some(pack)), json!([format!("by-{pack}")]));
    }
}

#[test]
fn a_caller_bound_to_several_without_a_default_gets_no_pack() {
    let server = server();
    for packs in [&["one", "two"][..], &["*"][..], &["one", "two", "three"][..]] {
        let client = bound(&server, packs, None);
        assert_eq!(judged(&client, None), json!(["no_pack"]), "{packs:?}");
        assert_eq!(judged(&client, Some("two")), json!(["by-two"]), "{packs:?}");
    }
}

#[test]
fn a_default_pack_judges_what_names_none_and_nothing_else() {
    let server = server();
    for packs in [&["one", "two"][..], &["*"][..]] {
        let client = bound(&server, packs, Some("two"));
        assert_eq!(judged(&client, None), json!(["by-two"]));
        assert_eq!(judged(&client, Some("one")), json!(["by-one"]));
    }
}

#[test]
fn a_named_pack_that_is_not_the_callers_is_no_pack_and_never_another() {
    let server = server();
    for (packs, default) in
        [(&["one"][..], None), (&["one", "two"][..], Some("one")), (&["one"][..], Some("one"))]
    {
        let client = bound(&server, packs, default);
        for named in ["three", "absent", "ONE", "one2", "*"] {
            assert_eq!(judged(&client, Some(named)), json!(["no_pack"]), "{packs:?} asks {named}");
        }
    }
}

#[test]
fn a_caller_bound_to_no_pack_gets_none() {
    let server = server();
    let client = bound(&server, &[], None);
    assert_eq!(judged(&client, None), json!(["no_pack"]));
    assert_eq!(judged(&client, Some("one")), json!(["no_pack"]));
}

#[test]
fn a_caller_bound_to_a_pack_that_is_not_there_gets_no_other() {
    let server = server();
    let client = bound(&server, &["later"], None);
    assert_eq!(judged(&client, None), json!(["no_pack"]));
    let client = bound(&server, &["later", "one"], Some("later"));
    assert_eq!(judged(&client, None), json!(["no_pack"]));
    reloads(&server, || open("later").write(&server.policies()));
    assert_eq!(judged(&client, None), json!(["by-later"]));
}

#[test]
fn the_management_pack_can_not_be_named() {
    let server = server();
    assert_eq!(judged(server.client(), Some("portcullis")), json!(["no_pack"]));
    assert_eq!(judged(&bound(&server, &["*"], None), Some("portcullis")), json!(["no_pack"]));
    for arguments in [&["--pack", "portcullis"][..], &["--pack", "*", "--default-pack", "portcullis"][..]] {
        let all = [&["key", "create", "--name", "x"], arguments].concat();
        let ran = Cli::new(all).path("--data", server.data()).run();
        assert_ne!(ran.status, 0, "{}", ran.output());
        assert!(!ran.stdout.contains("pcc_"), "{}", ran.stdout);
    }
}

#[test]
fn a_folder_can_not_take_the_management_packs_name() {
    let server = server();
    // By itself it is no change: another pack tells that the folder was read again.
    reloads(&server, || {
        open("portcullis").write(&server.policies());
        open("four").write(&server.policies());
    });
    assert_eq!(judged(server.client(), Some("portcullis")), json!(["no_pack"]));
    assert_eq!(judged(server.client(), Some("one")), json!(["by-one"]));
    assert_eq!(judged(server.client(), None), json!(["no_pack"]));
    // Rights are still decided by the embedded pack, which gives this key none.
    let (_, key) = create_key_with(server.data(), &[], &["*"], &[]);
    let _ = server.with_key(Some(&key)).get("/v1/decisions").expect_status(403);
}

#[test]
fn with_the_management_pack_and_one_other_the_other_is_the_only_one() {
    let server = Server::builder().pack(open("one")).start();
    assert_eq!(judged(server.client(), None), json!(["by-one"]));
    assert_eq!(judged(&bound(&server, &["*"], None), None), json!(["by-one"]));
}

//! `portcullis key …` beside a running server: made keys work at once, revoked ones no more.

use std::time::{Duration, Instant};

use portcullis_tests::{Cli, Server};
use serde_json::json;

use crate::fixtures::{create_key, properties, question, records};

fn key(server: &Server, arguments: &[&str]) -> portcullis_tests::Ran {
    let mut all = vec!["key"];
    all.extend(arguments);
    Cli::new(all).path("--data", server.data()).run()
}

fn status(server: &Server, key: &str) -> u16 {
    server.with_key(Some(key)).post("/v1/decide", &question("alice", "read", "record-1")).status
}

#[test]
fn a_new_key_works_at_once() {
    let server = Server::with(records());
    for _ in 0..5 {
        let (_, key) = create_key(server.data(), &["assert_subject"], &["records"]);
        assert_eq!(status(&server, &key), 200);
    }
}

#[test]
fn a_revoked_key_is_refused_within_a_second() {
    let server = Server::with(records());
    let (id, secret) = create_key(server.data(), &["assert_subject"], &["*"]);
    let (_, other) = create_key(server.data(), &["assert_subject"], &["*"]);
    assert_eq!(status(&server, &secret), 200);
    let _ = key(&server, &["revoke", &id]).expect_status(0);
    let revoked = Instant::now();
    while status(&server, &secret) != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(1), "it still works");
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..20 {
        assert_eq!(status(&server, &secret), 401);
    }
    assert_eq!(status(&server, &other), 200);
}

#[test]
fn a_revoked_key_stays_refused_after_a_restart() {
    let mut server = Server::with(records());
    let (id, secret) = create_key(server.data(), &["assert_subject"], &["*"]);
    let _ = key(&server, &["revoke", &id]).expect_status(0);
    server.restart();
    assert_eq!(status(&server, &secret), 401);
}

#[test]
fn keys_are_listed_without_their_secrets() {
    let server = Server::with(records());
    let (id, secret) = create_key(server.data(), &["assert_subject", "read_metrics"], &["records"]);
    let listed = key(&server, &["list"]).expect_status(0).stdout;
    let line = listed.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("no {id}: {listed}"));
    assert!(line.contains("limited"), "{line}");
    assert!(!listed.contains(secret.strip_prefix("pcc_").unwrap()), "{listed}");
}

#[test]
fn an_unknown_id_can_not_be_revoked() {
    let server = Server::with(records());
    let ran = key(&server, &["revoke", "clr_01970000000070008000000000000000"]);
    assert_ne!(ran.status, 0, "{}", ran.output());
}

#[test]
fn an_unknown_right_is_refused() {
    let server = Server::with(records());
    let ran = key(&server, &["create", "--name", "x", "--right", "everything"]);
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.output().contains("everything"), "{}", ran.output());
}

#[test]
fn a_default_pack_spares_its_name() {
    let server = Server::builder().pack(records()).pack(properties("fill")).start();
    let made = key(
        &server,
        &["create", "--name", "x", "--pack", "*", "--default-pack", "records", "--right", "assert_subject"],
    )
    .expect_status(0);
    let client = server.with_key(made.value("key "));
    let answer = client.post("/access/v1/evaluation", &question("alice", "read", "record-1"));
    assert_eq!(answer.expect_status(200).json(), json!({"decision": true}));
}

#[test]
fn the_store_holds_no_key() {
    let server = Server::with(records());
    let (id, secret) = create_key(server.data(), &["assert_subject"], &["*"]);
    let secret = secret.strip_prefix("pcc_").unwrap().to_owned();
    for file in portcullis_tests::files::files(server.data()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the key stands in {}", file.display());
    }
    if let Some(home) = portcullis_tests::home_of(server.data()) {
        let everything = home.everything();
        assert!(everything.contains(&id), "the key's row is not there");
        assert!(!everything.contains(&secret), "the key stands in a database");
    }
}

#[test]
fn without_the_root_key_no_key_is_made() {
    let empty = tempfile::tempdir().unwrap();
    let ran = Cli::new(["key", "create", "--name", "x"]).path("--data", empty.path()).run();
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(!ran.stdout.contains("pcc_"), "{}", ran.stdout);
}

#[test]
fn a_key_that_is_made_with_a_role_has_it_at_once_and_shows_it() {
    let server = Server::with(records());
    let made =
        key(&server, &["create", "--name", "x", "--pack", "*", "--role", "auditor", "--role", "operator"]);
    let made = made.expect_status(0);
    let client = server.with_key(made.value("key "));
    let _ = client.get("/v1/decisions").expect_status(200);
    assert_eq!(client.post("/v1/decide", &question("alice", "read", "record-1")).status, 403);
    let listed = key(&server, &["list"]).expect_status(0).stdout;
    let id = made.value("id ").unwrap();
    let line = listed.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("no {id}: {listed}"));
    assert!(line.contains("auditor,operator"), "{line}");
    let page = server.get("/v1/role-assignments?pack=portcullis").expect_status(200).json();
    let roles = page["items"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap());
    assert_eq!(roles.collect::<std::collections::BTreeSet<_>>(), ["auditor", "operator"].into());
    // Taken away, it is listed no more.
    for item in page["items"].as_array().unwrap() {
        let path = format!("/v1/role-assignments/{}", item["id"].as_str().unwrap());
        let _ = server.request("DELETE", &path).send().expect_status(200);
    }
    assert_eq!(client.get("/v1/decisions").status, 403);
    let listed = key(&server, &["list"]).expect_status(0).stdout;
    assert!(!listed.contains("auditor"), "{listed}");
}

#[test]
fn an_unknown_role_is_refused_and_makes_no_key() {
    let server = Server::with(records());
    let ran = key(&server, &["create", "--name", "unlucky", "--role", "emperor"]);
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.output().contains("emperor") && ran.output().contains("owner"), "{}", ran.output());
    assert!(!key(&server, &["list"]).expect_status(0).stdout.contains("unlucky"));
}

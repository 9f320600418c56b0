//! `GET /.well-known/authzen-configuration`: the metadata of a decision point, open to all.

use portcullis_tests::{Server, raw};
use serde_json::{Value, json};

use crate::fixtures::{authzen, records, single_pack};

const PATH: &str = "/.well-known/authzen-configuration";

#[track_caller]
fn names(metadata: &Value, base: &str) {
    assert_eq!(metadata["policy_decision_point"], json!(base), "{metadata}");
    let of = |path: &str| json!(format!("{base}{path}"));
    assert_eq!(metadata["access_evaluation_endpoint"], of("/access/v1/evaluation"), "{metadata}");
    assert_eq!(metadata["access_evaluations_endpoint"], of("/access/v1/evaluations"), "{metadata}");
    for target in ["subject", "resource", "action"] {
        let named = &metadata[format!("search_{target}_endpoint")];
        assert_eq!(*named, of(&format!("/access/v1/search/{target}")), "{metadata}");
    }
}

#[test]
fn the_metadata_names_the_listening_address_and_needs_no_key() {
    let server = single_pack();
    let answer = server.with_key(None).get(PATH).expect_status(200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    names(&answer.json(), server.base());
}

#[test]
fn the_endpoints_that_it_names_answer() {
    let server = single_pack();
    let metadata = server.get(PATH).json();
    let url = metadata["access_evaluation_endpoint"].as_str().unwrap();
    let path = url.strip_prefix(server.base()).unwrap();
    let answer = server.post(path, &crate::fixtures::question("alice", "read", "record-1"));
    assert_eq!(answer.expect_status(200).json(), json!({"decision": true}));
}

#[test]
fn a_forged_host_changes_nothing() {
    let server = single_pack();
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
         X-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(server.base(), request.as_bytes());
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    assert!(!answer.text().contains("evil.example"), "{}", answer.text());
    assert!(answer.text().contains(server.base()), "{}", answer.text());
}

#[test]
fn an_absolute_request_target_changes_nothing() {
    let server = single_pack();
    let request =
        format!("GET http://evil.example{PATH} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let answer = raw(server.base(), request.as_bytes());
    assert!(!answer.text().contains("evil.example"), "{}", answer.text());
}

#[test]
fn each_pack_has_its_own_metadata() {
    let server = authzen().with_key(None);
    let expected = format!("{}/packs/records", server.base());
    for path in [format!("{PATH}/packs/records"), format!("/packs/records{PATH}")] {
        names(&server.get(&path).expect_status(200).json(), &expected);
    }
}

#[test]
fn the_metadata_does_not_say_which_packs_there_are() {
    let server = authzen().with_key(None);
    let expected = format!("{}/packs/no-such-pack", server.base());
    for path in [format!("{PATH}/packs/no-such-pack"), format!("/packs/no-such-pack{PATH}")] {
        names(&server.get(&path).expect_status(200).json(), &expected);
    }
}

#[test]
fn the_public_url_comes_from_the_configuration() {
    let server = Server::builder()
        .pack(records())
        .config("[server]\npublic_url = \"https://pdp.example.com\"\n")
        .start();
    names(&server.get(PATH).expect_status(200).json(), "https://pdp.example.com");
    let answer = server.get(&format!("{PATH}/packs/records")).expect_status(200);
    names(&answer.json(), "https://pdp.example.com/packs/records");
}

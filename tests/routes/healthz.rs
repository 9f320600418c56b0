//! `GET /healthz`: open to all.

use serde_json::json;

use crate::fixtures::single_pack;

#[test]
fn it_says_ok_without_a_key() {
    for client in [single_pack().client().clone(), single_pack().with_key(None)] {
        let answer = client.get("/healthz").expect_status(200);
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
        assert_eq!(answer.json(), json!({"status": "ok"}));
    }
}

#[test]
fn a_wrong_key_does_not_matter() {
    single_pack().with_key(Some("pcc_wrong")).get("/healthz").expect_status(200).json();
}

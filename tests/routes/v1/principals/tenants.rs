//! Another tenant's principals are not there, for any verb and in any place.

use serde_json::json;

use crate::directory::{client, decide_in, delete, get, is_absent, order, post, put, server, walk};

const RIGHTS: &[&str] = &["manage", "assert_subject"];

#[test]
fn one_tenants_principals_are_absent_for_every_other() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    let _ = post(&red, "/v1/groups", json!({"id": "reds"})).expect_status(201);
    let body = json!({"id": "ruby", "attributes": {"level": 9}, "groups": ["reds"]});
    let made = post(&red, "/v1/principals", body).expect_status(201);
    let tag = made.header("etag").unwrap().to_owned();
    let path = "/v1/principals/ruby";
    for other in [&blue, server.client()] {
        let nobody = get(other, "/v1/principals/nobody");
        let answer = get(other, path);
        assert_eq!(answer.text().replace("ruby", "nobody"), nobody.text(), "it can be told from nobody's");
        is_absent(answer);
        is_absent(put(other, path, Some(("if-match", &tag)), json!({})));
        is_absent(put(other, path, Some(("if-match", "*")), json!({})));
        is_absent(delete(other, path));
        for verb in ["lock", "unlock", "disable", "enable"] {
            is_absent(order(other, &format!("{path}/{verb}")));
        }
        assert!(!walk(other, "/v1/principals").contains(&"ruby".to_owned()));
        is_absent(get(other, "/v1/entities/user/ruby"));
        assert!(!walk(other, "/v1/entities").contains(&"ruby".to_owned()));
        // Nor is it a reference.
        let group =
            post(other, "/v1/principals", json!({"id": "spy", "groups": ["reds"]})).expect_status(400);
        assert_eq!(group.problem(), "unknown_reference");
        let _ = post(other, "/v1/groups", json!({"id": "mine"})).expect_status(201);
        let member = post(other, "/v1/groups/mine/members", json!({"type": "user", "id": "ruby"}));
        assert_eq!(member.expect_status(400).problem(), "unknown_reference");
        is_absent(delete(other, "/v1/groups/mine/members/user/ruby"));
        assert!(!decide_in(other, "directory", ("user", "ruby"), "read", "charter").0);
    }
    assert_eq!(get(&red, path).expect_status(200).header("etag"), Some(tag.as_str()));
    assert!(decide_in(&red, "directory", ("user", "ruby"), "read", "charter").0);
}

#[test]
fn the_same_id_is_each_tenants_own() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    for (tenant, level) in [(&red, 9), (&blue, 1)] {
        let body = json!({"id": "sam", "attributes": {"level": level}});
        let _ = post(tenant, "/v1/principals", body).expect_status(201);
    }
    let reads = |client| decide_in(client, "directory", ("user", "sam"), "read", "charter");
    assert!(reads(&red).0 && !reads(&blue).0);
    let _ = order(&red, "/v1/principals/sam/disable").expect_status(200);
    assert_eq!(reads(&red).1, json!(["principal_disabled"]));
    assert_eq!(reads(&blue).1, json!(["no_permit"]));
    let _ = order(&red, "/v1/principals/resident/disable").expect_status(200);
    let of_files = |client| decide_in(client, "directory", ("user", "resident"), "read", "charter").0;
    assert!(!of_files(&red) && of_files(&blue));
    let _ = delete(&blue, "/v1/principals/sam").expect_status(200);
    assert_eq!(get(&red, "/v1/principals/sam").expect_status(200).json()["status"], json!("disabled"));
}

#[test]
fn an_idempotency_key_is_each_tenants_own() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    for (tenant, expected) in [(&red, 201), (&blue, 201)] {
        let request = tenant.request("POST", "/v1/principals?pack=directory");
        let request = request.header("content-type", "application/json").header("idempotency-key", "same");
        let answer = request.body(json!({"id": "keyed"}).to_string()).send().expect_status(expected);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
}

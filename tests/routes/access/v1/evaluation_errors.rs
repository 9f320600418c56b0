//! `POST /access/v1/evaluation`: what is refused, and how.

use portcullis_tests::Answer;
use serde_json::{Value, json};

use crate::fixtures::{question, single_pack};

const PATH: &str = "/access/v1/evaluation";

fn send(body: impl Into<Vec<u8>>) -> Answer {
    single_pack().post_bytes(PATH, body)
}

#[track_caller]
fn refused(body: &Value) {
    is_plain_400(&send(body.to_string()), &body.to_string());
}

#[track_caller]
fn is_plain_400(answer: &Answer, asked: &str) {
    assert_eq!(answer.status, 400, "asked: {asked}; answer: {}", answer.text());
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}: {}", answer.text());
    assert!(!answer.body.is_empty(), "a person gets no message: {asked}");
}

#[test]
fn a_question_without_one_of_its_three_parts_is_refused() {
    for part in ["subject", "action", "resource"] {
        let mut asked = question("alice", "read", "record-1");
        asked.as_object_mut().unwrap().remove(part);
        refused(&asked);
        asked[part] = json!(null);
        refused(&asked);
        asked[part] = json!({});
        refused(&asked);
    }
}

#[test]
fn an_entity_without_one_of_its_fields_is_refused() {
    for (part, field) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let mut asked = question("alice", "read", "record-1");
        asked[part].as_object_mut().unwrap().remove(field);
        refused(&asked);
    }
}

#[test]
fn wrong_types_are_refused() {
    let wrong = [json!(1), json!(true), json!("text"), json!([]), json!(null)];
    for part in ["subject", "action", "resource"] {
        for value in &wrong {
            let mut asked = question("alice", "read", "record-1");
            asked[part] = value.clone();
            refused(&asked);
        }
    }
    for (part, field) in [("subject", "id"), ("subject", "type"), ("action", "name"), ("resource", "id")] {
        for value in [json!(1), json!(false), json!({}), json!(["a"]), json!(null)] {
            let mut asked = question("alice", "read", "record-1");
            asked[part][field] = value;
            refused(&asked);
        }
    }
    for (part, field) in [("subject", "properties"), ("action", "properties"), ("resource", "properties")] {
        for value in [json!(1), json!("text"), json!([])] {
            let mut asked = question("alice", "read", "record-1");
            asked[part][field] = value;
            refused(&asked);
        }
    }
    for value in [json!(1), json!("text"), json!([])] {
        let mut asked = question("alice", "read", "record-1");
        asked["context"] = value;
        refused(&asked);
    }
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in ["[]", "1", "null", "\"text\"", "true"] {
        is_plain_400(&send(body), body);
    }
}

#[test]
fn an_empty_body_is_refused() {
    is_plain_400(&send(""), "nothing");
    is_plain_400(&send("  \n"), "blanks");
}

#[test]
fn malformed_json_is_refused() {
    for body in ["{", "{\"subject\":", "{'subject': 1}", "{\"a\": 1,}", "not json", "{} {}", "{\"a\": NaN}"] {
        is_plain_400(&send(body), body);
    }
}

#[test]
fn a_duplicate_key_is_refused() {
    let asked = question("alice", "read", "record-1").to_string();
    let twice = asked.replacen('{', "{\"action\": {\"name\": \"write\"}, ", 1);
    is_plain_400(&send(twice.clone()), &twice);
    let inside = asked.replacen("\"name\":\"read\"", "\"name\":\"fly\",\"name\":\"read\"", 1);
    assert_ne!(inside, asked);
    is_plain_400(&send(inside.clone()), &inside);
}

#[test]
fn another_content_type_is_refused() {
    let body = question("alice", "read", "record-1").to_string();
    for kind in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonp"] {
        let answer =
            single_pack().request("POST", PATH).header("content-type", kind).body(body.clone()).send();
        is_plain_400(&answer, kind);
    }
    let answer = single_pack().request("POST", PATH).body(body).send();
    is_plain_400(&answer, "no content type");
}

#[test]
fn a_context_with_what_was_verified_is_refused() {
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"verified": {"assurance": {"aal": 3}}});
    refused(&asked);
    asked["context"] = json!({"verified": null});
    refused(&asked);
}

#[test]
fn a_question_without_a_key_is_refused() {
    let asked = question("alice", "read", "record-1");
    let answer = single_pack().with_key(None).post(PATH, &asked).expect_status(401);
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    for key in ["pcc_unknown", "pcc_", "pck_0000000000000000", "x", ""] {
        let answer = single_pack().with_key(Some(key)).post(PATH, &asked);
        assert_eq!(answer.status, 401, "{key}: {}", answer.text());
    }
}

#[test]
fn a_key_of_a_principal_is_not_a_callers() {
    let key = single_pack().key().unwrap();
    let principals = key.replacen("pcc_", "pck_", 1);
    assert_ne!(principals, key);
    let answer = single_pack().with_key(Some(&principals)).post(PATH, &question("alice", "read", "record-1"));
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[test]
fn another_scheme_than_bearer_is_refused() {
    let body = question("alice", "read", "record-1").to_string();
    let answer = single_pack()
        .with_key(None)
        .request("POST", PATH)
        .header("authorization", "Basic YTpi")
        .header("content-type", "application/json")
        .body(body)
        .send();
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[test]
fn another_method_is_refused() {
    let answer = single_pack().get(PATH).expect_status(405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")));
}

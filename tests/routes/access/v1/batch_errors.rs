//! `POST /access/v1/evaluations`: what is refused as a whole.

use serde_json::{Value, json};

use crate::fixtures::{question, single_pack};

const PATH: &str = "/access/v1/evaluations";

#[track_caller]
fn refused(body: &str) {
    let answer = single_pack().post_bytes(PATH, body);
    assert_eq!(answer.status, 400, "asked: {body}; answer: {}", answer.text());
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}: {}", answer.text());
}

fn batch() -> Value {
    json!({"evaluations": [question("alice", "read", "record-1")]})
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in ["[]", "1", "null", "\"x\"", "", "{", "{\"evaluations\": [}"] {
        refused(body);
    }
}

#[test]
fn evaluations_that_are_no_list_are_refused() {
    for value in [json!(1), json!("x"), json!({}), json!(true)] {
        let mut asked = question("alice", "read", "record-1");
        asked["evaluations"] = value;
        refused(&asked.to_string());
    }
}

#[test]
fn an_unknown_semantic_is_refused() {
    for semantic in [json!("first_wins"), json!("EXECUTE_ALL"), json!(""), json!(1)] {
        let mut asked = batch();
        asked["options"] = json!({"evaluations_semantic": semantic});
        refused(&asked.to_string());
    }
}

#[test]
fn a_single_question_that_lacks_a_part_is_refused() {
    for part in ["subject", "action", "resource"] {
        let mut asked = question("alice", "read", "record-1");
        asked.as_object_mut().unwrap().remove(part);
        refused(&asked.to_string());
        asked["evaluations"] = json!([]);
        refused(&asked.to_string());
    }
}

#[test]
fn another_content_type_is_refused() {
    let answer = single_pack()
        .request("POST", PATH)
        .header("content-type", "text/plain")
        .body(batch().to_string())
        .send();
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn a_batch_over_the_limit_is_refused() {
    let items: Vec<Value> = (0..1001).map(|_| json!({})).collect();
    let mut asked = question("alice", "read", "record-1");
    asked["evaluations"] = json!(items);
    let answer = single_pack().post(PATH, &asked).expect_status(413);
    assert!(answer.text().contains("1000") || answer.text().contains("1,000"), "{}", answer.text());
}

#[test]
fn defaults_can_not_blow_a_small_body_up() {
    // 1,000 items that each inherit 100 KB would be 100 MB once they are laid in.
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"text": "x".repeat(100_000)});
    asked["evaluations"] = json!((0..1000).map(|_| json!({})).collect::<Vec<_>>());
    let answer = single_pack().post(PATH, &asked).expect_status(413);
    assert!(!answer.body.is_empty());
}

#[test]
fn a_batch_without_a_key_is_refused() {
    for key in [None, Some("pcc_unknown"), Some("pck_unknown")] {
        let answer = single_pack().with_key(key).post(PATH, &batch());
        assert_eq!(answer.status, 401, "{key:?}: {}", answer.text());
    }
}

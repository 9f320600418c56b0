//! Who may do what to principals: each verb by its right, and to be in a group by the right over groups.

use portcullis_tests::{Answer, Client};
use serde_json::json;

use crate::directory::{client, delete, get, order, post, put, shared};

#[track_caller]
fn lacks(answer: &Answer, right: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (403, "right_missing"), "{}", answer.text());
    assert!(answer.text().contains(right), "{}", answer.text());
}

/// Every call that changes principals; bodies are sound, so that nothing but the right is missing.
fn changes(client: &Client, id: &str) -> Vec<Answer> {
    let path = format!("/v1/principals/{id}");
    vec![
        post(client, "/v1/principals", json!({"id": id})),
        put(client, &path, Some(("if-match", "*")), json!({})),
        delete(client, &path),
    ]
}

/// What shuts out, and what lets in again.
fn turns(client: &Client, id: &str) -> [Vec<Answer>; 2] {
    [["lock", "disable"], ["unlock", "enable"]].map(|verbs| {
        verbs.into_iter().map(|verb| order(client, &format!("/v1/principals/{id}/{verb}"))).collect()
    })
}

#[test]
fn each_call_takes_its_right() {
    let server = shared();
    let _ = post(server, "/v1/principals", json!({"id": "guarded"})).expect_status(201);
    let reader = client(server, "default", &["read_principals"]);
    let _ = get(&reader, "/v1/principals/guarded").expect_status(200);
    let _ = get(&reader, "/v1/principals").expect_status(200);
    changes(&reader, "guarded").iter().for_each(|answer| lacks(answer, "change_principals"));
    // To shut out is one right, to let in again another.
    let [out, back] = turns(&reader, "guarded");
    out.iter().for_each(|answer| lacks(answer, "disable_principals"));
    back.iter().for_each(|answer| lacks(answer, "change_principals"));
    let writer = client(server, "default", &["change_principals"]);
    for path in ["/v1/principals", "/v1/principals/guarded"] {
        lacks(&get(&writer, path), "read_principals");
    }
    let [out, back] = turns(&writer, "guarded");
    out.iter().for_each(|answer| lacks(answer, "disable_principals"));
    back.iter().for_each(|answer| assert_ne!(answer.status, 403, "{}", answer.text()));
    let guard = client(server, "default", &["disable_principals"]);
    changes(&guard, "guarded").iter().for_each(|answer| lacks(answer, "change_principals"));
    let [out, back] = turns(&guard, "guarded");
    out.iter().for_each(|answer| assert_ne!(answer.status, 403, "{}", answer.text()));
    back.iter().for_each(|answer| lacks(answer, "change_principals"));
    let none = client(server, "default", &["assert_subject", "read_groups", "change_entities"]);
    changes(&none, "guarded").iter().for_each(|answer| lacks(answer, "change_principals"));
    // What is malformed is refused for its caller first.
    lacks(&post(&none, "/v1/principals", json!([1, 2])), "change_principals");
    let _ = get(server, "/v1/principals/guarded").expect_status(200);
}

#[test]
fn nobody_calls_without_a_key() {
    let stranger = shared().with_key(None);
    let answers = [
        changes(&stranger, "guarded"),
        turns(&stranger, "guarded").concat(),
        vec![get(&stranger, "/v1/principals"), get(&stranger, "/v1/principals/guarded")],
    ];
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer.expect_status(401).problem(), "caller_key_missing");
    }
}

#[test]
fn to_enter_or_leave_a_group_takes_the_right_over_groups() {
    let server = shared();
    let _ = post(server, "/v1/groups", json!({"id": "guarded-group"})).expect_status(201);
    let writer = client(server, "default", &["change_principals"]);
    let _ = post(&writer, "/v1/principals", json!({"id": "climber"})).expect_status(201);
    let grouped = json!({"groups": ["guarded-group"]});
    lacks(
        &post(&writer, "/v1/principals", json!({"id": "climber-2", "groups": ["guarded-group"]})),
        "change_groups",
    );
    lacks(&put(&writer, "/v1/principals/climber", Some(("if-match", "*")), grouped.clone()), "change_groups");
    let _ =
        put(server, "/v1/principals/climber", Some(("if-match", "*")), grouped.clone()).expect_status(200);
    // Staying takes nothing; leaving might lift a `forbid`.
    let body = json!({"groups": ["guarded-group"], "attributes": {"level": 1}});
    let _ = put(&writer, "/v1/principals/climber", Some(("if-match", "*")), body).expect_status(200);
    lacks(&put(&writer, "/v1/principals/climber", Some(("if-match", "*")), json!({})), "change_groups");
    let both = client(server, "default", &["change_principals", "change_groups"]);
    let _ = put(&both, "/v1/principals/climber", Some(("if-match", "*")), json!({})).expect_status(200);
}

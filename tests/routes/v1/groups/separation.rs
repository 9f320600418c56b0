//! Nobody comes to have two roles that exclude each other by coming into a group.

use portcullis_tests::{Answer, Server};
use serde_json::{Value, json};

use crate::directory::{get, post, put, server};

/// `payers` have `payer`, `checkers` have `checker`, and nobody may have both.
fn house() -> Server {
    let server = server();
    let _ = post(&server, "/v1/roles", json!({"id": "payer"})).expect_status(201);
    let _ =
        post(&server, "/v1/roles", json!({"id": "checker", "exclusive_with": ["payer"]})).expect_status(201);
    for (group, role) in [("payers", "payer"), ("checkers", "checker")] {
        let _ = post(&server, "/v1/groups", json!({"id": group})).expect_status(201);
        let body = json!({"principal": {"type": "group", "id": group}, "role": role});
        let _ = post(&server, "/v1/role-assignments", body).expect_status(201);
    }
    let _ = post(&server, "/v1/principals", json!({"id": "ann", "groups": ["payers"]})).expect_status(201);
    server
}

#[track_caller]
fn is_kept_apart(answer: Answer) {
    let answer = answer.expect_status(409);
    assert_eq!(answer.problem(), "separation_of_duties");
    for name in ["payer", "checker"] {
        assert!(answer.text().contains(&format!("`{name}`")), "{}", answer.text());
    }
}

fn groups_of(server: &Server, path: &str) -> Value {
    get(server, path).expect_status(200).json()["groups"].clone()
}

#[test]
fn a_principal_comes_into_no_second_group_that_excludes_the_first() {
    let server = house();
    let both = json!({"groups": ["payers", "checkers"]});
    is_kept_apart(post(&server, "/v1/groups/checkers/members", json!({"type": "user", "id": "ann"})));
    is_kept_apart(put(&server, "/v1/principals/ann", Some(("if-match", "*")), both.clone()));
    is_kept_apart(put(&server, "/v1/principals/bea", Some(("if-none-match", "*")), both));
    is_kept_apart(post(&server, "/v1/principals", json!({"id": "bea", "groups": ["checkers", "payers"]})));
    assert_eq!(get(&server, "/v1/principals/bea").status, 404);
    assert_eq!(groups_of(&server, "/v1/principals/ann"), json!(["payers"]));
    // From one into the other is no matter.
    let other = json!({"groups": ["checkers"]});
    let _ = put(&server, "/v1/principals/ann", Some(("if-match", "*")), other).expect_status(200);
}

#[test]
fn a_group_comes_into_no_group_that_would_join_them_for_a_member() {
    let server = house();
    let _ = post(&server, "/v1/groups", json!({"id": "crew"})).expect_status(201);
    for group in ["crew", "payers"] {
        let _ = post(&server, &format!("/v1/groups/{group}/members"), json!({"type": "user", "id": "ann"}));
    }
    let inside = json!({"groups": ["checkers"]});
    is_kept_apart(put(&server, "/v1/groups/crew", Some(("if-match", "*")), inside.clone()));
    is_kept_apart(post(&server, "/v1/groups/checkers/members", json!({"type": "group", "id": "crew"})));
    is_kept_apart(put(&server, "/v1/groups/payers", Some(("if-match", "*")), inside.clone()));
    assert_eq!(groups_of(&server, "/v1/groups/crew"), json!([]));
    // Without her it may.
    let gone = crate::directory::delete(&server, "/v1/groups/crew/members/user/ann");
    let _ = gone.expect_status(200);
    let _ = put(&server, "/v1/groups/crew", Some(("if-match", "*")), inside).expect_status(200);
    // And then she may not come back.
    is_kept_apart(post(&server, "/v1/groups/crew/members", json!({"type": "user", "id": "ann"})));
}

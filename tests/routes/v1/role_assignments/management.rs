//! Roles of the pack `portcullis`: nobody gives what they do not hold.

use portcullis_tests::{Answer, Client};
use serde_json::{Value, json};

use super::of;
use crate::fixtures::{create_key, create_key_with};
use crate::team::{delete, in_millis, role, server, sleep_until, with_role};

fn give(client: &Client, caller: &str, role: &str, further: &Value) -> Answer {
    let mut body = json!({"principal": {"type": "caller", "id": caller}, "role": role});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    client.post("/v1/role-assignments?pack=portcullis", &body)
}

#[test]
fn an_owner_makes_an_administrator_who_makes_no_owner() {
    let server = server();
    let (_, owner) = with_role(&server, "owner");
    let (id, key) = create_key(server.data(), &[], &["*"]);
    let newcomer = server.with_key(Some(&key));
    assert_eq!(newcomer.get("/v1/roles").status, 403);
    let made = give(&owner, &id, "administrator", &json!({})).expect_status(201).json();
    assert_eq!(made["principal"], json!({"type": "caller", "id": id}));
    role(&newcomer, "viewer", &json!({}));
    let (other, _) = create_key(server.data(), &[], &["*"]);
    for whom in [&id, &other] {
        let answer = give(&newcomer, whom, "owner", &json!({})).expect_status(403);
        assert_eq!(answer.problem(), "not_held", "{}", answer.text());
    }
    for held in ["administrator", "auditor", "developer", "operator"] {
        let _ = give(&newcomer, &other, held, &json!({})).expect_status(201);
    }
    // It ends with the role.
    let _ = delete(&owner, &of(made["id"].as_str().unwrap())).expect_status(200);
    assert_eq!(newcomer.get("/v1/roles").status, 403);
    let answer = give(&newcomer, &other, "auditor", &json!({})).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
}

#[test]
fn who_reads_or_operates_gives_nothing() {
    let server = server();
    for held in ["auditor", "developer", "operator"] {
        let (id, client) = with_role(&server, held);
        for wanted in [held, "auditor", "owner"] {
            let answer = give(&client, &id, wanted, &json!({})).expect_status(403);
            assert_eq!(answer.problem(), "right_missing", "{held} gives {wanted}");
        }
    }
    // The right to give roles is not the role.
    let (id, key) = create_key(server.data(), &["assign_roles"], &["*"]);
    let giver = server.with_key(Some(&key));
    for wanted in ["auditor", "owner", "nothing"] {
        assert_eq!(give(&giver, &id, wanted, &json!({})).expect_status(403).problem(), "not_held");
    }
}

#[test]
fn who_holds_a_role_for_a_while_gives_it_for_no_longer() {
    let server = server();
    let (id, key) = create_key(server.data(), &[], &["*"]);
    let temporary = server.with_key(Some(&key));
    let (soon, _) = in_millis(1_000);
    let (ends_at, end) = in_millis(4_000);
    let (later, _) = in_millis(60_000);
    let _ = give(&server, &id, "administrator", &json!({"ends_at": ends_at})).expect_status(201);
    let (other, _) = create_key(server.data(), &[], &["*"]);
    for longer in [json!({}), json!({"ends_at": later}), json!({"starts_at": ends_at, "ends_at": later})] {
        let answer = give(&temporary, &other, "auditor", &longer).expect_status(403);
        assert_eq!(answer.problem(), "not_held", "{longer}");
    }
    let within = json!({"starts_at": soon, "ends_at": ends_at});
    let _ = give(&temporary, &other, "auditor", &within).expect_status(201);
    sleep_until(end);
    assert_eq!(give(&temporary, &other, "auditor", &within).expect_status(403).problem(), "right_missing");
}

#[test]
fn a_role_of_this_pack_is_a_callers_of_the_tenant_everywhere() {
    let server = server();
    let (id, _) = create_key(server.data(), &[], &["*"]);
    let (foreign, _) = create_key_with(server.data(), &[], &["*"], &["--tenant", "red"]);
    for whom in [foreign.as_str(), "clr_01970000000070008000000000000000", "alice"] {
        let answer = give(&server, whom, "auditor", &json!({})).expect_status(400);
        assert_eq!(answer.problem(), "unknown_reference", "{whom}: {}", answer.text());
    }
    let answer = give(&server, &id, "emperor", &json!({})).expect_status(400);
    assert_eq!(answer.problem(), "unknown_reference");
    for wrong in [
        json!({"principal": {"type": "user", "id": "alice"}}),
        json!({"scope": {"kind": "resource", "resource": {"type": "pack", "id": "team"}}}),
        json!({"delegated_by": {"type": "user", "id": "alice"}}),
        json!({"requested_by": {"type": "caller", "id": id}}),
    ] {
        let answer = give(&server, &id, "auditor", &wrong).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{wrong}: {}", answer.text());
    }
    // Of an application's pack nobody but its principals has a role.
    role(&server, "viewer", &json!({}));
    let body = json!({"principal": {"type": "caller", "id": id}, "role": "viewer"});
    assert_eq!(server.post("/v1/role-assignments", &body).expect_status(400).problem(), "invalid_request");
}

#[test]
fn they_are_listed_for_themselves() {
    let server = server();
    let (id, _) = with_role(&server, "auditor");
    let page = server.get("/v1/role-assignments?pack=portcullis").expect_status(200).json();
    let items = page["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["principal"]["id"]), (1, &json!(id)));
    let query = format!("pack=portcullis&principal_type=caller&principal_id={id}&role=auditor");
    let page = server.get(&format!("/v1/role-assignments?{query}")).expect_status(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let page = server.get("/v1/role-assignments").expect_status(200).json();
    assert_eq!(page["items"], json!([]));
    let red = crate::team::tenant(&server, "red");
    let page = red.get("/v1/role-assignments?pack=portcullis").expect_status(200).json();
    assert_eq!(page["items"], json!([]));
}

//! `POST /access/v1/search/subject`, `/resource` and `/action`: the certification scenario of AuthZEN 1.0, and what an
//! answer looks like.

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use crate::fixtures::{authzen, log_records, question, single_pack};

mod bounds;
mod pages;

pub(super) const SUBJECT: &str = "/access/v1/search/subject";
pub(super) const RESOURCE: &str = "/access/v1/search/resource";
pub(super) const ACTION: &str = "/access/v1/search/action";

fn results(path: &str, body: &Value) -> Value {
    single_pack().post(path, body).expect_status(200).json()
}

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

pub(super) fn readers() -> Value {
    json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record("record-1")})
}

#[test]
fn alice_and_bob_may_read_the_record() {
    assert_eq!(results(SUBJECT, &readers()), json!({"results": [user("alice"), user("bob")]}));
    let mut asked = readers();
    asked["context"] = json!({"time": "2026-01-01T00:00:00Z"});
    assert_eq!(results(SUBJECT, &asked), json!({"results": [user("alice"), user("bob")]}));
}

#[test]
fn alice_may_read_the_record() {
    let asked = json!({"subject": user("alice"), "action": {"name": "read"}, "resource": {"type": "record"}});
    assert_eq!(results(RESOURCE, &asked), json!({"results": [record("record-1")]}));
}

#[test]
fn alice_may_read_and_write_the_record() {
    let asked = json!({"subject": user("alice"), "resource": record("record-1")});
    assert_eq!(results(ACTION, &asked), json!({"results": [{"name": "read"}, {"name": "write"}]}));
}

#[test]
fn bob_may_write_an_archived_record_by_properties() {
    let archived = json!({"type": "record", "id": "record-2", "properties": {"status": "archived"}});
    let admin = json!({"type": "user", "id": "bob", "properties": {"role": "admin"}});
    let asked = json!({"subject": {"type": "user"}, "action": {"name": "write"}, "resource": archived});
    assert_eq!(results(SUBJECT, &asked), json!({"results": [user("bob")]}));
    let asked = json!({"subject": admin, "action": {"name": "write"}, "resource": {"type": "record"}});
    assert_eq!(results(RESOURCE, &asked), json!({"results": [record("record-2")]}));
    let asked = json!({"subject": admin, "resource": archived});
    assert_eq!(results(ACTION, &asked), json!({"results": [{"name": "write"}]}));
}

#[test]
fn properties_of_what_is_searched_for_are_laid_over_each() {
    let asked =
        json!({"subject": user("carol"), "action": {"name": "write"}, "resource": {"type": "record"}});
    assert_eq!(results(RESOURCE, &asked), json!({"results": []}));
    let mut asked = json!({"subject": {"type": "user", "properties": {"role": "admin"}},
        "action": {"name": "write"}, "resource": record("record-2")});
    assert_eq!(results(SUBJECT, &asked), json!({"results": [user("alice"), user("bob")]}));
    asked["subject"]["properties"]["role"] = json!("reader");
    assert_eq!(results(SUBJECT, &asked), json!({"results": [user("bob")]}));
}

#[test]
fn what_is_not_known_gives_an_empty_list() {
    let nothing = json!({"results": []});
    let asked = json!({"subject": user("nonexistent-user"), "resource": record("record-1")});
    assert_eq!(results(ACTION, &asked), nothing);
    for of_type in ["spaceship", "not a type", "Action", ""] {
        let mut asked = readers();
        asked["subject"]["type"] = json!(of_type);
        assert_eq!(results(SUBJECT, &asked), nothing, "{of_type}");
        let asked = json!({"subject": {"type": of_type, "id": "alice"}, "resource": record("record-1")});
        assert_eq!(results(ACTION, &asked), nothing, "{of_type}");
    }
    let mut asked = readers();
    asked["action"]["name"] = json!("fly");
    assert_eq!(results(SUBJECT, &asked), nothing);
}

#[test]
fn the_id_of_what_is_searched_for_is_ignored() {
    for id in [json!("bob"), json!("nobody"), json!(7), json!(null), json!({"a": 1})] {
        let mut asked = readers();
        asked["subject"]["id"] = id.clone();
        assert_eq!(results(SUBJECT, &asked), results(SUBJECT, &readers()), "{id}");
    }
    let asked =
        json!({"subject": user("alice"), "resource": record("record-1"), "action": {"name": "delete"}});
    assert_eq!(results(ACTION, &asked)["results"], json!([{"name": "read"}, {"name": "write"}]));
}

#[test]
fn what_is_missing_is_400() {
    let record_without_id = json!({"type": "record"});
    for (path, body) in [
        (SUBJECT, json!({"subject": {"type": "user"}, "resource": record("record-1")})),
        (
            SUBJECT,
            json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record_without_id}),
        ),
        (SUBJECT, json!({"subject": {}, "action": {"name": "read"}, "resource": record("record-1")})),
        (RESOURCE, json!({"action": {"name": "read"}, "resource": record_without_id})),
        (
            RESOURCE,
            json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record_without_id}),
        ),
        (ACTION, json!({"subject": user("alice")})),
        (ACTION, json!([user("alice"), record("record-1")])),
        (
            ACTION,
            json!({"subject": user("alice"), "resource": record("record-1"), "context": {"verified": {}}}),
        ),
    ] {
        let answer = single_pack().post(path, &body).expect_status(400);
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{body}");
    }
}

#[test]
fn it_needs_a_key_with_the_right_to_vouch() {
    let _ = single_pack().with_key(None).post(SUBJECT, &readers()).expect_status(401);
    let key = crate::fixtures::limited_key(single_pack(), &["simulate"]);
    let _ = single_pack().with_key(Some(&key)).post(SUBJECT, &readers()).expect_status(403);
}

#[test]
fn each_pack_is_searched_alone() {
    let of =
        |pack: &str| authzen().post(&format!("/packs/{pack}{SUBJECT}"), &readers()).expect_status(200).json();
    assert_eq!(of("records")["results"], json!([user("alice"), user("bob")]));
    for pack in ["fill", "no-such-pack"] {
        assert_eq!(of(pack), json!({"results": []}), "{pack}");
    }
    assert_eq!(authzen().post(SUBJECT, &readers()).expect_status(200).json(), json!({"results": []}));
}

#[test]
fn types_have_the_names_that_the_request_has() {
    let pack = Pack::new("mapped")
        .manifest("[types]\nuser = \"App::User\"\nrecord = \"App::Record\"\nAction = \"App::Action\"")
        .cedar("permit(principal is App::User, action == App::Action::\"read\", resource is App::Record);")
        .entities(&json!([{"uid": {"type": "App::User", "id": "alice"}, "attrs": {}, "parents": []}]));
    let server = Server::with(pack);
    let found = server.post(SUBJECT, &readers()).expect_status(200).json();
    assert_eq!(found, json!({"results": [user("alice")]}));
    let asked = json!({"subject": user("alice"), "resource": record("record-1")});
    assert_eq!(server.post(ACTION, &asked).expect_status(200).json(), json!({"results": [{"name": "read"}]}));
}

#[test]
fn a_mandatory_obligation_and_a_failing_forbid_deny_as_in_an_evaluation() {
    let cedar = r#"
permit(principal, action == Action::"read", resource);
@obligation("mask:/salary")
permit(principal == user::"bob", action == Action::"read", resource);
forbid(principal, action, resource) when { principal has level && principal.level > "high" };
"#;
    let user_with = |id: &str, attrs: Value| json!({"uid": user(id), "attrs": attrs, "parents": []});
    let people = json!([
        user_with("alice", json!({})),
        user_with("bob", json!({})),
        user_with("eve", json!({"level": 3}))
    ]);
    let server = Server::with(Pack::new("strict").cedar(cedar).entities(&people));
    let found = server.post(SUBJECT, &readers()).expect_status(200).json();
    assert_eq!(found["results"], json!([user("alice")]));
    for (who, allowed) in [("alice", true), ("bob", false), ("eve", false)] {
        let answer =
            server.post("/access/v1/evaluation", &question(who, "read", "record-1")).expect_status(200);
        assert_eq!(answer.json(), json!({"decision": allowed}), "{who}");
    }
}

#[test]
fn an_answer_says_on_request_how_it_was_found() {
    let how = |path: &str, mut asked: Value| {
        asked["explain"] = json!(true);
        results(path, &asked)["page"]["properties"].clone()
    };
    assert_eq!(how(SUBJECT, readers()), json!({"by": "index", "evaluated": 2}));
    let asked = json!({"subject": user("bob"), "action": {"name": "read"}, "resource": {"type": "record"}});
    assert_eq!(how(RESOURCE, asked.clone()), json!({"by": "index", "evaluated": 1}));
    let mut writes = asked;
    writes["action"]["name"] = json!("write");
    assert_eq!(how(RESOURCE, writes), json!({"by": "index", "evaluated": 1}));
    let cedar = "permit(principal, action, resource) when { resource.name like \"a*\" };";
    let named = |id: &str| json!({"uid": {"type": "record", "id": id}, "attrs": {"name": id}, "parents": []});
    let server = Server::with(Pack::new("like").cedar(cedar).entities(&json!([named("a1"), named("b1")])));
    let mut asked =
        json!({"subject": user("bob"), "action": {"name": "read"}, "resource": {"type": "record"}});
    asked["explain"] = json!(true);
    let found = server.post(RESOURCE, &asked).expect_status(200).json();
    assert_eq!(found["results"], json!([{"type": "record", "id": "a1"}]));
    assert_eq!(found["page"]["properties"], json!({"by": "trial", "evaluated": 2}));
}

#[test]
fn a_search_is_recorded_once_and_is_no_decision() {
    let mut server = Server::with(crate::fixtures::records());
    let _ = server.post(SUBJECT, &readers()).expect_status(200);
    assert_eq!(server.get("/v1/decisions").expect_status(200).json()["items"], json!([]));
    server.stop();
    let records = log_records(server.data());
    let searches: Vec<&Value> = records
        .iter()
        .map(|record| &record["event"])
        .filter(|event| event["unmapped"]["search"].is_object())
        .collect();
    let [search] = searches.as_slice() else { panic!("{searches:?}") };
    let told = &search["unmapped"]["search"];
    assert_eq!((&told["for"], &told["found"], &told["more"]), (&json!("subject"), &json!(2), &json!(false)));
    assert_eq!(search["unmapped"]["via"], "authzen");
    assert_eq!(search["actor"]["user"], json!({"uid": "", "type": "user"}));
    assert_eq!(search["actor"]["authorizations"], json!([]));
    assert_eq!(search["resources"], json!([{"uid": "record-1", "type": "record"}]));
}

//! `POST /v1/decide`: one question, one answer. What it refuses, its batch form, its
//! obligations and its values are each in a file of their own.

mod batch;
mod explain;
mod http;
mod obligations;
mod plugins;
mod refused;
mod values;

use portcullis_tests::Answer;
use serde_json::{Value, json};

use crate::assertions::{holds_string, members, names, set};
use crate::fixtures::native;

const PATH: &str = "/v1/decide";

/// Alice's question about record `r` to the pack `cases`.
fn asked(action: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": action},
        "resource": {"type": "record", "id": "r"},
        "pack": "cases"
    })
}

fn with(mut asked: Value, field: &str, value: Value) -> Value {
    asked[field] = value;
    asked
}

fn send(asked: &Value) -> Answer {
    native().post(PATH, asked)
}

#[track_caller]
fn ask(asked: &Value) -> Value {
    let answer = send(asked).expect_status(200).json();
    let (decision, outcome) = (&answer["decision"], &answer["outcome"]);
    assert!(decision.is_boolean(), "{answer}");
    assert_eq!(*outcome, json!(if *decision == json!(true) { "allow" } else { "deny" }), "{answer}");
    answer
}

#[track_caller]
fn allowed<const N: usize>(question: &Value, reasons: [&str; N]) -> Value {
    let answer = ask(question);
    assert_eq!(answer["decision"], json!(true), "{answer}");
    assert_eq!(set(&answer["reasons"]), names(reasons), "{answer}");
    answer
}

#[track_caller]
fn denied<const N: usize>(question: &Value, reasons: [&str; N]) -> Value {
    let answer = ask(question);
    assert_eq!(answer["decision"], json!(false), "{answer}");
    assert_eq!(set(&answer["reasons"]), names(reasons), "{answer}");
    answer
}

/// The same, where further reasons than the wanted one may stand.
#[track_caller]
fn denied_for(question: &Value, reason: &str) -> Value {
    let answer = ask(question);
    assert_eq!(answer["decision"], json!(false), "{answer}");
    assert!(set(&answer["reasons"]).contains(reason), "no `{reason}`: {answer}");
    answer
}

#[test]
fn an_answer_has_these_members() {
    let answer = allowed(&asked("read"), ["everyone-reads"]);
    let expected = ["decision", "outcome", "decision_id", "revision", "reasons", "obligations"];
    assert_eq!(members(&answer), names(expected));
    assert_eq!(answer["obligations"], json!([]));
    let id = answer["decision_id"].as_str().unwrap();
    let digits = id.strip_prefix("dec_").expect("the prefix of a decision's id");
    assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(digits.as_bytes()[12], b'7', "a UUID of version 7: {id}");
}

#[test]
fn a_revision_is_a_number_and_a_hash() {
    let revision = ask(&asked("read"))["revision"].as_str().unwrap().to_owned();
    let (number, hash) = revision.split_once('.').expect("a point");
    assert!(number.parse::<u64>().is_ok(), "{revision}");
    assert!(!hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{revision}");
    assert_eq!(ask(&asked("twice"))["revision"], json!(revision));
}

#[test]
fn ids_sort_by_time() {
    let ids: Vec<Value> = (0..5)
        .map(|_| {
            // Within one millisecond a UUID of version 7 has no order.
            std::thread::sleep(std::time::Duration::from_millis(2));
            ask(&asked("read"))["decision_id"].clone()
        })
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_by_key(|id| id.as_str().unwrap().to_owned());
    sorted.dedup();
    assert_eq!(ids, sorted);
}

#[test]
fn an_allow_names_every_policy_that_permits() {
    allowed(&asked("twice"), ["first", "second"]);
}

#[test]
fn a_forbid_wins_and_is_the_reason() {
    let mallory = with(asked("read"), "subject", json!({"type": "user", "id": "mallory"}));
    denied(&mallory, ["not-mallory"]);
}

#[test]
fn without_a_permit_the_reason_is_no_permit() {
    denied(&asked("fly"), ["no_permit"]);
    denied(&with(asked("own"), "subject", json!({"type": "user", "id": "bob"})), ["no_permit"]);
}

#[test]
fn an_unknown_pack_denies_with_no_pack() {
    for pack in ["absent", "CASES", "portcullis", "../cases"] {
        denied(&with(asked("read"), "pack", json!(pack)), ["no_pack"]);
    }
}

#[test]
fn with_several_packs_and_none_named_nothing_is_guessed() {
    let mut question = asked("read");
    question.as_object_mut().unwrap().remove("pack");
    denied(&question, ["no_pack"]);
}

#[test]
fn with_one_pack_it_need_not_be_named() {
    let question = crate::fixtures::question("alice", "read", "record-1");
    let answer = crate::fixtures::single_pack().post(PATH, &question).expect_status(200).json();
    assert_eq!(answer["reasons"], json!(["alice-and-bob-read"]));
}

#[test]
fn packs_do_not_mix() {
    // `cases` permits every read; `records` does not.
    let question = with(asked("read"), "pack", json!("records"));
    denied(&question, ["no_permit"]);
}

#[test]
fn a_forbid_that_errors_denies() {
    denied_for(&asked("broken-forbid"), "policy_error");
}

#[test]
fn where_the_pack_says_skip_a_forbid_that_errors_is_skipped() {
    let question = with(asked("broken-forbid"), "pack", json!("skips"));
    let answer = ask(&question);
    assert_eq!(answer["decision"], json!(true), "{answer}");
    assert!(set(&answer["reasons"]).contains("any-broken-forbid"), "{answer}");
}

#[test]
fn a_permit_that_errors_merely_does_not_permit() {
    for pack in ["cases", "skips"] {
        let answer = ask(&with(asked("broken-permit"), "pack", json!(pack)));
        assert_eq!(answer["decision"], json!(false), "{answer}");
        assert!(set(&answer["reasons"]).contains("no_permit"), "{answer}");
        let answer = ask(&with(asked("one-broken"), "pack", json!(pack)));
        assert_eq!(answer["decision"], json!(true), "{answer}");
        let reasons = set(&answer["reasons"]);
        assert!(reasons.contains("one-sound") && !reasons.contains("one-broken"), "{answer}");
    }
}

#[test]
fn a_forbid_that_holds_is_named_beside_one_that_errors() {
    denied_for(&asked("both-forbids"), "sound-forbid");
    let question = with(asked("both-forbids"), "pack", json!("skips"));
    denied_for(&question, "sound-forbid");
}

#[test]
fn action_properties_are_in_the_context_and_replace_the_applications() {
    let soft = |value: bool| json!({"name": "delete", "properties": {"soft": value}});
    allowed(&with(asked("delete"), "action", soft(true)), ["deletes-softly"]);
    let forged = with(asked("delete"), "context", json!({"action": {"soft": true}}));
    denied(&with(forged, "action", soft(false)), ["no_permit"]);
}

#[test]
fn policies_see_neither_what_was_not_verified_nor_the_http_request() {
    denied(&asked("verified"), ["no_permit"]);
    let http = json!({"method": "GET", "path": "/r", "query": "a=b", "headers": {"x": "y"}});
    denied(&with(asked("http"), "http", http), ["no_permit"]);
}

#[test]
fn a_revision_that_is_reached_is_no_obstacle() {
    let revision = ask(&asked("read"))["revision"].as_str().unwrap().to_owned();
    let number: u64 = revision.split('.').next().unwrap().parse().unwrap();
    allowed(&with(asked("read"), "at_least_revision", json!(number)), ["everyone-reads"]);
    let answer = send(&with(asked("read"), "at_least_revision", json!(number + 1)));
    assert_eq!(answer.clone().expect_status(409).problem(), "revision_not_reached", "{}", answer.text());
}

#[test]
fn an_explanation_shows_the_policies_with_their_source() {
    let answer = ask(&with(asked("twice"), "explain", json!(true)));
    let explanation = &answer["explanation"];
    for id in ["first", "second"] {
        assert!(holds_string(explanation, id), "no `{id}`: {explanation}");
    }
    assert!(!holds_string(explanation, "neither"), "{explanation}");
    let text = explanation.to_string();
    assert!(text.contains("policies.cedar") && text.contains("\"line\":"), "{explanation}");
    assert!(text.contains("permit(principal, action == Action::"), "no source text: {explanation}");
}

#[test]
fn an_explanation_shows_what_failed() {
    let answer = ask(&with(asked("broken-forbid"), "explain", json!(true)));
    let text = answer["explanation"].to_string();
    assert!(text.contains("broken-forbid") && text.contains("absent"), "{answer}");
}

#[test]
fn without_asking_there_is_no_explanation() {
    let answer = ask(&with(asked("twice"), "explain", json!(false)));
    assert!(answer.get("explanation").is_none(), "{answer}");
}

#[test]
fn a_resource_id_that_looks_like_cedar_is_but_an_id() {
    for id in [
        "mine\" || true || resource == record::\"mine",
        "mine\"); permit(principal, action, resource); //",
        "record::\"mine\"",
        "\"mine\"",
        "mine\\",
        "*",
    ] {
        let question = with(asked("own"), "resource", json!({"type": "record", "id": id}));
        denied(&question, ["no_permit"]);
    }
    allowed(&with(asked("own"), "resource", json!({"type": "record", "id": "mine"})), ["owns-mine"]);
}

#[test]
fn a_nul_is_a_character_as_any_other() {
    let user = |id: &str| json!({"type": "user", "id": id});
    allowed(&with(asked("nul"), "subject", user("nul\0user")), ["nul-user"]);
    denied(&with(asked("nul"), "subject", user("nul")), ["no_permit"]);
    denied(&with(asked("nul"), "subject", user("nuluser")), ["no_permit"]);
    allowed(&with(asked("nul-text"), "context", json!({"text": "a\0b"})), ["nul-text"]);
    denied(&with(asked("nul-text"), "context", json!({"text": "a"})), ["no_permit"]);
    allowed(&with(asked("read"), "resource", json!({"type": "record", "id": "\0"})), ["everyone-reads"]);
}

#[test]
fn ids_may_be_of_any_script() {
    let user = json!({"type": "user", "id": "Zoë 🦀"});
    allowed(&with(asked("unicode"), "subject", user), ["unicode-id"]);
}

#[test]
fn a_type_name_that_cedar_can_not_say_denies() {
    for kind in ["not a type", "user::", "::user", "1user", "us-er", "user\"", "", "if", "a\0b", "üser"] {
        for field in ["subject", "resource"] {
            let question = with(asked("read"), field, json!({"type": kind, "id": "x"}));
            denied_for(&question, "type_unrepresentable");
        }
    }
    let nested = with(asked("read"), "resource", json!({"type": "App::Record", "id": "x"}));
    allowed(&nested, ["everyone-reads"]);
}

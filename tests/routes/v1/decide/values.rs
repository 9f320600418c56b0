//! Values that Cedar can and can't say, in `POST /v1/decide`.

use serde_json::{Value, json};

use super::{PATH, allowed, ask, asked, denied, denied_for, with};
use crate::assertions::set;
use crate::fixtures::native;

/// Sends the context as this very text: a JSON library may rewrite numbers.
#[track_caller]
fn with_context(action: &str, context: &str) -> Value {
    let body = asked(action).to_string().replacen('{', &format!("{{\"context\":{context},"), 1);
    native().post_bytes(PATH, body).expect_status(200).json()
}

#[track_caller]
fn decides(action: &str, context: &str, expected: bool) -> Value {
    let answer = with_context(action, context);
    assert_eq!(answer["decision"], json!(expected), "{context}: {answer}");
    answer
}

#[test]
fn a_member_that_is_null_is_dropped() {
    allowed(&with(asked("without-nickname"), "context", json!({"nickname": null})), ["without-nickname"]);
    denied(&with(asked("without-nickname"), "context", json!({"nickname": ""})), ["no_permit"]);
    let properties = json!({"type": "record", "id": "r", "properties": {"size": null}});
    allowed(&with(asked("forbids-size"), "resource", properties), ["any-size"]);
}

#[test]
fn a_fraction_is_a_decimal() {
    for number in ["1.5", "1.9999", "0.0001", "-3.25", "1.0", "15e-1", "1.50000"] {
        let answer = decides("small-amount", &format!("{{\"amount\": {number}}}"), true);
        assert_eq!(answer["reasons"], json!(["small-amount"]), "{number}");
    }
    for number in ["2.0", "2.5", "20e-1", "2e0"] {
        decides("small-amount", &format!("{{\"amount\": {number}}}"), false);
    }
}

#[test]
fn a_whole_number_is_an_integer() {
    decides("whole-amount", "{\"amount\": 7}", true);
    decides("whole-amount", "{\"amount\": 8}", false);
    decides("reads-big", "{\"big\": 9223372036854775807}", true);
    decides("reads-big", "{\"big\": -9223372036854775808}", false);
}

const UNSAYABLE: [&str; 6] =
    ["18446744073709551616", "9223372036854775808", "0.00001", "1e400", "-9223372036854775809", "[1, null]"];

#[test]
fn what_can_not_be_said_is_left_out_and_named() {
    for value in UNSAYABLE {
        let answer = decides("read", &format!("{{\"amount\": {value}}}"), true);
        let reasons = set(&answer["reasons"]);
        let named = reasons.iter().any(|reason| reason.starts_with("value_left_out:/context/amount"));
        assert!(named && reasons.contains("everyone-reads"), "{value}: {answer}");
    }
}

#[test]
fn what_was_left_out_denies_when_a_permit_reads_it() {
    for value in UNSAYABLE {
        let answer = decides("reads-big", &format!("{{\"big\": {value}}}"), false);
        assert!(set(&answer["reasons"]).contains("value_unrepresentable"), "{value}: {answer}");
    }
}

#[test]
fn what_was_left_out_denies_when_a_forbid_asks_for_it() {
    // Left out without more, the `has` of the forbid would be false, and the forbid disarmed.
    for value in UNSAYABLE {
        let answer = decides("forbids-big", &format!("{{\"big\": {value}}}"), false);
        assert!(set(&answer["reasons"]).contains("value_unrepresentable"), "{value}: {answer}");
    }
    decides("forbids-big", "{\"big\": 11}", false);
    decides("forbids-big", "{\"big\": 9}", true);
}

#[test]
fn what_was_left_out_of_properties_denies_likewise() {
    let text = asked("forbids-size").to_string();
    let body =
        text.replacen("\"id\":\"r\"", "\"id\":\"r\",\"properties\":{\"size\":18446744073709551616}", 1);
    assert_ne!(body, text);
    let answer = native().post_bytes(PATH, body).expect_status(200).json();
    assert_eq!(answer["decision"], json!(false), "{answer}");
    let reasons = set(&answer["reasons"]);
    assert!(reasons.contains("value_unrepresentable"), "{answer}");
    assert!(reasons.contains("value_left_out:/resource/properties/size"), "{answer}");
}

#[test]
fn what_was_left_out_denies_in_authzen_too() {
    let decide = |context: &str| {
        let mut question = asked("forbids-big");
        question.as_object_mut().unwrap().remove("pack");
        let body = question.to_string().replacen('{', &format!("{{\"context\":{context},"), 1);
        native().post_bytes("/packs/cases/access/v1/evaluation", body).expect_status(200).json()
    };
    assert_eq!(decide("{\"big\": 18446744073709551616}"), json!({"decision": false}));
    assert_eq!(decide("{\"big\": 1}"), json!({"decision": true}));
    assert_eq!(decide("{\"other\": 18446744073709551616}"), json!({"decision": true}));
}

#[test]
fn a_pointer_to_what_was_left_out_is_escaped() {
    let answer = decides("read", "{\"a/b\": {\"c~d\": [0, 18446744073709551616]}}", true);
    let reasons = set(&answer["reasons"]);
    let named = reasons.iter().any(|reason| reason.starts_with("value_left_out:/context/a~1b/c~0d"));
    assert!(named, "{answer}");
}

#[test]
fn an_entity_key_is_an_ordinary_key() {
    let owner = json!({"owner": {"__entity": {"type": "user", "id": "alice"}}});
    allowed(&with(asked("entity-key"), "context", owner.clone()), ["entity-is-a-record"]);
    let answer = ask(&with(asked("entity-key-smuggled"), "context", owner));
    assert_eq!(answer["decision"], json!(false), "{answer}");
}

#[test]
fn an_extension_key_is_an_ordinary_key() {
    let address = json!({"address": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}});
    allowed(&with(asked("extension-key"), "context", address.clone()), ["extension-is-a-record"]);
    let answer = ask(&with(asked("extension-key-smuggled"), "context", address));
    assert_eq!(answer["decision"], json!(false), "{answer}");
}

#[test]
fn a_record_in_cedars_clothes_in_properties_is_a_record() {
    let user =
        json!({"type": "user", "id": "x", "properties": {"__entity": {"type": "user", "id": "alice"}}});
    denied_for(&with(asked("own"), "subject", user), "no_permit");
}

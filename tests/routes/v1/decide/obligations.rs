//! Obligations of `POST /v1/decide`: which ones come, which is stricter, and who may take them.

use serde_json::{Value, json};

use super::{allowed, ask, asked, denied_for, with};

fn understood(action: &str) -> Value {
    with(asked(action), "understands", json!(["mask", "notify", "sign", "set_header"]))
}

fn sorted(obligations: &Value) -> Vec<Value> {
    let mut list = obligations.as_array().unwrap().clone();
    list.sort_by_key(ToString::to_string);
    list
}

fn mask(path: &str, method: &str) -> Value {
    json!({"kind": "mask", "path": path, "method": method, "mandatory": true})
}

#[test]
fn a_permit_brings_its_obligations() {
    let answer = allowed(&understood("mask-two"), ["mask-two"]);
    assert_eq!(sorted(&answer["obligations"]), [mask("/email", "redact"), mask("/phone", "redact")]);
}

#[test]
fn of_two_masks_the_stricter_applies() {
    let answer = allowed(&understood("mask-strictest"), ["mask-partly", "mask-by-hash"]);
    assert_eq!(answer["obligations"], json!([mask("/email", "hash")]));
    let answer = allowed(&understood("mask-redact"), ["mask-partly-too", "mask-wholly"]);
    assert_eq!(answer["obligations"], json!([mask("/email", "redact")]));
}

#[test]
fn only_determining_permits_bring_obligations() {
    let answer = allowed(&understood("unmet"), ["unmasked"]);
    assert_eq!(answer["obligations"], json!([]));
    let answer = denied_for(&understood("masked-and-forbidden"), "no-masked");
    assert_eq!(answer["obligations"], json!([]), "a deny reveals nothing that would need a mask");
}

#[test]
fn a_mandatory_obligation_that_is_not_understood_denies() {
    denied_for(&asked("mask-two"), "obligation_unsupported");
    denied_for(&with(asked("mask-two"), "understands", json!([])), "obligation_unsupported");
    denied_for(&with(asked("mask-two"), "understands", json!(["notify"])), "obligation_unsupported");
    allowed(&with(asked("mask-two"), "understands", json!(["mask"])), ["mask-two"]);
}

#[test]
fn two_obligations_that_can_not_both_be_met_deny() {
    let answer = denied_for(&understood("conflict"), "obligation_conflict");
    assert_eq!(answer["obligations"], json!([]), "{answer}");
}

#[test]
fn advice_needs_no_understanding() {
    let answer = allowed(&asked("advised"), ["advised"]);
    let advice = &answer["obligations"][0];
    assert_eq!(advice["kind"], json!("notify"), "{answer}");
    assert_eq!(advice["mandatory"], json!(false), "{answer}");
    assert!(crate::assertions::holds_string(advice, "owner"), "{answer}");
}

#[test]
fn an_authzen_call_understands_nothing() {
    let mut question = asked("mask-two");
    question.as_object_mut().unwrap().remove("pack");
    let decide = |action: &str| {
        let mut question = question.clone();
        question["action"]["name"] = json!(action);
        let path = "/packs/cases/access/v1/evaluation";
        crate::fixtures::native().post(path, &question).expect_status(200).json()
    };
    assert_eq!(decide("mask-two"), json!({"decision": false}));
    assert_eq!(decide("advised"), json!({"decision": true}));
    assert_eq!(decide("unmet"), json!({"decision": true}));
}

#[test]
fn an_unknown_kind_is_harmless_to_list() {
    let question = with(asked("mask-two"), "understands", json!(["mask", "teleport"]));
    let answer = crate::fixtures::native().post(super::PATH, &question);
    // The list says what a caller can do; a later version's kinds may be in it, or be refused.
    assert!([200, 400].contains(&answer.status), "{}", answer.text());
    if answer.status == 200 {
        assert_eq!(ask(&question)["decision"], json!(true));
    }
}

//! The other hooks: what they are handed, and what of their answers is taken.

use serde_json::json;

use super::*;
use crate::decision::obligation::MaskMethod;
use crate::plugin::input::{Components, Event, MaskObligation, Message, Observation, Observed, Reading};
use crate::plugin::output::{Edit, Replacement};

/// A guest of this hook, which exports this function with these parameters.
fn guest(hook: Hook, parameters: &str, more: &str, body: &str) -> Vec<u8> {
    let (interface, name) = (hook.interface(), hook.name());
    let module = format!(
        r#"(module
            {more}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "portcullis:plugin/{interface}@1.0.0#{name}") {parameters} (result i32)
                {body}))"#
    );
    component(name, &module)
}

async fn call_of(hook: Hook, component: &[u8], keys: &[&str], input: &Input) -> Called {
    let declared = [Capability::Crypto];
    let mut manifest = manifest(&declared);
    manifest.hook = hook;
    let grant = Grant::new(declared, declared, keys.iter().map(ToString::to_string));
    let budget = Budget { output_bytes: 200, ..Budget::default() };
    let source = Source { component, manifest: &manifest, grant, budget, config: "{}", cache: None };
    runtime().compile(&source).unwrap().call(&surroundings(), input).await
}

/// A masker whose edits redact these places, of which the first is replaced by the obligation's own pointer.
fn masker(places: &[&str]) -> Vec<u8> {
    let mut body = String::new();
    for (row, place) in (0..).zip(places) {
        let (edit, text) = (128 + 20 * row, 1_024 + 32 * row);
        for (at, byte) in (text..).zip(place.bytes()) {
            body += &format!("(i32.store8 (i32.const {at}) (i32.const {byte}))");
        }
        let length = place.len();
        body += &format!(
            "(i32.store (i32.const {edit}) (i32.const {text}))
            (i32.store (i32.const {}) (i32.const {length}))
            (i32.store8 (i32.const {}) (i32.const 1))",
            edit + 4,
            edit + 8
        );
    }
    body += &format!(
        "(if (local.get $count) (then
            (i32.store8 (i32.const 136) (i32.const 0))
            (i32.store (i32.const 140) (i32.load (local.get $obligations)))
            (i32.store (i32.const 144) (i32.load offset=4 (local.get $obligations)))))
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const {}))
        (call $drop (local.get $document)) (i32.const 64)",
        places.len()
    );
    let drop =
        r#"(import "portcullis:plugin/types@1.0.0" "[resource-drop]document" (func $drop (param i32)))"#;
    guest(Hook::Mask, "(param $document i32) (param $obligations i32) (param $count i32)", drop, &body)
}

async fn mask(places: &[&str]) -> Called {
    let document = json!({"a": {"b": [1, 2]}, "~": 3, "ab": 4});
    let obligations = vec![MaskObligation { pointer: "/a/b".into(), method: MaskMethod::Partial }];
    let input = Input::Mask { document: Arc::new(document), obligations };
    call_of(Hook::Mask, &masker(places), &[], &input).await
}

#[tokio::test]
async fn a_masker_edits_what_it_was_obliged_to() {
    let called = mask(&["/a/b/1", "/ab", "/~0"]).await;
    let edit = |pointer: &str, replacement| Edit { pointer: pointer.into(), replacement };
    let first = Replacement::Text("/a/b".into());
    let edits = vec![edit("/a/b/1", first), edit("/ab", Replacement::Null), edit("/~0", Replacement::Null)];
    assert_eq!(called.output, Ok(Output::Mask { edits }));
}

#[tokio::test]
async fn edits_that_touch_or_stand_nowhere_are_a_bad_answer() {
    for places in [
        &["/a/b", "/a/b/1"][..],
        &["/a/b/1", "/a"],
        &["/ab", "/ab"],
        &["", "/ab"],
        &["/~0", "/~"],
        &["/nowhere"],
        &["/a/b/2"],
        &["/a/b/01"],
        &["ab"],
    ] {
        fails_of(&mask(places).await, FailureKind::BadAnswer);
    }
    // "/a" is no part of "/ab".
    assert!(mask(&["/a", "/ab"]).await.output.is_ok());
}

#[tokio::test]
async fn an_answer_with_more_bytes_than_the_budget_is_refused() {
    let place = "/a/b/1";
    let places: Vec<_> = std::iter::once("").chain(std::iter::repeat_n(place, 40)).collect();
    fails_of(&mask(&places).await, FailureKind::OutputSize);
}

/// A signer with one header: this name, and as its value the key's name. Before, it signs with that key, and traps when it
/// is refused another way than this.
fn signer(name: &str, refusal: u32) -> Vec<u8> {
    let parameters = "(param $kind i32) (param $at i32) (param $length i32)
        (param i32 i32 i32 i32 i32 i32) (param $key i32) (param $key-length i32)";
    let sign = r#"(import "portcullis:plugin/crypto@1.0.0" "sign" (func $sign (param i32 i32 i32 i32 i32)))"#;
    let mut body = String::from(
        "(call $sign (local.get $key) (local.get $key-length) (local.get $at) (local.get $length) (i32.const 32))",
    );
    body += &format!(
        "(if (i32.ne (i32.load8_u (i32.const 32)) (i32.const 1)) (then (unreachable)))
        (if (i32.ne (i32.load8_u (i32.const 36)) (i32.const {refusal})) (then (unreachable)))"
    );
    for (at, byte) in (512..).zip(name.bytes()) {
        body += &format!("(i32.store8 (i32.const {at}) (i32.const {byte}))");
    }
    body += &format!(
        "(i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1))
        (i32.store (i32.const 128) (i32.const 512)) (i32.store (i32.const 132) (i32.const {}))
        (i32.store (i32.const 136) (local.get $key)) (i32.store (i32.const 140) (local.get $key-length))
        (i32.const 64)",
        name.len()
    );
    guest(Hook::Sign, parameters, sign, &body)
}

async fn sign(name: &str, key: &str) -> Called {
    let input = Input::Sign { message: Message::Bytes(b"message".to_vec()), key: key.into() };
    call_of(Hook::Sign, &signer(name, 0), &["granted"], &input).await
}

#[tokio::test]
async fn a_signers_headers_are_headers() {
    let headers = vec![("signature".to_owned(), "granted".to_owned())];
    assert_eq!(sign("signature", "granted").await.output, Ok(Output::Sign { headers }));
    for (name, key) in
        [("Signature", "k"), ("", "k"), ("a b", "k"), ("a", "k\r\nb: c"), ("a", " k"), ("a:", "k")]
    {
        fails_of(&sign(name, key).await, FailureKind::BadAnswer);
    }
}

#[tokio::test]
async fn a_request_to_sign_is_handed_over_whole() {
    let request = Components {
        method: "GET".into(),
        target_uri: "https://a.example/".into(),
        headers: vec![("accept".into(), "*/*".into())],
        body: b"body".to_vec(),
    };
    let input = Input::Sign { message: Message::Request(request), key: "granted".into() };
    assert!(call_of(Hook::Sign, &signer("a", 0), &["granted"], &input).await.output.is_ok());
}

/// A detector that answers with these points and, as its reason, with the event's kind.
fn detector(points: u32) -> Vec<u8> {
    let parameters = "(param $subject i32) (param $a i32) (param $b i32) (param $when i64) (param $list i32)
        (param $length i32) (param $counters i32) (param $count i32)";
    let body = format!(
        "(if (i64.ne (local.get $when) (i64.const 7)) (then (unreachable)))
        (if (i32.ne (local.get $length) (i32.const 1)) (then (unreachable)))
        (if (i32.ne (local.get $count) (i32.const 1)) (then (unreachable)))
        (if (i64.ne (i64.load offset=8 (local.get $counters)) (i64.const 12)) (then (unreachable)))
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1))
        (i32.store8 (i32.const 128) (i32.const {points}))
        (i32.store (i32.const 132) (local.get $a)) (i32.store (i32.const 136) (local.get $b))
        (i32.const 64)"
    );
    guest(Hook::Detect, parameters, "", &body)
}

async fn detect(points: u32, kind: &str) -> Called {
    let attributes = [("outcome".to_owned(), "deny".to_owned())].into();
    let subject = Observed::Event(Event { kind: kind.into(), at: 7, attributes });
    let counters = vec![Reading { name: "principal.denials".into(), value: 12, window_seconds: 60 }];
    let input = Input::Detect(Observation { subject, counters });
    call_of(Hook::Detect, &detector(points), &[], &input).await
}

#[tokio::test]
async fn a_detectors_points_and_reasons_are_held_to_their_form() {
    let called = detect(100, "decision").await;
    let Ok(Output::Detect(said)) = &called.output else { panic!("{called:?}") };
    assert_eq!((said.points(), said.risk[0].reason.as_str()), (100, "decision"));
    fails_of(&detect(101, "decision").await, FailureKind::BadAnswer);
    fails_of(&detect(1, "No Code").await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn a_plugin_is_not_called_for_another_hook() {
    fails_of(&call_of(Hook::Detect, &detector(1), &[], &request()).await, FailureKind::BadAnswer);
}

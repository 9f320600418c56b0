//! What is masked, and how: by obligations, by paths and by content.

use portcullis_sdk::host::crypto::Algorithm;
use portcullis_sdk::testing::Host;

use super::*;

fn plugin(change: impl FnOnce(&mut Settings)) -> PiiMask {
    let mut settings = Settings::default();
    change(&mut settings);
    PiiMask::new(settings).unwrap()
}

fn edits(plugin: &PiiMask, json: &str, obligations: &[(&str, Method)]) -> Vec<(String, Option<String>)> {
    let document = Document::parse(json).unwrap();
    let obligations: Vec<_> =
        obligations.iter().map(|(pointer, method)| Obligation::new(*pointer, *method)).collect();
    let edits = plugin.mask(&document, &obligations).unwrap();
    let text = |edit: Edit| match edit.replacement {
        Replacement::Text(text) => (edit.pointer, Some(text)),
        _ => (edit.pointer, None),
    };
    edits.into_iter().map(text).collect()
}

fn texts(edits: &[(String, Option<String>)]) -> Vec<(&str, &str)> {
    edits.iter().map(|(pointer, text)| (pointer.as_str(), text.as_deref().unwrap_or("null"))).collect()
}

#[test]
fn an_obligation_masks_every_value_below_it_whatever_its_type() {
    let json = r#"{"a":{"text":"Lovelace","number":36,"yes":true,"none":null,"list":["x",[1]],"empty":{},"[]":[]},"b":"x"}"#;
    let edits = edits(&plugin(|_| {}), json, &[("/a", Method::Redact)]);
    let pointers: Vec<_> = edits.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/a/text", "/a/number", "/a/yes", "/a/none", "/a/list/0", "/a/list/1/0"]);
    assert!(edits.iter().all(|(_, text)| text.as_deref() == Some("***")));
}

#[test]
fn where_two_methods_meet_the_stricter_holds() {
    let plugin = plugin(|settings| {
        settings.paths = vec![Path { path: "/people/*/card".to_owned(), method: How::Redact }];
    });
    let json = r#"{"people":[{"card":"4111111111111111","email":"ann@example.org"}]}"#;
    let edits = edits(&plugin, json, &[("/people", Method::Partial), ("/people/0", Method::Partial)]);
    assert_eq!(texts(&edits), [("/people/0/card", "***"), ("/people/0/email", "a***@example.org")]);
}

#[test]
fn the_whole_document_can_be_obliged() {
    assert_eq!(
        edits(&plugin(|_| {}), "\"secret\"", &[("", Method::Redact)]),
        [("".to_owned(), Some("***".to_owned()))]
    );
}

#[test]
fn a_value_that_reads_as_its_mask_becomes_null() {
    let edits = edits(&plugin(|_| {}), r#"{"a":"***"}"#, &[("/a", Method::Partial)]);
    assert_eq!(edits, [("/a".to_owned(), None)]);
}

#[test]
fn of_a_searched_text_only_what_is_found_changes() {
    let plugin = plugin(|settings| {
        settings.content = vec!["email".to_owned(), "card".to_owned()];
        settings.except = vec!["/contact".to_owned()];
    });
    let json = r#"{
        "note":"Ann <ann@example.org> paid with 4111 1111 1111 1111 (é).","plain":"nothing","contact":"info@example.org",
        "card":4111111111111111,"id":4111111111111112,"price":12.5}"#;
    let edits = edits(&plugin, json, &[]);
    let note = "Ann <a***@example.org> paid with **** **** **** 1111 (é).";
    assert_eq!(texts(&edits), [("/note", note), ("/card", "************1111")]);
}

#[test]
fn an_obligation_is_met_where_texts_are_not_searched() {
    let plugin = plugin(|settings| settings.except = vec!["".to_owned()]);
    assert_eq!(edits(&plugin, r#"{"a":1}"#, &[("/a", Method::Redact)]).len(), 1);
}

#[test]
fn equal_values_have_equal_codes_however_they_are_written() {
    let plugin = plugin(|settings| {
        settings.hash_key = Some("mask".to_owned());
        settings.content = vec!["card".to_owned()];
        settings.content_method = How::Hash;
    });
    let host = Host::new().key("mask", Algorithm::HmacSha256, |message| {
        let sum = message.iter().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
        vec![sum; 32]
    });
    let json = r#"{"a":"4111 1111 1111 1111","b":"4111-1111-1111-1111","c":"x 4111111111111111","d":"Ann","e":"Bob"}"#;
    let obligations =
        [("/a", Method::Hash), ("/b", Method::Hash), ("/d", Method::Hash), ("/e", Method::Hash)];
    let (edits, _) = host.run(|| edits(&plugin, json, &obligations));
    let texts: Vec<_> = texts(&edits).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts[0], texts[1]);
    assert_eq!(format!("x {}", texts[0]), texts[2]);
    assert_ne!(texts[3], texts[4]);
    assert!(texts[0].starts_with("hmac:") && texts[0].len() == 37);
}

#[test]
fn without_its_key_a_hash_shows_nothing() {
    for key in [None, Some("another".to_owned())] {
        let plugin = plugin(|settings| settings.hash_key = key);
        assert_eq!(texts(&edits(&plugin, r#"{"a":"x"}"#, &[("/a", Method::Hash)])), [("/a", "***")]);
    }
}

#[test]
fn pointers_out_of_form_are_no_answer() {
    let document = Document::parse("{}").unwrap();
    let obligation = Obligation::new("a", Method::Redact);
    assert_eq!(plugin(|_| {}).mask(&document, &[obligation]), Err(Failure::Invalid));
    let mut settings = Settings::default();
    settings.content.push("iris".to_owned());
    assert!(matches!(PiiMask::new(settings), Err(Failure::Misconfigured)));
}

//! What is found, what is not, and how it is masked.

use portcullis_sdk::testing;

use super::*;

fn kinds(text: &str) -> Vec<(Kind, String)> {
    find::all(text, &Kind::ALL).into_iter().map(|found| (found.kind, text[found.start..found.end].to_owned())).collect()
}

fn plugin(config: Settings) -> PiiMask {
    PiiMask::new(config).unwrap()
}

fn content(text: &str) -> String {
    plugin(Settings::default()).content(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn each_kind_is_found_where_it_stands() {
    for (text, kind, found) in [
        ("write to Ada.Lovelace+x@mail.example.com.", Kind::Email, "Ada.Lovelace+x@mail.example.com"),
        ("call +31 20 123 4567 today", Kind::Phone, "+31 20 123 4567"),
        ("call (415) 555-2671", Kind::Phone, "(415) 555-2671"),
        ("tel 020 7946 0018", Kind::Phone, "020 7946 0018"),
        ("card 4111 1111 1111 1111 12/27", Kind::Card, "4111 1111 1111 1111"),
        ("5500-0000-0000-0004", Kind::Card, "5500-0000-0000-0004"),
        ("IBAN GB82 WEST 1234 5698 7654 32, please", Kind::Iban, "GB82 WEST 1234 5698 7654 32"),
        ("de89370400440532013000", Kind::Iban, "de89370400440532013000"),
        ("ssn 078-05-1120", Kind::NationalId, "078-05-1120"),
        ("bsn 111222333", Kind::NationalId, "111222333"),
        ("86095742719", Kind::NationalId, "86095742719"),
        ("nino AB 12 34 56 C", Kind::NationalId, "AB 12 34 56 C"),
        ("nie X1234567L", Kind::NationalId, "X1234567L"),
        ("dni 12345678Z", Kind::NationalId, "12345678Z"),
        ("2 55 08 14 168 025 38", Kind::NationalId, "2 55 08 14 168 025 38"),
        ("cpf 529.982.247-25", Kind::NationalId, "529.982.247-25"),
        ("from 192.0.2.60:8080", Kind::Ip, "192.0.2.60"),
        ("from 2001:db8::8a2e:370:7334.", Kind::Ip, "2001:db8::8a2e:370:7334"),
    ] {
        assert_eq!(kinds(text), [(kind, found.to_owned())], "{text}");
    }
}

#[test]
fn what_only_looks_like_it_is_not() {
    for text in [
        "2026-01-02T03:04:05Z",
        "version 1.2.3 of 2026",
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "order 1234567",
        "10:30 to 11:45",
        "a@b",
        "0000 0000 0000 0000",
        "price 1,234.56",
        "uuid 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "000-12-3456",
        "999.1.1.1",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn widths_scripts_and_what_can_not_be_seen_hide_nothing() {
    assert_eq!(content("\u{ff14}\u{ff11}\u{ff11}\u{ff11} 1111 1111 1111"), "**** 1111");
    assert_eq!(content("4111\u{200b}1111\u{200b}1111\u{200b}1111"), "**** 1111");
    assert_eq!(content("\u{664}\u{661}\u{661}\u{661} 1111 1111 1111"), "**** 1111");
    assert_eq!(content("ada\u{200b}@mail.example"), "***@mail.example");
    assert_eq!(content("4111\u{2011}1111\u{2011}1111\u{2011}1111"), "**** 1111");
}

#[test]
fn what_is_usual_stays_visible() {
    for (text, masked) in [
        ("Mail grace@mail.example or +1 415 555 2671.", "Mail g***@mail.example or ***71."),
        ("GB82WEST12345698765432", "GB** **** 5432"),
        ("192.0.2.60", "192.0.*.*"),
        ("2001:db8::1", "2001:db8:***"),
        ("078-05-1120", "***"),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(content(text), masked);
    }
}

fn edits(plugin: &PiiMask, json: &str, obligations: &[Obligation]) -> Vec<(String, Option<String>)> {
    let document = Document::parse(json).unwrap();
    let edits = plugin.mask(&document, obligations).unwrap();
    let text = |edit: Edit| match edit.replacement {
        Replacement::Text(text) => (edit.pointer, Some(text)),
        _ => (edit.pointer, None),
    };
    edits.into_iter().map(text).collect()
}

#[test]
fn everything_below_an_obligation_is_masked_whatever_it_is() {
    let json = r#"{"a": {"b": [1, true, null, "text", "***"], "c": "x"}, "ab": "kept"}"#;
    let all = edits(&plugin(Settings::default()), json, &[Obligation::new("/a", Method::Redact)]);
    let masked = Some("***".to_owned());
    assert_eq!(
        all,
        [
            ("/a/b/0".into(), masked.clone()),
            ("/a/b/1".into(), masked.clone()),
            ("/a/b/2".into(), masked.clone()),
            ("/a/b/3".into(), masked.clone()),
            ("/a/b/4".into(), None),
            ("/a/c".into(), masked),
        ]
    );
}

#[test]
fn the_stricter_of_two_rules_holds() {
    let paths = vec![PathRule { path: "/users/*/email".into(), method: How::Redact }];
    let plugin = plugin(Settings { paths, ..Settings::default() });
    let json = r#"{"users": [{"email": "ada@mail.example", "name": "Ada Lovelace"}]}"#;
    let all = edits(&plugin, json, &[Obligation::new("/users", Method::Partial)]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(all, [("/users/0/email".into(), text("***")), ("/users/0/name".into(), text("A***"))]);
}

#[test]
fn a_hash_needs_a_key_and_is_equal_for_equal_values() {
    let json = r#"{"a": "same", "b": "same", "c": "other"}"#;
    let obligation = [Obligation::new("", Method::Hash)];
    let without = edits(&plugin(Settings::default()), json, &obligation);
    assert!(without.iter().all(|(_, text)| text.as_deref() == Some("***")), "{without:?}");
    // The host's own code is tested there; here it is enough that different messages differ.
    let sign = |message: &[u8]| [message, &[0; 32]].concat();
    let host = testing::Host::new().key("pii", crypto::Algorithm::HmacSha256, sign);
    let keyed = plugin(Settings { hash_key: Some("pii".into()), ..Settings::default() });
    let (with, _) = host.run(|| edits(&keyed, json, &obligation));
    let values: Vec<_> = with.iter().map(|(_, text)| text.as_deref().unwrap()).collect();
    assert_eq!(values[0], values[1]);
    assert!(values[0] != values[2] && values[0].starts_with("hmac:") && values[0].len() == 37, "{values:?}");
}

#[test]
fn no_text_makes_it_fail() {
    for unit in ["1", "1 ", "a@", "+", "::", "((", "GB82 ", "\u{200b}", "\u{664}", "9-"] {
        let _ = find::all(&unit.repeat(5_000), &Kind::ALL);
    }
}

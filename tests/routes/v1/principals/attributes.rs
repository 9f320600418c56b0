//! Attributes are what the pack's schema says, or they are refused, by name, and nothing is made.

use serde_json::{Value, json};

use crate::directory::{at, get, is_absent, post, reads, shared};

#[test]
fn attributes_are_stored_as_cedar_reads_them() {
    let server = shared();
    let attributes = json!({
        "level": -9_223_372_036_854_775_808_i64,
        "manager": {"__entity": {"type": "Corp::User", "id": "boss"}},
        "address": {"__extn": {"fn": "ip", "arg": "10.0.0.0/8"}},
        "quota": {"__extn": {"fn": "decimal", "arg": "1.5000"}},
        "names": ["b", "a", "b", "é\u{0}漢"],
        "home": {"street": "x", "number": 1}
    });
    let made = post(server, "/v1/principals", json!({"id": "rich", "attributes": attributes}));
    let shown = made.expect_status(201).json();
    let read = get(server, "/v1/principals/rich").expect_status(200).json();
    assert_eq!(read["attributes"], shown["attributes"]);
    for name in ["level", "manager", "address", "home"] {
        assert_eq!(read["attributes"][name], attributes[name], "{name}");
    }
    assert_eq!(read["attributes"]["names"].as_array().map(Vec::len), Some(3), "a set: {read}");
    // What the schema says of a type need not be said again.
    let short =
        json!({"manager": {"type": "Corp::User", "id": "boss"}, "address": "10.0.0.0/8", "quota": "1.5"});
    let short =
        post(server, "/v1/principals", json!({"id": "short", "attributes": short})).expect_status(201).json();
    assert_eq!(short["attributes"]["manager"], attributes["manager"]);
    assert_eq!(short["attributes"]["address"], attributes["address"]);
    // And they can be decided on.
    assert!(!reads(server, "rich", "charter"));
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    let server = shared();
    let wrong = [
        ("unknown", json!({"shoe_size": 42})),
        ("type", json!({"level": "high"})),
        ("fraction", json!({"level": 1.5})),
        ("beyond 64 bits", json!({"level": 9_223_372_036_854_775_808_u64})),
        ("null", json!({"level": null})),
        ("another type's entity", json!({"manager": {"__entity": {"type": "Corp::Group", "id": "g"}}})),
        ("an entity that can't be named", json!({"manager": {"__entity": {"type": "Corp::", "id": "g"}}})),
        ("no address", json!({"address": {"__extn": {"fn": "ip", "arg": "10.0.0.0/99"}}})),
        ("another function", json!({"address": {"__extn": {"fn": "decimal", "arg": "1.0"}}})),
        ("no function", json!({"quota": {"__extn": {"fn": "unknown", "arg": "x"}}})),
        ("an expression", json!({"level": {"__expr": "1 + 1"}})),
        ("a list of two types", json!({"names": ["a", 1]})),
        ("a record that lacks a member", json!({"home": {"number": 1}})),
        ("a record with another member", json!({"home": {"street": "x", "door": 1}})),
    ];
    for (what, attributes) in wrong {
        let refused = post(server, "/v1/principals", json!({"id": "misfit", "attributes": attributes}));
        let refused = refused.expect_status(400);
        assert_eq!(refused.problem(), "attributes_invalid", "{what}: {}", refused.text());
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(!detail.is_empty() && !detail.contains("EntitiesError"), "{what}: {detail}");
        is_absent(get(server, "/v1/principals/misfit"));
    }
}

#[test]
fn what_cedar_can_not_say_is_refused_without_a_schema_too() {
    let server = crate::fixtures::single_pack();
    let wrong = [
        json!({"a": null}),
        json!({"a": 0.1}),
        json!({"a": 1e30}),
        json!({"a": {"__extn": {"fn": "unknown", "arg": "x"}}}),
        json!({"a": {"__extn": {"fn": "error", "arg": "x"}}}),
        json!({"a": {"__extn": {"fn": "ip", "arg": "nowhere"}}}),
        json!({"a": {"__extn": {"fn": "ip"}}}),
        json!({"a": {"__entity": {"type": "not a type", "id": "x"}}}),
        json!({"a": {"__expr": "principal"}}),
    ];
    for attributes in wrong {
        let answer = server.post("/v1/principals", &json!({"id": "odd", "attributes": attributes}));
        let answer = answer.expect_status(400);
        assert_eq!(answer.problem(), "attributes_invalid", "{attributes}: {}", answer.text());
    }
    let odd_but_fine =
        json!({"a": {"": ["x", 1, true, {"b": []}]}, "__proto__": "x", "then": "x".repeat(100_000)});
    let made = server.post("/v1/principals", &json!({"id": "odd", "attributes": odd_but_fine}));
    assert_eq!(made.expect_status(201).json()["attributes"]["__proto__"], json!("x"));
    let asked = crate::fixtures::question("odd", "read", "record-1");
    let answer = server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["reasons"], json!(["no_permit"]), "it can be read");
}

#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    let server = shared();
    let twice = [
        r#"{"id": "twice", "id": "twice"}"#,
        r#"{"id": "twice", "attributes": {"level": 1, "level": 9}}"#,
        r#"{"id": "twice", "attributes": {"home": {"street": "a", "str\u0065et": "b"}}}"#,
        r#"{"id": "twice", "attributes": {}, "attributes": {"level": 9}}"#,
    ];
    for body in twice {
        let refused = server.post_bytes(&at("/v1/principals"), body).expect_status(400);
        assert_eq!(refused.problem(), "malformed_json", "{body}");
    }
    is_absent(get(server, "/v1/principals/twice"));
}

#[test]
fn bodies_of_another_form_are_refused() {
    let server = shared();
    let wrong: [(&str, &str); 12] = [
        ("", "malformed_json"),
        ("{", "malformed_json"),
        ("null", "invalid_request"),
        ("[]", "invalid_request"),
        (r#"["user", "listed", {}, []]"#, "invalid_request"),
        ("{}", "invalid_request"),
        (r#"{"id": 7}"#, "invalid_request"),
        (r#"{"id": "x", "type": "group"}"#, "invalid_request"),
        (r#"{"id": "x", "status": "active"}"#, "invalid_request"),
        (r#"{"id": "x", "attributes": [], "groups": []}"#, "invalid_request"),
        (r#"{"id": "x", "groups": "all"}"#, "invalid_request"),
        (r#"{"id": "x", "tenant": "other"}"#, "invalid_request"),
    ];
    for (body, code) in wrong {
        let refused = server.post_bytes(&at("/v1/principals"), body).expect_status(400);
        assert_eq!(refused.problem(), code, "{body}: {}", refused.text());
    }
    let plain = server.request("POST", &at("/v1/principals")).header("content-type", "text/plain");
    assert_eq!(plain.body("{}").send().expect_status(415).problem(), "unsupported_media_type");
    let deep = format!(r#"{{"id": "deep", "attributes": {{"a": {}{}}}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(
        server.post_bytes(&at("/v1/principals"), deep).expect_status(400).problem(),
        "nesting_too_deep"
    );
    let huge = json!({"id": "huge", "attributes": {"names": ["x".repeat(2 << 20)]}}).to_string();
    let refused = server.post_refusable(&at("/v1/principals"), huge.as_bytes()).expect_status(413);
    assert_eq!(refused.problem(), "body_too_large");
}

#[test]
fn ten_thousand_attributes_are_kept_and_read() {
    let server = crate::fixtures::single_pack();
    let many: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("attribute-{n}"), json!(n))).collect();
    let _ = server.post("/v1/principals", &json!({"id": "many", "attributes": many})).expect_status(201);
    let read = server.get("/v1/principals/many").expect_status(200).json();
    assert_eq!(read["attributes"].as_object().map(serde_json::Map::len), Some(10_000));
    let asked = crate::fixtures::question("many", "read", "record-1");
    let _ = server.post("/v1/decide", &asked).expect_status(200);
}

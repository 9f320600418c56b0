//! Ids are the application's: whatever is text names one thing, in a body and in a path; the rest is refused.

use serde_json::json;

use crate::directory::{delete, encoded, get, is_absent, order, post, put, shared};

#[test]
fn an_id_of_any_text_is_one_thing() {
    let server = shared();
    let longest = "é".repeat(256);
    let ids = [
        "a/b",
        "a%2Fb",
        "%",
        "%00",
        "..",
        ".",
        "../../etc/passwd",
        "a b",
        " ",
        "a?b=c&d",
        "a#b",
        "é",
        "e\u{301}",
        "漢字🦀",
        "\u{202e}gpj",
        "'; DROP TABLE entities; --",
        "\"quoted\"",
        "\\",
        "$1",
        "*",
        "{id}",
        "null",
        "a:b",
        "user:alice",
        "Corp::User::\"alice\"",
        "-1",
        longest.as_str(),
    ];
    for id in ids {
        let path = format!("/v1/principals/{}", encoded(id));
        let made = post(server, "/v1/principals", json!({"id": id})).expect_status(201);
        assert_eq!(made.json()["id"], json!(id));
        // Where it says that it is, it is.
        let location = made.header("location").unwrap().to_owned();
        assert_eq!(server.get(&location).expect_status(200).json()["id"], json!(id), "{location}");
        assert_eq!(get(server, &path).expect_status(200).json()["id"], json!(id), "{path}");
        assert_eq!(
            order(server, &format!("{path}/lock")).expect_status(200).json()["principal"]["id"],
            json!(id)
        );
        let _ = order(server, &format!("{path}/unlock")).expect_status(200);
        let changed = put(server, &path, Some(("if-match", "*")), json!({"attributes": {"level": 3}}));
        assert_eq!(changed.expect_status(200).json()["id"], json!(id));
        let _ = delete(server, &path).expect_status(200);
        is_absent(get(server, &path));
    }
}

#[test]
fn ids_that_look_alike_are_not_the_same() {
    let server = shared();
    let alike = ["Alike", "alike", "alike ", "\u{430}like", "alike%20"];
    for id in alike {
        let _ = post(server, "/v1/principals", json!({"id": id})).expect_status(201);
    }
    let listed = crate::directory::walk(server, "/v1/principals?limit=200");
    for id in alike {
        assert_eq!(listed.iter().filter(|listed| *listed == id).count(), 1, "{id:?}");
    }
}

#[test]
fn what_is_no_id_is_refused() {
    let server = shared();
    let wrong = [
        String::new(),
        "\0".into(),
        "a\0b".into(),
        "a\nb".into(),
        "\u{7f}".into(),
        "\u{85}".into(),
        "x".repeat(513),
        "x".repeat(10_240),
    ];
    for id in &wrong {
        let refused = post(server, "/v1/principals", json!({"id": id})).expect_status(400);
        assert_eq!(refused.problem(), "invalid_request", "{id:?}");
        assert!(refused.text().contains("`id`"), "{}", refused.text());
        if id.is_empty() {
            continue;
        }
        let path = format!("/v1/principals/{}", encoded(id));
        for answer in [get(server, &path), delete(server, &path), order(server, &format!("{path}/disable"))] {
            assert!([400, 404].contains(&answer.status), "{} {}", answer.status, answer.text());
        }
        let made = put(server, &path, Some(("if-none-match", "*")), json!({}));
        assert_eq!(made.expect_status(400).problem(), "invalid_request");
        let group = post(server, "/v1/principals", json!({"id": "fine", "groups": [id]})).expect_status(400);
        assert_eq!(group.problem(), "invalid_request");
    }
    // Bytes that are no text name nothing.
    is_absent(get(server, "/v1/principals/%FF%FE"));
}

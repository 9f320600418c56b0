//! Bad input on every route: it gets the documented status or a correct decision; the server
//! stays up, its memory bounded, its log whole.

mod exhaustion;
mod garbage;
mod generated;
mod generator;
mod mutation;
mod packs;

use std::sync::OnceLock;
use std::time::Duration;

use portcullis_tests::{Answer, Server};
use serde_json::{Value, json};

use crate::audit::verify;
use crate::fixtures::{metric, question, records};

const POSTS: [&str; 7] = [
    "/v1/claims",
    "/v1/decide",
    "/v1/policies/simulate",
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/packs/records/access/v1/evaluation",
    "/packs/records/access/v1/evaluations",
];

/// An unoptimised build under sixteen hostile connections; a leak of bodies goes far beyond.
const MEMORY_LIMIT_BYTES: u64 = 400 * 1024 * 1024;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::with(records()))
}

/// After the attack: it serves, decides rightly, holds little memory, and recorded everything.
#[track_caller]
fn is_well(server: &Server) {
    let health = server.with_key(None).get("/healthz").expect_status(200);
    assert_eq!(health.json(), json!({"status": "ok"}));
    let decide = |subject: &str| {
        server.post("/access/v1/evaluation", &question(subject, "read", "record-1")).expect_status(200).json()
    };
    assert_eq!(decide("alice"), json!({"decision": true}));
    assert_eq!(decide("mallory"), json!({"decision": false}));
    let peak = server.peak_memory_bytes();
    assert!(peak < MEMORY_LIMIT_BYTES, "it held {} MiB", peak / 1024 / 1024);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    assert_eq!(metric(server, "portcullis_decision_log_gaps_total"), 0.0);
    let ran = verify(server.data());
    assert_eq!(ran.status, 0, "{}", ran.output());
}

fn send(path: &str, key: Option<&str>, body: &[u8]) -> Answer {
    server().with_key(key).post_bytes(path, body)
}

/// Sends it to every route that takes a body, with the key and without.
#[track_caller]
fn everywhere(body: &[u8], expected: &[u16]) {
    let short = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    for path in POSTS {
        let answer = server().post_refusable(path, body);
        assert!(expected.contains(&answer.status), "{path}: {} {}: {short}", answer.status, answer.text());
        assert!(!answer.text().contains("\"decision\":true"), "{path} allowed: {short}");
        for key in [None, Some("pcc_x'")] {
            let answer = server().with_key(key).post_refusable(path, body);
            assert!([401, 413].contains(&answer.status), "{path}, key {key:?}: {}: {short}", answer.text());
        }
    }
}

#[test]
fn malformed_json_is_400_everywhere() {
    for body in [
        &b""[..],
        b"{",
        b"}",
        b"{]",
        b"[",
        b"\"",
        b"{\"a\"",
        b"{\"a\":",
        b"{\"a\":1,",
        b"{,}",
        b"'x'",
        b"{a:1}",
        b"nul",
        b"tru",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"1e",
        b"--1",
        b"0x10",
        b"NaN",
        b"Infinity",
        b"{\"a\":undefined}",
        b"//x\n{}",
        b"{}{}",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\u12\"}",
    ] {
        everywhere(body, &[400]);
    }
    is_well(server());
}

#[test]
fn invalid_utf_8_is_400_everywhere() {
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"] {
        let mut body = b"{\"subject\":{\"type\":\"user\",\"id\":\"".to_vec();
        body.extend_from_slice(bytes);
        body.extend_from_slice(
            b"\"},\"action\":{\"name\":\"read\"},\"resource\":{\"type\":\"record\",\"id\":\"r\"}}",
        );
        everywhere(&body, &[400]);
        everywhere(bytes, &[400]);
    }
}

#[test]
fn nul_bytes_outside_of_strings_are_400_everywhere() {
    everywhere(b"\0", &[400]);
    everywhere(b"{\0}", &[400]);
    everywhere(b"{}\0", &[400]);
    everywhere(&[0; 10_000], &[400]);
}

#[test]
fn wrong_types_are_400_everywhere() {
    for body in
        ["null", "1", "true", "\"text\"", "[]", "[[]]", "[{}]", "{\"subject\":[]}", "{\"requests\":1}"]
    {
        everywhere(body.as_bytes(), &[400]);
    }
}

#[test]
fn ten_megabytes_are_413_everywhere() {
    let text = question("alice", "read", "record-1").to_string();
    let padded = format!("{}{}", " ".repeat(10 * 1024 * 1024), text);
    let filled =
        text.replacen('{', &format!("{{\"context\":{{\"x\":\"{}\"}},", "y".repeat(10 * 1024 * 1024)), 1);
    for body in [padded, filled, "[".repeat(10 * 1024 * 1024)] {
        everywhere(body.as_bytes(), &[413]);
    }
    is_well(server());
}

#[test]
fn many_large_bodies_at_once_take_no_more_memory() {
    let text = question("mallory", "read", "record-1").to_string();
    let large = text.replacen('{', &format!("{{\"context\":{{\"x\":[{}1]}},", "1,".repeat(400_000)), 1);
    assert!(large.len() < 1024 * 1024);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let answer = send("/access/v1/evaluation", server().key(), large.as_bytes());
                    // A node that is kept too busy to learn what holds says so, and decides nothing.
                    assert!([200, 400, 503].contains(&answer.status), "{}", answer.text());
                }
            });
        }
    });
    is_well(server());
}

#[test]
fn sixty_four_levels_are_400_everywhere() {
    for levels in [33, 64, 1_000, 100_000] {
        let value = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        everywhere(value.as_bytes(), &[400]);
        let text = question("alice", "read", "record-1").to_string();
        let body = text.replacen('{', &format!("{{\"context\":{{\"a\":{value}}},"), 1);
        everywhere(body.as_bytes(), &[400]);
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64));
    everywhere(objects.as_bytes(), &[400]);
    is_well(server());
}

#[test]
fn a_duplicate_key_is_400_everywhere() {
    for body in ["{\"a\":1,\"a\":2}", "{\"context\":{\"a\":1,\"a\":1}}", "{\"\\u0061\":1,\"a\":2}"] {
        everywhere(body.as_bytes(), &[400]);
    }
}

#[test]
fn a_thousand_items_are_answered_and_one_more_is_413() {
    let batch = |count: usize| json!({"evaluations": vec![question("mallory", "read", "record-1"); count]});
    for path in ["/v1/decide", "/access/v1/evaluations"] {
        let answer = send(path, server().key(), batch(1000).to_string().as_bytes()).expect_status(200).json();
        let items = answer["evaluations"].as_array().unwrap();
        assert!(items.len() == 1000 && items.iter().all(|item| item["decision"] == json!(false)));
        let answer = send(path, server().key(), batch(1001).to_string().as_bytes());
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    is_well(server());
}

/// Values of all kinds in every free place, in a question that is to be denied whatever they are.
#[test]
fn strange_values_never_open_anything() {
    let values = [
        "null",
        "1.5",
        "18446744073709551616",
        "-18446744073709551616",
        "1e308",
        "1e-308",
        "0.00001",
        "-0",
        "-0.0",
        "[null]",
        "[1,\"a\",{}]",
        "{\"__entity\":{\"type\":\"user\",\"id\":\"alice\"}}",
        "{\"__extn\":{\"fn\":\"ip\",\"arg\":\"::1\"}}",
        "{\"__expr\":\"true\"}",
        "\"\\u0000\"",
        "\"\"",
        "{\"\":1}",
        "{\"\\u0000\":1}",
        "{\"role\":\"admin\"}",
        "[[[[]]]]",
    ];
    for path in ["/v1/decide", "/access/v1/evaluation"] {
        for value in values {
            let body = format!(
                "{{\"subject\":{{\"type\":\"user\",\"id\":\"mallory\",\"properties\":{{\"x\":{value},\"__entity\":{value}}}}},\
                 \"action\":{{\"name\":\"delete\",\"properties\":{{\"soft\":{value}}}}},\
                 \"resource\":{{\"type\":\"record\",\"id\":\"record-1\",\"properties\":{{\"x\":{value}}}}},\
                 \"context\":{{\"x\":{value},\"role\":{value}}}}}"
            );
            let answer = send(path, server().key(), body.as_bytes()).expect_status(200).json();
            assert_eq!(answer["decision"], json!(false), "{path} {value}");
        }
    }
}

#[test]
fn the_same_values_do_not_deny_what_is_allowed() {
    for value in ["null", "1.5", "18446744073709551616", "{\"__entity\":1}", "[null]", "\"\\u0000\""] {
        let text = question("alice", "read", "record-1").to_string();
        let body = text.replacen('{', &format!("{{\"context\":{{\"x\":{value}}},"), 1);
        let answer = send("/access/v1/evaluation", server().key(), body.as_bytes()).expect_status(200).json();
        assert_eq!(answer, json!({"decision": true}), "{value}");
    }
}

#[test]
fn strange_names_of_types_and_ids_are_decided_as_no() {
    for name in [
        "",
        " ",
        "a b",
        "a::",
        "::a",
        "user\"",
        "__cedar",
        "__cedar::x",
        "true",
        "in",
        "\0",
        "é",
        "\u{202e}user",
        "user\n",
    ] {
        for field in ["subject", "resource"] {
            let mut asked = question("alice", "read", "record-1");
            asked[field]["type"] = json!(name);
            let answer = send("/access/v1/evaluation", server().key(), asked.to_string().as_bytes());
            assert_eq!(answer.expect_status(200).json(), json!({"decision": false}), "{field} {name:?}");
        }
    }
    let long = "x".repeat(500_000);
    let mut asked = question(&long, "read", "record-1");
    asked["subject"]["type"] = json!(long);
    let answer = send("/v1/decide", server().key(), asked.to_string().as_bytes()).expect_status(200).json();
    assert_eq!(answer["decision"], json!(false));
    is_well(server());
}

#[test]
fn unknown_paths_are_404() {
    let long = format!("/{}", "x".repeat(8_000));
    for path in [
        "/x",
        "/v1",
        "/access",
        "/packs",
        "/packs/",
        "/packs/records",
        "/packs/%2e%2e/access/v1/evaluation",
        &long,
    ] {
        for client in [server().client().clone(), server().with_key(None)] {
            let answer = client.get(path);
            assert!([401, 404, 405].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            let answer = client.post(path, &Value::Null);
            assert!([200, 400, 401, 404, 405].contains(&answer.status), "{path}: {}", answer.status);
            assert!(!answer.text().contains("\"decision\":true"), "{path}: {}", answer.text());
        }
    }
}

#[test]
fn slow_and_unfinished_bodies_hold_nobody_up() {
    let head = format!(
        "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
        server().key().unwrap()
    );
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let parts: [&[u8]; 4] = [head.as_bytes(), b"{\"sub", b"ject\"", b":"];
                portcullis_tests::raw_slowly(server().base(), &parts, Duration::from_millis(100))
            });
        }
        for _ in 0..20 {
            let start = std::time::Instant::now();
            let _ = server().get("/healthz").expect_status(200);
            assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let cut = portcullis_tests::raw_cut(server().base(), head.as_bytes());
    assert!(cut.status().is_none_or(|status| status == 400 || status == 408), "{}", cut.text());
    is_well(server());
}

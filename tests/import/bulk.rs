//! `POST /v1/entities` with NDJSON: many entities in one change, told line by line.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use portcullis_tests::{Answer, Client, Server, eventually};
use serde_json::{Value, json};

use super::fixture::{exclusive_roles, exported, few, import_lines, lines, may_read, office, serve_office};
use crate::fixtures::{create_key_with, limited_key};

fn post(client: &Client, text: &str) -> Answer {
    client.request("POST", "/v1/entities").header("content-type", "application/x-ndjson").body(text).send()
}

/// The last line of an answer.
fn last(client: &Client, text: &str) -> Value {
    let answer = post(client, text).expect_status(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    serde_json::from_str(answer.text().lines().last().expect("a line")).expect("JSON")
}

#[test]
fn many_entities_come_in_one_change_and_twice_is_once() {
    let server = serve_office();
    let done = last(&server, &lines(&few()));
    assert_eq!(
        (&done["created"], &done["updated"], &done["unchanged"]),
        (&json!(4), &json!(0), &json!(0)),
        "{done}"
    );
    let revision = done["revision"].as_u64().unwrap();
    assert!(may_read(&server, "bob", "plan", revision));
    let again = last(&server, &lines(&few()));
    assert_eq!(again, json!({"created": 0, "updated": 0, "unchanged": 4, "revision": revision}));
    // What it takes away is gone with the answer.
    let done = last(&server, &lines(&[json!({"type": "user", "id": "bob"})]));
    assert_eq!(done["updated"], 1, "{done}");
    assert!(!may_read(&server, "bob", "plan", 0));
}

#[test]
fn a_line_that_is_refused_is_named_and_nothing_is_written() {
    let server = serve_office();
    let good = "{\"type\":\"user\",\"id\":\"a\"}\n";
    let deep = format!(
        "{{\"type\":\"user\",\"id\":\"x\",\"attributes\":{{\"a\":{}1{}}}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    let long = format!(
        "{{\"type\":\"user\",\"id\":\"x\",\"attributes\":{{\"email\":\"{}\"}}}}",
        "x".repeat(1 << 20)
    );
    for (line, code) in [
        ("not json", "malformed_json"),
        ("{\"type\":\"user\",\"id\":\"x\",\"id\":\"y\"}", "malformed_json"),
        ("{\"type\":\"user\",\"id\":\"x\",\"colour\":1}", "invalid_request"),
        ("{\"type\":\"user\",\"id\":\"a\"}", "invalid_request"),
        ("{\"type\":\"user\",\"id\":\"a\\u0007\"}", "invalid_request"),
        ("{\"type\":\"planet\",\"id\":\"x\"}", "unknown_type"),
        ("{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"level\":\"high\"}}", "attributes_invalid"),
        ("{\"type\":\"role\",\"id\":\"editor\"}", "managed_elsewhere"),
        (
            "{\"type\":\"user\",\"id\":\"x\",\"parents\":[{\"type\":\"role\",\"id\":\"editor\"}]}",
            "role_by_parent",
        ),
        ("{\"type\":\"user\",\"id\":\"ada\"}", "entity_of_pack"),
        ("{\"uid\":{\"type\":\"Action\",\"id\":\"read\"}}", "unknown_type"),
        (deep.as_str(), "nesting_too_deep"),
        (long.as_str(), "batch_too_large"),
    ] {
        let told = last(&server, &format!("{good}\n{line}\n{{\"type\":\"user\",\"id\":\"z\"}}\n"));
        let problem = &told["problem"];
        assert_eq!((&problem["code"], &problem["line"]), (&json!(code), &json!(3)), "{told}");
        assert!(problem["status"].as_u64().unwrap() >= 400 && problem["detail"].is_string(), "{told}");
    }
    let circle = json!({"type": "group", "id": "a", "parents": [{"type": "group", "id": "a"}]});
    let told = last(&server, &lines(&[circle]));
    assert_eq!(told["problem"]["code"], "parent_cycle", "{told}");
    assert_eq!(exported(&server, &[]).len(), 0, "something was written");
}

#[test]
fn nobody_comes_to_two_roles_that_exclude_each_other() {
    let server = serve_office();
    let joins = exclusive_roles(&server);
    let before = exported(&server, &[]);
    let told = last(&server, &lines(&[json!({"type": "folder", "id": "f"}), joins]));
    assert_eq!(told["problem"]["code"], "separation_of_duties", "{told}");
    assert_eq!(exported(&server, &[]), before, "something was written");
}

#[test]
fn more_than_the_limit_is_refused() {
    let config = "[limits]\nbulk_entities = 3\n";
    let server = Server::builder().pack(office()).config(config).start();
    let told = last(&server, &lines(&few()));
    assert_eq!(
        (&told["problem"]["code"], &told["problem"]["line"]),
        (&json!("batch_too_large"), &json!(4)),
        "{told}"
    );
    assert_eq!(last(&server, &lines(&few()[..3]))["created"], 3);
}

/// A request whose body comes in pieces, on a connection of its own.
struct Upload {
    stream: TcpStream,
    answer: BufReader<TcpStream>,
}

impl Upload {
    fn begin(server: &Server) -> Self {
        let address = server.base().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let key = server.key().unwrap();
        write!(
            stream,
            "POST /v1/entities HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        .unwrap();
        let answer = BufReader::new(stream.try_clone().unwrap());
        Self { stream, answer }
    }

    fn send(&mut self, text: &str) {
        write!(self.stream, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    }

    fn end(&mut self) {
        self.stream.write_all(b"0\r\n\r\n").unwrap();
    }

    /// The next line of JSON of the answer; chunk sizes and headers are skipped.
    fn told(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.answer.read_line(&mut line).unwrap() > 0, "the answer ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }
}

fn users(range: std::ops::Range<usize>) -> String {
    lines(&range.map(|n| json!({"type": "user", "id": format!("u{n}")})).collect::<Vec<_>>())
}

#[test]
fn the_answer_tells_how_far_it_is_while_the_body_still_comes() {
    let server = serve_office();
    let mut upload = Upload::begin(&server);
    upload.send(&users(0..6_000));
    let told = upload.told();
    assert!(told["received"].as_u64().is_some_and(|received| received >= 5_000), "{told}");
    assert_eq!(exported(&server, &[]).len(), 0, "half of it can be seen");
    upload.send(&users(6_000..6_500));
    upload.end();
    let mut told = upload.told();
    while told.get("received").is_some() {
        told = upload.told();
    }
    assert_eq!(told["created"], 6_500, "{told}");
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    let server = serve_office();
    let mut upload = Upload::begin(&server);
    upload.send(&users(0..6_000));
    let _ = upload.told();
    drop(upload);
    let free = || (post(&server, "").status != 409).then_some(());
    assert!(eventually(Duration::from_secs(10), free).is_some(), "its turn never ends");
    assert_eq!(exported(&server, &[]).len(), 0);
    assert_eq!(last(&server, &users(0..10))["created"], 10);
}

#[test]
fn a_tenant_imports_one_body_at_a_time() {
    let server = serve_office();
    let mut upload = Upload::begin(&server);
    upload.send(&users(0..6_000));
    let _ = upload.told();
    let refused = post(&server, &users(0..10)).expect_status(409).json();
    assert_eq!(refused["code"], "in_use", "{refused}");
    upload.end();
    while upload.told().get("received").is_some() {}
    assert_eq!(last(&server, &users(0..10))["unchanged"], 10);
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut server = serve_office();
    let before = server.peak_memory_bytes();
    let mut upload = Upload::begin(&server);
    let chunk = "x".repeat(1 << 20);
    for _ in 0..3 {
        upload.send(&chunk);
    }
    let told = upload.told();
    assert_eq!(told["problem"]["code"], "batch_too_large", "{told}");
    assert!(server.peak_memory_bytes() < before + (64 << 20));
    assert!(server.process().is_running());
}

#[test]
fn each_kind_of_row_needs_its_own_right() {
    let server = serve_office();
    let _ = import_lines(&server, &few());
    let folder = lines(&[json!({"type": "folder", "id": "f"})]);
    let group = lines(&[json!({"type": "group", "id": "g"})]);
    let user = lines(&[json!({"type": "user", "id": "u"})]);
    let member = lines(&[json!({"type": "user", "id": "u", "parents": [{"type": "group", "id": "staff"}]})]);
    let leaver = lines(&[json!({"type": "user", "id": "bob"})]);
    let stays = lines(&few()[1..2]);
    let with = |rights: &[&str]| server.with_key(Some(&limited_key(&server, rights)));
    let nobody = with(&["read_entities", "manage_nothing"][..1]);
    assert_eq!(post(&nobody, &folder).expect_status(403).problem(), "right_missing");
    let entities = with(&["change_entities"]);
    assert_eq!(last(&entities, &folder)["created"], 1);
    for text in [&group, &user, &member, &leaver] {
        assert_eq!(last(&entities, text)["problem"]["code"], "right_missing", "{text}");
    }
    let principals = with(&["change_entities", "change_principals"]);
    assert_eq!(last(&principals, &user)["created"], 1);
    assert_eq!(last(&principals, &stays)["unchanged"], 1);
    for text in [&group, &member, &leaver] {
        assert_eq!(last(&principals, text)["problem"]["code"], "right_missing", "{text}");
    }
    let groups = with(&["change_entities", "change_principals", "change_groups"]);
    assert_eq!(last(&groups, &group)["created"], 1);
    assert_eq!(last(&groups, &member)["updated"], 1);
}

#[test]
fn what_is_taken_away_while_it_is_read_does_not_come_back_without_the_right() {
    let server = serve_office();
    let all = ["change_entities", "change_principals", "change_groups"];
    let member =
        "{\"type\": \"user\", \"id\": \"vic\", \"parents\": [{\"type\": \"group\", \"id\": \"staff\"}]}\n";
    let (_, key) = create_key_with(server.data(), &all, &["office"], &[]);
    let admin = server.with_key(Some(&key));
    let group = "{\"type\": \"group\", \"id\": \"staff\"}\n";
    assert_eq!(last(&admin, &format!("{group}{member}"))["created"], 2);
    let (_, key) = create_key_with(server.data(), &all[..2], &["office"], &[]);
    let importer = server.with_key(Some(&key));
    // Many rows, so that it takes a while from the look at what it touches to the change itself.
    let text = format!("{member}{}", users(0..12_000));
    let done = std::thread::scope(|scope| {
        let importing = scope.spawn(|| last(&importer, &text));
        let gone = || admin.request("DELETE", "/v1/groups/staff/members/user/vic").send().status;
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(gone(), 200);
        importing.join().unwrap()
    });
    let vic = server.get("/v1/principals/vic?pack=office").expect_status(200).json();
    // Either it was the import that was first, or it was refused.
    if done["problem"].is_null() {
        assert!(done["created"].as_u64() == Some(12_000), "{done}");
    } else {
        assert_eq!(done["problem"]["code"], "right_missing", "{done}");
    }
    assert_eq!(vic["groups"], serde_json::json!([]), "{done}");
}

#[test]
fn another_tenant_and_another_pack_are_out_of_reach() {
    let server = serve_office();
    let (_, key) = create_key_with(
        server.data(),
        &["change_entities", "change_principals", "change_groups"],
        &["office"],
        &["--tenant", "other"],
    );
    let other = server.with_key(Some(&key));
    let done = last(&other, &lines(&few()));
    assert_eq!(done["created"], 4, "{done}");
    assert!(!may_read(&server, "bob", "plan", done["revision"].as_u64().unwrap()));
    assert_eq!(exported(&server, &[]).len(), 0);
    for pack in ["portcullis", "nowhere", "..%2Foffice"] {
        let path = format!("/v1/entities?pack={pack}");
        let answer =
            other.request("POST", &path).header("content-type", "application/x-ndjson").body("").send();
        assert_eq!(answer.expect_status(404).problem(), "not_found", "{pack}");
    }
    assert_eq!(post(&server.with_key(None), "").expect_status(401).problem(), "caller_key_missing");
}

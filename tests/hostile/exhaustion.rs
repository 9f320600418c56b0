//! Requests and connections that are cheap to send and could be dear to serve.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use portcullis_tests::Server;
use serde_json::json;

use super::{is_well, server};
use crate::fixtures::{question, records};

#[test]
fn a_connection_that_asks_nothing_is_closed() {
    let server = Server::builder().pack(records()).config("[server]\nheader_seconds = 1\n").start();
    let address = server.base().strip_prefix("http://").unwrap();
    // `P` may begin HTTP/1 and HTTP/2; the preface is HTTP/2's and nothing follows it.
    for start in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut stream = TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, start).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn values_left_out_below_a_long_name_are_named_in_few_words() {
    let members: Vec<String> = (0..40_000).map(|n| format!("\"{n:x}\":1e-9")).collect();
    let context = format!("{{\"{}\":{{{}}}}}", "k".repeat(400_000), members.join(","));
    let mut asked = question("alice", "read", "record-1").to_string();
    asked.truncate(asked.len() - 1);
    let answer =
        server().post_bytes("/v1/decide", format!("{asked},\"context\":{context}}}")).expect_status(200);
    assert!(answer.text().contains("\"value_left_out:/context\""), "{}", answer.text());
    assert!(answer.body.len() < 1_000, "{}", answer.body.len());
    is_well(server());
}

#[test]
fn what_every_record_of_a_batch_repeats_is_bounded() {
    let batch = |key: &str, value: serde_json::Value| {
        let mut asked = question("alice", "read", "record-1");
        asked["evaluations"] = json!(vec![json!({}); 500]);
        asked[key] = value;
        asked
    };
    let http = json!({"method": "GET", "path": "/".repeat(100_000)});
    let answer = server().post("/v1/decide", &batch("http", http)).expect_status(413);
    assert_eq!(answer.problem(), "batch_too_large");
    for understands in [json!(["k".repeat(65)]), json!(vec!["mask"; 65])] {
        let answer = server().post("/v1/decide", &batch("understands", understands)).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request");
    }
    is_well(server());
}

#[test]
fn a_page_of_large_decisions_is_short_and_leads_on() {
    let server = Server::with(records());
    let mut asked = question("alice", "read", "record-1");
    asked["context"] = json!({"note": "n".repeat(1_000_000)});
    for _ in 0..10 {
        assert_eq!(server.post("/v1/decide", &asked).status, 200);
    }
    let (mut found, mut cursor, mut pages) = (0, String::new(), 0);
    loop {
        let page = server.get(&format!("/v1/decisions?limit=500{cursor}")).expect_status(200);
        assert!(page.body.len() < 6_000_000, "{}", page.body.len());
        let page = page.json();
        found += page["items"].as_array().unwrap().len();
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, 10);
    assert!(pages > 1);
}

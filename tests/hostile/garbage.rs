//! Bytes that are no HTTP, or HTTP at its edges.

use portcullis_tests::{RawAnswer, XorShift, raw, raw_cut};

use super::{is_well, server};

/// Sends it; an answer, if there is one, is a refusal and no failure of the server's.
#[track_caller]
fn refused(bytes: &[u8]) -> RawAnswer {
    judged(raw_cut(server().base(), bytes), bytes)
}

/// The same of a whole request, whose answer is waited for.
#[track_caller]
fn answered(bytes: &[u8]) -> RawAnswer {
    judged(raw(server().base(), bytes), bytes)
}

#[track_caller]
fn judged(answer: RawAnswer, bytes: &[u8]) -> RawAnswer {
    let short = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    let status = answer.status();
    // 505 is the protocol's own word for an unknown version.
    assert!(status.is_none_or(|status| (400..500).contains(&status) || status == 505), "{status:?}: {short}");
    answer
}

fn request(line_and_headers: &str, body: &str) -> Vec<u8> {
    format!("{line_and_headers}Connection: close\r\n\r\n{body}").into_bytes()
}

#[test]
fn what_is_no_http_is_refused() {
    for bytes in [
        &b"\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\0B: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: x\0y\r\nHost: x\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0\0\0\0\0",
    ] {
        refused(bytes);
    }
    is_well(server());
}

#[test]
fn random_bytes_are_refused() {
    let mut random = XorShift::new(20);
    for _ in 0..portcullis_tests::soak(60, 5_000) {
        let length = random.below(2_000);
        let bytes: Vec<u8> = (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
        refused(&bytes);
    }
    is_well(server());
}

#[test]
fn a_request_whose_length_is_in_doubt_is_refused() {
    let post = "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for headers in [
        "Content-Length: -1\r\n",
        "Content-Length: x\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let answer = answered(&request(
            &format!("{post}{headers}"),
            "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        ));
        // A second answer would be to the request that was smuggled in the body.
        assert!(!answer.text().contains("\"ok\""), "{headers}: {}", answer.text());
    }
    for chunks in ["x\r\n", "5\r\nab", "-1\r\n", "ffffffffffffffff\r\n", "5;\r\n"] {
        refused(&request(&format!("{post}Transfer-Encoding: chunked\r\n"), chunks));
    }
    is_well(server());
}

#[test]
fn headers_over_the_limit_are_431() {
    let get = "GET /v1/decisions HTTP/1.1\r\nHost: x\r\n";
    let one = answered(&request(&format!("{get}X-Large: {}\r\n", "x".repeat(40 * 1024)), ""));
    assert_eq!(one.status(), Some(431), "{}", one.text());
    let many: String = (0..2_000).map(|n| format!("X-{n}: aaaaaaaaaaaaaaaaaaaa\r\n")).collect();
    let many = answered(&request(&format!("{get}{many}"), ""));
    assert_eq!(many.status(), Some(431), "{}", many.text());
    let line = answered(&request(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n", "x".repeat(100_000)), ""));
    assert!(matches!(line.status(), Some(414 | 431)), "{}", line.text());
    let endless = refused(format!("{get}X-Endless: {}", "x".repeat(3_000_000)).as_bytes());
    assert!(matches!(endless.status(), Some(400 | 431) | None), "{}", endless.text());
    is_well(server());
}

#[test]
fn strange_keys_are_401() {
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer  pcc_x",
        "bearer pcc_x",
        "Bearer pcc_x pcc_y",
        "Basic Og==",
        "pcc_x",
        "Bearer \u{e9}",
        "Bearer pcc_../../x",
        "Bearer pcc_' OR 1=1 --",
    ] {
        let answer = raw(
            server().base(),
            &request(&format!("GET /v1/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: {value}\r\n"), ""),
        );
        assert!(matches!(answer.status(), Some(400 | 401)), "{value}: {}", answer.text());
    }
    let long = format!("Authorization: Bearer pcc_{}\r\n", "A".repeat(20_000));
    let answer =
        raw(server().base(), &request(&format!("GET /v1/decisions HTTP/1.1\r\nHost: x\r\n{long}"), ""));
    assert_eq!(answer.status(), Some(401), "{}", answer.text());
}

#[test]
fn two_keys_are_not_tried_in_turn() {
    let key = server().key().unwrap();
    let answer = raw(
        server().base(),
        &request(
            &format!(
                "GET /v1/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pcc_x\r\nAuthorization: Bearer {key}\r\n"
            ),
            "",
        ),
    );
    assert!(matches!(answer.status(), Some(400 | 401)), "{}", answer.text());
}

#[test]
fn pipelined_requests_are_each_answered() {
    let get = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let bytes = format!("{get}\r\n{get}\r\n{get}Connection: close\r\n\r\n");
    let answer = raw(server().base(), bytes.as_bytes());
    assert_eq!(answer.text().matches("HTTP/1.1 200").count(), 3, "{}", answer.text());
}

#[test]
fn a_request_id_can_not_split_the_answer() {
    let key = server().key().unwrap();
    let body = crate::fixtures::question("alice", "read", "record-1").to_string();
    for id in ["a\tb", "\u{e9}", &"x".repeat(5_000), ""] {
        let head = format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
             X-Request-ID: {id}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let answer = raw(server().base(), &request(&head, &body));
        assert!(matches!(answer.status(), Some(200 | 400)), "{}", answer.text());
    }
}

#[test]
fn many_idle_connections_hold_nobody_up() {
    let address = server().base().trim_start_matches("http://");
    let idle: Vec<_> = (0..200).map_while(|_| std::net::TcpStream::connect(address).ok()).collect();
    assert!(idle.len() > 150, "only {} connections", idle.len());
    let start = std::time::Instant::now();
    let _ = server().get("/healthz").expect_status(200);
    assert!(start.elapsed() < std::time::Duration::from_secs(2));
}

//! The end of a server: what is in flight is finished, and nothing new is begun.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use portcullis_tests::{Server, eventually};
use rustix::process::Signal;

use crate::audit::verify;
use crate::fixtures::{question, records};

const LIMIT: Duration = Duration::from_secs(15);

/// A question that is being asked: its headers and half of its body are sent.
struct Asking {
    stream: TcpStream,
    rest: String,
}

impl Asking {
    fn begin(server: &Server) -> Self {
        let body = question("alice", "read", "record-1").to_string();
        let head = format!(
            "POST /v1/decide HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            server.key().unwrap(),
            body.len()
        );
        let (half, rest) = body.split_at(body.len() / 2);
        let mut stream = TcpStream::connect(address(server)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(format!("{head}{half}").as_bytes()).unwrap();
        // The server must have begun with it: what only lies in a buffer is not in flight.
        std::thread::sleep(Duration::from_millis(300));
        Self { stream, rest: rest.to_owned() }
    }

    #[track_caller]
    fn finish(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).expect("the connection is still open");
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).expect("an answer, and the end of the connection");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"decision\":true"), "{answer}");
        let (_, id) = answer.split_once("\"decision_id\":\"").expect("a decision's id");
        id.split('"').next().unwrap().to_owned()
    }
}

fn address(server: &Server) -> String {
    server.base().trim_start_matches("http://").to_owned()
}

fn refuses_connections(server: &Server) -> bool {
    TcpStream::connect(address(server)).is_err()
}

#[test]
fn what_is_in_flight_is_answered_and_recorded_while_new_connections_are_refused() {
    let mut server = Server::with(records());
    let asking = [Asking::begin(&server), Asking::begin(&server)];
    server.process().signal(Signal::TERM);
    assert!(
        eventually(LIMIT, || refuses_connections(&server).then_some(())).is_some(),
        "new connections are accepted"
    );
    assert!(server.process().is_running(), "{}", server.stderr());
    let ids = asking.map(Asking::finish);
    assert_eq!(server.process().wait(LIMIT), Some(0), "{}", server.stderr());
    let _ = verify(server.data()).expect_status(0);
    server.restart();
    for id in ids {
        let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(200);
    }
}

#[test]
fn a_second_signal_changes_nothing() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::with(records());
        let asking = Asking::begin(&server);
        server.process().signal(signal);
        assert!(eventually(LIMIT, || refuses_connections(&server).then_some(())).is_some());
        for again in [Signal::TERM, Signal::INT, Signal::TERM] {
            server.process().signal(again);
            std::thread::sleep(Duration::from_millis(100));
            assert!(server.process().is_running(), "{}", server.stderr());
        }
        asking.finish();
        assert_eq!(server.process().wait(LIMIT), Some(0), "{}", server.stderr());
        let _ = verify(server.data()).expect_status(0);
    }
}

#[test]
fn who_never_sends_the_rest_does_not_hold_the_end_up_for_ever() {
    let mut server = Server::builder().pack(records()).config("[server]\nshutdown_seconds = 1\n").start();
    let _asking = Asking::begin(&server);
    let begun = Instant::now();
    server.process().signal(Signal::TERM);
    assert_eq!(server.process().wait(LIMIT), Some(0), "{}", server.stderr());
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
    let _ = verify(server.data()).expect_status(0);
}

#[test]
fn an_end_is_a_clean_one_for_the_next_start() {
    let mut server = Server::with(records());
    let _ = server.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200);
    server.process().signal(Signal::TERM);
    assert_eq!(server.process().wait(LIMIT), Some(0), "{}", server.stderr());
    server.restart();
    let gap = |record: &serde_json::Value| record.to_string().contains("\"kind\":\"gap\"");
    let records = crate::fixtures::log_records(server.data());
    assert!(!records.iter().any(gap), "{records:?}");
}

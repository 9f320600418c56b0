//! What a search may take, and that others do not notice.

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use super::{RESOURCE, SUBJECT};
use crate::fixtures::question;

fn people(count: usize) -> Value {
    let person =
        |n: usize| json!({"uid": {"type": "user", "id": format!("u{n}")}, "attrs": {}, "parents": []});
    (0..count).map(person).collect()
}

fn readers() -> Value {
    json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "r"}})
}

#[test]
fn a_search_with_too_many_candidates_is_refused_and_says_so() {
    let pack = Pack::new("wide").cedar("permit(principal, action, resource);").entities(&people(21));
    let server = Server::builder().pack(pack).config("[search]\ncandidates = 20\n").start();
    let answer = server.post(SUBJECT, &readers()).expect_status(400);
    assert!(answer.text().contains("search.candidates"), "{}", answer.text());
    let asked = json!({"subject": {"type": "user", "id": "u1"}, "action": {"name": "read"}, "resource": {"type": "record"}});
    assert_eq!(server.post(RESOURCE, &asked).expect_status(200).json(), json!({"results": []}));
    let decided = server.post("/access/v1/evaluation", &question("u1", "read", "r")).expect_status(200);
    assert_eq!(decided.json(), json!({"decision": true}));
}

#[test]
fn a_search_that_takes_too_long_ends_and_the_server_goes_on() {
    let slow = "permit(principal, action, resource) when { principal has never };".repeat(300);
    let pack = Pack::new("slow").cedar(&slow).entities(&people(3_000));
    let config = "[search]\ndeadline_milliseconds = 50\nat_once = 1\n";
    let server = Server::builder().pack(pack).config(config).start();
    std::thread::scope(|scope| {
        let searches: Vec<_> = (0..4).map(|_| scope.spawn(|| server.post(SUBJECT, &readers()))).collect();
        for _ in 0..20 {
            let answer =
                server.post("/access/v1/evaluation", &question("u1", "read", "r")).expect_status(200);
            assert_eq!(answer.json(), json!({"decision": false}));
        }
        for search in searches {
            let answer = search.join().unwrap().expect_status(503);
            assert!(answer.text().contains("search."), "{}", answer.text());
        }
    });
}

#[test]
fn bounds_of_nothing_are_refused() {
    for field in ["candidates", "at_once"] {
        let pack = Pack::new("none").cedar("permit(principal, action, resource);");
        let started = std::panic::catch_unwind(|| {
            Server::builder().pack(pack).config(&format!("[search]\n{field} = 0\n")).start()
        });
        assert!(started.is_err(), "{field}");
    }
}

//! The glass that is broken: at once, where the pack permits it, and heard by everybody.

use std::time::Duration;

use portcullis_tests::{Server, eventually};
use serde_json::{Value, json};

use super::{ask, of};
use crate::assertions::holds_string;
use crate::fixtures::{limited_key, log_records, metric};
use crate::team::{give, in_millis, may, role, server, sleep_until};

fn with_emergency() -> Server {
    let server = server();
    role(&server, "emergency", &json!({}));
    role(&server, "editor", &json!({}));
    server
}

const BREAK: &str = "break_glass";

#[test]
fn who_may_break_it_has_the_role_at_once_for_a_while() {
    let server = with_emergency();
    assert!(!may(&server, "user:carol", "write", "alone"));
    let taken = ask(&server, "user:carol", "emergency", &json!({BREAK: true, "duration_seconds": 2}));
    let taken = taken.expect_status(201).json();
    let (_, end) = in_millis(2_000);
    assert_eq!((&taken["status"], &taken[BREAK]), (&json!("active"), &json!(true)));
    assert!(may(&server, "user:carol", "write", "alone"));
    sleep_until(end);
    assert!(!may(&server, "user:carol", "write", "alone"));
}

#[test]
fn everybody_hears_of_it() {
    let server = with_emergency();
    assert_eq!(metric(&server, "portcullis_break_glass_total"), 0.0);
    let taken = ask(&server, "user:carol", "emergency", &json!({BREAK: true})).expect_status(201).json();
    let id = taken["id"].as_str().unwrap();
    assert_eq!(metric(&server, "portcullis_break_glass_total"), 1.0);
    let warned = eventually(Duration::from_secs(5), || {
        server.stderr().lines().find(|line| line.contains(id)).map(str::to_owned)
    });
    let (warned, _) = warned.expect("a warning in the log");
    assert!(warned.contains("WARN") && warned.contains("emergency"), "{warned}");
    let alert = |record: &Value| holds_string(record, "elevation_break_glass") && holds_string(record, id);
    let found = eventually(Duration::from_secs(5), || {
        Some(log_records(server.data()).into_iter().filter(alert).collect::<Vec<_>>())
            .filter(|found| !found.is_empty())
    });
    let (found, _) = found.expect("an event in the decision log");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer("/event/severity_id"), Some(&json!(5)), "{}", found[0]);
    assert_eq!(found[0].pointer("/event/resources/0/type"), Some(&json!("elevation")), "{}", found[0]);
    // What is asked for as usual is no alert.
    let _ = ask(&server, "user:carol", "emergency", &json!({})).expect_status(201);
    assert_eq!(metric(&server, "portcullis_break_glass_total"), 1.0);
    let others = log_records(server.data()).into_iter().filter(|record| !alert(record));
    assert!(others.into_iter().all(|record| record.pointer("/event/severity_id") != Some(&json!(5))));
}

#[test]
fn where_the_pack_does_not_permit_it_the_glass_holds() {
    let server = with_emergency();
    for (who, id) in [("user:alice", "emergency"), ("user:carol", "editor"), ("service:robot", "emergency")] {
        let answer = ask(&server, who, id, &json!({BREAK: true})).expect_status(403);
        assert_eq!(answer.problem(), "approver_not_permitted", "{who} {id}: {}", answer.text());
        assert!(!may(&server, who, "write", "alone"));
    }
    assert_eq!(metric(&server, "portcullis_break_glass_total"), 0.0);
    let page = server.get("/v1/elevations").expect_status(200).json();
    assert_eq!(page["items"], json!([]));
}

#[test]
fn the_application_needs_the_right_to_break_it() {
    let server = with_emergency();
    let asks = server.with_key(Some(&limited_key(&server, &["assert_subject", "request_elevations"])));
    let answer = ask(&asks, "user:carol", "emergency", &json!({BREAK: true})).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    let breaks = server.with_key(Some(&limited_key(&server, &["break_glass"])));
    let answer = ask(&breaks, "user:carol", "emergency", &json!({BREAK: true})).expect_status(403);
    assert_eq!(answer.problem(), "right_missing", "who may not say who carol is, does not break it for her");
    let both = server.with_key(Some(&limited_key(&server, &["assert_subject", "break_glass"])));
    let answer = ask(&both, "user:carol", "emergency", &json!({})).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    let _ = ask(&both, "user:carol", "emergency", &json!({BREAK: true})).expect_status(201);
}

#[test]
fn duties_stay_apart_behind_broken_glass() {
    let server = with_emergency();
    role(&server, "checker", &json!({"exclusive_with": ["emergency"]}));
    give(&server, "user:carol", "checker", &json!({}));
    let answer = ask(&server, "user:carol", "emergency", &json!({BREAK: true})).expect_status(409);
    assert_eq!(answer.problem(), "separation_of_duties");
    assert_eq!(metric(&server, "portcullis_break_glass_total"), 0.0);
}

#[test]
fn it_can_be_ended_and_an_approval_does_not_make_it_longer() {
    let server = with_emergency();
    let taken = ask(&server, "user:carol", "emergency", &json!({BREAK: true})).expect_status(201).json();
    let id = taken["id"].as_str().unwrap();
    let body = json!({"approver": {"type": "user", "id": "chloe"}});
    let answer = server.post(&format!("{}/approve", of(id)), &body).expect_status(409);
    assert_eq!(answer.problem(), "wrong_status");
    let _ = server.post(&format!("{}/end", of(id)), &json!({})).expect_status(200);
    assert!(!may(&server, "user:carol", "write", "alone"));
}

//! `GET /metrics`: what the server counts.

use portcullis_tests::Server;

use crate::fixtures::{limited_key, metric, question, records, single_pack};

#[test]
fn it_needs_a_key_with_the_right() {
    let answer = single_pack().with_key(None).get("/metrics").expect_status(401);
    assert_eq!(answer.problem(), "caller_key_missing");
    let key = limited_key(single_pack(), &["assert_subject", "read_decisions"]);
    let answer = single_pack().with_key(Some(&key)).get("/metrics").expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    let key = limited_key(single_pack(), &["read_metrics"]);
    let _ = single_pack().with_key(Some(&key)).get("/metrics").expect_status(200);
}

#[test]
fn it_is_in_prometheus_text_format() {
    let answer = single_pack().get("/metrics").expect_status(200);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain") && kind.contains("version=0.0.4"), "{kind}");
    for line in answer.text().lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn every_decision_is_counted_by_its_outcome() {
    let server = Server::with(records());
    let count =
        |outcome: &str| metric(&server, &format!("portcullis_decisions_total{{outcome=\"{outcome}\"}}"));
    let (allowed, denied) = (count("allow"), count("deny"));
    for _ in 0..3 {
        let _ =
            server.post("/access/v1/evaluation", &question("alice", "read", "record-1")).expect_status(200);
    }
    let _ = server.post("/v1/decide", &question("mallory", "read", "record-1")).expect_status(200);
    assert_eq!((count("allow") - allowed, count("deny") - denied), (3.0, 1.0));
}

#[test]
fn records_equal_answers_and_no_gap_appears() {
    let server = Server::with(records());
    let of = |name: &str| metric(&server, name);
    let before = of("portcullis_decision_log_records_total");
    for _ in 0..10 {
        let _ =
            server.post("/access/v1/evaluation", &question("alice", "read", "record-1")).expect_status(200);
    }
    // Reading the metrics is a call of management, which may leave a record of its own.
    let added = of("portcullis_decision_log_records_total") - before;
    assert!((10.0..=12.0).contains(&added), "{added}");
    assert_eq!(of("portcullis_decision_log_gaps_total"), 0.0);
}

#[test]
fn requests_are_counted() {
    let server = Server::with(records());
    let count = || {
        let text = server.get("/metrics").expect_status(200).text();
        let lines = text.lines().filter(|line| line.starts_with("portcullis_requests_total"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    let before = count();
    for _ in 0..5 {
        let _ =
            server.post("/access/v1/evaluation", &question("alice", "read", "record-1")).expect_status(200);
    }
    assert!(count() - before >= 5.0);
}

//! `decision_log.mode`: what is answered is recorded, or counted as missing, in every mode.

use portcullis_tests::{Builder, Cli, Client, Server};
use serde_json::{Value, json};

use crate::audit::verify;
use crate::fixtures::{log_records, metric, question, records};

const MODES: [&str; 3] = ["durable", "queued", "gap"];

fn by_configuration(mode: &str, further: &str) -> Builder {
    Server::builder().pack(records()).config(&format!("[decision_log]\nmode = \"{mode}\"\n{further}"))
}

fn by_environment(mode: &str) -> Builder {
    Server::builder().pack(records()).env("PORTCULLIS_DECISION_LOG__MODE", mode)
}

fn decide(client: &Client) -> String {
    let answer = client.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200).json();
    assert_eq!(answer["decision"], json!(true), "{answer}");
    answer["decision_id"].as_str().unwrap().to_owned()
}

fn decisions(server: &Server) -> usize {
    log_records(server.data()).iter().filter(|record| record.to_string().contains("\"dec_")).count()
}

#[test]
fn in_every_mode_an_answered_decision_is_readable_at_once_and_after_a_restart() {
    for builder in MODES.map(|mode| by_configuration(mode, "")).into_iter().chain(MODES.map(by_environment)) {
        let mut server = builder.start();
        let ids: Vec<_> = (0..40)
            .map(|_| {
                let id = decide(server.client());
                let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(200);
                id
            })
            .collect();
        assert_eq!(server.stop(), 0, "{}", server.stderr());
        assert_eq!(decisions(&server), ids.len());
        let _ = verify(server.data()).expect_status(0);
        server.restart();
        for id in &ids {
            let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(200);
        }
    }
}

#[test]
fn an_end_right_after_a_burst_loses_nothing() {
    for mode in ["queued", "gap"] {
        let mut server = by_configuration(mode, "").start();
        let batch = json!({"evaluations": vec![question("alice", "read", "record-1"); 500]});
        for _ in 0..6 {
            let _ = server.post("/access/v1/evaluations", &batch).expect_status(200);
        }
        assert_eq!(server.stop(), 0, "{}", server.stderr());
        assert_eq!(decisions(&server), 3_000, "{mode}");
        let _ = verify(server.data()).expect_status(0);
    }
}

/// Answers of several connections at once.
fn burst(server: &Server, each: usize) -> usize {
    const CONNECTIONS: usize = 4;
    let batch = json!({"evaluations": vec![question("alice", "read", "record-1"); 20]});
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let client = Client::keeping_alive(server.base(), server.key());
                for _ in 0..each {
                    let answer = client.post("/access/v1/evaluations", &batch).expect_status(200).json();
                    let answers = answer["evaluations"].as_array().unwrap();
                    assert!(answers.iter().all(|one| one["decision"] == json!(true)), "{}", answers[0]);
                }
            });
        }
    });
    CONNECTIONS * each * 20
}

#[test]
fn a_queue_without_room_makes_answers_wait_and_loses_none() {
    let mut server = by_configuration("queued", "queue_records = 1\n").start();
    let answered = burst(&server, 20);
    assert_eq!(metric(&server, "portcullis_decision_log_dropped_total"), 0.0);
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    assert_eq!(decisions(&server), answered);
    let _ = verify(server.data()).expect_status(0);
}

/// Events that a start and an end leave in the log beside the calls' own.
const OWN_EVENTS: u64 = 4;

#[test]
fn in_mode_gap_what_finds_no_room_is_counted_exactly() {
    let mut server = by_configuration("gap", "queue_records = 1\nsync = \"always\"\n").start();
    let dropped = || metric(&server, "portcullis_decision_log_dropped_total");
    let (mut answered, mut calls) = (0, 0);
    // Whether a queue of one is ever full is a matter of time. What the calls for the metrics, and the making of the
    // key, leave in the log may find no room either: more than these must be dropped.
    loop {
        answered += burst(&server, 20);
        calls += 1;
        if dropped() > f64::from(u32::try_from(calls + OWN_EVENTS).unwrap()) {
            break;
        }
        assert!(calls < 20, "none dropped");
    }
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    let records = log_records(server.data());
    let missing: u64 = records.iter().filter_map(gap).sum();
    let written = u64::try_from(decisions(&server)).unwrap();
    let answered = u64::try_from(answered).unwrap();
    assert!(written < answered, "{written} of {answered}");
    assert!(
        (answered..=answered + calls + OWN_EVENTS).contains(&(written + missing)),
        "{written} written and {missing} missing, of {answered}"
    );
    let _ = verify(server.data()).expect_status(0);
}

/// How many records a gap record says are missing; they must be exact.
fn gap(record: &Value) -> Option<u64> {
    let event = find_gap(record)?;
    assert_eq!(event["exact"], json!(true), "{event}");
    event["at_most"].as_u64()
}

fn find_gap(value: &Value) -> Option<&Value> {
    if value["kind"] == "gap" && value.get("missing_from").is_some() {
        return Some(value);
    }
    value.as_object()?.values().find_map(find_gap)
}

#[test]
fn a_crash_in_mode_queued_leaves_a_chain_that_verifies_and_says_what_may_be_missing() {
    for mode in ["queued", "gap"] {
        let mut server = by_configuration(mode, "").start();
        burst(&server, 5);
        server.kill();
        server.restart();
        let told = log_records(server.data());
        assert!(told.iter().any(|record| find_gap(record).is_some()), "{mode}: no gap is recorded");
        decide(server.client());
        let _ = verify(server.data()).expect_status(0);
    }
}

#[test]
fn an_unknown_mode_is_refused_and_named() {
    for (config, env) in [("[decision_log]\nmode = \"fast\"\n", None), ("", Some("fast"))] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
        let mut cli = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0", "--config", "portcullis.toml"])
            .path("--data", &folder.path().join("data"))
            .current_dir(folder.path());
        if let Some(mode) = env {
            cli = cli.env("PORTCULLIS_DECISION_LOG__MODE", mode);
        }
        let ran = cli.run_refused();
        assert_ne!(ran.status, 0, "{}", ran.output());
        assert!(ran.output().contains("mode") && ran.output().contains("fast"), "{}", ran.output());
        for mode in MODES {
            assert!(ran.output().contains(mode), "it does not say `{mode}`: {}", ran.output());
        }
    }
}

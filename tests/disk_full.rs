//! A disk without room: decisions become denials, the server lives, and nothing that was answered
//! is lost. A limit on the size of files (`RLIMIT_FSIZE`) plays the disk: it needs no rights, and
//! a write that crosses it is cut short as by a full disk.

use std::path::Path;
use std::time::Duration;

use portcullis_tests::{Builder, Client, Process, Server, eventually, execute_sql};
use serde_json::{Value, json};

use crate::audit::{segments, verify};
use crate::fixtures::{log_records, metric, question, records};

const RECOVERY: Duration = Duration::from_secs(5);

fn in_mode(mode: &str, further: &str) -> Builder {
    Server::builder().pack(records()).config(&format!("[decision_log]\nmode = \"{mode}\"\n{further}"))
}

fn decide(client: &Client) -> Value {
    client.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200).json()
}

fn id(answer: &Value) -> String {
    answer["decision_id"].as_str().unwrap().to_owned()
}

fn is_allowed(answer: &Value) -> bool {
    answer["decision"] == json!(true)
}

#[track_caller]
fn is_unrecorded(answer: &Value) {
    assert_eq!(answer["decision"], json!(false), "{answer}");
    assert_eq!(answer["outcome"], json!("deny"), "{answer}");
    assert_eq!(answer["reasons"], json!(["log_unavailable"]), "{answer}");
    assert_eq!(answer["obligations"], json!([]), "{answer}");
}

fn log_bytes(data: &Path) -> u64 {
    segments(data).last().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
}

/// Leaves room in the log's newest file for less than one more record.
fn fill(server: &mut Server) {
    let limit = log_bytes(server.data()) + 100;
    server.process().limit_file_size(Some(limit));
}

fn recovers(server: &mut Server) {
    server.process().limit_file_size(None);
    let allowed = eventually(RECOVERY, || is_allowed(&decide(server.client())).then_some(()));
    assert!(allowed.is_some(), "{}", server.stderr());
}

#[track_caller]
fn is_whole(server: &mut Server, answered: &[String]) {
    for id in answered {
        let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(200);
    }
    let _ = verify(server.data()).expect_status(0);
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    let _ = verify(server.data()).expect_status(0);
    server.restart();
    for id in answered {
        let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(200);
    }
}

#[test]
fn decisions_become_denials_and_the_log_goes_on_when_there_is_room_again() {
    let mut server = in_mode("durable", "").start();
    let mut answered: Vec<_> = (0..5).map(|_| id(&decide(server.client()))).collect();
    for _ in 0..2 {
        fill(&mut server);
        for _ in 0..20 {
            is_unrecorded(&decide(server.client()));
        }
        let asked = question("alice", "read", "record-1");
        let answer = server.post("/access/v1/evaluation", &asked).expect_status(200).json();
        assert_eq!(answer, json!({"decision": false}));
        let batch = json!({"evaluations": vec![asked; 3]});
        let answer = server.post("/access/v1/evaluations", &batch).expect_status(200).json();
        assert_eq!(answer, json!({"evaluations": vec![json!({"decision": false}); 3]}));
        for answer in
            server.post("/v1/decide", &batch).expect_status(200).json()["evaluations"].as_array().unwrap()
        {
            is_unrecorded(answer);
        }
        let _ = server.get("/healthz").expect_status(200);
        // Beside the running server, on what the cut writes have left.
        let _ = verify(server.data()).expect_status(0);
        recovers(&mut server);
        answered.extend((0..5).map(|_| id(&decide(server.client()))));
    }
    assert!(metric(&server, "portcullis_unrecorded_total") >= 40.0);
    assert!(metric(&server, "portcullis_decision_log_write_errors_total") >= 40.0);
    is_whole(&mut server, &answered);
}

#[test]
fn a_denial_that_was_not_recorded_is_in_no_log() {
    let mut server = in_mode("durable", "").start();
    decide(server.client());
    fill(&mut server);
    let refused: Vec<_> = (0..5).map(|_| id(&decide(server.client()))).collect();
    recovers(&mut server);
    for id in refused {
        let _ = server.get(&format!("/v1/decisions/{id}")).expect_status(404);
        assert!(!log_records(server.data()).iter().any(|record| record.to_string().contains(&id)));
    }
}

#[test]
fn management_calls_are_refused_while_they_can_not_be_recorded() {
    let mut server = in_mode("durable", "").start();
    decide(server.client());
    fill(&mut server);
    let simulation = json!({"policies": "", "entities": [], "requests": []});
    let answers = [server.post("/v1/policies/simulate", &simulation), server.get("/v1/decisions")];
    for answer in answers {
        // The caller has the right: it is the service that can't answer.
        assert_eq!(answer.clone().expect_status(503).problem(), "unavailable", "{}", answer.text());
    }
    // What shows an operator why goes on, and says that the server is not ready.
    let metrics = server.get("/metrics").expect_status(200).text();
    assert!(metrics.contains("portcullis_unrecorded_total"), "{metrics}");
    assert_eq!(server.get("/readyz").expect_status(503).json()["status"], json!("unready"));
    let details = server.get("/readyz?details=true").expect_status(503).json();
    assert!(details["details"]["decision_log"]["write_errors"].as_u64() > Some(0), "{details}");
    recovers(&mut server);
    assert_eq!(server.get("/readyz").expect_status(200).json()["status"], json!("ready"));
    let _ = server.get("/v1/decisions").expect_status(200);
}

#[test]
fn in_mode_queued_what_was_allowed_is_recorded_when_there_is_room_again() {
    let mut server = in_mode("queued", "").start();
    let mut allowed: Vec<_> = (0..5).map(|_| id(&decide(server.client()))).collect();
    let _ = server.get(&format!("/v1/decisions/{}", allowed[4])).expect_status(200);
    fill(&mut server);
    // What finds room in the queue before the disk's refusal is known is answered as ever.
    let refusing = eventually(RECOVERY, || {
        let answer = decide(server.client());
        if is_allowed(&answer) {
            allowed.push(id(&answer));
            return None;
        }
        is_unrecorded(&answer);
        Some(())
    });
    assert!(refusing.is_some(), "it goes on allowing");
    for _ in 0..20 {
        is_unrecorded(&decide(server.client()));
    }
    recovers(&mut server);
    is_whole(&mut server, &allowed);
}

#[test]
fn in_mode_gap_decisions_go_on_and_what_is_lost_is_counted() {
    let mut server = in_mode("gap", "queue_records = 10\n").start();
    decide(server.client());
    let _ = server.get("/v1/decisions").expect_status(200);
    fill(&mut server);
    let asked: Vec<_> = (0..50).map(|_| decide(server.client())).collect();
    assert!(asked.iter().all(is_allowed), "{:?}", asked.iter().find(|answer| !is_allowed(answer)));
    server.process().limit_file_size(None);
    // A record that is there shows that the queue was written.
    let last = id(&decide(server.client()));
    let is_there = || (server.get(&format!("/v1/decisions/{last}")).status == 200).then_some(());
    if eventually(RECOVERY, is_there).is_none() {
        let again = || {
            let id = id(&decide(server.client()));
            std::thread::sleep(Duration::from_millis(50));
            (server.get(&format!("/v1/decisions/{id}")).status == 200).then_some(())
        };
        assert!(eventually(RECOVERY, again).is_some(), "{}", server.stderr());
    }
    let dropped = metric(&server, "portcullis_decision_log_dropped_total");
    assert!(dropped >= 35.0, "{dropped} dropped");
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    let of_gap = |record: &Value| record.to_string().contains("\"reason\":\"queue_full\"");
    assert!(log_records(server.data()).iter().any(of_gap), "no gap is recorded");
    let _ = verify(server.data()).expect_status(0);
}

#[test]
fn while_no_file_at_all_can_grow_it_lives_and_recovers() {
    let mut server = in_mode("durable", "checkpoint_seconds = 1\n").start();
    let mut answered: Vec<_> = (0..5).map(|_| id(&decide(server.client()))).collect();
    server.process().limit_file_size(Some(0));
    // Long enough for syncing, checkpoints and the index to fail as well.
    for _ in 0..30 {
        is_unrecorded(&decide(server.client()));
        let _ = server.get("/healthz").expect_status(200);
        std::thread::sleep(Duration::from_millis(100));
    }
    recovers(&mut server);
    answered.extend((0..5).map(|_| id(&decide(server.client()))));
    is_whole(&mut server, &answered);
}

#[test]
fn the_index_is_filled_again_when_there_is_room_for_the_database_on_sqlite() {
    let mut server = in_mode("durable", "").start();
    // The database's journal has no room to grow, and the log still has some: more than a block of the index.
    for statement in ["CREATE TABLE filler AS SELECT zeroblob(2500000) AS bytes", "DROP TABLE filler"] {
        execute_sql(server.data(), statement);
    }
    let journal = server.data().join("portcullis.db-wal").metadata().unwrap().len();
    assert!(journal > log_bytes(server.data()) + 2_000_000, "{journal}");
    server.process().limit_file_size(Some(journal));
    let asks = |server: &Server| {
        let batch = json!({"evaluations": vec![question("alice", "read", "record-1"); 50]});
        let _ = server.post("/access/v1/evaluations", &batch).expect_status(200);
    };
    // Blocks end after so many records or bytes, and are then stored.
    let fails = eventually(RECOVERY, || {
        asks(&server);
        server.stderr().contains("background work failed").then_some(())
    });
    assert!(fails.is_some(), "{}", server.stderr());
    recovers(&mut server);
    let behind = || metric(&server, "portcullis_decision_log_index_lag");
    let stuck = behind();
    assert!(stuck >= 100.0, "{stuck}");
    for _ in 0..10 {
        asks(&server);
    }
    // Less than what was stuck: only a block that is not full may be outstanding.
    let caught_up = eventually(RECOVERY, || (behind() < stuck.min(2_048.0)).then_some(()));
    assert!(caught_up.is_some(), "{} behind: {}", behind(), server.stderr());
    is_whole(&mut server, &[]);
}

#[test]
fn a_server_that_ends_on_a_full_disk_says_so_and_starts_again_when_there_is_room() {
    let mut server = in_mode("durable", "").start();
    let answered: Vec<_> = (0..5).map(|_| id(&decide(server.client()))).collect();
    server.process().limit_file_size(Some(0));
    is_unrecorded(&decide(server.client()));
    assert_eq!(server.stop(), 1, "{}", server.stderr());
    assert!(server.stderr().contains("error: can't write"), "{}", server.stderr());
    let _ = verify(server.data()).expect_status(0);
    server.restart();
    assert!(is_allowed(&decide(server.client())));
    is_whole(&mut server, &answered);
}

#[test]
fn a_server_without_room_for_its_first_files_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -f 0; exec \"$0\" serve --dev --listen 127.0.0.1:0"]);
    command.arg(portcullis_tests::binary()).current_dir(folder.path());
    let mut process = Process::start(command);
    assert_eq!(process.wait(Duration::from_secs(20)), Some(1), "{}", process.stderr());
    assert!(process.stderr().contains("error: "), "{}", process.stderr());
    assert!(process.line(Duration::from_millis(100)).is_none());
}

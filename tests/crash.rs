//! Kill -9 during load and during writes: nothing that was answered is lost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_tests::{Cli, Client, Server, XorShift, soak};
use serde_json::json;

use crate::audit::verify;
use crate::fixtures::{question, records};

/// Asks until the server is gone, and gives the id of every answer that arrived whole.
fn ask_until_gone(client: &Client, batches: bool, answered: &Mutex<Vec<String>>) {
    let single = question("alice", "read", "record-1");
    let asked = if batches { json!({"evaluations": vec![single; 20]}) } else { single };
    loop {
        let sent = client
            .request("POST", "/v1/decide")
            .header("content-type", "application/json")
            .body(asked.to_string())
            .try_send();
        let Ok(answer) = sent else { return };
        let answer = answer.expect_status(200).json();
        let items = answer["evaluations"].as_array().cloned().unwrap_or_else(|| vec![answer]);
        let ids = items.iter().map(|item| item["decision_id"].as_str().unwrap().to_owned());
        answered.lock().unwrap().extend(ids);
    }
}

/// Makes keys in a row, which writes to the store, and gives those whose making succeeded.
fn make_keys(stop: &AtomicBool, server: &Server) -> Vec<String> {
    let mut made = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let ran = Cli::new(["key", "create", "--name", "crash", "--pack", "*", "--right", "assert_subject"])
            .path("--data", server.data())
            .run();
        if ran.status == 0 {
            made.push(ran.value("key ").expect("a key").to_owned());
        }
    }
    made
}

/// One crash; gives the ids of what was answered before it, and the keys that were made.
fn crash(server: &mut Server, after: Duration) -> (Vec<String>, Vec<String>) {
    let answered = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let clients: Vec<Client> = (0..4).map(|_| Client::keeping_alive(server.base(), server.key())).collect();
    let pid = server.process().id().to_string();
    let running: &Server = server;
    let keys = std::thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            let answered = &answered;
            scope.spawn(move || ask_until_gone(client, index == 0, answered));
        }
        let keys = scope.spawn(|| make_keys(&stop, running));
        std::thread::sleep(after);
        let killed = std::process::Command::new("kill").args(["-9", &pid]).status();
        stop.store(true, Ordering::Relaxed);
        assert!(killed.is_ok_and(|status| status.success()));
        keys.join().expect("keys were made")
    });
    server.kill();
    (answered.into_inner().unwrap(), keys)
}

#[test]
fn every_answered_decision_survives_kill_9() {
    let mut random = XorShift::new(9);
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(data.path()).start();
    for round in 0..soak(3, 100) {
        let after = Duration::from_millis(200 + u64::try_from(random.below(400)).unwrap());
        let (answered, keys) = crash(&mut server, after);
        assert!(!answered.is_empty(), "round {round}: nothing was answered");
        let ran = verify(data.path());
        assert_eq!(ran.status, 0, "round {round}: {}", ran.output());
        server.restart();
        are_there(&server, &answered);
        for key in &keys {
            let client = server.with_key(Some(key));
            let _ = client.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200);
        }
        let ran = verify(data.path());
        assert_eq!(ran.status, 0, "round {round}, restarted: {}", ran.output());
    }
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    let _ = verify(data.path()).expect_status(0);
}

/// The last answers are the ones at risk; of the others every so-manieth is looked up.
fn are_there(server: &Server, answered: &[String]) {
    let older = answered.len().saturating_sub(500);
    let step = older / 500 + 1;
    let looked_up = answered[..older].iter().step_by(step).chain(&answered[older..]);
    for id in looked_up {
        let answer = server.get(&format!("/v1/decisions/{id}"));
        assert_eq!(answer.status, 200, "{id} is lost: {}", answer.text());
    }
}

#[test]
fn a_crash_while_starting_does_no_harm() {
    let data = tempfile::tempdir().unwrap();
    let mut random = XorShift::new(11);
    for _ in 0..soak(6, 100) {
        let mut command = std::process::Command::new(portcullis_tests::binary());
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--policies"])
            .arg(data.path().join("none"));
        command.arg("--data").arg(data.path().join("data"));
        let mut process = portcullis_tests::Process::start(command);
        std::thread::sleep(Duration::from_millis(u64::try_from(random.below(120)).unwrap()));
        process.kill();
    }
    let server = Server::builder().pack(records()).data(&data.path().join("data")).start();
    let answer = server.post("/access/v1/evaluation", &question("alice", "read", "record-1"));
    assert_eq!(answer.expect_status(200).json(), json!({"decision": true}));
    let _ = verify(server.data()).expect_status(0);
}

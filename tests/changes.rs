//! What administrators change is in the decision log, once, with or without a server running.

use std::time::Duration;

use portcullis_tests::{Cli, Server, eventually};
use serde_json::Value;

use crate::assertions::holds_string;
use crate::fixtures::{create_key, log_records, records};

fn of_kind(server: &Server, kind: &str, id: &str) -> Vec<Value> {
    let about = |record: &Value| holds_string(record, kind) && holds_string(record, id);
    log_records(server.data()).into_iter().filter(about).collect()
}

#[test]
fn a_key_that_is_made_and_revoked_beside_a_server_is_in_its_log() {
    let server = Server::with(records());
    let (id, key) = create_key(server.data(), &["simulate"], &["records"]);
    let _ = Cli::new(["key", "revoke", &id]).path("--data", server.data()).run().expect_status(0);
    for kind in ["caller_created", "caller_revoked"] {
        let found = eventually(Duration::from_secs(5), || {
            Some(of_kind(&server, kind, &id)).filter(|found| !found.is_empty())
        });
        let (found, _) = found.unwrap_or_else(|| panic!("no `{kind}`"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].to_string().contains(&key), "a key is never logged");
    }
    let created = &of_kind(&server, "caller_created", &id)[0];
    assert!(holds_string(created, "simulate") && holds_string(created, "records"), "{created}");
}

#[test]
fn a_key_that_is_made_without_a_server_is_in_the_log_of_the_next_once() {
    let mut server = Server::with(records());
    server.stop();
    let (id, _) = create_key(server.data(), &[], &["records"]);
    server.restart();
    let seen = eventually(Duration::from_secs(5), || {
        Some(()).filter(|()| of_kind(&server, "caller_created", &id).len() == 1)
    });
    assert!(seen.is_some());
    server.stop();
    server.restart();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(of_kind(&server, "caller_created", &id).len(), 1);
}

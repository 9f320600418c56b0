//! `portcullis serve`: when it refuses to start, and how it ends.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Cli, Ran, Server};
use serde_json::json;
use tempfile::TempDir;

use crate::fixtures::{question, records};

/// A data folder that a server made, and its policies.
fn made() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(&folder.path().join("data")).start();
    server.stop();
    folder
}

fn serve(folder: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec!["serve"];
    all.extend(arguments);
    Cli::new(all)
        .path("--data", &folder.join("data"))
        .path("--policies", &folder.join("policies"))
        .current_dir(folder)
        .run_refused()
}

#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(!ran.stdout.contains("listening on"), "{}", ran.stdout);
    assert!(!ran.output().contains("panicked"), "{}", ran.output());
    for word in words {
        assert!(ran.output().contains(word), "no `{word}`: {}", ran.output());
    }
}

#[track_caller]
fn config_refused(text: &str, line: usize, field: &str) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("portcullis.toml"), text);
    let ran = serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0", "--config", "portcullis.toml"]);
    refused(&ran, &["portcullis.toml", field]);
    let (colon, word) = (format!("portcullis.toml:{line}"), format!("line {line}"));
    assert!(
        ran.output().contains(&colon) || ran.output().contains(&word),
        "no line {line}: {}",
        ran.output()
    );
}

#[test]
fn an_unknown_field_of_the_configuration_is_named() {
    config_refused("[limits]\nbody_byte = 5\n", 2, "body_byte");
    config_refused("# comment\n\nsurprise = 1\n", 3, "surprise");
    config_refused("[server]\npublic_url = \"http://x\"\n[unknown]\na = 1\n", 3, "unknown");
}

#[test]
fn a_bad_value_in_the_configuration_is_named() {
    config_refused("[limits]\nbody_bytes = \"big\"\n", 2, "body_bytes");
    config_refused("[limits]\nnesting = -1\n", 2, "nesting");
    config_refused("[limits]\n\nbatch_items = 1.5\n", 3, "batch_items");
}

#[test]
fn a_configuration_that_is_no_toml_is_located() {
    config_refused("[limits]\nbody_bytes = \n", 2, "portcullis.toml");
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ran = serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0", "--config", "absent.toml"]);
    refused(&ran, &["absent.toml"]);
}

#[test]
fn the_environment_overrides_the_configuration() {
    let server = Server::builder()
        .pack(records())
        .config("[limits]\nbody_bytes = 100000\n")
        .env("PORTCULLIS_LIMITS__BODY_BYTES", "2000")
        .start();
    let mut asked = question("alice", "read", "record-1");
    assert_eq!(server.post("/v1/decide", &asked).status, 200);
    asked["context"] = json!({"text": "x".repeat(3000)});
    assert_eq!(server.post("/v1/decide", &asked).expect_status(413).problem(), "body_too_large");
}

#[test]
fn a_bad_value_in_the_environment_is_named() {
    for (name, value) in [("PORTCULLIS_LIMITS__BODY_BYTES", "big"), ("PORTCULLIS_LIMITS__SURPRISE", "1")] {
        let folder = tempfile::tempdir().unwrap();
        let ran = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .path("--data", &folder.path().join("data"))
            .current_dir(folder.path())
            .env(name, value)
            .run_refused();
        refused(&ran, &[]);
        let output = ran.output().to_lowercase();
        let field = name.rsplit("__").next().unwrap().to_lowercase();
        assert!(output.contains(&field), "{}", ran.output());
    }
}

#[test]
fn a_root_key_file_that_others_can_read_is_refused() {
    for mode in [0o640, 0o604, 0o644, 0o660, 0o622] {
        let folder = made();
        let key = folder.path().join("data/root.key");
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        refused(&serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0"]), &["root.key", "chmod"]);
    }
}

#[test]
fn a_database_of_another_root_key_is_refused() {
    let folder = made();
    let key = folder.path().join("data/root.key");
    std::fs::remove_file(&key).unwrap();
    write(&key, "5".repeat(64) + "\n");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    refused(&serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0"]), &["another root key"]);
}

#[test]
fn a_database_whose_root_key_is_gone_is_not_taken_over() {
    let folder = made();
    std::fs::remove_file(folder.path().join("data/root.key")).unwrap();
    refused(&serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0"]), &["root key"]);
}

#[test]
fn a_newer_database_is_refused() {
    let folder = made();
    let data = folder.path().join("data");
    portcullis_tests::execute_sql(
        &data,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'from the future', TRUE, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    );
    let ran = serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0"]);
    match portcullis_tests::home_of(&data) {
        None => refused(&ran, &["newer", "portcullis.db"]),
        Some(home) => {
            refused(&ran, &["newer"]);
            assert!(!ran.output().contains(home.password()), "it tells the password of the database");
        }
    }
}

#[test]
fn dev_off_the_loopback_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        refused(&serve(folder.path(), &["--dev", "--listen", address]), &["loopback"]);
    }
}

#[test]
fn plain_http_off_the_loopback_is_refused() {
    let folder = made();
    for address in ["0.0.0.0:0", "[::]:0"] {
        refused(&serve(folder.path(), &["--listen", address]), &["allow_plaintext"]);
    }
}

#[test]
fn without_dev_and_without_a_root_key_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    refused(&serve(folder.path(), &["--listen", "127.0.0.1:0"]), &["root key"]);
    assert!(!folder.path().join("data/root.key").exists());
}

#[test]
fn broken_policies_at_the_start_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    records().file("broken.cedar", "permit(").write(&folder.path().join("policies"));
    let ran = serve(folder.path(), &["--dev", "--listen", "127.0.0.1:0"]);
    refused(&ran, &["broken.cedar"]);
}

#[test]
fn without_dev_no_key_is_printed_and_made_keys_work() {
    let folder = made();
    let data = folder.path().join("data");
    let (_, key) = crate::fixtures::create_key(&data, &["assert_subject"], &["*"]);
    let server = Server::builder().pack(records()).data(&data).without_dev().start();
    let asked = question("alice", "read", "record-1");
    assert_eq!(server.post("/v1/decide", &asked).status, 401);
    assert_eq!(
        server.with_key(Some(&key)).post("/v1/decide", &asked).expect_status(200).json()["decision"],
        json!(true)
    );
}

#[test]
fn a_missing_policies_folder_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(portcullis_tests::binary());
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0"]).current_dir(folder.path());
    let process = portcullis_tests::Process::start(command);
    let line = process.line(Duration::from_secs(30));
    assert!(
        line.is_some_and(|line| line.starts_with("listening on") || line.starts_with("key ")),
        "{}",
        process.stderr()
    );
}

#[test]
fn ending_finishes_what_is_in_flight() {
    let mut server = Server::with(records());
    let body = question("alice", "read", "record-1").to_string();
    let head = format!(
        "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.key().unwrap(),
        body.len()
    );
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(server.base().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| server.stop());
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(rest.as_bytes()).expect("the connection is still open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("{\"decision\":true}"), "{answer}");
        ended.join().unwrap()
    });
    assert_eq!(ended, 0);
}

#[test]
fn an_idle_connection_does_not_hold_the_end_up() {
    let mut server = Server::with(records());
    let _idle = TcpStream::connect(server.base().trim_start_matches("http://")).unwrap();
    let _ = server.get("/healthz").expect_status(200);
    let start = std::time::Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

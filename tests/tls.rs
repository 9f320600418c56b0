//! `[tls] cert, key`: who is spoken to, and what happens when the files change.

use std::path::Path;
use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Builder, Certificate, Cli, Server, TlsConnection, eventually, raw};
use serde_json::json;
use tempfile::TempDir;

use crate::fixtures::{question, records};

/// The files are looked at every two seconds.
const RELOAD: Duration = Duration::from_secs(8);

fn config(folder: &Path) -> String {
    format!("[tls]\ncert = {:?}\nkey = {:?}\n", folder.join("cert.pem"), folder.join("key.pem"))
}

fn builder(folder: &Path) -> Builder {
    Server::builder().pack(records()).config(&config(folder))
}

/// A server with a certificate in a folder that the test owns.
fn serve() -> (Server, TempDir, Certificate) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::generate();
    certificate.write(folder.path());
    (builder(folder.path()).start(), folder, certificate)
}

fn connect(server: &Server, trusted: &Certificate) -> std::io::Result<TlsConnection> {
    TlsConnection::open(server.base(), trusted, &["http/1.1"])
}

fn is_served(server: &Server, certificate: &Certificate) -> bool {
    connect(server, certificate).is_ok()
}

#[track_caller]
fn is_well(connection: &mut TlsConnection) {
    let answer = connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("an answer");
    assert_eq!(answer.expect_status(200).json(), json!({"status": "ok"}));
}

#[test]
fn with_a_certificate_it_listens_by_https() {
    let (server, _folder, certificate) = serve();
    assert!(server.base().starts_with("https://127.0.0.1:"), "{}", server.base());
    let mut connection = connect(&server, &certificate).expect("a handshake");
    assert_eq!(connection.protocol(), Some("http/1.1"));
    is_well(&mut connection);
    let body = question("alice", "read", "record-1").to_string();
    let request = format!(
        "POST /v1/decide HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.key().unwrap(),
        body.len()
    );
    let answer = connection.send(&request).expect("an answer").expect_status(200).json();
    assert_eq!(answer["decision"], json!(true), "{answer}");
    let metadata = connection.send("GET /.well-known/authzen-configuration HTTP/1.1\r\nHost: x\r\n\r\n");
    let metadata = metadata.expect("an answer").expect_status(200).json();
    assert_eq!(metadata["policy_decision_point"], json!(server.base()), "{metadata}");
}

#[test]
fn who_trusts_another_certificate_gets_no_connection() {
    let (server, _folder, _) = serve();
    assert!(!is_served(&server, &Certificate::generate()));
}

#[test]
fn http_2_is_spoken_to_who_asks_for_it() {
    let (server, _folder, certificate) = serve();
    let mut connection =
        TlsConnection::open(server.base(), &certificate, &["h2", "http/1.1"]).expect("a handshake");
    assert_eq!(connection.protocol(), Some("h2"));
    // RFC 9113 §3.4 and §6: the preface, empty SETTINGS, and HEADERS of stream 1 with END_STREAM and
    // END_HEADERS; the header block has three fields of HPACK's static table (RFC 7541 A) and the path.
    let block = [b"\x82\x87\x04\x08/healthz\x01\x09".as_slice(), b"localhost"].concat();
    let length = u8::try_from(block.len()).unwrap();
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    connection.write(&[&[0, 0, length, 1, 5, 0, 0, 0, 1], block.as_slice()].concat()).unwrap();
    let (mut status, mut body) = (None, Vec::new());
    loop {
        let head = connection.read(9).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = connection.read(usize::try_from(length).unwrap()).expect("a whole frame");
        match head[3] {
            0 => body.extend(payload),
            1 => status = payload.first().copied(),
            // RST_STREAM and GOAWAY.
            3 | 7 => panic!("the server ended it: {payload:?}"),
            _ => {}
        }
        if head[3] <= 1 && head[4] & 1 == 1 {
            break;
        }
    }
    assert_eq!(status, Some(0x88), "`:status: 200` of the static table");
    assert_eq!(body, br#"{"status":"ok"}"#);
}

#[test]
fn plain_http_is_refused_on_the_port_of_tls() {
    let (server, _folder, certificate) = serve();
    let plain = server.base().replace("https://", "http://");
    let answer = raw(&plain, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.closed, "the connection stays open");
    assert_eq!(answer.status(), None, "{}", answer.text());
    assert!(!answer.text().contains("status"), "{}", answer.text());
    is_well(&mut connect(&server, &certificate).expect("a handshake"));
}

#[test]
fn a_changed_certificate_is_used_without_a_restart_and_earlier_connections_go_on() {
    let (server, folder, first) = serve();
    let mut earlier = connect(&server, &first).expect("a handshake");
    is_well(&mut earlier);
    let second = Certificate::generate();
    second.write(folder.path());
    assert!(
        eventually(RELOAD, || is_served(&server, &second).then_some(())).is_some(),
        "{}",
        server.stderr()
    );
    assert!(!is_served(&server, &first), "the old certificate is still served");
    is_well(&mut earlier);
    is_well(&mut connect(&server, &second).expect("a handshake"));
}

#[test]
fn a_certificate_behind_a_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Certificate::generate(), Certificate::generate());
    for (name, certificate) in [("one", &first), ("two", &second)] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        certificate.write(&folder.path().join(name));
    }
    let link = folder.path().join("live");
    std::os::unix::fs::symlink("one", &link).unwrap();
    let server = builder(&link).start();
    assert!(is_served(&server, &first));
    std::os::unix::fs::symlink("two", folder.path().join("next")).unwrap();
    std::fs::rename(folder.path().join("next"), &link).unwrap();
    assert!(
        eventually(RELOAD, || is_served(&server, &second).then_some(())).is_some(),
        "{}",
        server.stderr()
    );
}

#[test]
fn a_broken_certificate_leaves_the_last_one_serving_and_a_sound_one_follows() {
    let (server, folder, first) = serve();
    let noticed = |times: usize| {
        let told = || server.stderr().matches("the certificate does not load").count();
        assert!(eventually(RELOAD, || (told() >= times).then_some(())).is_some(), "{}", server.stderr());
        is_well(&mut connect(&server, &first).expect("the last certificate serves on"));
    };
    write(&folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    noticed(1);
    std::fs::remove_file(folder.path().join("cert.pem")).unwrap();
    noticed(2);
    // A certificate and a key that do not belong together.
    let second = Certificate::generate();
    second.write(folder.path());
    let key = tempfile::tempdir().unwrap();
    Certificate::generate().write(key.path());
    std::fs::copy(key.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    noticed(3);
    second.write(folder.path());
    assert!(
        eventually(RELOAD, || is_served(&server, &second).then_some(())).is_some(),
        "{}",
        server.stderr()
    );
}

/// A start with these files must fail, and name the file at fault.
#[track_caller]
fn refused(prepare: impl FnOnce(&Path), named: &str) {
    let folder = tempfile::tempdir().unwrap();
    Certificate::generate().write(folder.path());
    prepare(folder.path());
    write(&folder.path().join("portcullis.toml"), config(folder.path()));
    let ran = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0", "--config", "portcullis.toml"])
        .path("--data", &folder.path().join("data"))
        .current_dir(folder.path())
        .run_refused();
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(!ran.stdout.contains("listening on"), "{}", ran.stdout);
    let path = folder.path().join(named).display().to_string();
    assert!(ran.output().contains(&path), "no `{path}`: {}", ran.output());
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    refused(|folder| std::fs::remove_file(folder.join("cert.pem")).unwrap(), "cert.pem");
}

#[test]
fn a_key_that_is_not_there_is_named() {
    refused(|folder| std::fs::remove_file(folder.join("key.pem")).unwrap(), "key.pem");
}

#[test]
fn files_that_hold_something_else_are_named() {
    refused(|folder| write(&folder.join("cert.pem"), "no certificate\n"), "cert.pem");
    refused(|folder| write(&folder.join("key.pem"), "no key\n"), "key.pem");
    refused(
        |folder| {
            let path = folder.join("cert.pem");
            write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        },
        "cert.pem",
    );
}

#[test]
fn a_key_of_another_certificate_is_refused_and_named() {
    refused(
        |folder| {
            let other = tempfile::tempdir().unwrap();
            Certificate::generate().write(other.path());
            std::fs::copy(other.path().join("key.pem"), folder.join("key.pem")).unwrap();
        },
        "key.pem",
    );
}

#[test]
fn a_certificate_without_its_key_is_an_error_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("portcullis.toml"), "[tls]\ncert = \"cert.pem\"\n");
    let ran = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0", "--config", "portcullis.toml"])
        .path("--data", &folder.path().join("data"))
        .current_dir(folder.path())
        .run_refused();
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.output().contains("portcullis.toml") && ran.output().contains("key"), "{}", ran.output());
}

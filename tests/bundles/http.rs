//! A bundle by HTTP: asked for with its tag, within bounds, from the one host, over TLS that is checked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Certificate, Cli, Server, eventually};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::made::{self, Made};
use super::{refuses, shows};

/// What a source answers.
#[derive(Clone, Default)]
struct Answer {
    /// Status and further header lines; `200` and the tag, when empty.
    head: String,
    body: Vec<u8>,
    /// Which answer it is.
    tag: usize,
}

/// A web server that knows one resource.
struct Source {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    unchanged: Arc<AtomicUsize>,
}

impl Source {
    fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (answer, unchanged) = (Arc::<Mutex<Answer>>::default(), Arc::<AtomicUsize>::default());
        let source = Self { address: listener.local_addr().unwrap(), answer, unchanged };
        let (answer, unchanged) = (Arc::clone(&source.answer), Arc::clone(&source.unchanged));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let answer = answer.lock().unwrap().clone();
                match &tls {
                    None => speak(stream, &answer, &unchanged),
                    Some(tls) => {
                        let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        speak(StreamOwned::new(connection, stream), &answer, &unchanged);
                    }
                }
            }
        });
        source
    }

    fn gives(&self, head: &str, body: Vec<u8>) {
        let mut answer = self.answer.lock().unwrap();
        *answer = Answer { head: head.to_owned(), body, tag: answer.tag + 1 };
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/a.bundle?token=hidden", self.address)
    }
}

/// Answers one request; a client that goes away is no reason to fail.
fn speak(mut stream: impl Read + Write, answer: &Answer, unchanged: &AtomicUsize) {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap().to_lowercase();
    let tag = format!("\"{}\"", answer.tag);
    if answer.head.is_empty() && request.contains(&format!("if-none-match: {tag}")) {
        unchanged.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n").ok();
        return;
    }
    let length = answer.body.len();
    let head = match answer.head.as_str() {
        "" => format!("HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {length}\r\n\r\n"),
        head => format!("HTTP/1.1 {head}\r\n\r\n"),
    };
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body)).ok();
    stream.flush().ok();
}

#[test]
fn a_bundle_is_asked_for_with_its_tag_and_taken_when_it_is_new() {
    let made = Made::new();
    let source = Source::new(None);
    source.gives("", made.signed(1, &made.key));
    let server = made.builder(&source.url("http")).start();
    assert_eq!(made::reasons(&server), json!(["v1"]));
    let asked = || (source.unchanged.load(Ordering::Relaxed) >= 2).then_some(());
    assert!(eventually(Duration::from_secs(20), asked).is_some(), "{}", server.stderr());
    source.gives("", made.signed(2, &made.key));
    let shown = shows(&server, |status| status["version"] == 2);
    assert_eq!(made::reasons(&server), json!(["v2"]));
    assert!(!shown.to_string().contains("hidden"), "{shown}");
}

#[test]
fn a_source_that_sends_elsewhere_or_too_much_or_nothing_is_refused() {
    let made = Made::new();
    let source = Source::new(None);
    source.gives("", made.signed(1, &made.key));
    let server = made.builder(&source.url("http")).start();
    let other = Source::new(None);
    other.gives("", made.signed(9, &made.key));
    let here = source.address;
    let large = 65 << 20;
    for (head, words) in [
        (format!("302 Found\r\nlocation: {}\r\ncontent-length: 0", other.url("http")), "another place"),
        ("302 Found\r\nlocation: /again\r\ncontent-length: 0".to_owned(), "another place"),
        (format!("302 Found\r\nlocation: https://{here}/\r\ncontent-length: 0"), "another place"),
        (format!("200 OK\r\ncontent-length: {large}"), "larger than"),
        ("404 Not Found\r\ncontent-length: 0".to_owned(), "status 404"),
        ("304 Not Modified\r\netag: \"none\"".to_owned(), ""),
        ("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0".to_owned(), "compressed"),
        ("200 OK\r\ncontent-length: 10".to_owned(), "failed"),
        (format!("200 OK\r\nx: {}", "x".repeat(100_000)), "failed"),
        ("200 OK\r\ncontent-length: 0".to_owned(), "cut off"),
    ] {
        source.gives(&head, Vec::new());
        if !words.is_empty() {
            refuses(&server, 1, words);
        }
    }
    source
        .gives("200 OK\r\ntransfer-encoding: chunked", [b"4100000\r\n".to_vec(), vec![b'x'; large]].concat());
    refuses(&server, 1, "larger than");
    source.gives("", made.signed(2, &made.key));
    shows(&server, |status| status["version"] == 2);
}

#[test]
fn a_certificate_that_no_root_vouches_for_is_refused() {
    let made = Made::new();
    let certificate = Certificate::generate();
    let source = Source::new(Some(certificate.server_config()));
    source.gives("", made.signed(1, &made.key));
    let folder = tempfile::tempdir().unwrap();
    for who in [&certificate, &Certificate::generate()] {
        who.write(folder.path());
        let roots = folder.path().join("cert.pem");
        let builder = made.builder(&source.url("https")).env("SSL_CERT_FILE", roots.to_str().unwrap());
        if std::ptr::eq(who, &certificate) {
            assert_eq!(made::reasons(&builder.start()), json!(["v1"]));
            continue;
        }
        write(&folder.path().join("fresh/empty"), "");
        let ran = Cli::new(["serve", "--listen", "127.0.0.1:0", "--dev"])
            .path("--data", &folder.path().join("fresh"))
            .path("--config", &made.config_file())
            .env("SSL_CERT_FILE", roots.to_str().unwrap())
            .run_refused();
        assert!(ran.status != 0 && ran.stderr.contains("certificate"), "{}", ran.output());
    }
}

#[test]
fn the_bundle_is_shown_to_those_who_may_know_alone() {
    let made = Made::new();
    made.place(1, &made.key);
    let server: Server = made.builder(&made.source()).start();
    let body = portcullis_tests::Client::new(server.base(), None).get("/readyz").expect_status(200).text();
    assert!(!body.contains("bundle"), "{body}");
    portcullis_tests::Client::new(server.base(), None).get("/readyz?details=true").expect_status(401).text();
}

//! Bytes on a socket, for what no HTTP client would send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::Answer;

/// What came back before the server closed the connection or fell silent.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Whether the server closed the connection, and did not just fall silent.
    pub closed: bool,
}

impl RawAnswer {
    /// The status code of the first answer, if there is one.
    pub fn status(&self) -> Option<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    }

    /// The answer, if the bytes are one whole answer that says its length.
    pub fn into_answer(self) -> Option<Answer> {
        let status = self.status()?;
        let end = self.bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, rest) = self.bytes.split_at_checked(end)?;
        let mut headers = HeaderMap::new();
        for line in String::from_utf8_lossy(head).lines().skip(1) {
            let (name, value) = line.split_once(':')?;
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
        }
        let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
        let body = rest.get(4..4 + length)?.to_vec();
        Some(Answer { status, headers, body })
    }

    /// The bytes as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Sends `bytes` to the server at `base` as they are, and reads what comes until it closes.
///
/// # Panics
/// When no connection can be made.
pub fn raw(base: &str, bytes: &[u8]) -> RawAnswer {
    let mut stream = connect(base);
    // The server may close before it has read everything; what it answered is still there.
    stream.write_all(bytes).ok();
    read(stream)
}

/// The same, where nothing follows: the sending side ends.
///
/// # Panics
/// When no connection can be made.
pub fn raw_cut(base: &str, bytes: &[u8]) -> RawAnswer {
    let mut stream = connect(base);
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    read(stream)
}

/// Sends the parts with a pause after each, and keeps the sending side open.
///
/// # Panics
/// When no connection can be made.
pub fn raw_slowly(base: &str, parts: &[&[u8]], pause: Duration) -> RawAnswer {
    let mut stream = connect(base);
    for part in parts {
        stream.write_all(part).ok();
        std::thread::sleep(pause);
    }
    read(stream)
}

fn connect(base: &str) -> TcpStream {
    let address = base.strip_prefix("http://").expect("plain HTTP");
    let stream = TcpStream::connect(address).expect("the server accepts connections");
    stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout can be set");
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream
}

fn read(mut stream: TcpStream) -> RawAnswer {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return RawAnswer { bytes, closed: true },
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let silent = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
                return RawAnswer { bytes, closed: !silent.contains(&error.kind()) };
            }
        }
    }
}

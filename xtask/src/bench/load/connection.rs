//! One keep-alive connection that asks one question after another.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;

use crate::bench::questions::Question;
use crate::failure::Failure;
use crate::surroundings;

/// Answers are far smaller; one that is not is not what was asked for.
const BUFFER_BYTES: usize = 8 * 1024;

/// What an event led to.
pub(super) enum Progress {
    /// Nothing is complete yet.
    Waiting,
    /// One question was answered as expected.
    Answered { asked_at: Instant, answered_at: Instant },
}

#[derive(Debug, PartialEq)]
enum State {
    /// Not yet connected, or about to ask the first question.
    Opening,
    /// Bytes of the question are still to be sent.
    Asking,
    /// The answer is on its way.
    Listening,
    /// Nothing more is to be asked.
    Idle { is_counted: bool },
}

/// The connection, and how far its current question has come.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    state: State,
    question: usize,
    sent_bytes: usize,
    buffer: Vec<u8>,
    received_bytes: usize,
    asked_at: Instant,
}

impl Connection {
    /// Begins to connect; `first` is the number of the first question.
    pub(super) fn open(address: SocketAddr, first: usize) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).map_err(|error| Failure::because("connect", error))?;
        Ok(Self {
            stream,
            state: State::Opening,
            question: first,
            sent_bytes: 0,
            buffer: vec![0; BUFFER_BYTES],
            received_bytes: 0,
            asked_at: surroundings::now(),
        })
    }

    /// True once, after the last question was answered.
    pub(super) fn is_newly_idle(&mut self) -> bool {
        let is_new = self.state == State::Idle { is_counted: false };
        if is_new {
            self.state = State::Idle { is_counted: true };
        }
        is_new
    }

    /// Does what can be done now; asks again after an answer if `go_on`.
    pub(super) fn advance(&mut self, questions: &[Question], go_on: bool) -> Result<Progress, Failure> {
        match self.state {
            State::Opening => {
                if self.is_connected()? {
                    self.ask(questions)?;
                }
                Ok(Progress::Waiting)
            }
            State::Asking => {
                self.send(questions)?;
                Ok(Progress::Waiting)
            }
            State::Listening => self.listen(questions, go_on),
            State::Idle { .. } => Ok(Progress::Waiting),
        }
    }

    fn is_connected(&self) -> Result<bool, Failure> {
        let failed = |error| Failure::because("connect", error);
        if let Some(error) = self.stream.take_error().map_err(failed)? {
            return Err(failed(error));
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stream.set_nodelay(true).map_err(failed).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn ask(&mut self, questions: &[Question]) -> Result<(), Failure> {
        self.state = State::Asking;
        self.sent_bytes = 0;
        self.received_bytes = 0;
        self.asked_at = surroundings::now();
        self.send(questions)
    }

    fn send(&mut self, questions: &[Question]) -> Result<(), Failure> {
        let bytes = current(questions, self.question)?.bytes.as_slice();
        while let Some(rest) = bytes.get(self.sent_bytes..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(Failure::Failed("the server closed a connection".into())),
                Ok(sent) => self.sent_bytes += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::because("send", error)),
            }
        }
        self.state = State::Listening;
        Ok(())
    }

    fn listen(&mut self, questions: &[Question], go_on: bool) -> Result<Progress, Failure> {
        loop {
            let room = self.buffer.get_mut(self.received_bytes..).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => {
                    return Err(Failure::Failed(
                        "the server closed a connection, or answered too much".into(),
                    ));
                }
                Ok(read) => self.received_bytes += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Waiting),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::because("receive", error)),
            }
            let received = self.buffer.get(..self.received_bytes).unwrap_or_default();
            let Some(body) = complete_body(received)? else { continue };
            check(body, current(questions, self.question)?)?;
            let (asked_at, answered_at) = (self.asked_at, surroundings::now());
            self.question += 1;
            if go_on {
                self.ask(questions)?;
            } else {
                self.state = State::Idle { is_counted: false };
            }
            // Nothing more can come before the next question, so reading on until the socket
            // is empty would be a system call for nothing.
            return Ok(Progress::Answered { asked_at, answered_at });
        }
    }
}

fn current(questions: &[Question], number: usize) -> Result<&Question, Failure> {
    let number = number.checked_rem(questions.len()).unwrap_or_default();
    questions.get(number).ok_or_else(|| Failure::Failed("there are no questions".into()))
}

/// The body of an answer 200 once it is all there.
fn complete_body(received: &[u8]) -> Result<Option<&[u8]>, Failure> {
    let Some(split) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, rest) = received.split_at(split);
    let body = rest.get(4..).unwrap_or_default();
    let wrong = |what: &str| Failure::Failed(format!("{what}: `{}`", String::from_utf8_lossy(received)));
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(wrong("an answer that is not 200"));
    }
    let length = content_length(head).ok_or_else(|| wrong("an answer without its length"))?;
    if body.len() > length {
        return Err(wrong("more than one answer to one question"));
    }
    Ok((body.len() == length).then_some(body))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    std::str::from_utf8(line.get(NAME.len()..)?).ok()?.trim().parse().ok()
}

fn check(body: &[u8], question: &Question) -> Result<(), Failure> {
    // An answer of AuthZEN is the decision alone; one of `/v1/decide` says more behind it.
    let decision = match (body.strip_prefix(br#"{"decision":"#.as_slice()), body) {
        (_, br#"{"decision":true}"#) => true,
        (_, br#"{"decision":false}"#) => false,
        (Some([b't', b'r', b'u', b'e', b',', .., b'}']), _) => true,
        (Some([b'f', b'a', b'l', b's', b'e', b',', .., b'}']), _) => false,
        _ => return Err(Failure::Failed(format!("not a decision: `{}`", String::from_utf8_lossy(body)))),
    };
    if question.expected.is_some_and(|expected| expected != decision) {
        let asked = String::from_utf8_lossy(&question.bytes);
        let asked = asked.lines().last().unwrap_or_default();
        return Err(Failure::Failed(format!("the decision was {decision} on `{asked}`")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_complete_at_its_length_and_not_before() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for cut in 0..whole.len() {
            assert_eq!(complete_body(&whole[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(complete_body(whole).unwrap(), Some(&b"{}"[..]));
    }

    #[test]
    fn what_is_not_exactly_a_decision_is_refused() {
        let question = Question { bytes: Vec::new(), expected: None };
        for body in [&br#"{"decision":false}"#[..], br#"{"decision":true,"outcome":"allow"}"#] {
            assert!(check(body, &question).is_ok());
        }
        for body in [&b"{}"[..], br#"{"decision": true}"#, br#"{"decision":truely}"#, br#"{"decision":true,"#]
        {
            assert!(check(body, &question).is_err());
        }
    }
}

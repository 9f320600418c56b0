//! The load: one thread, one event loop, keep-alive, one request in flight a connection.
//!
//! Every answer is checked: status 200, and exactly the decision that is expected. Anything
//! else ends the bench, for a fast wrong answer is not a measurement.

mod connection;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use self::connection::{Connection, Progress};
use super::questions::Question;
use crate::failure::Failure;
use crate::surroundings;

/// With no answer for this long, the server counts as dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to send, and for how long.
pub(super) struct Plan<'a> {
    pub(super) address: SocketAddr,
    pub(super) questions: &'a [Question],
    pub(super) connections: usize,
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Load {
    /// All answers, those before and after the measured time included.
    pub(super) answers: u64,
    /// Latencies of the answers within the measured time, in nanoseconds, ascending.
    pub(super) latencies_ns: Vec<u32>,
    /// The measured time as it turned out.
    pub(super) measured: Duration,
    /// What the server's CPU clock gained within the measured time.
    pub(super) cpu: Duration,
}

/// Runs a plan; `cpu` reads the server's CPU clock.
pub(super) fn drive(plan: &Plan<'_>, cpu: impl Fn() -> Result<Duration, Failure>) -> Result<Load, Failure> {
    let failed = |error| Failure::because("the load's event loop", error);
    let mut poll = Poll::new().map_err(failed)?;
    let mut events = Events::with_capacity(plan.connections.max(1) * 2);
    let mut connections = Vec::with_capacity(plan.connections);
    for number in 0..plan.connections {
        // Spread over the questions, so that connections do not ask in step.
        let first = number * plan.questions.len() / plan.connections;
        let mut connection = Connection::open(plan.address, first)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(number), interest).map_err(failed)?;
        connections.push(connection);
    }
    let mut meter = Meter::new(plan);
    let mut active = connections.len();
    let mut last_answer = surroundings::now();
    while active > 0 {
        match poll.poll(&mut events, Some(Duration::from_millis(100))) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.map_err(failed)?,
        }
        meter.turn(&cpu)?;
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else { continue };
            match connection.advance(plan.questions, !meter.is_over())? {
                Progress::Waiting => {}
                Progress::Answered { asked_at, answered_at } => {
                    meter.count(asked_at, answered_at);
                    last_answer = answered_at;
                }
            }
            if connection.is_newly_idle() {
                active -= 1;
            }
        }
        if last_answer.elapsed() > PATIENCE {
            return Err(Failure::Failed(format!("no answer for {PATIENCE:?}")));
        }
    }
    meter.finish()
}

/// Keeps the time: warm-up, the measured span, the end.
struct Meter {
    started: Instant,
    warm_up: Duration,
    span: Duration,
    begin: Option<(Instant, Duration)>,
    end: Option<(Instant, Duration)>,
    answers: u64,
    latencies_ns: Vec<u32>,
}

impl Meter {
    fn new(plan: &Plan<'_>) -> Self {
        Self {
            started: surroundings::now(),
            warm_up: plan.warm_up,
            span: plan.measured,
            begin: None,
            end: None,
            answers: 0,
            latencies_ns: Vec::with_capacity(1 << 20),
        }
    }

    /// Begins or ends the measured span when its time has come.
    fn turn(&mut self, cpu: impl Fn() -> Result<Duration, Failure>) -> Result<(), Failure> {
        match (self.begin, self.end) {
            (None, _) if self.started.elapsed() >= self.warm_up => {
                self.begin = Some((surroundings::now(), cpu()?))
            }
            (Some((begin, _)), None) if begin.elapsed() >= self.span => {
                self.end = Some((surroundings::now(), cpu()?))
            }
            _ => {}
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.end.is_some()
    }

    fn count(&mut self, asked_at: Instant, answered_at: Instant) {
        self.answers += 1;
        let is_measured = self.begin.is_some_and(|(begin, _)| answered_at >= begin) && self.end.is_none();
        if is_measured {
            let nanos = answered_at.duration_since(asked_at).as_nanos();
            self.latencies_ns.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
    }

    fn finish(mut self) -> Result<Load, Failure> {
        let (Some((begin, cpu_before)), Some((end, cpu_after))) = (self.begin, self.end) else {
            return Err(Failure::Failed("the load ended before its time".into()));
        };
        if self.latencies_ns.is_empty() {
            return Err(Failure::Failed("no answer within the measured time".into()));
        }
        self.latencies_ns.sort_unstable();
        Ok(Load {
            answers: self.answers,
            latencies_ns: self.latencies_ns,
            measured: end.duration_since(begin),
            cpu: cpu_after.saturating_sub(cpu_before),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives every request on one connection the same answer.
    fn serve_always(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    fn drive_against(answer: &'static str) -> Result<Load, Failure> {
        let questions = [Question { bytes: b"GET / HTTP/1.1\r\n\r\n".to_vec(), expected: Some(true) }];
        let plan = Plan {
            address: serve_always(answer),
            questions: &questions,
            connections: 1,
            warm_up: Duration::from_millis(5),
            measured: Duration::from_millis(50),
        };
        drive(&plan, || Ok(Duration::ZERO))
    }

    #[test]
    fn right_answers_are_counted() {
        let load = drive_against("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"decision\":true}").unwrap();
        assert!(load.answers >= load.latencies_ns.len() as u64);
        assert!(load.latencies_ns.is_sorted() && !load.latencies_ns.is_empty());
        assert!(load.measured >= Duration::from_millis(50));
    }

    #[test]
    fn a_wrong_decision_an_error_and_a_malformed_answer_end_the_load() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"decision\":false}",
            "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"decision\":true}and more",
        ] {
            assert!(drive_against(answer).is_err(), "{answer}");
        }
    }
}

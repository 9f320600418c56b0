//! A server under measurement: started on a core of its own, observed, stopped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process;

/// The core that servers are pinned to.
const SERVER_CORE: &str = "0";
/// The core that the load is pinned to.
const LOAD_CORE: &str = "1";
const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running server; it is ended when this is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// The key that it printed, if it printed one before it listened or within the time to start.
    pub(super) key: Option<String>,
}

/// A program and its arguments, to be pinned to the servers' core.
pub(super) fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// Pins this process, all its threads, to the core of the load.
pub(super) fn pin_load() -> Outcome {
    let own = std::process::id().to_string();
    process::run(Command::new("taskset").args(["-a", "-c", "-p", LOAD_CORE, &own]).stdout(Stdio::null()))
}

impl Server {
    /// Starts a server and waits for its `listening on` line, and for its `key` line if it has one.
    pub(super) fn start(command: &mut Command, has_key: bool) -> Result<Self, Failure> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::because("could not start a server", error))?;
        let lines = lines_of(&mut child);
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), key: None };
        let lines = lines?;
        let mut is_listening = false;
        while !is_listening || (has_key && server.key.is_none()) {
            let line = lines.recv_timeout(START_LIMIT);
            let line = line.map_err(|_| Failure::Failed("a server did not start to listen".into()))?;
            if let Some(url) = line.strip_prefix("listening on http://") {
                server.address = url
                    .trim_end_matches('/')
                    .parse()
                    .map_err(|error| Failure::because(format!("no numeric address in `{line}`"), error))?;
                is_listening = true;
            } else if let Some(key) = line.strip_prefix("key ") {
                server.key = Some(key.to_owned());
            }
        }
        Ok(server)
    }

    /// Starts a server that listens where it was told to, and waits until it answers on a path.
    pub(super) fn start_at(command: &mut Command, address: SocketAddr, path: &str) -> Result<Self, Failure> {
        const BETWEEN: Duration = Duration::from_millis(100);
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.map_err(|error| Failure::because("could not start a server", error))?;
        let mut server = Self { child, address, key: None };
        let mut waited = Duration::ZERO;
        while server.get(path).is_err() {
            if waited > START_LIMIT || process::wait_for(&mut server.child, BETWEEN)?.is_some() {
                return Err(Failure::Failed("a server did not start to answer".into()));
            }
            waited += BETWEEN;
        }
        Ok(server)
    }

    /// Time on a CPU so far, of all its threads.
    pub(super) fn cpu_time(&self) -> Result<Duration, Failure> {
        cpu_time_of(self.child.id())
    }

    /// Resident memory now and at its highest, in bytes.
    pub(super) fn resident_bytes(&self) -> Result<(u64, u64), Failure> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).map_err(|error| Failure::because(file, error))?;
        let now = kilobytes(&status, "VmRSS:");
        let highest = kilobytes(&status, "VmHWM:");
        let both = now.zip(highest).ok_or_else(|| Failure::Failed("no resident memory in /proc".into()))?;
        Ok((both.0 * 1024, both.1 * 1024))
    }

    /// The text of a page, asked for with the server's key.
    pub(super) fn get(&self, path: &str) -> Result<String, Failure> {
        match self.call("GET", path, "")? {
            (200, body) => Ok(body),
            (status, _) => Err(Failure::Failed(format!("GET {path}: {status}"))),
        }
    }

    /// The status and text of an answer to a call with the server's key, with JSON if there is a body.
    #[expect(clippy::disallowed_methods, reason = "the bench asks the server that it has started itself")]
    pub(super) fn call(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), Failure> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(ANSWER_LIMIT))?;
            let key = self.key.as_deref().unwrap_or_default();
            let about_body = match body {
                "" => String::new(),
                _ => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
            };
            // HTTP/1.0: the answer is neither chunked nor followed by another.
            write!(
                stream,
                "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n{about_body}\r\n{body}",
                self.address
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().map_err(|error| Failure::because(format!("{method} {path}"), error))?;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| {
            Failure::Failed(format!("{method} {path}: {}", head.lines().next().unwrap_or_default()))
        })?;
        Ok((status, text.to_owned()))
    }

    /// Asks the server to end and waits until it has, with success.
    pub(super) fn stop(mut self) -> Outcome {
        process::terminate(self.child.id())?;
        match process::wait_for(&mut self.child, STOP_LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Failure::Failed(format!("a server ended with {status}"))),
            None => Err(Failure::Failed(format!("a server did not end within {STOP_LIMIT:?}"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and after `stop` both are expected to fail.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The child's lines, read on a thread to their end so that its output never fills up.
fn lines_of(child: &mut Child) -> Result<mpsc::Receiver<String>, Failure> {
    let output = child.stdout.take().ok_or_else(|| Failure::Failed("a server has no output".into()))?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The receiver is gone once the server has started; reading goes on.
            drop(send.send(line));
        }
    });
    Ok(receive)
}

/// Sums the threads' time from the scheduler's statistics, which count nanoseconds.
fn cpu_time_of(id: u32) -> Result<Duration, Failure> {
    let folder = format!("/proc/{id}/task");
    let threads = std::fs::read_dir(&folder).map_err(|error| Failure::because(&folder, error))?;
    let mut total = Duration::ZERO;
    for thread in threads.flatten() {
        let text = match std::fs::read_to_string(thread.path().join("schedstat")) {
            Ok(text) => text,
            // The thread ended between the listing and the reading.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::because("schedstat", error)),
        };
        let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
        total +=
            Duration::from_nanos(nanos.ok_or_else(|| Failure::Failed(format!("schedstat says `{text}`")))?);
    }
    Ok(total)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read_by_its_name() {
        let status = "VmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(1024));
        assert_eq!(kilobytes(status, "VmHWM:"), Some(2048));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time_of(std::process::id()).unwrap();
        let mut sum = 0_u64;
        for number in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        assert!(cpu_time_of(std::process::id()).unwrap() > before, "{sum}");
    }
}

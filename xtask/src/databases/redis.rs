//! A private Redis or Valkey.
//!
//! Promises: `stop` is a kill; what was acknowledged survives it only where that was asked for, since both are cases
//! that a server has to live with.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::account::{self, Account};
use super::service::{Folder, Plan, Service};
use super::{find_redis, free_port, secret};
use crate::failure::Failure;

/// What of the data is there after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: memory alone.
    Nothing,
    /// Whatever was acknowledged: each command is in a file before its answer.
    All,
}

/// A server that runs, or is stopped.
#[derive(Debug)]
pub struct Redis {
    // In this order: the server ends before its folder goes.
    service: Option<Service>,
    folder: Folder,
    account: Option<Account>,
    kept: Kept,
    /// Whether it is a node of a cluster.
    clustered: bool,
    password: String,
    port: u16,
}

impl Redis {
    /// Starts an empty one.
    ///
    /// # Errors
    /// When the program is missing or does not run.
    pub fn start(kept: Kept) -> Result<Self, Failure> {
        Self::start_with(kept, false, &secret()?)
    }

    /// Starts an empty one that is a node of a cluster or is not, with this password.
    pub(super) fn start_with(kept: Kept, clustered: bool, password: &str) -> Result<Self, Failure> {
        let account = Account::to_change_to(&["redis", "valkey"])?;
        let folder = Folder::new("redis", account)?;
        let password = password.to_owned();
        let mut made = Self { service: None, folder, account, kept, clustered, password, port: 0 };
        let mut tries = 0;
        loop {
            made.port = if clustered { free_port_of_a_node()? } else { free_port()? };
            tries += 1;
            match made.start_again() {
                Ok(()) => return Ok(made),
                Err(failure) if tries == 3 => return Err(failure),
                Err(_) => {}
            }
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.password, self.port)
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.service.as_ref().map(Service::id)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.service = None;
    }

    /// Starts it again on the same port with what it kept; nothing when it runs.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        if self.service.is_some() {
            return Ok(());
        }
        let program = find_redis().ok_or_else(|| Failure::Failed("Redis is not installed".into()))?;
        let mut command = Command::new(program);
        account::run_as(&mut command, self.account);
        // By its standard input: what stands in arguments is everybody's to read, the password too.
        command.arg("-");
        let log = self.folder.path().join("log");
        let url = self.url();
        let plan = Plan { name: "Redis", signal: "KILL", log: &log, answers: &|| answers(&url) };
        let service = Service::start(command, self.settings().as_bytes(), self.folder.path(), &plan)?;
        self.service = Some(service);
        Ok(())
    }

    fn settings(&self) -> String {
        let append = match self.kept {
            Kept::Nothing => "no",
            Kept::All => "yes",
        };
        format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\ndir {}\nsave \"\"\nappendonly {append}\nappendfsync no\n\
             daemonize no\ndatabases 1\n{}",
            self.port,
            self.password,
            self.folder.path().display(),
            if self.clustered { AS_NODE } else { "" }
        )
    }
}

/// Settings of a node of a cluster. One that does not hear of another for two seconds takes it for gone.
const AS_NODE: &str = "cluster-enabled yes\ncluster-config-file nodes\ncluster-node-timeout 2000\n\
     cluster-announce-ip 127.0.0.1\n";

/// A free port with a free one 10,000 above it, where the nodes of a cluster talk to each other.
fn free_port_of_a_node() -> Result<u16, Failure> {
    for _ in 0..1000 {
        let port = free_port()?;
        let beside = port.checked_add(10_000).map(|beside| TcpListener::bind(("127.0.0.1", beside)));
        if beside.is_some_and(|bound| bound.is_ok()) {
            return Ok(port);
        }
    }
    Err(Failure::Failed("no free port for a node of a Redis cluster".into()))
}

/// Whether the server takes commands, behind its password; it does not while it reads what it kept.
fn answers(url: &str) -> bool {
    ask_redis(url, &["PING"]).is_ok_and(|answer| answer == "+PONG\r\n")
}

/// Sends commands to a Redis, one a line, as a person would type them, and gives all its answers as they are on the
/// wire (RESP 2). Reads the URLs that this module gives.
///
/// # Errors
/// When it can't be reached or does not answer in ten seconds.
#[expect(clippy::disallowed_methods, reason = "asks the database that the tests started")]
pub fn ask_redis(url: &str, commands: &[&str]) -> std::io::Result<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (secret, rest) = rest.rsplit_once('@').map_or((None, rest), |(secret, rest)| (Some(secret), rest));
    let mut stream = TcpStream::connect(rest.split('/').next().unwrap_or(rest))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let password = secret.and_then(|secret| secret.strip_prefix(':'));
    let log_in = password.map(|password| format!("AUTH {password}\r\n")).unwrap_or_default();
    stream.write_all(format!("{log_in}{}\r\nQUIT\r\n", commands.join("\r\n")).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let answer = answer.strip_prefix("+OK\r\n").filter(|_| password.is_some()).unwrap_or(&answer);
    Ok(answer.strip_suffix("+OK\r\n").unwrap_or(answer).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_only_with_its_password_and_while_it_runs() {
        if find_redis().is_none() {
            assert!(!crate::surroundings::is_ci(), "nothing may be skipped under CI=true");
            return;
        }
        let mut redis = Redis::start(Kept::Nothing).unwrap();
        let (folder, url) = (redis.folder.path().to_owned(), redis.url());
        assert!(answers(&url) && !answers(&format!("redis://:another@127.0.0.1:{}/", redis.port())));
        redis.stop();
        assert!(!answers(&url));
        redis.start_again().unwrap();
        assert!(answers(&url));
        drop(redis);
        assert!(!answers(&url) && !folder.exists());
    }
}

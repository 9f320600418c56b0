//! A private Redis or Valkey.
//!
//! Promises: `stop` is a kill; what was acknowledged survives it only where that was asked for, since both are cases
//! that a server has to live with.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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
    password: String,
    port: u16,
}

impl Redis {
    /// Starts an empty one.
    ///
    /// # Errors
    /// When the program is missing or does not run.
    pub fn start(kept: Kept) -> Result<Self, Failure> {
        let account = Account::to_change_to(&["redis", "valkey"])?;
        let folder = Folder::new("redis", account)?;
        let mut made = Self { service: None, folder, account, kept, password: secret()?, port: free_port()? };
        let mut tries = 0;
        while let Err(failure) = made.start_again() {
            tries += 1;
            if tries == 3 {
                return Err(failure);
            }
            made.port = free_port()?;
        }
        Ok(made)
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
        let (port, password) = (self.port, self.password.as_str());
        let plan = Plan { name: "Redis", signal: "KILL", log: &log, answers: &|| answers(port, password) };
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
             daemonize no\ndatabases 1\n",
            self.port,
            self.password,
            self.folder.path().display()
        )
    }
}

/// Whether the server takes commands, behind its password; it does not while it reads what it kept.
#[expect(clippy::disallowed_methods, reason = "asks the database that it started whether it is ready")]
fn answers(port: u16, password: &str) -> bool {
    const READY: &[u8] = b"+OK\r\n+PONG\r\n";
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes())?;
        let mut answer = [0; READY.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer == READY)
    });
    asked.unwrap_or(false)
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
        let (folder, port, password) = (redis.folder.path().to_owned(), redis.port(), redis.password.clone());
        assert!(answers(port, &password) && !answers(port, "another"));
        redis.stop();
        assert!(!answers(port, &password));
        redis.start_again().unwrap();
        assert!(answers(port, &password));
        drop(redis);
        assert!(!answers(port, &password) && !folder.exists());
    }
}

//! A private PostgreSQL.
//!
//! Promises: text is compared by a language's rules unless a column says otherwise, so that a missing `COLLATE "C"`
//! shows; what was committed survives `stop`, which ends the server without a checkpoint, as a crash would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::account::{self, Account};
use super::service::{Folder, Plan, Service};
use super::{find_postgres, free_port, secret};
use crate::failure::Failure;

const USER: &str = "portcullis";

/// Settings of the server. Nothing waits for a disk: the data is worth nothing after a power cut.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=400",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=64MB",
    "logging_collector=off",
];

/// A server that runs, or is stopped with its data kept.
#[derive(Debug)]
pub struct Postgres {
    // In this order: the server ends before its folder goes.
    service: Option<Service>,
    folder: Folder,
    account: Option<Account>,
    programs: PathBuf,
    password: String,
    port: u16,
}

impl Postgres {
    /// Makes a database cluster and starts it.
    ///
    /// # Errors
    /// When the programs are missing or do not run.
    pub fn start() -> Result<Self, Failure> {
        let programs =
            find_postgres().ok_or_else(|| Failure::Failed("PostgreSQL is not installed".into()))?;
        let account = Account::to_change_to(&["postgres"])?;
        let folder = Folder::new("postgres", account)?;
        let mut made =
            Self { service: None, folder, account, programs, password: secret()?, port: free_port()? };
        made.initialise()?;
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

    /// The URL of its superuser's database.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.service.as_ref().map(Service::id)
    }

    /// Ends it at once, as a crash would: no connection is waited for, and nothing is written any more.
    pub fn stop(&mut self) {
        self.service = None;
    }

    /// Starts it again on the same port with the same data; nothing when it runs.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        if self.service.is_some() {
            return Ok(());
        }
        let log = self.folder.path().join("log");
        let port = self.port;
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        // Immediate shutdown: the only signal after which no process and no shared memory of it is left behind.
        let plan = Plan { name: "PostgreSQL", signal: "QUIT", log: &log, answers: &|| answers(port) };
        self.service = Some(Service::start(command, b"", self.folder.path(), &plan)?);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        account::run_as(&mut command, self.account);
        command
    }

    fn initialise(&self) -> Result<(), Failure> {
        let password = self.folder.path().join("password");
        let doing = "could not make a PostgreSQL database";
        std::fs::write(&password, &self.password).map_err(|error| Failure::because(doing, error))?;
        account::own(&password, 0o600, self.account)?;
        let run = |further: &[&str]| {
            let mut command = self.program("initdb");
            command.arg("-D").arg(self.data()).arg("--pwfile").arg(&password).args(further);
            command.args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
            command.current_dir(self.folder.path()).stdin(Stdio::null()).output()
        };
        let mut made = run(&["--locale-provider=icu", "--icu-locale=en-US"]);
        if made.as_ref().is_ok_and(|output| !output.status.success()) {
            // Before version 15, or built without ICU.
            drop(std::fs::remove_dir_all(self.data()));
            made = run(&[]);
        }
        let output = made.map_err(|error| Failure::because(doing, error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::because(doing, String::from_utf8_lossy(&output.stderr)))
    }
}

/// Whether the server takes questions: to a start-up message it then answers with how to log in (`R`), and with an
/// error while it still recovers. (PostgreSQL's protocol 3.0.)
#[expect(clippy::disallowed_methods, reason = "asks the database that it started whether it is ready")]
fn answers(port: u16) -> bool {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend_from_slice(format!("user\0{USER}\0database\0postgres\0\0").as_bytes());
    let length = u32::try_from(body.len() + 4).unwrap_or_default().to_be_bytes();
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&[&length[..], &body].concat())?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first)
    });
    asked.is_ok_and(|first| first == *b"R")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_where_nobody_listens_does_not_answer() {
        assert!(!answers(free_port().unwrap()));
    }

    #[test]
    fn it_answers_only_while_it_runs_and_leaves_nothing_behind() {
        if find_postgres().is_none() {
            assert!(!crate::surroundings::is_ci(), "nothing may be skipped under CI=true");
            return;
        }
        let mut postgres = Postgres::start().unwrap();
        let (folder, port) = (postgres.folder.path().to_owned(), postgres.port());
        assert!(answers(port));
        postgres.stop();
        assert!(!answers(port) && folder.is_dir() && postgres.id().is_none());
        postgres.start_again().unwrap();
        let id = postgres.id().unwrap();
        assert!(answers(port));
        drop(postgres);
        assert!(!answers(port) && !folder.exists());
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}

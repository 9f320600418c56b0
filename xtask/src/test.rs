//! `cargo xtask test`: sets up what the tests need and runs them all.
//!
//! Leaves the output of `cargo test` as it is, to its last line, and passes its exit status on.

use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::{process, programs, surroundings};

/// Runs every test of the workspace; arguments go to the test programs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    programs::provide(programs::FOR_TESTS)?;
    let mut tests = prepared(&["test", "--workspace"])?;
    process::announce_and_run(pass_on(&mut tests, arguments))
}

/// Builds the server and gives a `cargo` command whose tests find it in `PORTCULLIS_BIN`.
pub(crate) fn prepared(arguments: &[&str]) -> Result<Command, Failure> {
    // The same set of packages as in `cargo test --workspace`, so that nothing is built twice.
    process::announce_and_run(&mut process::cargo(&["build", "--workspace", "--bin", "portcullis"]))?;
    let server = surroundings::build_folder(false)?.join("portcullis");
    if !server.is_file() {
        return Err(Failure::Failed(format!("the build left no server at {}", server.display())));
    }
    let mut tests = process::cargo(arguments);
    tests.env("PORTCULLIS_BIN", server);
    Ok(tests)
}

/// Hands arguments to the test programs, whether or not `--` stands before them.
pub(crate) fn pass_on<'c>(tests: &'c mut Command, arguments: &[String]) -> &'c mut Command {
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    };
    if !arguments.is_empty() {
        tests.arg("--").args(arguments);
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut command = Command::new("cargo");
        pass_on(&mut command, &arguments);
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn arguments_go_to_the_tests_with_or_without_dashes() {
        assert_eq!(passed_on(&["name", "--nocapture"]), ["--", "name", "--nocapture"]);
        assert_eq!(passed_on(&["--", "name"]), ["--", "name"]);
        assert!(passed_on(&[]).is_empty());
    }
}

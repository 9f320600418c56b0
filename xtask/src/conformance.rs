//! `cargo xtask conformance`: the public suites, one line a suite, `suite: passed/total`.
//!
//! Prints those lines and nothing else on standard output; fails when one falls short, when
//! none was printed, or when the tests fail.

use std::process::Stdio;

use crate::failure::{Failure, Outcome};
use crate::{process, surroundings, test};

/// Runs the suites.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("`conformance` takes no argument, got `{argument}`")));
    }
    if surroundings::variable("PORTCULLIS_CONFORMANCE").is_none() {
        return Err(Failure::Failed(
            "set PORTCULLIS_CONFORMANCE to the folder of the conformance data".into(),
        ));
    }
    let filter = ["--", "conformance", "--nocapture", "--test-threads=1"];
    let mut tests = test::prepared(&["test", "--workspace", "--test", "portcullis-tests"])?;
    tests.args(filter).stdout(Stdio::piped());
    let output = tests.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.map_err(|error| Failure::because("could not run the suites", error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let suites: Vec<Suite<'_>> = text.lines().filter_map(Suite::parse).collect();
    for suite in &suites {
        println!("{}: {}/{}", suite.name, suite.passed, suite.total);
    }
    if !output.status.success() {
        eprint!("{text}");
    }
    process::outcome_of(output.status)?;
    judge(&suites)
}

#[derive(Debug, PartialEq)]
struct Suite<'a> {
    name: &'a str,
    passed: u64,
    total: u64,
}

impl<'a> Suite<'a> {
    /// Reads `suite: passed/total`; with one test thread the first line that a test prints
    /// stands behind the harness's own `test NAME ... `.
    fn parse(line: &'a str) -> Option<Self> {
        let line = match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            Some((_, rest)) => rest,
            None => line,
        };
        let (name, counts) = line.split_once(": ")?;
        let (passed, total) = counts.split_once('/')?;
        let is_name =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '.' | '_' | '-');
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if name.is_empty() || !name.chars().all(is_name) || !is_number(passed) || !is_number(total) {
            return None;
        }
        Some(Self { name, passed: passed.parse().ok()?, total: total.parse().ok()? })
    }
}

fn judge(suites: &[Suite<'_>]) -> Outcome {
    if suites.is_empty() {
        return Err(Failure::Failed("no suite ran".into()));
    }
    let short: Vec<_> = suites
        .iter()
        .filter(|suite| suite.passed != suite.total || suite.total == 0)
        .map(|suite| suite.name)
        .collect();
    if short.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!("short of its total: {}", short.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_line_is_read_alone_or_behind_the_harness() {
        let suite = Suite { name: "AuthZEN todo", passed: 43, total: 43 };
        assert_eq!(Suite::parse("AuthZEN todo: 43/43").as_ref(), Some(&suite));
        assert_eq!(Suite::parse("test conformance::authzen::todo ... AuthZEN todo: 43/43"), Some(suite));
    }

    #[test]
    fn other_lines_are_not_suites() {
        for line in
            ["test result: ok. 3 passed; 0 failed", "running 3 tests", "a/b: 1/2", "x: 1/2 more", "x: /2", ""]
        {
            assert_eq!(Suite::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_suite_that_falls_short_fails() {
        assert!(judge(&[Suite { name: "s", passed: 2, total: 2 }]).is_ok());
        assert!(judge(&[Suite { name: "s", passed: 1, total: 2 }]).is_err());
        assert!(judge(&[Suite { name: "s", passed: 0, total: 0 }]).is_err());
        assert!(judge(&[]).is_err());
    }
}

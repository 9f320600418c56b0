//! The bench `plugin`: what a call costs of a plugin that reads all of a request, in a fresh instance each time; and what a
//! plugin in the path adds to a decision.
//!
//! The guest `strings` takes 8 headers and a body of 4 KB; `echo` takes its leaves besides, and hashes all. The median over the rounds is the figure; the program
//! that calls is pinned to a core.

mod added;

use std::process::{Command, Stdio};

use super::Settings;
use super::child;
use super::figures::{figure, median};
use crate::failure::{Failure, Outcome};
use crate::{plugins, process, programs, surroundings};

/// Runs the bench.
pub(super) fn run(settings: &Settings) -> Outcome {
    programs::provide(programs::FOR_BENCHMARKS)?;
    plugins::build()?;
    let mut build = process::cargo(&["build", "--release", "--workspace"]);
    process::announce_and_run(build.args(["--bin", "portcullis", "--example", "plugins"]))?;
    let program = surroundings::build_folder(true)?.join("examples/plugins");
    for (guest, name) in [("strings", "fresh_call"), ("echo", "fresh_call_with_leaves")] {
        let guest = surroundings::root().join("tests/guests").join(guest);
        let mut calls = child::pinned(&program);
        calls.arg(guest.join("plugin.wasm")).arg(guest.join("plugin.toml"));
        for (figure_name, values) in measured(calls.arg(name).arg(settings.rounds.to_string()))? {
            figure(&figure_name, median(values), "us");
        }
    }
    added::run(settings, &surroundings::build_folder(true)?.join("portcullis"))
}

/// What a program measured: each figure's values, in the order in which the figures came first.
fn measured(program: &mut Command) -> Result<Vec<(String, Vec<f64>)>, Failure> {
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Failure::because("could not start the calls", error))?;
    process::outcome_of(output.status)?;
    figures_of(&String::from_utf8_lossy(&output.stdout))
}

fn figures_of(text: &str) -> Result<Vec<(String, Vec<f64>)>, Failure> {
    let mut figures: Vec<(String, Vec<f64>)> = Vec::new();
    for line in text.lines() {
        let wrong = || Failure::Failed(format!("the calls said `{line}`, which is no figure"));
        let (name, value) = line.split_once(" = ").ok_or_else(wrong)?;
        let value = value.strip_suffix(" us").and_then(|value| value.parse().ok()).ok_or_else(wrong)?;
        match figures.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => figures.push((name.to_owned(), vec![value])),
        }
    }
    if figures.is_empty() {
        return Err(Failure::Failed("the calls said nothing".into()));
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_gathered_by_their_names() {
        let text = "a.p50 = 10.5 us\na.p99 = 40 us\na.p50 = 11.5 us\n";
        let expected = vec![("a.p50".to_owned(), vec![10.5, 11.5]), ("a.p99".to_owned(), vec![40.0])];
        assert_eq!(figures_of(text).unwrap(), expected);
        for wrong in ["", "a = b us", "a = 1 ms", "failed"] {
            assert!(figures_of(wrong).is_err(), "{wrong}");
        }
    }
}

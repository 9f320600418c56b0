//! The bench `plugin`: what a call costs of a plugin that reads all of a request, in a fresh instance each time; and what a
//! plugin in the path adds to a decision.
//!
//! The guest `strings` takes 8 headers and a body of 4 KB; `echo` takes its leaves besides, and hashes all. The median over the rounds is the figure; the program
//! that calls is pinned to a core.

mod added;

use super::Settings;
use super::child;
use super::figures;
use crate::failure::Outcome;
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
        for measured in figures::measured(calls.arg(name).arg(settings.rounds.to_string()))? {
            measured.print();
        }
    }
    added::run(settings, &surroundings::build_folder(true)?.join("portcullis"))
}

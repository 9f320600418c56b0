//! The bench `policy`: what a decision costs, beside Cedar's own authorizer in the same process and run.
//!
//! The program that decides is pinned to a core, and fails if the two ever decide differently. Two threads that share
//! everything are compared with two processes that share nothing, in turns.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Settings;
use super::child;
use super::figures::{self, Measured, figure, median};
use crate::failure::{Failure, Outcome};
use crate::{process, programs, surroundings};

/// Runs the bench.
pub(super) fn run(settings: &Settings) -> Outcome {
    programs::provide(programs::FOR_BENCHMARKS)?;
    let mut build = process::cargo(&["build", "--release", "--workspace"]);
    process::announce_and_run(build.args(["--example", "policies"]))?;
    let program = surroundings::build_folder(true)?.join("examples/policies");
    let all = figures::measured(child::pinned(&program).arg(settings.rounds.to_string()))?;
    all.iter().for_each(Measured::print);
    let took = |name: &str| {
        let found = all.iter().find(|one| one.name == format!("policy.{name}_p50_us"));
        found.map(Measured::median).ok_or_else(|| Failure::Failed(format!("no figure of `{name}`")))
    };
    figure("policy.ratio_10000_to_10", took("scale_10000")? / took("scale_10")?, "ratio");
    share(&program, settings)
}

/// Two threads against two processes.
fn share(program: &Path, settings: &Settings) -> Outcome {
    let seconds = settings.measured.as_secs_f64().to_string();
    let command = |threads: &str| {
        let mut command = Command::new(program);
        command.args(["threads", &seconds, threads]).stdout(Stdio::piped());
        command
    };
    let mut ratios = Vec::new();
    for round in 0..settings.rounds {
        eprintln!("threads and processes: round {} of {}", round + 1, settings.rounds);
        let apart = [command("1").spawn(), command("1").spawn()]
            .map(|child| child.map_err(|error| Failure::because("could not start what measures", error)));
        let [one, other] = apart;
        let (one, other) = (one?, other?);
        let processes = rate(one.wait_with_output())? + rate(other.wait_with_output())?;
        let threads = rate(command("2").output())?;
        ratios.push(threads / processes);
    }
    figure("policy.threads_to_processes", median(ratios), "ratio");
    Ok(())
}

fn rate(output: std::io::Result<std::process::Output>) -> Result<f64, Failure> {
    let output = output.map_err(|error| Failure::because("could not measure", error))?;
    process::outcome_of(output.status)?;
    let all = figures::figures_of(&String::from_utf8_lossy(&output.stdout))?;
    all.first().map(Measured::median).ok_or_else(|| Failure::Failed("nothing was measured".into()))
}

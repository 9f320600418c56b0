//! `portcullis plugin bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::run::case;
use super::{Built, CASES, Failure};
use crate::cli::print;
use crate::plugin::cases::{self, Case, CaseFile, Trial};

#[derive(Debug, Args)]
pub(in crate::cli) struct BenchArgs {
    /// The plugin's folder [default: this one].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What it is given, as a case has it, in YAML or JSON [default: its first case].
    #[arg(long, value_name = "FILE|-")]
    input: Option<PathBuf>,
    /// How often it is called.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    calls: u32,
}

pub(in crate::cli) fn bench(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let built = Built::read(super::folder(args.folder.as_ref()))?;
    let (file, case) = given(args)?;
    let mut keys = file.keys.clone();
    keys.join(&case.keys)?;
    let mut trial = Trial::new(built.setup(), keys)?;
    let ready = trial.ready(&file, &case)?;
    let warm = trial.call(&ready);
    if let Err(failure) = &warm.output {
        return Err(format!("the call failed of {failure}: there is nothing to measure").into());
    }
    let (mut took, mut fuel, mut memory) = (Vec::new(), (u64::MAX, 0), 0);
    for _ in 0..args.calls {
        let called = trial.call(&ready);
        took.push(called.took);
        fuel = (fuel.0.min(called.fuel), fuel.1.max(called.fuel));
        memory = memory.max(called.memory_bytes);
    }
    took.sort_unstable();
    let name = if case.name.is_empty() { "the input" } else { &case.name };
    print(&format!("{}: {name}, {} calls", built.manifest.name, args.calls));
    let budget = built.manifest.budget;
    let used = if fuel.0 == fuel.1 { fuel.0.to_string() } else { format!("{} to {}", fuel.0, fuel.1) };
    print(&format!("  fuel    {used} of {}", budget.fuel));
    print(&format!("  p50     {} us of {} ms", at(&took, 50).as_micros(), budget.deadline_milliseconds));
    print(&format!("  p99     {} us", at(&took, 99).as_micros()));
    print(&format!("  memory  {memory} bytes of {}", budget.memory_bytes));
    Ok(ExitCode::SUCCESS)
}

/// The input that is named, else the first case.
fn given(args: &BenchArgs) -> Result<(CaseFile, Case), Failure> {
    if let Some(path) = &args.input {
        return Ok((CaseFile::default(), case(path)?));
    }
    let folder = super::folder(args.folder.as_ref()).join(CASES);
    let files = cases::read(&folder)?;
    let first = files.into_iter().find_map(|file| file.cases.first().cloned().map(|case| (file, case)));
    first.ok_or_else(|| {
        format!("there is no case in `{}`: name an input with `--input`", folder.display()).into()
    })
}

/// The nearest rank.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(at(&sorted, 50), Duration::from_micros(100));
        assert_eq!(at(&sorted, 99), Duration::from_micros(198));
        assert_eq!(at(&sorted[..1], 99), Duration::from_micros(1));
        assert_eq!(at(&[], 50), Duration::ZERO);
    }
}

//! `portcullis plugin run`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Built, Failure, read};
use crate::cli::print;
use crate::plugin::cases::{Case, CaseFile, Trial};
use crate::plugin::surroundings::LogLine;
use crate::plugin::{CallFailure, Output};

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// The plugin's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What it is given, as a case has it, in YAML or JSON; `-` is standard input.
    #[arg(long, value_name = "FILE|-")]
    input: PathBuf,
}

/// How the call went.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Output>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a CallFailure>,
    fuel: u64,
    took_microseconds: u128,
    memory_bytes: u64,
    logs: &'a [LogLine],
    logs_dropped: u32,
}

pub(in crate::cli) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let built = Built::read(&args.folder)?;
    let case = case(&args.input)?;
    let mut trial = Trial::new(built.setup(), case.keys.clone())?;
    let ready = trial.ready(&CaseFile::default(), &case)?;
    let called = trial.call(&ready);
    let answer = Answer {
        output: called.output.as_ref().ok(),
        failure: called.output.as_ref().err(),
        fuel: called.fuel,
        took_microseconds: called.took.as_micros(),
        memory_bytes: called.memory_bytes,
        logs: &called.logs,
        logs_dropped: called.logs_dropped,
    };
    print(&serde_json::to_string_pretty(&answer)?);
    Ok(if answer.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a case from a file or from standard input.
pub(super) fn case(path: &Path) -> Result<Case, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        String::from_utf8(read(path)?)?
    };
    serde_norway::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

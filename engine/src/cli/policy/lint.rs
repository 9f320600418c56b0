//! `portcullis policy lint`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Folder;
use crate::cli::{Failure, print, say};
use crate::policy::lint::{Finding, lint as look};

/// `portcullis policy lint`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LintArgs {
    #[command(flatten)]
    folder: Folder,
    /// Print the findings as one JSON list.
    #[arg(long)]
    json: bool,
    /// What fails besides errors.
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warnings,
}

/// The exit status when the packs can't be read.
const UNREADABLE: u8 = 2;

pub(in crate::cli) fn lint(args: &LintArgs) -> Result<ExitCode, Failure> {
    let packs = match args.folder.packs() {
        Ok(packs) => packs,
        Err(failure) => {
            say(&format!("error: {failure}"));
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    let (mut told, mut untold, mut unreadable): (Vec<Finding>, usize, bool) = (Vec::new(), 0, false);
    for files in packs {
        match look(&files) {
            Ok(findings) => {
                told.extend(findings.told);
                untold += findings.untold;
            }
            Err(problems) => {
                unreadable = true;
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
            }
        }
    }
    if args.json {
        print(&serde_json::to_string_pretty(&told)?);
    } else {
        told.iter().for_each(|finding| print(&finding.to_string()));
    }
    let errors = told.iter().filter(|finding| finding.rule.is_error()).count();
    if !told.is_empty() {
        say(&format!("{errors} errors, {} warnings, {untold} more of the same rules", told.len() - errors));
    }
    let fails = errors > 0 || (args.deny == Some(Deny::Warnings) && !told.is_empty());
    Ok(match (unreadable, fails) {
        (true, _) => ExitCode::from(UNREADABLE),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

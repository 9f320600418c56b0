//! `portcullis policy check | test | diff`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Failure, print, say};
use crate::policy::bounds::on_deep_stack;
use crate::policy::cases::{self, CaseResult};
use crate::policy::files::PackFiles;
use crate::policy::{Pack, problem::Problem};

mod diff;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Parse and validate packs, as the server does before it serves them.
    Check(CheckArgs),
    /// Run the cases of packs.
    Test(TestArgs),
    /// Replay the decision log against two folders of policies, and tell which decisions flip.
    /// Exit status: 0 when none does, 3 when some do; with `--strict`, 4 when some can't be replayed.
    Diff(diff::DiffArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    folder: Folder,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    folder: Folder,
    /// Write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Folder {
    /// A pack's folder, or a folder of packs.
    #[arg(value_name = "DIR", conflicts_with = "policies")]
    folder: Option<PathBuf>,
    /// The same, as `serve` has it.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
}

impl Folder {
    /// The packs that are meant. None is an error: a check that looked at nothing must not pass.
    fn packs(&self) -> Result<Vec<PackFiles>, Failure> {
        let named = self.folder.as_deref().or(self.policies.as_deref());
        packs_in(named.unwrap_or(Path::new("policies")))
    }
}

/// The packs in a folder, or the one that it is. None is an error.
fn packs_in(folder: &Path) -> Result<Vec<PackFiles>, Failure> {
    let packs = if folder.join("pack.toml").is_file() {
        vec![PackFiles::read(folder)?]
    } else {
        PackFiles::read_all(folder)?
    };
    if packs.is_empty() {
        let shown = folder.display();
        return Err(format!("there is no pack in `{shown}`: a pack is a folder with a `pack.toml`").into());
    }
    Ok(packs)
}

pub(super) fn run(command: &PolicyCommand) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(args) => check(args),
        PolicyCommand::Test(args) => test(args),
        PolicyCommand::Diff(args) => diff::diff(args),
    }
}

fn load(files: &PackFiles) -> Result<Pack, Vec<Problem>> {
    let defect = || {
        vec![Problem::of_file(&"pack.toml".into(), "the loader failed, which is a defect of this program")]
    };
    on_deep_stack(|| Pack::load(files)).unwrap_or_else(|| Err(defect()))
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let mut failed = false;
    let mut names = std::collections::BTreeSet::new();
    for files in args.folder.packs()? {
        match load(&files) {
            Ok(pack) => {
                let warnings = &pack.warnings;
                warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                failed |= args.strict && !warnings.is_empty();
                if !names.insert(pack.name().to_owned()) {
                    say(&format!("error: another pack has the name `{}`", pack.name()));
                    failed = true;
                }
                let (policies, entities) = (pack.rules.all.len(), pack.entities.count());
                print(&format!("{}: {policies} policies, {entities} entities", pack.name()));
            }
            Err(problems) => {
                failed = true;
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn test(args: &TestArgs) -> Result<ExitCode, Failure> {
    let mut report = Report::new("portcullis policy test");
    let (mut passed, mut failed) = (0, 0);
    for files in args.folder.packs()? {
        let pack = match load(&files) {
            Ok(pack) => pack,
            Err(problems) => {
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
                return Ok(ExitCode::FAILURE);
            }
        };
        let results = run_cases(&pack, &files)?;
        print(pack.name());
        let mut suite = TestSuite::new(pack.name().to_owned());
        for result in &results {
            show(result);
            suite.add_test_case(to_junit(result));
            if result.differences.is_empty() { passed += 1 } else { failed += 1 }
        }
        report.add_test_suite(suite);
    }
    if let Some(path) = &args.junit {
        let text = report.to_string()?;
        std::fs::write(path, text).map_err(|error| format!("can't write `{}`: {error}", path.display()))?;
    }
    print(&format!("{} cases: {passed} passed, {failed} failed", passed + failed));
    if passed + failed == 0 {
        return Err("the packs have no cases: a test that ran nothing has not passed".into());
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_cases(pack: &Pack, files: &PackFiles) -> Result<Vec<CaseResult>, Failure> {
    let mut results = Vec::new();
    for file in files.cases() {
        let parsed = cases::parse(file).map_err(|problem| problem.to_string())?;
        results.extend(parsed.cases.iter().map(|case| cases::run(pack, &file.shown, case)));
    }
    Ok(results)
}

fn show(result: &CaseResult) {
    let mark = if result.differences.is_empty() { "ok  " } else { "FAIL" };
    print(&format!("  {mark}  {}", result.name));
    for difference in &result.differences {
        print(&format!("          {difference}"));
    }
    if !result.differences.is_empty() {
        print(&format!("          in {}", result.file));
    }
}

fn to_junit(result: &CaseResult) -> TestCase {
    let status = if result.differences.is_empty() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(result.differences.join("; "));
        status
    };
    let mut case = TestCase::new(result.name.clone(), status);
    case.set_classname(result.file.clone());
    case
}

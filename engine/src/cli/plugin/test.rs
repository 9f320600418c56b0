//! `portcullis plugin test`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Built, CASES, Failure, folder};
use crate::cli::print;
use crate::plugin::cases::{self, CaseResult};

#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// The plugin's folder [default: this one].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(in crate::cli) fn test(args: &TestArgs) -> Result<ExitCode, Failure> {
    let folder = folder(args.folder.as_ref());
    let built = Built::read(folder)?;
    let files = cases::read(&folder.join(CASES))?;
    let results = cases::run(built.setup(), &files)?;
    let name = &built.manifest.name;
    print(name);
    results.iter().for_each(show);
    if let Some(path) = &args.junit {
        let mut suite = TestSuite::new(name.clone());
        suite.add_test_cases(results.iter().map(to_junit));
        let mut report = Report::new("portcullis plugin test");
        report.add_test_suite(suite);
        super::write(path, report.to_string()?.as_bytes())?;
    }
    let failed = results.iter().filter(|result| !result.differences.is_empty()).count();
    print(&format!("{} cases: {} passed, {failed} failed", results.len(), results.len() - failed));
    if results.is_empty() {
        return Err("the plugin has no cases: a test that ran nothing has not passed".into());
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(result: &CaseResult) {
    let word = if result.differences.is_empty() { "ok  " } else { "FAIL" };
    print(&format!("  {word} {} ({} fuel)", result.name, result.fuel));
    for difference in &result.differences {
        print(&format!("       {}: {difference}", result.file));
    }
}

fn to_junit(result: &CaseResult) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !result.differences.is_empty() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(result.differences.join("; "));
    }
    let mut case = TestCase::new(result.name.clone(), status);
    case.set_classname(result.file.clone()).set_time(result.took);
    case
}

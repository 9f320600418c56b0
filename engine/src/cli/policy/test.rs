//! `portcullis policy test`: runs the cases of packs, once or at each change, and tells what they exercise.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Folder, load_untried};
use crate::cli::{Failure, block_on, print, say};
use crate::policy::Pack;
use crate::policy::cases::{self, CaseResult};
use crate::policy::coverage::Coverage;
use crate::policy::files::PackFiles;
use crate::policy::watch::Watch;

/// `portcullis policy test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    #[command(flatten)]
    folder: Folder,
    /// Write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell which policies and clauses no case exercises.
    #[arg(long)]
    coverage: bool,
    /// Fail when the cases exercise less than this part of policies and clauses.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Run again at each change of the folder, until it is interrupted.
    #[arg(long)]
    watch: bool,
}

pub(in crate::cli) fn test(args: &TestArgs) -> Result<ExitCode, Failure> {
    if !args.watch {
        return once(args);
    }
    block_on(async {
        // Before the first run: what changes meanwhile is run again.
        let mut watch = Watch::start(vec![args.folder.folder().to_owned()]);
        loop {
            if let Err(failure) = once(args) {
                say(&format!("error: {failure}"));
            }
            print("waiting for a change …");
            watch.changed().await;
        }
    })
}

/// How it went.
#[derive(Default)]
struct Run {
    passed: usize,
    failed: usize,
    coverage: [usize; 2],
}

fn once(args: &TestArgs) -> Result<ExitCode, Failure> {
    let mut report = Report::new("portcullis policy test");
    let mut run = Run::default();
    for files in args.folder.packs()? {
        let pack = match load_untried(&files) {
            Ok(pack) => pack,
            Err(problems) => {
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
                return Ok(ExitCode::FAILURE);
            }
        };
        report.add_test_suite(run.pack(&pack, &files, args)?);
    }
    if let Some(path) = &args.junit {
        let text = report.to_string()?;
        std::fs::write(path, text).map_err(|error| format!("can't write `{}`: {error}", path.display()))?;
    }
    run.conclude(args)
}

impl Run {
    fn pack(&mut self, pack: &Pack, files: &PackFiles, args: &TestArgs) -> Result<TestSuite, Failure> {
        let mut suite = TestSuite::new(pack.name().to_owned());
        let wanted = args.coverage || args.min_coverage.is_some();
        let mut coverage = wanted.then(|| Coverage::of(pack));
        print(pack.name());
        for file in files.cases() {
            let parsed = cases::parse(file).map_err(|problem| problem.to_string())?;
            for case in &parsed.cases {
                let result = cases::run(pack, &file.shown, case);
                show(&result);
                suite.add_test_case(to_junit(&result));
                let count = if result.differences.is_empty() { &mut self.passed } else { &mut self.failed };
                *count += 1;
                if let Some(coverage) = &mut coverage {
                    coverage.take(pack, case);
                }
            }
        }
        if let Some(coverage) = coverage {
            for missing in coverage.missing() {
                print(&format!("  not exercised: {}:{}: {}", missing.file, missing.line, missing.message));
            }
            let counts = coverage.counts();
            print(&format!("  coverage: {}", percent(counts)));
            let [all, exercised] = self.coverage;
            let [more, of_them] = counts;
            self.coverage = [all + more, exercised + of_them];
        }
        Ok(suite)
    }

    fn conclude(&self, args: &TestArgs) -> Result<ExitCode, Failure> {
        let Self { passed, failed, coverage } = *self;
        print(&format!("{} cases: {passed} passed, {failed} failed", passed + failed));
        if passed + failed == 0 {
            return Err("the packs have no cases: a test that ran nothing has not passed".into());
        }
        let [all, exercised] = coverage;
        let too_little = args.min_coverage.filter(|least| exercised * 100 < all * usize::from(*least));
        if let Some(least) = too_little {
            say(&format!("error: the cases exercise {}, and {least} % are asked for", percent(coverage)));
        }
        Ok(if failed == 0 && too_little.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Rounded down: 100 % is all.
fn percent([all, exercised]: [usize; 2]) -> String {
    let percent = (exercised * 100).checked_div(all).unwrap_or(100);
    format!("{percent} % ({exercised} of {all} policies and ways of clauses)")
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

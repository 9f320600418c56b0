//! Public test data, through the running server: one line a suite, `suite: passed/total`.
//!
//! The data is the folder that `PORTCULLIS_CONFORMANCE` names; nothing of it is kept here.

mod authzen;
mod cedar;
mod json_schema;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::Value;

const SUITES: usize = 6;

/// The data's folder; says once a run that the suites are skipped when there is none.
fn data() -> Option<PathBuf> {
    static SKIPPED: Once = Once::new();
    let folder = portcullis_tests::conformance();
    if folder.is_none() {
        SKIPPED.call_once(|| print(&format!("conformance data not found: {SUITES} suites skipped")));
    }
    folder
}

/// Prints a line for whoever runs the suites, whether or not the output of tests is captured.
/// It begins on a line of its own: the test harness may have written half of one.
fn print(line: &str) {
    writeln!(std::io::stdout(), "\n{line}").expect("standard output takes a line");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a suite came to.
#[derive(Default)]
struct Suite {
    passed: usize,
    total: usize,
    failures: Vec<String>,
    /// Policies that were evaluated.
    evaluated: u64,
    /// Those that Cedar's own evaluator had to judge.
    left_to_cedar: u64,
}

impl Suite {
    fn count(&mut self, passed: bool, failure: impl FnOnce() -> String) {
        self.total += 1;
        if passed {
            self.passed += 1;
        } else {
            self.failures.push(failure());
        }
    }

    /// Prints the suite's line; all must have passed, and all must have been there.
    fn report(self, name: &str, expected: usize) {
        print(&format!("{name}: {}/{}", self.passed, self.total));
        let first: Vec<&String> = self.failures.iter().take(10).collect();
        assert!(first.is_empty(), "{} failures, the first: {first:#?}", self.failures.len());
        assert!(self.evaluated > 0 || !name.starts_with("cedar"), "nothing was evaluated");
        if let Some(hundredths) = (self.left_to_cedar * 10_000).checked_div(self.evaluated) {
            let (whole, rest, evaluated) = (hundredths / 100, hundredths % 100, self.evaluated);
            print(&format!("{name}: {whole}.{rest:02} % of {evaluated} policies left to Cedar"));
            assert!(hundredths < 200, "more than two in a hundred policies were left to Cedar");
        }
        assert_eq!(self.total, expected, "the data holds another number of cases");
    }
}

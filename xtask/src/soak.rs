//! `cargo xtask soak`: all tests on all homes, with full counts instead of the reduced ones.
//!
//! Tests that repeat (properties, crashes, reloads under load) read `PORTCULLIS_SOAK` for
//! how often.

use crate::failure::Outcome;
use crate::test;

/// Runs every test with `PORTCULLIS_SOAK=1`; arguments go to the test programs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    eprintln!("soak: every test, with PORTCULLIS_SOAK=1: the full counts, which can take hours");
    test::run_with(arguments, &[("PORTCULLIS_SOAK", "1")])
}

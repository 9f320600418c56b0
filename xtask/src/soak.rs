//! `cargo xtask soak`: all tests, with full counts instead of the reduced ones.
//!
//! Tests that repeat (properties, crashes, reloads under load) read `PORTCULLIS_SOAK` for
//! how often.

use crate::failure::Outcome;
use crate::{process, programs, test};

/// Runs every test with `PORTCULLIS_SOAK=1`; arguments go to the test programs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    programs::provide(programs::FOR_TESTS)?;
    eprintln!("soak: every test, with PORTCULLIS_SOAK=1: the full counts, which can take hours");
    let mut tests = test::prepared(&["test", "--workspace"])?;
    tests.env("PORTCULLIS_SOAK", "1");
    process::announce_and_run(test::pass_on(&mut tests, arguments))
}

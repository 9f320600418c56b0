//! The switches of a test run, which come from its environment.
//!
//! `PORTCULLIS_SOAK=1` gives the large counts; `PORTCULLIS_CONFORMANCE` is the folder of the
//! public test data; `CI=true` makes its absence a failure.

use std::path::PathBuf;

/// The full count in a soak run, else the reduced one.
pub fn soak(reduced: usize, full: usize) -> usize {
    if std::env::var_os("PORTCULLIS_SOAK").is_some_and(|value| value == "1") { full } else { reduced }
}

/// The folder of the conformance data, or nothing when there is none.
///
/// # Panics
/// When there is none and a skip is not allowed (`CI=true`).
pub fn conformance() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CONFORMANCE").map(PathBuf::from).filter(|path| path.is_dir());
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(folder.is_some() || !ci, "conformance data not found, and `CI=true` allows no skip");
    folder
}

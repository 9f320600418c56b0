//! The switches of a test run, which come from its environment.
//!
//! `PORTCULLIS_SOAK=1` gives the large counts; `PORTCULLIS_CONFORMANCE` is the folder of the
//! public test data; `PORTCULLIS_TEST_POSTGRES` and `PORTCULLIS_TEST_REDIS` are URLs of databases that the tests may
//! use; `CI=true` makes the absence of either a failure. `PORTCULLIS_TEST_HOME=postgres-redis` puts every test server
//! on those databases.

use std::path::PathBuf;

use xtask::databases::{POSTGRES_VARIABLE, REDIS_VARIABLE};

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
    assert!(folder.is_some() || !is_ci(), "conformance data not found, and `CI=true` allows no skip");
    folder
}

/// The URLs of the PostgreSQL and the Redis that `cargo xtask test` starts, or nothing when there are none.
///
/// # Panics
/// When there are none and a skip is not allowed (`CI=true`).
pub fn databases() -> Option<(String, String)> {
    let named = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
    let found = named(POSTGRES_VARIABLE).zip(named(REDIS_VARIABLE));
    assert!(found.is_some() || !is_ci(), "no databases to test with, and `CI=true` allows no skip");
    found
}

/// Whether test servers keep their data in those databases.
///
/// # Panics
/// When the home is none that there is, or there are no databases.
pub(crate) fn is_on_databases() -> bool {
    match std::env::var("PORTCULLIS_TEST_HOME").as_deref() {
        Err(_) | Ok("") => false,
        Ok("postgres-redis") => {
            assert!(databases().is_some(), "run `cargo xtask test`, which starts the databases");
            true
        }
        Ok(other) => panic!("no home `{other}`: `postgres-redis`, or nothing for the embedded one"),
    }
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

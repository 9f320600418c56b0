//! Where the program under test is.
//!
//! `PORTCULLIS_BIN` names it; without that it is built once a test process, with the features
//! of the whole workspace, so that the build of the workspace is reused and not repeated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder has a parent")
}

/// The program under test.
///
/// # Panics
/// When it can't be built or is not where the build puts it.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = match std::env::var_os("PORTCULLIS_BIN") {
            Some(path) => PathBuf::from(path),
            None => build(),
        };
        assert!(path.is_file(), "there is no program at `{}`", path.display());
        path
    })
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    // Test programs are in `<target>/<profile>/deps`.
    let profile = test.parent().and_then(Path::parent).expect("the test program is in a target folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bin", "portcullis"]).current_dir(repository());
    if profile.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the program under test does not build");
    profile.join("portcullis")
}

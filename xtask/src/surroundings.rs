//! The one home of what these commands read from around them: arguments, environment,
//! folders, the clock.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::failure::Failure;

/// The command line without the program's name.
pub fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// An environment variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is xtask's one home of the environment")]
pub fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Now, by the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is xtask's one home of the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Whether this is continuous integration, where nothing may be skipped.
pub fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value != "false" && value != "0")
}

/// Whether the process may install system packages.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let own = variable("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// The program `cargo` that started this one, else the one on the path.
pub fn cargo() -> std::ffi::OsString {
    variable("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder that cargo builds into for a profile: a sibling of the one that holds this program.
pub fn build_folder(release: bool) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::because("where this program is", error))?;
    let folder = own.parent().and_then(Path::parent);
    let folder = folder.ok_or_else(|| Failure::Failed("this program was not built by cargo".into()))?;
    Ok(folder.join(if release { "release" } else { "debug" }))
}

/// The folder, inside cargo's target folder, for tools and data of these commands.
pub fn own_folder() -> Result<PathBuf, Failure> {
    let debug = build_folder(false)?;
    let target =
        debug.parent().ok_or_else(|| Failure::Failed("this program was not built by cargo".into()))?;
    Ok(target.join("xtask"))
}

/// A program on the path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| {
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_exists_is_found_and_one_that_does_not_is_not() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}

//! `cargo xtask plugins`: builds the bundled plugins and the guests of the tests, with the server's own `plugin build`.
//!
//! What did not change since it was built is not built again. The components lie beside their sources, and git ignores
//! them: the server takes the bundled ones in when it is built the next time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::failure::{Failure, Outcome};
use crate::{process, surroundings};

/// The folders of plugins: each a workspace of its own, so that nothing of it is built for this machine.
const FOLDERS: &[&str] = &["plugins", "tests/guests"];
/// What every plugin is built of, besides its own folder.
const SHARED: &[&str] = &[
    "sdk",
    "plugins/Cargo.toml",
    "plugins/Cargo.lock",
    "tests/guests/Cargo.toml",
    "tests/guests/Cargo.lock",
];
/// Made by a build, so no reason for one.
const MADE: &[&str] = &["plugin.wasm", "target"];

/// Builds all of them.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("unknown argument `{argument}`")));
    }
    build().map(drop)
}

/// Builds those that changed, and says whether there were any.
pub(crate) fn build() -> Result<bool, Failure> {
    let target = guests_folder()?;
    let root = surroundings::root();
    let shared = SHARED.iter().filter_map(|path| newest(&root.join(path))).max();
    let mut changed = Vec::new();
    for folder in FOLDERS {
        changed.extend(plugins_in(&root.join(folder))?.into_iter().filter(|plugin| {
            let sources = newest(plugin).max(shared);
            let built = modified(&stamp(&target, plugin));
            !plugin.join("plugin.wasm").is_file() || built.is_none() || built < sources
        }));
    }
    if changed.is_empty() {
        return Ok(false);
    }
    process::announce_and_run(&mut process::cargo(&["build", "--workspace", "--bin", "portcullis"]))?;
    let program = surroundings::build_folder(false)?.join("portcullis");
    for plugin in &changed {
        // Taken before the build: what changes while it runs is built the next time.
        let stamp = stamp(&target, plugin);
        let failed = |error| Failure::because(format!("could not write {}", stamp.display()), error);
        std::fs::create_dir_all(stamp.parent().unwrap_or(&target)).map_err(failed)?;
        let began = stamp.with_extension("began");
        std::fs::write(&began, "").map_err(failed)?;
        let mut build = Command::new(&program);
        build.args(["plugin", "build"]).arg(plugin).arg("--target-dir").arg(&target);
        process::run(&mut build)?;
        std::fs::rename(&began, &stamp).map_err(failed)?;
    }
    Ok(true)
}

/// Where plugins are built: one folder for all, so that the standard library is compiled once.
/// The bundled plugins' own tests, which need no sandbox.
pub(crate) fn tests() -> Result<Command, Failure> {
    let mut tests = process::cargo(&["test", "--workspace", "--manifest-path"]);
    tests.arg(surroundings::root().join("plugins/Cargo.toml")).arg("--target-dir").arg(guests_folder()?);
    Ok(tests)
}

fn guests_folder() -> Result<PathBuf, Failure> {
    let debug = surroundings::build_folder(false)?;
    let target =
        debug.parent().ok_or_else(|| Failure::Failed("this program was not built by cargo".into()))?;
    Ok(target.join("guests"))
}

fn stamp(target: &Path, plugin: &Path) -> PathBuf {
    let part = |path: Option<&Path>| {
        path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    target.join("built").join(format!("{}-{}", part(plugin.parent()), part(Some(plugin))))
}

/// The folders with a manifest and a crate; none when there is no folder.
fn plugins_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| Failure::because(format!("could not read {}", folder.display()), error);
    let mut plugins = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join("plugin.toml").is_file() && path.join("Cargo.toml").is_file() {
            plugins.push(path);
        }
    }
    plugins.sort();
    Ok(plugins)
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// When something in a folder was last written.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = std::fs::read_dir(path) else { return modified(path) };
    let is_made = |name: &std::ffi::OsStr| MADE.iter().any(|made| name == *made);
    let inside = entries.flatten().filter(|entry| !is_made(&entry.file_name()));
    inside.filter_map(|entry| newest(&entry.path())).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn make(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("portcullis-{name}-{}", std::process::id()));
            std::fs::create_dir_all(folder.join("one/src")).unwrap();
            Self(folder)
        }

        fn write(&self, path: &str, at: u64) {
            let file = std::fs::File::create(self.0.join(path)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_plugin_is_a_folder_with_a_crate_and_a_manifest() {
        let folder = Folder::make("plugins");
        assert_eq!(plugins_in(&folder.0).unwrap(), Vec::<PathBuf>::new());
        folder.write("one/plugin.toml", 1);
        folder.write("one/Cargo.toml", 1);
        assert_eq!(plugins_in(&folder.0).unwrap(), [folder.0.join("one")]);
        assert_eq!(plugins_in(&folder.0.join("nowhere")).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_a_build_writes_is_no_reason_to_build() {
        let folder = Folder::make("newest");
        folder.write("one/src/lib.rs", 20);
        folder.write("one/Cargo.toml", 10);
        folder.write("one/plugin.wasm", 30);
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        assert_eq!(newest(&folder.0.join("one")), at(20));
        assert_eq!(newest(&folder.0.join("one/Cargo.toml")), at(10));
        assert_eq!(newest(&folder.0.join("nowhere")), None);
    }
}

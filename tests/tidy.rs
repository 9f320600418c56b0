//! Checks of the source tree itself: imports, sizes, names, links, migrations, homes, words.
//!
//! They hold the design where the compiler can't. Each check is a function of text, and has
//! a test that shows it can fail. Uses the standard library alone.

mod homes;
mod imports;
mod links;
mod manifests;
mod migrations;
mod rust_text;
mod shape;
mod words;

use std::io;
use std::path::{Path, PathBuf};

/// A file of the project: its path from the root, with slashes, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// A made-up file, to show that a check can fail.
    fn made_up(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether this is the module's file or lies in its folder: `engine/src/store` is
    /// `engine/src/store.rs` and what is under `engine/src/store/`.
    fn is_within(&self, module: &str) -> bool {
        self.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// All text files of the project, in the order of their paths.
fn sources() -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) -> io::Result<()> {
    // What git ignores, and git itself.
    const SKIPPED: &[&str] = &[".git", "target", "node_modules"];
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if SKIPPED.contains(&name.as_str()) || path == "data" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
            found.push(Source { path, text });
        }
    }
    Ok(())
}

/// Fails with every problem on a line of its own.
fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_walk_finds_the_source_tree() {
    let sources = sources().unwrap();
    for path in ["Cargo.toml", "engine/src/lib.rs", "tests/tidy/imports.rs", ".ci/run", "docs/API.md"] {
        assert!(sources.iter().any(|source| source.path == path), "{path}");
    }
}

#[test]
fn a_module_is_its_file_and_its_folder_and_nothing_else() {
    let is_store = |path| Source::made_up(path, "").is_within("engine/src/store");
    assert!(is_store("engine/src/store.rs") && is_store("engine/src/store/meta.rs"));
    assert!(!is_store("engine/src/storefront.rs") && !is_store("engine/src/http/store.rs"));
}

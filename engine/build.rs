//! Embeds the bundled plugins whose components are built: `plugins/<name>/plugin.wasm` beside its `plugin.toml`, and its
//! cases.
//!
//! Promises: it never fails the build; a plugin that is not built is not embedded.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    // Read now: a cache may hold this script as it was compiled elsewhere.
    #[expect(clippy::disallowed_methods, reason = "that is how Cargo says where the package is")]
    let Some(package) = std::env::var_os("CARGO_MANIFEST_DIR") else { return };
    let plugins = Path::new(&package).join("../plugins");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&plugins).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let mut entries = String::new();
    for folder in &folders {
        let (manifest, component) = (folder.join("plugin.toml"), folder.join("plugin.wasm"));
        if !manifest.is_file() {
            continue;
        }
        if !component.is_file() {
            // A file that is not there would have this run every time; the folder tells when it comes.
            println!("cargo::rerun-if-changed={}", folder.display());
            continue;
        }
        println!("cargo::rerun-if-changed={}", manifest.display());
        println!("cargo::rerun-if-changed={}", component.display());
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        writeln!(
            entries,
            "    Embedded {{ name: {name:?}, manifest: include_str!({manifest:?}), component: include_bytes!({component:?}), cases: &[{}] }},",
            cases(folder)
        )
        .ok();
    }
    // A plugin that is new: its builder writes the list of digests.
    let digests = plugins.join("digests.toml");
    println!("cargo::rerun-if-changed={}", if digests.is_file() { &digests } else { &plugins }.display());
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(clippy::disallowed_methods, reason = "that is how Cargo says where a build script writes")]
    let Some(out) = std::env::var_os("OUT_DIR") else { return };
    let text = format!("const EMBEDDED: &[Embedded] = &[\n{entries}];\n");
    let file = Path::new(&out).join("bundled.rs");
    // Its time tells whether the crate is to be compiled again.
    if std::fs::read_to_string(&file).is_ok_and(|present| present == text) {
        return;
    }
    if let Err(error) = std::fs::write(&file, text) {
        println!("cargo::warning=the bundled plugins can't be listed: {error}");
    }
}

/// A plugin's files of cases, by their names: name and text of each.
fn cases(folder: &Path) -> String {
    let folder = folder.join("cases");
    if !folder.is_dir() {
        return String::new();
    }
    println!("cargo::rerun-if-changed={}", folder.display());
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|found| found == "yaml" || found == "yml");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_yaml).collect();
    files.sort();
    let shown = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("({name:?}, include_str!({file:?}))")
    });
    shown.collect::<Vec<_>>().join(", ")
}

//! Writing files as people and their tools do.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes in place, as `>` does.
///
/// # Panics
/// When the file can't be written.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Writes a new file beside and renames it into place, as editors do.
///
/// # Panics
/// When the file can't be written.
pub fn replace(path: &Path, content: impl AsRef<[u8]>) {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.swp~"));
    write(&beside, content);
    fs::rename(&beside, path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Copies a folder with all that is in it.
///
/// # Panics
/// When something can't be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

/// Every file below `folder`, sorted.
///
/// # Panics
/// When a folder can't be read.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

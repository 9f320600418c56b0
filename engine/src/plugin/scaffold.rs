//! A new plugin: a crate that builds, passes its tests and its cases, and has one rule to change.
//!
//! Promises: nothing is overwritten; the SDK is written beside it, so that nothing of this project is needed to build it.
//! Must never: write outside of the new folder.

use std::path::{Path, PathBuf};

use super::Hook;

/// Why no plugin was made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name is out of form.
    #[error("`{0}` is no name for a plugin: lower case letters, digits and `-`, a letter first, 64 at most")]
    Name(String),
    /// Something is there already.
    #[error("`{}` exists: nothing was written", .0.display())]
    Exists(PathBuf),
    /// A file can't be written.
    #[error("can't write `{}`: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Where the new crate takes its SDK from.
#[derive(Clone, Debug)]
pub enum Sdk {
    /// The one in this program, written into the folder.
    Included,
    /// A folder.
    Folder(PathBuf),
    /// A published version.
    Version(String),
}

impl std::str::FromStr for Sdk {
    type Err = std::convert::Infallible;

    /// What begins with a digit is a version, everything else a folder.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_version = text.starts_with(|first: char| first.is_ascii_digit());
        Ok(if is_version { Self::Version(text.to_owned()) } else { Self::Folder(text.into()) })
    }
}

/// Where the included SDK is written to.
const SDK_FOLDER: &str = ".sdk";

macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/", $path)))),*]
    };
}

/// The SDK's sources, without its manifest: that one is the workspace's.
const SDK_FILES: &[(&str, &str)] = sdk![
    "src/bindings.rs",
    "src/detect.rs",
    "src/document.rs",
    "src/exported.rs",
    "src/failure.rs",
    "src/finding.rs",
    "src/host.rs",
    "src/lib.rs",
    "src/mask.rs",
    "src/native.rs",
    "src/request.rs",
    "src/sign.rs",
    "src/testing.rs",
    "src/testing/tests.rs",
    "src/validate.rs",
    "src/wasm.rs",
    "wit/hooks.wit",
    "wit/host.wit",
    "wit/types.wit",
];
const SDK_MANIFEST: &str = include_str!("scaffold/sdk.toml");

/// What a hook's plugin begins with.
struct Template {
    manifest: &'static str,
    source: &'static str,
    cases: &'static str,
}

fn template(hook: Hook) -> Template {
    match hook {
        Hook::Validate => Template {
            manifest: include_str!("scaffold/validate.toml"),
            source: include_str!("scaffold/validate.rs"),
            cases: include_str!("scaffold/validate.yaml"),
        },
        Hook::Detect => Template {
            manifest: include_str!("scaffold/detect.toml"),
            source: include_str!("scaffold/detect.rs"),
            cases: include_str!("scaffold/detect.yaml"),
        },
        Hook::Mask => Template {
            manifest: include_str!("scaffold/mask.toml"),
            source: include_str!("scaffold/mask.rs"),
            cases: include_str!("scaffold/mask.yaml"),
        },
        Hook::Sign => Template {
            manifest: include_str!("scaffold/sign.toml"),
            source: include_str!("scaffold/sign.rs"),
            cases: include_str!("scaffold/sign.yaml"),
        },
    }
}

/// Writes a new plugin, and gives the paths of what it wrote, without the SDK's.
///
/// # Errors
/// When the name is out of form, the folder has something in it, or a file can't be written.
pub fn write(folder: &Path, name: &str, hook: Hook, sdk: &Sdk) -> Result<Vec<PathBuf>, ScaffoldError> {
    if !is_name(name) {
        return Err(ScaffoldError::Name(name.to_owned()));
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(ScaffoldError::Exists(folder.to_owned()));
    }
    let template = template(hook);
    let dependency = dependency(sdk);
    let filled = |text: &str| {
        let text = text.replace("{{name}}", name).replace("{{hook}}", hook.name());
        text.replace("{{sdk}}", &dependency).replace("{{version}}", env!("CARGO_PKG_VERSION"))
    };
    let files = [
        ("Cargo.toml", include_str!("scaffold/crate.toml")),
        ("plugin.toml", template.manifest),
        ("src/lib.rs", template.source),
        ("cases/first.yaml", template.cases),
        ("README.md", include_str!("scaffold/README.md")),
        (".gitignore", "/target\n/plugin.wasm\n"),
    ];
    let mut written = Vec::new();
    for (path, text) in files {
        written.push(put(&folder.join(path), &filled(text))?);
    }
    if matches!(sdk, Sdk::Included) {
        let folder = folder.join(SDK_FOLDER);
        put(&folder.join("Cargo.toml"), &filled(SDK_MANIFEST))?;
        for (path, text) in SDK_FILES {
            put(&folder.join(path), text)?;
        }
    }
    Ok(written)
}

fn dependency(sdk: &Sdk) -> String {
    // As TOML writes a text.
    let text = |text: &str| toml::Value::from(text).to_string();
    match sdk {
        Sdk::Included => format!("{{ path = \"{SDK_FOLDER}\" }}"),
        Sdk::Version(version) => text(version),
        Sdk::Folder(folder) => {
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            format!("{{ path = {} }}", text(&folder.to_string_lossy()))
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_allowed)
}

fn put(path: &Path, text: &str) -> Result<PathBuf, ScaffoldError> {
    let folders = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = folders.and_then(|()| std::fs::write(path, text));
    written.map_err(|source| ScaffoldError::Write { path: path.to_owned(), source })?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests;

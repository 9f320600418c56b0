//! From a plugin's sources to its component: which Rust there is on this machine, and how it is asked.
//!
//! Promises: the component is what the sources say, and it is valid; what is missing is named with the line that installs
//! it. Must never: run in the server, or take over what the environment says of another build.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::inspect::inspect;

/// What plugins are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Where a distribution has its own Rust.
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// What one build must not hand to another: it would compile with another compiler, or with the flags of another target.
const LEAKS: &[&str] = &[
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// No Rust that can compile for the target.
    #[error(
        "no Rust here can compile for `{TARGET}`. With rustup: `rustup target add {TARGET}`. On Debian or Ubuntu: \
         `apt-get install rustc-web cargo-web rust-web-src lld`"
    )]
    Missing,
    /// The distribution's Rust has no linker for the target.
    #[error("`{DISTRIBUTION_RUSTC}` has its sources, but there is no linker: `apt-get install lld`")]
    NoLinker,
    /// There is nothing to build.
    #[error("there is no `Cargo.toml` in `{}`: a plugin is a crate", .0.display())]
    NoCrate(PathBuf),
    /// The compiler could not be started.
    #[error("can't start `{program}`: {source}")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The compiler has said why.
    #[error("`cargo build` failed")]
    Build,
    /// The crate makes no module.
    #[error(
        "the crate makes no module: its `Cargo.toml` needs `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]`"
    )]
    NoModule,
    /// A file can't be read.
    #[error("can't read `{}`: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The module is no plugin.
    #[error(
        "the module makes no component: {0}; does the crate call one of the SDK's `export_…!` macros, once?"
    )]
    Component(String),
}

/// A Rust that can compile plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// `cargo` on the path, whose compiler has the target's standard library.
    OnPath,
    /// A distribution's own, which compiles the standard library from its sources.
    Distribution {
        /// What links the module.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The first that works, as seen from a folder (which may name its toolchain).
    ///
    /// # Errors
    /// When there is none.
    pub fn find(folder: &Path) -> Result<Self, ToolchainError> {
        let on_path = sysroot("rustc", folder);
        if on_path.as_ref().is_some_and(|sysroot| sysroot.join("lib/rustlib").join(TARGET).is_dir()) {
            return Ok(Self::OnPath);
        }
        let distribution = sysroot(DISTRIBUTION_RUSTC, folder)
            .filter(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file())
            .filter(|_| Path::new(DISTRIBUTION_CARGO).is_file())
            .ok_or(ToolchainError::Missing)?;
        let sysroots = on_path.into_iter().chain([distribution]);
        let linker = sysroots.flat_map(|sysroot| linkers_in(&sysroot)).next().or_else(linker_on_path);
        Ok(Self::Distribution { linker: linker.ok_or(ToolchainError::NoLinker)? })
    }

    fn cargo(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::OnPath => clean("cargo"),
            Self::Distribution { linker } => {
                let mut command = clean(DISTRIBUTION_CARGO);
                command.env("RUSTC", DISTRIBUTION_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        command.current_dir(folder);
        command
    }

    /// What the compiler shall write in the place of this machine's folder of dependencies, so that a component says nothing
    /// of who built it. The plugin's own folder is not named: paths in it are relative. The flags are the same for all
    /// plugins of a machine, so that what they share is compiled once.
    fn renamed(&self, folder: &Path) -> Result<OsString, ToolchainError> {
        let mut command = self.cargo(folder);
        command
            .args(["metadata", "--format-version", "1", "--filter-platform", TARGET])
            .stderr(Stdio::inherit());
        let start = |source| ToolchainError::Start { program: "cargo metadata".to_owned(), source };
        let output = command.output().map_err(start)?;
        if !output.status.success() {
            return Err(ToolchainError::Build);
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|_| ToolchainError::Build)?;
        let folders: BTreeSet<_> = metadata.packages.into_iter().filter_map(Package::registry).collect();
        let mut flags = OsString::new();
        for folder in folders {
            let separator = if flags.is_empty() { "" } else { FLAG_SEPARATOR };
            flags.push(separator);
            flags.push("--remap-path-prefix=");
            flags.push(folder);
            flags.push("=registry");
        }
        Ok(flags)
    }

    fn cargo_build(&self, folder: &Path, target: Option<&Path>) -> Command {
        let mut command = self.cargo(folder);
        command.args([
            "build",
            "--release",
            "--lib",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ]);
        if matches!(self, Self::Distribution { .. }) {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        if let Some(target) = target {
            command.arg("--target-dir").arg(target);
        }
        command
    }

    /// Compiles a crate, and makes its component. `target` is where the compiler keeps what it has built.
    ///
    /// # Errors
    /// When the crate does not compile, or is no plugin.
    pub fn build(&self, folder: &Path, target: Option<&Path>) -> Result<Vec<u8>, ToolchainError> {
        let manifest = std::path::absolute(folder.join("Cargo.toml")).ok().filter(|path| path.is_file());
        let manifest = manifest.ok_or_else(|| ToolchainError::NoCrate(folder.to_owned()))?;
        let mut command = self.cargo_build(folder, target);
        command.env("CARGO_ENCODED_RUSTFLAGS", self.renamed(folder)?);
        let path = run(&mut command, &manifest)?;
        let module = std::fs::read(&path).map_err(|source| ToolchainError::Read { path, source })?;
        component(&module)
    }
}

/// Makes a component of a core module that carries its world, as the SDK's macros write it.
///
/// # Errors
/// When it carries none, or does not have what its world asks for.
pub fn component(module: &[u8]) -> Result<Vec<u8>, ToolchainError> {
    let made = wit_component::ComponentEncoder::default().validate(true).module(module);
    // An error's causes say what is wrong; its outermost text says little.
    let failed = |error| ToolchainError::Component(format!("{error:#}"));
    let component = made.and_then(|mut encoder| encoder.encode()).map_err(failed)?;
    let outside = inspect(&component).map_err(ToolchainError::Component)?;
    if outside.exports.is_empty() {
        return Err(ToolchainError::Component("it would export nothing".to_owned()));
    }
    Ok(component)
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    source: Option<String>,
    manifest_path: PathBuf,
}

impl Package {
    /// The folder of the registry that it comes from.
    fn registry(self) -> Option<PathBuf> {
        self.source?;
        Some(self.manifest_path.parent()?.parent()?.to_owned())
    }
}

/// A message of `cargo build`, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    target: Built,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
struct Built {
    crate_types: Vec<String>,
}

/// Runs `cargo build`, and gives the path of the crate's own module.
fn run(command: &mut Command, manifest: &Path) -> Result<PathBuf, ToolchainError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let start = |source| ToolchainError::Start { program, source };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(start)?;
    let mut module = None;
    let canonical = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let manifest = canonical(manifest);
    for line in child.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines()) {
        let Some(message) = line.ok().and_then(|line| serde_json::from_str::<Message>(&line).ok()) else {
            continue;
        };
        let is_module = message.reason == "compiler-artifact"
            && message.target.crate_types.iter().any(|kind| kind == "cdylib")
            && canonical(&message.manifest_path) == manifest;
        if is_module {
            module = message.filenames.into_iter().find(|path| path.extension() == Some(OsStr::new("wasm")));
        }
    }
    match child.wait() {
        Ok(status) if status.success() => module.ok_or(ToolchainError::NoModule),
        _ => Err(ToolchainError::Build),
    }
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    LEAKS.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn sysroot(rustc: &str, folder: &Path) -> Option<PathBuf> {
    let asked = clean(rustc).current_dir(folder).args(["--print", "sysroot"]).stderr(Stdio::null()).output();
    let answer = asked.ok().filter(|answer| answer.status.success())?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim_end()))
}

/// The linkers that come with a compiler, one a host that it is for.
fn linkers_in(sysroot: &Path) -> Vec<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    hosts.map(|host| host.path().join("bin/rust-lld")).filter(|path| path.is_file()).collect()
}

fn linker_on_path() -> Option<PathBuf> {
    let starts = |name: &&str| {
        let mut command = clean(name);
        let quiet = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The generic driver answers with an error, but it is there.
        quiet.status().is_ok()
    };
    ["wasm-ld", "rust-lld", "lld"].into_iter().find(starts).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_makes_no_component() {
        let module = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
        let error = component(&module).unwrap_err();
        assert!(matches!(error, ToolchainError::Component(_)), "{error}");
        assert!(error.to_string().contains("export_"), "{error}");
        assert!(component(b"\0asm").is_err());
    }

    #[test]
    fn a_folder_without_a_crate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Toolchain::OnPath.build(folder.path(), None).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml"), "{error}");
    }

    #[test]
    fn folders_of_registries_have_another_name_in_a_component() {
        let package = |source: Option<&str>| Package {
            source: source.map(str::to_owned),
            manifest_path: "/a/b-1.0.0/Cargo.toml".into(),
        };
        assert_eq!(package(None).registry(), None);
        assert_eq!(package(Some("registry+x")).registry(), Some("/a".into()));
    }

    #[test]
    fn what_is_set_for_another_build_is_not_handed_on() {
        let toolchain = Toolchain::Distribution { linker: "/lld".into() };
        let command = toolchain.cargo_build(Path::new("/"), None);
        let set = |name: &str| command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value);
        assert_eq!(set("RUSTFLAGS"), Some(None));
        assert_eq!(set("RUSTUP_TOOLCHAIN"), Some(None));
        assert_eq!(set("RUSTC"), Some(Some(OsStr::new(DISTRIBUTION_RUSTC))));
        assert!(command.get_args().any(|argument| argument == "-Zbuild-std=std,panic_abort"));
    }
}

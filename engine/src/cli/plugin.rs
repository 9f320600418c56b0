//! `portcullis plugin …`: one file a subcommand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

mod build;
mod new;
mod replay;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a new plugin: a crate that builds, with a manifest and cases.
    New(new::NewArgs),
    /// Compile a plugin's crate, and make its component.
    Build(build::BuildArgs),
    /// Make the calls again that a decision's record keeps, and compare them byte for byte.
    Replay(replay::ReplayArgs),
}

pub(super) fn run(command: &PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::New(args) => new::new(args),
        PluginCommand::Build(args) => build::build(args),
        PluginCommand::Replay(args) => replay::replay(args),
    }
}

/// A plugin's component, in its folder.
const COMPONENT: &str = "plugin.wasm";

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("can't read `{}`: {error}", path.display()).into())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| format!("can't write `{}`: {error}", path.display()).into())
}

/// The folder that a command is about: the one that it names, or this one.
fn folder(named: Option<&PathBuf>) -> &Path {
    named.map_or(Path::new("."), PathBuf::as_path)
}

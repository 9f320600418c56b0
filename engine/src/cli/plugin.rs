//! `portcullis plugin …`: one file a subcommand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, system};
use crate::plugin::Manifest;
use crate::plugin::cases::Setup;

mod bench;
mod build;
mod inspect;
mod new;
mod replay;
mod run;
pub(super) mod sign;
mod test;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a new plugin: a crate that builds, with a manifest and cases.
    New(new::NewArgs),
    /// Compile a plugin's crate, and make its component.
    Build(build::BuildArgs),
    /// Run a plugin's cases against its component, under its budgets.
    Test(test::TestArgs),
    /// Call a plugin once, and print its answer.
    Run(run::RunArgs),
    /// Measure a plugin: fuel, time and memory of a call.
    Bench(bench::BenchArgs),
    /// Show what a component imports and exports, and the section that lets a server run it.
    Inspect(inspect::InspectArgs),
    /// Make a key to sign plugins with.
    Keygen(sign::KeygenArgs),
    /// Vouch for a plugin: sign its component with its manifest.
    Sign(sign::SignArgs),
    /// Check who vouches for a plugin.
    Verify(sign::VerifyArgs),
    /// Make the calls again that a decision's record keeps, and compare them byte for byte.
    Replay(replay::ReplayArgs),
}

pub(super) fn run(command: &PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::New(args) => new::new(args),
        PluginCommand::Build(args) => build::build(args),
        PluginCommand::Test(args) => test::test(args),
        PluginCommand::Run(args) => run::run(args),
        PluginCommand::Bench(args) => bench::bench(args),
        PluginCommand::Inspect(args) => inspect::inspect(args),
        PluginCommand::Keygen(args) => sign::keygen(args),
        PluginCommand::Sign(args) => sign::sign(args),
        PluginCommand::Verify(args) => sign::verify(args),
        PluginCommand::Replay(args) => replay::replay(args),
    }
}

/// A plugin's component, in its folder.
const COMPONENT: &str = "plugin.wasm";
/// A plugin's manifest, in its folder.
const MANIFEST: &str = "plugin.toml";
/// A plugin's cases, in its folder.
const CASES: &str = "cases";

/// A plugin that is built.
struct Built {
    component: Vec<u8>,
    manifest: Manifest,
}

impl Built {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(MANIFEST);
        let text = String::from_utf8(read(&path)?)?;
        let shown = path.display().to_string();
        let manifest = Manifest::parse(&shown.into(), &text).map_err(|problem| problem.to_string())?;
        let path = folder.join(COMPONENT);
        if !path.is_file() {
            let shown = folder.display();
            let message = format!("`{}` is not built: run `portcullis plugin build {shown}`", path.display());
            return Err(message.into());
        }
        Ok(Self { component: read(&path)?, manifest })
    }

    fn setup(&self) -> Setup<'_> {
        let (clock, rng) = system();
        let budget = self.manifest.budget;
        Setup { component: &self.component, manifest: &self.manifest, budget, clock, rng, patience: None }
    }
}

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

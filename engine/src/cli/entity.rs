//! `portcullis entity import | export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::{Failure, Place};
use crate::administration::import::Format;
use crate::administration::import::mapping::Mapping;
use crate::app::last_bundle;
use crate::caller::DEFAULT_TENANT;
use crate::config::Config;
use crate::policy::settings::is_pack_name;
use crate::policy::{Pack, Sources};

mod export;
mod import;
mod progress;

#[derive(Debug, Subcommand)]
pub(super) enum EntityCommand {
    /// Bring entities into the store: all of a file, or nothing. Running servers take them over by themselves.
    Import(ImportArgs),
    /// Write down the entities of the store.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    whose: Whose,
    /// The file; `-` is standard input.
    file: PathBuf,
    /// How it is written; by default what its name says: `.json`, `.ndjson`, `.jsonl` or `.csv`.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<String>,
    /// What the columns of a table are (TOML).
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Check everything, say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Let principals and groups have roles as parents. Such a role counts for ever: role assignments end.
    #[arg(long)]
    roles_as_parents: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    whose: Whose,
    /// How to write them; by default what the name of `--out` says, or `ndjson`.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<String>,
    /// What the columns of a table are (TOML).
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Only this type.
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// The file to write, when all is written; by default standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Whose entities are meant.
#[derive(Debug, Args)]
struct Whose {
    /// The folder whose folders are packs; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// The pack; by default the only one.
    #[arg(long)]
    pack: Option<String>,
    /// The tenant.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
}

fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
}

pub(super) fn run(command: &EntityCommand) -> Result<ExitCode, Failure> {
    match command {
        EntityCommand::Import(args) => import::import(args),
        EntityCommand::Export(args) => export::export(args),
    }
}

impl Whose {
    /// The pack, from its files.
    fn pack(&self, config: &Config) -> Result<Arc<Pack>, Failure> {
        if !is_pack_name(&self.tenant) {
            return Err("a tenant has letters, digits, `-` and `_`, from 1 to 64".into());
        }
        let folder = self.policies.clone().unwrap_or_else(|| config.policies.folder.clone());
        let sources = Sources::of(folder.clone(), config.policies.management.clone());
        if self.policies.is_none()
            && let Some(bundle) = last_bundle(config)?
        {
            sources.held.store(Some(bundle.packs()));
        }
        let loaded = sources.load()?;
        let snapshot = loaded.at(0, Arc::default());
        let mut packs = snapshot.packs();
        let shown = folder.display();
        match (&self.pack, packs.next(), packs.next()) {
            (Some(name), ..) => {
                let pack = snapshot.pack(name).cloned();
                pack.ok_or_else(|| format!("there is no pack `{name}` in `{shown}`").into())
            }
            (None, Some(only), None) => Ok(Arc::clone(only)),
            (None, None, _) => Err(format!("there is no pack in `{shown}`").into()),
            (None, Some(_), Some(_)) => Err("there are several packs: name one with `--pack`".into()),
        }
    }
}

/// The format that was named, or that a file's name says.
fn format_of(named: Option<&str>, file: Option<&Path>) -> Option<Format> {
    named.and_then(Format::from_name).or_else(|| file.and_then(Format::of_file))
}

/// The mapping that a table needs, and nothing else has.
fn mapping_of(file: Option<&Path>, format: Format) -> Result<Option<Mapping>, Failure> {
    match (file, format) {
        (None, Format::Csv) => Err("a table needs `--mapping FILE`, which says what its columns are".into()),
        (None, _) => Ok(None),
        (Some(file), Format::Csv) => {
            let shown: Arc<str> = file.display().to_string().into();
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("can't read `{shown}`: {error}"))?;
            Ok(Some(Mapping::parse(&shown, &text).map_err(|problem| problem.to_string())?))
        }
        (Some(_), _) => Err("`--mapping` goes with `--format csv`".into()),
    }
}

//! `portcullis audit verify | checkpoint | reindex`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, Place, block_on, print, root_key, say, system};
use crate::app::open_store;
use crate::audit::{self, Checkpoint, DecisionLog, LogKeys, Options};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Find any record that was edited, removed, reordered, or cut before the newest checkpoint.
    /// Needs the data folder alone; also works beside a running server.
    Verify(VerifyArgs),
    /// Print a signed checkpoint of the log, to be kept elsewhere.
    Checkpoint(CheckpointArgs),
    /// Build the log's index anew from its files; not beside a running server.
    Reindex(CheckpointArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// A checkpoint that was kept elsewhere; else the folder's own newest one counts.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckpointArgs {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(command: &AuditCommand) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Checkpoint(args) => checkpoint(args),
        AuditCommand::Reindex(args) => reindex(args),
    }
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let given = args.checkpoint.as_ref().map(|path| read_checkpoint(path)).transpose()?;
    let report = audit::verify(&config.data.folder, &root, given.as_ref())?;
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    for finding in &report.findings {
        print(&format!("finding: {finding}"));
    }
    if report.findings_total > report.findings.len() as u64 {
        print(&format!("… {} findings in all", report.findings_total));
    }
    print(&format!(
        "{} records ({} decisions) in {} segments, {} bytes; {} gaps, at most {} records missing; {} checkpoints",
        report.records,
        report.decisions,
        report.segments,
        report.bytes,
        report.gaps,
        report.missing_at_most,
        report.checkpoints
    ));
    if report.is_whole() {
        print("the decision log is whole");
        Ok(ExitCode::SUCCESS)
    } else {
        print("the decision log is NOT whole");
        Ok(ExitCode::FAILURE)
    }
}

fn read_checkpoint(path: &PathBuf) -> Result<Checkpoint, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("can't read the checkpoint `{}`: {error}", path.display()))?;
    Ok(Checkpoint::parse(text.trim())?)
}

fn checkpoint(args: &CheckpointArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    print(&audit::checkpoint(&config.data.folder, &root, &*system().0)?.to_json());
    Ok(ExitCode::SUCCESS)
}

fn reindex(args: &CheckpointArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let blocks = block_on(async {
        let store = open_store(&config, &root).await?;
        let keys = LogKeys::derive(&root)?;
        let log =
            DecisionLog::open(Options::new(&config.data.folder), keys, clock, &*rng, store.clone()).await?;
        let blocks = log.reindex().await?;
        log.close().await?;
        store.close().await;
        Ok(blocks)
    })?;
    print(&format!("indexed {blocks} blocks"));
    Ok(ExitCode::SUCCESS)
}

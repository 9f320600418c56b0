//! `portcullis policy check | test | diff | fmt | lint | revisions | rollback | promote | follow`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, print, say};
use crate::policy::bounds::on_deep_stack;
use crate::policy::files::PackFiles;
use crate::policy::{Pack, problem::Problem};

mod diff;
mod fmt;
mod lint;
mod revisions;
mod test;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Parse and validate packs, as the server does before it serves them.
    Check(CheckArgs),
    /// Run the cases of packs.
    Test(test::TestArgs),
    /// Replay the decision log against two folders of policies, and tell which decisions flip.
    /// Exit status: 0 when none does, 3 when some do; with `--strict`, 4 when some can't be replayed.
    Diff(diff::DiffArgs),
    /// Lay policies out as Cedar's own formatter does. Comments stay.
    Fmt(fmt::FmtArgs),
    /// Look for what is allowed in a policy and hardly meant. Exit status: 0 when there is no error, 1 when there is
    /// (or a warning, with `--deny warnings`), 2 when the packs can't be read.
    Lint(lint::LintArgs),
    /// List the sets of packs that were served, the one that last became active first.
    Revisions(revisions::RevisionsArgs),
    /// Go back to a set of packs that was served: running servers follow, until `policy follow`.
    Rollback(revisions::RollbackArgs),
    /// Serve what is in the folder of candidates: running servers follow, until `policy follow`.
    Promote(revisions::PromoteArgs),
    /// Let the policies folder count again, after a rollback or a promotion.
    Follow(revisions::FollowArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    folder: Folder,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
struct Folder {
    /// A pack's folder, or a folder of packs.
    #[arg(value_name = "DIR", conflicts_with = "policies")]
    folder: Option<PathBuf>,
    /// The same, as `serve` has it.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
}

impl Folder {
    /// The packs that are meant. None is an error: a check that looked at nothing must not pass.
    fn packs(&self) -> Result<Vec<PackFiles>, Failure> {
        packs_in(self.folder())
    }

    fn folder(&self) -> &Path {
        self.folder.as_deref().or(self.policies.as_deref()).unwrap_or(Path::new("policies"))
    }
}

/// The packs in a folder, or the one that it is. None is an error.
pub(super) fn packs_in(folder: &Path) -> Result<Vec<PackFiles>, Failure> {
    let packs = if folder.join("pack.toml").is_file() {
        vec![PackFiles::read(folder)?]
    } else {
        PackFiles::read_all(folder)?
    };
    if packs.is_empty() {
        let shown = folder.display();
        return Err(format!("there is no pack in `{shown}`: a pack is a folder with a `pack.toml`").into());
    }
    Ok(packs)
}

pub(super) fn run(command: &PolicyCommand) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(args) => check(args),
        PolicyCommand::Test(args) => test::test(args),
        PolicyCommand::Diff(args) => diff::diff(args),
        PolicyCommand::Fmt(args) => fmt::fmt(args),
        PolicyCommand::Lint(args) => lint::lint(args),
        PolicyCommand::Revisions(args) => revisions::list(args),
        PolicyCommand::Rollback(args) => revisions::roll_back(args),
        PolicyCommand::Promote(args) => revisions::promote(args),
        PolicyCommand::Follow(args) => revisions::follow(args),
    }
}

pub(super) fn load(files: &PackFiles) -> Result<Pack, Vec<Problem>> {
    deeply(|| Pack::load(files))
}

/// The same whether the pack's cases hold or not.
fn load_untried(files: &PackFiles) -> Result<Pack, Vec<Problem>> {
    deeply(|| Pack::load_untried(files))
}

fn deeply(load: impl FnOnce() -> Result<Pack, Vec<Problem>> + Send) -> Result<Pack, Vec<Problem>> {
    let defect = || {
        vec![Problem::of_file(&"pack.toml".into(), "the loader failed, which is a defect of this program")]
    };
    on_deep_stack(load).unwrap_or_else(|| Err(defect()))
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let mut failed = false;
    let mut names = std::collections::BTreeSet::new();
    for files in args.folder.packs()? {
        match load(&files) {
            Ok(pack) => {
                let warnings = &pack.warnings;
                warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                failed |= args.strict && !warnings.is_empty();
                if !names.insert(pack.name().to_owned()) {
                    say(&format!("error: another pack has the name `{}`", pack.name()));
                    failed = true;
                }
                let (policies, entities) = (pack.rules.all.len(), pack.entities.count());
                print(&format!("{}: {policies} policies, {entities} entities", pack.name()));
            }
            Err(problems) => {
                failed = true;
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

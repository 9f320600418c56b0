//! `portcullis policy fmt`: Cedar's own layout for the policies of packs.
//!
//! Promises: comments stay, and what is written parses to the policies that were there (Cedar's formatter compares). A file is
//! replaced whole or not at all.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use clap::Args;

use super::Folder;
use crate::cli::{Failure, print, say};
use crate::policy::bounds::{self, on_deep_stack};
use crate::policy::files::SourceFile;

/// `portcullis policy fmt`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FmtArgs {
    #[command(flatten)]
    folder: Folder,
    /// Change nothing: print what would change, and fail if anything would.
    #[arg(long)]
    check: bool,
    /// The longest line, in characters.
    #[arg(long, value_name = "N", default_value_t = 100)]
    line_width: usize,
}

pub(in crate::cli) fn fmt(args: &FmtArgs) -> Result<ExitCode, Failure> {
    let (mut failed, mut differing) = (false, 0_usize);
    let packs = args.folder.packs()?;
    let files = packs.iter().flat_map(|pack| pack.deciding()).filter(|(name, _)| name.ends_with(".cedar"));
    for (_, file) in files {
        let formatted = match formatted(file, args.line_width) {
            Ok(formatted) => formatted,
            Err(message) => {
                say(&format!("error: {message}"));
                failed = true;
                continue;
            }
        };
        if formatted == file.text {
            continue;
        }
        differing += 1;
        if args.check {
            print(&difference(file, &formatted));
        } else {
            replace(Path::new(&*file.shown), &formatted)?;
            print(&format!("formatted {}", file.shown));
        }
    }
    Ok(if failed || (args.check && differing > 0) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn formatted(file: &SourceFile, line_width: usize) -> Result<String, String> {
    bounds::check(file).map_err(|problem| problem.to_string())?;
    let config = Config { line_width, ..Config::default() };
    let pretty =
        on_deep_stack(|| policies_str_to_pretty(&file.text, &config).map_err(|error| format!("{error:#}")));
    let text = pretty.ok_or_else(|| format!("{}: the formatter failed", file.shown))?;
    let mut text = text.map_err(|error| format!("{}: {error}", file.shown))?;
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

/// What would change: from the first line that differs to the last.
fn difference(file: &SourceFile, formatted: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (file.text.lines().collect(), formatted.lines().collect());
    let same = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let behind = behind.min(old.len().min(new.len()) - same);
    let part = |lines: &[&str], mark: char| {
        let changed = lines.iter().take(lines.len() - behind).skip(same);
        changed.map(|line| format!("\n{mark}{line}")).collect::<String>()
    };
    let [removed, added] = [old.len(), new.len()].map(|count| count - behind - same);
    let at = same + 1;
    format!(
        "--- {0}\n+++ {0}\n@@ -{at},{removed} +{at},{added} @@{1}{2}",
        file.shown,
        part(&old, '-'),
        part(&new, '+')
    )
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("can't write `{}`: {error}", path.display());
    // What a link leads to is meant, not the link.
    let path = path.canonicalize().map_err(failed)?;
    let mut beside =
        tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    beside.write_all(text.as_bytes()).map_err(failed)?;
    let permissions = std::fs::metadata(&path).map_err(failed)?.permissions();
    beside.as_file().set_permissions(permissions).map_err(failed)?;
    beside.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

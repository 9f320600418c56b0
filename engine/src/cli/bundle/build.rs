//! `portcullis bundle build`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;

use crate::bundle::contents::{PACKS, PLUGINS};
use crate::bundle::{Bundle, Contents, MOST_BYTES};
use crate::cli::policy::{load, packs_in};
use crate::cli::{Failure, print, say};
use crate::plugin::Manifest;
use crate::plugin::folder::{self, COMPONENT, Files, MANIFEST};
use crate::plugin::signature;
use crate::policy::MANAGEMENT;

#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// Packs' folders, or folders of packs.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// A number above that of every bundle that servers have taken so far.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,
    /// A folder of plugins to put in.
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// When the bundle was made, in seconds since 1970, for people. The clock is not asked: the same inputs make the same bytes.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    created_at: u64,
}

pub(in crate::cli) fn build(args: &BuildArgs) -> Result<ExitCode, Failure> {
    let mut files = Vec::new();
    let mut sound = true;
    let mut names = BTreeSet::new();
    for folder in &args.folders {
        sound &= add_packs(folder, &mut names, &mut files)?;
    }
    if let Some(folder) = &args.plugins {
        add_plugins(folder, &mut files)?;
    }
    if !sound {
        return Ok(ExitCode::FAILURE);
    }
    let bundle = Bundle::build(args.version, args.created_at, files)?;
    Contents::of(&bundle)?;
    super::write(&args.output, &bundle.to_bytes()?)?;
    let (shown, count) = (args.output.display(), bundle.manifest.files.len());
    print(&format!("wrote {shown}, version {}, {}, {count} files", args.version, bundle.digest));
    Ok(ExitCode::SUCCESS)
}

/// Adds the packs of a folder; false when one does not load, for no server would take it.
fn add_packs(
    folder: &Path,
    names: &mut BTreeSet<String>,
    files: &mut Vec<(String, Bytes)>,
) -> Result<bool, Failure> {
    let mut sound = true;
    for pack in packs_in(folder)? {
        let name = match load(&pack) {
            Ok(loaded) => loaded.name().to_owned(),
            Err(problems) => {
                problems.iter().for_each(|problem| say(&format!("error: {problem}")));
                sound = false;
                continue;
            }
        };
        if name == MANAGEMENT {
            say(&format!("left out the pack `{name}`: servers have one of their own"));
            continue;
        }
        if !names.insert(name.clone()) {
            return Err(format!("two packs have the name `{name}`").into());
        }
        let entries = pack.files.into_iter();
        files.extend(entries.map(|(within, file)| (format!("{PACKS}/{name}/{within}"), file.text.into())));
    }
    Ok(sound)
}

fn add_plugins(folder: &Path, files: &mut Vec<(String, Bytes)>) -> Result<(), Failure> {
    let names = folder::present(folder)?;
    if names.is_empty() {
        let shown = folder.display();
        return Err(
            format!("there is no plugin in `{shown}`: a plugin is a folder with a `{MANIFEST}`").into()
        );
    }
    for name in names {
        let Some(plugin) = Files::read(folder, &name, MOST_BYTES)? else { continue };
        let manifest = Manifest::parse(&plugin.shown(&name).into(), &plugin.manifest)
            .map_err(|problem| problem.to_string())?;
        if manifest.name != name {
            return Err(format!(
                "`{name}` says `name = \"{}\"`: folder and name must be the same",
                manifest.name
            )
            .into());
        }
        let mut add = |within: &str, bytes: Bytes| files.push((format!("{PLUGINS}/{name}/{within}"), bytes));
        for (path, text) in plugin.cases()? {
            let case = path.file_name().and_then(|case| case.to_str()).unwrap_or_default();
            add(&format!("{}/{case}", folder::CASES), text.into());
        }
        match plugin.signature {
            Some(signature) => add(signature::FILE, signature.into()),
            None => say(&format!(
                "the plugin `{name}` is not signed: servers ask for that besides the bundle's own signature"
            )),
        }
        add(MANIFEST, plugin.manifest.into());
        add(COMPONENT, plugin.component.into());
    }
    Ok(())
}

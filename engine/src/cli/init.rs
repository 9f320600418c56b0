//! `portcullis init`: everything that a first server needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::plugin::inspect::section;
use super::{Failure, print, system};
use crate::app::make_folder;
use crate::plugin::{Manifest, bundled};
use crate::protect::RootKey;

/// `portcullis init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder; made if it is not there.
    folder: PathBuf,
}

const CONFIGURATION: &str = "portcullis.toml";

/// What is written, beside the root key.
const FILES: [(&str, &str); 7] = [
    (CONFIGURATION, include_str!("init/portcullis.toml")),
    (".gitignore", "/data/\n"),
    ("policies/app/pack.toml", include_str!("init/pack.toml")),
    ("policies/app/app.cedar", include_str!("init/app.cedar")),
    ("policies/app/schema.cedarschema", include_str!("init/schema.cedarschema")),
    ("policies/app/entities.json", include_str!("init/entities.json")),
    ("policies/app/cases/app.yaml", include_str!("init/cases.yaml")),
];

pub(super) fn init(args: &InitArgs) -> Result<ExitCode, Failure> {
    let folder = &args.folder;
    // Nothing is written before it is known that nothing is overwritten.
    for (name, _) in FILES {
        let path = folder.join(name);
        if path.exists() {
            return Err(format!("`{}` exists: nothing was written", path.display()).into());
        }
    }
    let data = folder.join("data");
    make_folder(&data)?;
    RootKey::create(&data.join("root.key"), &*system().1)?;
    print(&format!("wrote {}", data.join("root.key").display()));
    for (name, text) in FILES {
        let more = if name == CONFIGURATION { bundled_plugins()? } else { String::new() };
        write(&folder.join(name), &[text, &more].concat())?;
        print(&format!("wrote {}", folder.join(name).display()));
    }
    let shown = folder.display();
    print("");
    print("Next:");
    print(&format!("  cd {shown}"));
    print("  portcullis policy test");
    print("  portcullis key create --config portcullis.toml --name my-app --pack app --right assert_subject");
    print("  portcullis serve --config portcullis.toml");
    print("");
    print(
        "Keep data/root.key safe and apart from backups of the database: without it, nothing that is sealed opens.",
    );
    Ok(ExitCode::SUCCESS)
}

/// The sections of the plugins that this binary was built with: they are on, and need nothing else. One that uses keys
/// waits for their names.
fn bundled_plugins() -> Result<String, Failure> {
    let mut text = String::new();
    for name in bundled::names() {
        let Some(files) = bundled::find(name) else { continue };
        let manifest = Manifest::parse(&files.shown(name).into(), &files.manifest)
            .map_err(|problem| problem.to_string())?;
        let section = section(&manifest);
        if text.is_empty() {
            text.push_str("\n# Plugins that the program brings along; see docs/how-to/run-plugins.md.");
        }
        text.extend(["\n\n# ", &manifest.description, "\n", &section]);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("can't write `{}`: {error}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)?;
    Ok(())
}

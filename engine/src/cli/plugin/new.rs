//! `portcullis plugin new`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::cli::print;
use crate::plugin::Hook;
use crate::plugin::scaffold::{self, Sdk};

#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// Its name: lower case letters, digits and `-`.
    name: String,
    /// Where it takes part.
    #[arg(long, value_enum)]
    hook: Hook,
    /// Its folder; made if it is not there [default: its name].
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The folder or the published version of the SDK [default: a copy beside the plugin].
    #[arg(long, value_name = "DIR|VERSION")]
    sdk: Option<Sdk>,
}

pub(in crate::cli) fn new(args: &NewArgs) -> Result<ExitCode, Failure> {
    let folder = args.path.as_deref().unwrap_or(Path::new(&args.name));
    let sdk = args.sdk.as_ref().unwrap_or(&Sdk::Included);
    for path in scaffold::write(folder, &args.name, args.hook, sdk)? {
        print(&format!("wrote {}", path.display()));
    }
    print("");
    print("Next:");
    print(&format!("  cd {}", folder.display()));
    print("  portcullis plugin build");
    print("  portcullis plugin test");
    Ok(ExitCode::SUCCESS)
}

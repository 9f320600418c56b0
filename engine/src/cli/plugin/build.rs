//! `portcullis plugin build`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{COMPONENT, Failure, folder, read, write};
use crate::cli::print;
use crate::plugin::toolchain::Toolchain;

#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// The plugin's folder [default: this one].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where the component goes [default: `plugin.wasm` in the folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the compiler keeps what it has built [default: as `cargo` has it].
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

pub(in crate::cli) fn build(args: &BuildArgs) -> Result<ExitCode, Failure> {
    let folder = folder(args.folder.as_ref());
    // The compiler runs in the plugin's folder: a relative path is meant from here.
    let target = args.target_dir.as_ref().map(std::path::absolute).transpose()?;
    let component = Toolchain::find(folder)?.build(folder, target.as_deref())?;
    let path = args.out.clone().unwrap_or_else(|| folder.join(COMPONENT));
    // One that is the same stays as it is, so that nobody who watches it is woken.
    if read(&path).ok().as_deref() != Some(&*component) {
        write(&path, &component)?;
    }
    print(&format!("{}: {} bytes", path.display(), component.len()));
    Ok(ExitCode::SUCCESS)
}

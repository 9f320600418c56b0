//! `portcullis bundle build | sign | verify | inspect`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::{Args, Subcommand};

use super::plugin::sign::read_key;
use super::{Failure, print};
use crate::bundle::{Bundle, Contents, read_file};
use crate::config::Config;
use crate::plugin::signature::VerifyingKey;

mod build;

#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    /// Put packs, and plugins, into one file. The same inputs make the same bytes.
    Build(build::BuildArgs),
    /// Vouch for a bundle: add a signature to it.
    Sign(SignArgs),
    /// Check that a trusted key signed a bundle, and that it is what was signed.
    Verify(VerifyArgs),
    /// Show what is in a bundle, whoever vouches for it.
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The bundle.
    file: PathBuf,
    /// The file of the secret key, as `plugin keygen` writes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The bundle.
    file: PathBuf,
    /// A key that is trusted, as `ed25519:…`; can be given more than once.
    #[arg(long, value_name = "KEY", required_unless_present = "config")]
    trust: Vec<VerifyingKey>,
    /// A configuration whose `bundle.trusted_keys` are trusted.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The bundle.
    file: PathBuf,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &BundleCommand) -> Result<ExitCode, Failure> {
    match command {
        BundleCommand::Build(args) => build::build(args),
        BundleCommand::Sign(args) => sign(args),
        BundleCommand::Verify(args) => verify(args),
        BundleCommand::Inspect(args) => inspect(args),
    }
}

fn sign(args: &SignArgs) -> Result<ExitCode, Failure> {
    let mut bundle = Bundle::read(read(&args.file)?).map_err(|error| about(&args.file, &error))?;
    // What no server would take is not worth a signature.
    Contents::of(&bundle).map_err(|error| about(&args.file, &error))?;
    let key = bundle.sign(&read_key(&args.key)?)?;
    write(&args.file, &bundle.to_bytes()?)?;
    print(&format!(
        "signed {}, version {}, {}, by {key}",
        args.file.display(),
        bundle.manifest.version,
        bundle.digest
    ));
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let mut trusted = args.trust.clone();
    if let Some(config) = &args.config {
        trusted.extend(Config::read(Some(config))?.bundle.trusted_keys);
    }
    let bundle =
        Bundle::read_trusted(read(&args.file)?, &trusted).map_err(|error| about(&args.file, &error))?;
    Contents::of(&bundle).map_err(|error| about(&args.file, &error))?;
    print(&format!("{}: version {}, {}", args.file.display(), bundle.manifest.version, bundle.digest));
    Ok(ExitCode::SUCCESS)
}

fn inspect(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let bundle = Bundle::read(read(&args.file)?).map_err(|error| about(&args.file, &error))?;
    if args.json {
        print(&String::from_utf8(bundle.manifest.to_bytes()?)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("version     {}", bundle.manifest.version));
    print(&format!("digest      {}", bundle.digest));
    print(&format!("created_at  {}", bundle.manifest.created_at));
    let state = match bundle.check_signatures() {
        Ok(()) => "",
        Err(_) => " (does not hold)",
    };
    match bundle.signatures.as_slice() {
        [] => print("signed by   nobody"),
        signatures => signatures.iter().for_each(|one| print(&format!("signed by   {}{state}", one.key))),
    }
    for entry in &bundle.manifest.files {
        print(&format!("{}  {:>9}  {}", entry.digest, entry.length, entry.path));
    }
    Ok(ExitCode::SUCCESS)
}

fn about(file: &Path, error: &dyn std::error::Error) -> String {
    format!("`{}`: {error}", file.display())
}

fn read(file: &Path) -> Result<Bytes, Failure> {
    Ok(read_file(file)?)
}

/// Written beside and moved into place: a server that follows the file sees the whole of it, or what was there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("can't write `{}`: {error}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    beside.write_all(bytes).map_err(failed)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        beside.as_file().set_permissions(mode).map_err(failed)?;
    }
    beside.as_file().sync_all().map_err(failed)?;
    beside.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

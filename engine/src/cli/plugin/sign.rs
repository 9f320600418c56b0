//! `portcullis plugin keygen`, `sign` and `verify`: who vouches for a plugin.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::Failure;
use crate::cli::{print, say, system};
use crate::config::Config;
use crate::plugin::folder::{Files, MANIFEST};
use crate::plugin::signature::{FILE, Signature, SigningKey, VerifyingKey, message};
use crate::plugin::{Manifest, bundled};
use crate::random::Rng as _;

#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Where the secret key is written: a file that is not there yet. Keep it away from the server.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The plugin's folder [default: this folder].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The file of the secret key: an Ed25519 key as PEM (PKCS #8), or the base64 of its seed.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// The plugin's folder [default: this folder].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// A key that is trusted, as `ed25519:…`; can be given more than once.
    #[arg(long, value_name = "KEY")]
    key: Vec<VerifyingKey>,
    /// A configuration whose `plugins.trusted_keys` are trusted.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A larger component is none of a server's.
const COMPONENT_BYTES: usize = 256 << 20;
const KEY_BYTES: u64 = 16 << 10;

/// Makes a key, and prints the half that servers are to trust.
pub(in crate::cli) fn keygen(args: &KeygenArgs) -> Result<ExitCode, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    system().1.fill(&mut *seed)?;
    let key = SigningKey::from_seed(&seed)?;
    let shown = args.file.display();
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&args.file).and_then(|mut file| {
        file.write_all(SigningKey::to_pem(&seed).as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| format!("can't write `{shown}`: {error}"))?;
    print(&key.verifying_key()?.to_string());
    say(&format!("`{shown}` holds the secret key. Servers that are to trust it have, under [plugins]:"));
    say(&format!("trusted_keys = [\"{}\"]", key.verifying_key()?));
    Ok(ExitCode::SUCCESS)
}

/// Signs a plugin's component with its manifest.
pub(in crate::cli) fn sign(args: &SignArgs) -> Result<ExitCode, Failure> {
    let folder = super::folder(args.folder.as_ref());
    let files = Files::read_alone(folder, COMPONENT_BYTES)?;
    // What no server would load is not worth a signature.
    manifest(folder, &files)?;
    let key = read_key(&args.key)?;
    let signature = key.sign(&files.component, files.manifest.as_bytes())?;
    let path = folder.join(FILE);
    super::write(&path, signature.to_text().as_bytes())?;
    print(&format!("wrote {}, by {}", path.display(), signature.key));
    Ok(ExitCode::SUCCESS)
}

/// Says who vouches for a plugin; a failure when nobody does who is trusted.
pub(in crate::cli) fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let folder = super::folder(args.folder.as_ref());
    let files = Files::read_alone(folder, COMPONENT_BYTES)?;
    let manifest = manifest(folder, &files)?;
    let mut trusted = args.key.clone();
    if let Some(config) = &args.config {
        trusted.extend(Config::read(Some(config))?.plugins.trusted_keys);
    }
    let named = format!("{} {}", manifest.name, manifest.version);
    let Some(text) = &files.signature else {
        let embedded = bundled::find(&manifest.name);
        if embedded.is_some_and(|own| (own.component, own.manifest) == (files.component, files.manifest)) {
            print(&format!("{named}: bundled with this program"));
            return Ok(ExitCode::SUCCESS);
        }
        return Err(format!("{named} is not signed: there is no `{}`", folder.join(FILE).display()).into());
    };
    let signature = Signature::parse(text).map_err(|error| format!("`{FILE}` can't be read: {error}"))?;
    if !signature.verifies(&message(&files.component, files.manifest.as_bytes())) {
        return Err(format!(
            "the signature by `{}` is not of this component with this manifest",
            signature.key
        )
        .into());
    }
    if !trusted.contains(&signature.key) && (args.config.is_some() || !args.key.is_empty()) {
        return Err(format!("{named} is signed by `{}`, which is not trusted", signature.key).into());
    }
    print(&format!("{named}: signed by {}", signature.key));
    if trusted.is_empty() {
        say("whether that key is to be trusted is not said: name those that are by --key or --config");
    }
    Ok(ExitCode::SUCCESS)
}

fn manifest(folder: &Path, files: &Files) -> Result<Manifest, Failure> {
    let shown = folder.join(MANIFEST).display().to_string();
    Manifest::parse(&shown.into(), &files.manifest).map_err(|problem| problem.to_string().into())
}

pub(in crate::cli) fn read_key(path: &Path) -> Result<SigningKey, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("can't read the key `{shown}`: {error}");
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        let mode = file.metadata().map_err(unreadable)?.permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "the key `{shown}` has mode {mode:04o}, which lets others at it: run `chmod 600`"
            )
            .into());
        }
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(KEY_BYTES)?));
    file.take(KEY_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    SigningKey::parse(&text)
        .map_err(|wanted| format!("`{shown}` holds no signing key: it is {wanted}").into())
}

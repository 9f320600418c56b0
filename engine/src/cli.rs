//! The command line: one file a subcommand.
//!
//! What a script reads goes to standard output, everything else to standard error. Exit status 0 is success, 1 a failure or a
//! finding, 2 wrong arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::open_state;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError};
use crate::protect::RootKey;
use crate::random::SystemRng;
use crate::state::stream::Announcement;
use crate::store::Store;

mod audit;
mod bundle;
mod decide;
mod entity;
mod init;
mod key;
mod plugin;
mod policy;
mod serve;

/// The security decision service behind an application's back end.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    Serve(serve::ServeArgs),
    /// Write a configuration, a root key and a first pack into a folder.
    Init(init::InitArgs),
    /// Check, test, compare and lint policies; list revisions, go back to one.
    Policy {
        #[command(subcommand)]
        command: policy::PolicyCommand,
    },
    /// Make, list and revoke caller keys.
    Key {
        #[command(subcommand)]
        command: key::KeyCommand,
    },
    /// Verify the decision log, sign a checkpoint of it, rebuild its index.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Import and export entities.
    Entity {
        #[command(subcommand)]
        command: entity::EntityCommand,
    },
    /// Make, build, test and measure plugins.
    Plugin {
        #[command(subcommand)]
        command: plugin::PluginCommand,
    },
    /// Build, sign, verify and look at bundles: packs and plugins as one signed file.
    Bundle {
        #[command(subcommand)]
        command: bundle::BundleCommand,
    },
    /// Decide one request without a server.
    Decide(decide::DecideArgs),
}

/// Where configuration and data are.
#[derive(Debug, Args)]
struct Place {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.folder.clone_from(data);
        }
        Ok(config)
    }
}

/// What a subcommand ends with when it fails.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.command {
        Command::Serve(args) => serve::serve(&args),
        Command::Init(args) => init::init(&args),
        Command::Policy { command } => policy::run(&command),
        Command::Key { command } => key::run(&command),
        Command::Audit { command } => audit::run(&command),
        Command::Entity { command } => entity::run(&command),
        Command::Plugin { command } => plugin::run(&command),
        Command::Bundle { command } => bundle::run(&command),
        Command::Decide(args) => decide::decide(&args),
    };
    done.unwrap_or_else(|failure| {
        say(&format!("error: {failure}"));
        ExitCode::FAILURE
    })
}

/// Prints a line for scripts and people. A reader that has gone is no reason to fail.
fn print(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// Prints a line for people.
fn say(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// Time and randomness, as the system has them.
fn system() -> (std::sync::Arc<SystemClock>, std::sync::Arc<SystemRng>) {
    (std::sync::Arc::new(SystemClock::new()), std::sync::Arc::new(SystemRng::new()))
}

/// The root key that the configuration names.
fn root_key(config: &Config) -> Result<RootKey, Failure> {
    Ok(RootKey::read(&config.root_key())?)
}

/// Runs a short task that needs the runtime.
fn block_on<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

/// Tells the nodes that share a state how far the store is, after a change beside them.
async fn announce(config: &Config, store: &Store) -> Result<(), Failure> {
    let (clock, rng) = system();
    // Where nothing is shared, there is nobody to tell.
    if config.state.redis_url.is_none() {
        return Ok(());
    }
    let state = open_state(config, store, clock, rng).await?;
    let sequence = store.sequence().await?;
    let told = state.publish(Announcement { node: "command line", sequence }).await;
    told.map_err(|error| {
        format!(
            "the change is made, but not announced ({error}): nodes honour it once they compare with the database; run \
             the command again to announce it"
        )
        .into()
    })
}

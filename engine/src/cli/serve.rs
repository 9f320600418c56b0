//! `portcullis serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, Place, print, say, system};
use crate::app::{App, make_folder};
use crate::caller::{DEFAULT_TENANT, EVERY, NewCaller, Right, create};
use crate::clock::Clock;
use crate::config::{Config, LogFormat, Logging, parse_address};
use crate::http::listen::Listener;
use crate::http::routes;
use crate::protect::{Purpose, RootKey};
use crate::random::Rng;

/// The stack of every worker: policies pass bounds, and their expressions are dropped here.
const STACK_BYTES: usize = 16 << 20;
/// The name of the caller that `--dev` makes. `key create` gives no such name.
pub(super) const DEV_NAME: &str = "--dev";

/// `portcullis serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    place: Place,
    /// For development: makes what is missing and prints a caller key with every right. Loopback only.
    #[arg(long)]
    dev: bool,
    /// Address and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    listen: Option<SocketAddr>,
    /// The folder whose folders are packs.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// The folder of plugins.
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

/// Serves until it is told to stop.
pub(super) fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let mut config = args.place.read()?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(policies) = &args.policies {
        config.policies.folder.clone_from(policies);
    }
    if let Some(plugins) = &args.plugins {
        config.plugins.folder.clone_from(plugins);
    }
    // What a developer has just built is signed by nobody.
    config.plugins.allow_unsigned = Some(config.plugins.allow_unsigned.unwrap_or(args.dev));
    start_logging(&config.logging)?;
    let policies = &config.policies.folder;
    if config.bundle.source.is_none() && !policies.is_dir() {
        tracing::warn!(folder = %policies.display(), "there is no such policies folder: nothing is permitted");
    }
    let workers =
        config.server.workers.or(std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let dev = args.dev;
    // One worker needs no thread to hand work to, but a stack of its own.
    let thread = std::thread::Builder::new().name("serve".into()).stack_size(STACK_BYTES);
    let done = thread.spawn(move || -> Result<(), Failure> {
        let mut builder = match workers {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(workers).thread_stack_size(STACK_BYTES).enable_all().build()?;
        runtime.block_on(run(config, dev))
    })?;
    done.join().map_err(|_| "the server ended in a defect")??;
    Ok(ExitCode::SUCCESS)
}

fn start_logging(logging: &Logging) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&logging.level)
        .map_err(|error| format!("`logging.level` is not valid: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match logging.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

async fn run(config: Config, dev: bool) -> Result<(), Failure> {
    // Signals count from here on, so that a stop during the start is a stop.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A file that may not grow is an error of that write, and not the end of the server.
    let _file_size = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let (clock, rng) = system();
    // What can fail without having touched anything comes first.
    let listener = Listener::bind(&config, dev).await?;
    make_folder(&config.data.folder)?;
    let root = if dev { dev_root_key(&config, &*rng)? } else { RootKey::read(&config.root_key())? };
    let app = App::start(config, &root, clock, rng).await?;
    let dev_key = renew_dev_caller(&app, &root, dev).await?;
    app.listens_at(listener.url());
    print(&format!("listening on {}", listener.url()));
    if let Some(key) = dev_key {
        say("development mode: the key below has every right on every pack, and is not for production");
        print(&format!("key {key}"));
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let background = spawn_background(&app, stopped);
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: what is in flight is finished first");
    };
    let routes = routes(Arc::clone(&app));
    listener.serve(Arc::clone(&app), routes, shutdown).await;
    stop.send(true).ok();
    background.await.map_err(|_| "the decision log's background task ended in a defect")??;
    if let Err(error) = app.state.close().await {
        tracing::error!(%error, "the last second of limits and counts was not kept");
    }
    app.store.close().await;
    Ok(())
}

/// The root key, made at the first start of all. Data without its key is left alone: another key would open nothing
/// of it, and would look as if it were the right one.
fn dev_root_key(config: &Config, rng: &dyn Rng) -> Result<RootKey, Failure> {
    let file = config.root_key();
    let folder = &config.data.folder;
    let has_data = [crate::store::FILE_NAME, "log"].iter().any(|name| folder.join(name).exists());
    if has_data && !file.exists() {
        let (folder, file) = (folder.display(), file.display());
        return Err(
            format!("`{folder}` holds data, and its root key `{file}` is not there: restore it").into()
        );
    }
    Ok(RootKey::read_or_create(&file, rng)?)
}

type Background = tokio::task::JoinHandle<Result<(), crate::audit::AuditError>>;

/// Starts what runs beside requests. The decision log's part ends after the last request.
fn spawn_background(app: &Arc<App>, mut stopped: tokio::sync::watch::Receiver<bool>) -> Background {
    tokio::spawn(Arc::clone(app).follow_store());
    tokio::spawn(Arc::clone(app).follow_stream());
    tokio::spawn(Arc::clone(app).follow_decisions());
    let state = app.state.clone();
    tokio::spawn(async move { state.maintain().await });
    if app.config.policies.watch {
        tokio::spawn(Arc::clone(app).follow_policies());
    }
    tokio::spawn(Arc::clone(app).follow_pin());
    tokio::spawn(Arc::clone(app).follow_candidate());
    tokio::spawn(Arc::clone(app).compare_shadowed());
    tokio::spawn(Arc::clone(app).make_shadow_calls());
    if app.config.search.prepare {
        tokio::spawn(Arc::clone(app).prepare_searches());
    }
    if app.config.bundle.source.is_some() {
        tokio::spawn(Arc::clone(app).follow_bundle());
    } else if app.config.plugins.watch {
        tokio::spawn(Arc::clone(app).follow_plugins());
    }
    let stopping = async move {
        stopped.wait_for(|stopped| *stopped).await.ok();
    };
    tokio::spawn(app.log.clone().run_background(stopping))
}

/// Ends the key of an earlier `--dev`, and makes a new one for this.
async fn renew_dev_caller(app: &App, root: &RootKey, dev: bool) -> Result<Option<String>, Failure> {
    // Other nodes on the same database have one of their own.
    let name = format!("{DEV_NAME} {}", app.log.node());
    for earlier in app.store.callers_of(DEFAULT_TENANT).await? {
        let is_own = earlier.name == name || (earlier.name == DEV_NAME && !app.store.is_shared());
        if is_own && earlier.revoked_at.is_none() {
            let now = app.clock.now();
            app.store.revoke_caller(DEFAULT_TENANT, &earlier.id, now, &app.new_id("evt_", now)).await?;
        }
    }
    let mut key = None;
    if dev {
        let new = NewCaller {
            tenant: DEFAULT_TENANT.into(),
            name,
            packs: vec![EVERY.into()],
            default_pack: None,
            rights: Right::GIVEN.iter().map(|right| right.name().to_owned()).collect(),
            expires_at: None,
        };
        let (clock, rng): (&dyn Clock, &dyn Rng) = (&*app.clock, &*app.rng);
        let (row, secret) = create(new, &root.derive(Purpose::CallerKeys), clock, rng)?;
        app.store.insert_caller(&row, &app.new_id("evt_", app.clock.now())).await?;
        key = Some(secret.expose_secret().to_owned());
    }
    app.refresh().await?;
    Ok(key)
}

//! The one shared state of a server, built once.
//!
//! Time, randomness and files come in here and nowhere else. What changes while serving (policies, callers) is
//! swapped whole.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::administration::revisions::RevisionError;
use crate::audit::{AuditError, DecisionLog, LogKeys, Mode, Opened, Options, Sync};
use crate::bundle::Contents;
use crate::caller::{Callers, Right};
use crate::clock::{Clock, SharedClock, Timestamp};
use crate::config::{Config, LogMode, LogSync};
use crate::detect::Aftermath;
use crate::evaluation::Circumstances;
use crate::evaluation::search::Searches;
use crate::metrics::Metrics;
use crate::plugin::set::ShadowQueue;
use crate::policy::set::PackSet;
use crate::policy::{LoadError, Loaded, Snapshot, Sources};
use crate::protect::{Key, KeyError, KeyRing, Purpose, RootKey};
use crate::random::{RandomError, Rng, new_id, uuid_v7};
use crate::state::{Settings, State, StateError};
use crate::store::{Store, StoreError};
use crate::validate::{ValidateError, Validation};

mod bundle;
mod candidate;
mod changing;
mod events;
mod plugins;
mod reload;
mod replica;
mod searches;
mod shadow;
mod stream;
#[cfg(test)]
mod tests;

pub use bundle::{BundleStatus, TakeError, last_bundle};
pub use candidate::Shadowed;
pub use changing::{Actor, ChangeError, Changing, Done};
pub use plugins::PluginStatus;
pub use reload::ReloadStatus;
use replica::Replica;

/// The shared state.
#[derive(Debug)]
pub struct App {
    /// The configuration.
    pub config: Config,
    /// What the time is, by the clock that all nodes share.
    pub clock: Arc<dyn Clock>,
    shared_clock: Arc<SharedClock>,
    /// Where randomness comes from.
    pub rng: Arc<dyn Rng>,
    /// Durable data.
    pub store: Store,
    /// What is shared, fast and expiring.
    pub state: State,
    /// What this run of this node is called among others.
    node: String,
    /// The decision log.
    pub log: DecisionLog,
    /// Who may ask.
    pub callers: Callers,
    replica: Replica,
    /// Counters.
    pub metrics: Metrics,
    /// Authenticates page cursors.
    pub cursor_key: Key,
    /// Keys by their names.
    pub keys: Arc<KeyRing>,
    /// Seals the calls of plugins that are kept for a replay.
    pub calls_key: Key,
    /// Calls of plugins off the path.
    pub shadow: ShadowQueue,
    /// Packs in shadow.
    pub shadowed: Shadowed,
    /// What requests must be, by their routes.
    pub validation: Validation,
    /// What searches share.
    pub searches: Searches,
    /// Decisions on their way to detectors.
    pub aftermath: Aftermath,
    sources: Sources,
    /// None when policies and plugins are in their folders.
    bundle: Option<bundle::Following>,
    plugins: plugins::Plugins,
    snapshot: ArcSwap<Snapshot>,
    serving: Mutex<Serving>,
    /// One load of policies at a time.
    loading: tokio::sync::Mutex<()>,
    /// Another set of packs is pinned, or none.
    pin_changed: tokio::sync::Notify,
    /// Whether what is served is what is pinned, or nothing is.
    settled: AtomicBool,
    /// The set of packs that the store keeps as the active one.
    kept: Mutex<Option<Arc<str>>>,
    base_url: OnceLock<String>,
    /// The sequence number that is served, for those who wait for one.
    revisions: tokio::sync::watch::Sender<u64>,
    refusals: events::Throttle,
    /// Whether the last append to the decision log failed.
    log_failing: AtomicBool,
}

/// What the snapshot was made of.
#[derive(Debug)]
struct Serving {
    loaded: Loaded,
    status: ReloadStatus,
    /// The set of packs that is to be served whatever the folder holds.
    pin: Option<Arc<str>>,
}

/// Why a server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder can't be made.
    #[error("can't use the data folder `{}`: {source}", path.display())]
    DataFolder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The root key can't be used.
    #[error(transparent)]
    RootKey(#[from] crate::protect::RootKeyError),
    /// A named key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The routes of applications can't be used.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The decision log can't be used.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The policies can't be loaded, and there is no last good state yet.
    #[error("the policies do not load, and nothing was served before:\n{0}")]
    Policies(#[from] LoadError),
    /// The pinned set can't be served, and nothing else may be.
    #[error(
        "the pinned revision `{id}` can't be served: {source}\n`portcullis policy follow` lets the policies folder count again"
    )]
    Pinned {
        /// Which.
        id: Arc<str>,
        /// Why.
        source: RevisionError,
    },
    /// Plugins can't be loaded: one that was configured must not be silently absent.
    #[error("plugins can't be loaded:\n{}", .0.join("\n"))]
    Plugins(Vec<String>),
    /// There is no bundle to serve.
    #[error("the bundle can't be served, and the data folder holds none that could be: {0}")]
    Bundle(#[from] TakeError),
    /// There is no sandbox for plugins.
    #[error(transparent)]
    Sandbox(#[from] crate::plugin::runtime::RuntimeError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl App {
    /// Opens everything. Nothing listens yet.
    ///
    /// # Errors
    /// When a part can't be opened: a server that lacks one does not start.
    pub async fn start(
        config: Config,
        root: &RootKey,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Arc<Self>, StartError> {
        let keys = Arc::new(KeyRing::open(&config.keys, root, Arc::clone(&rng))?);
        let validation = Validation::load(&config.validate)?;
        let store = open_store(&config, root).await?;
        let own_clock = Arc::clone(&clock);
        let shared_clock = SharedClock::over(clock);
        replica::set_clock(&store, &shared_clock).await?;
        let clock: Arc<dyn Clock> = Arc::clone(&shared_clock) as Arc<dyn Clock>;
        // Redis has a clock of its own, which is what ours is set by.
        let state_clock = if config.state.redis_url.is_some() { own_clock } else { Arc::clone(&clock) };
        let state = open_state(&config, &store, state_clock, Arc::clone(&rng)).await?;
        let node = new_id("nod_", clock.now(), &*rng)?;
        let log = open_log(&config, root, (&clock, &*rng), &store).await?;
        let callers = Callers::new(root.derive(Purpose::CallerKeys));
        let replica = Replica::default();
        let known = replica.refresh(&store, &callers, &*clock).await?;
        let sources = Sources::of(config.policies.folder.clone(), config.policies.management.clone());
        let metrics = Metrics::new();
        let services = (&clock, &state, &keys);
        let load = async |bundle: Option<&Contents>| {
            let packs = load_first(&store, &sources, known.pin.as_ref(), bundle).await?;
            let plugins = plugins::Plugins::start(&config, root, services, &rng, bundle).await?;
            Ok((packs, plugins))
        };
        let (bundle, ((packs, loaded), (plugins, set))) =
            bundle::Following::start(&config, (&store, &*clock), load).await?;
        reload::announce(&loaded, &metrics);
        tracing::debug!(folder = %config.data.folder.display(), "opened");
        let sequence = known.sequence;
        let snapshot = loaded.at(sequence, known.data).with_plugins(set.with_overrides(&known.modes));
        let status = ReloadStatus::loaded(clock.now());
        let serving = Mutex::new(Serving { loaded: loaded.clone(), status, pin: known.pin });
        let app = Arc::new(Self {
            shadow: ShadowQueue::new(config.plugins.shadow_queue),
            shadowed: Shadowed::new(config.policies.shadow_queue),
            searches: Searches::new(config.search),
            config,
            clock,
            shared_clock,
            rng,
            store,
            state,
            node,
            log,
            callers,
            replica,
            metrics,
            cursor_key: root.derive(Purpose::Cursors),
            keys,
            calls_key: root.derive(Purpose::PluginCalls),
            validation,
            aftermath: Aftermath::default(),
            sources,
            bundle,
            plugins,
            snapshot: ArcSwap::from_pointee(snapshot),
            serving,
            loading: tokio::sync::Mutex::default(),
            pin_changed: tokio::sync::Notify::new(),
            settled: AtomicBool::new(true),
            kept: Mutex::default(),
            base_url: OnceLock::new(),
            revisions: tokio::sync::watch::Sender::new(sequence),
            refusals: events::Throttle::default(),
            log_failing: AtomicBool::new(false),
        });
        if app.served_revision().1.is_none() {
            app.keep_revision(&packs, &loaded).await;
        }
        Ok(app)
    }

    /// Takes note of how an append to the decision log went; says so when that changes, and not for every request.
    pub fn note_append(&self, appended: &Result<(), AuditError>) {
        match appended {
            Ok(()) if self.log_failing.load(Ordering::Relaxed) => {
                self.log_failing.store(false, Ordering::Relaxed);
                tracing::info!("the decision log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.metrics.log_failed();
                if !self.log_failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the decision log can't be written: what can't be recorded is denied");
                }
            }
        }
    }

    /// Whether decisions can be recorded. After a failure it tries, since without traffic nothing else would.
    pub async fn can_record(&self) -> bool {
        !self.log_failing.load(Ordering::Relaxed) || events::probe(self).await
    }

    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// A new id. Without randomness it still differs by time; whoever asks is denied elsewhere first.
    pub fn new_id(&self, prefix: &str, now: Timestamp) -> String {
        new_id(prefix, now, &*self.rng)
            .unwrap_or_else(|_| format!("{prefix}{}", hex::encode(uuid_v7(now, [0; 16]))))
    }

    /// The base of the URLs in metadata; never from a request.
    pub fn base_url(&self) -> &str {
        self.base_url.get().map_or("", String::as_str)
    }

    /// Says where the server listens, once it does.
    pub fn listens_at(&self, url: String) {
        let configured = self.config.server.public_url.as_ref();
        let url = configured.map_or(url, |url| url.trim_end_matches('/').to_owned());
        self.base_url.set(url).ok();
    }

    /// A caller lacked a right: counted, and an event in the decision log.
    pub async fn refused(&self, by: &Circumstances<'_>, right: Right) {
        self.metrics.refused();
        events::record_refusal(self, by, right).await;
    }

    /// A call had no known key: counted, and, within bounds, an event in the decision log.
    pub async fn unauthenticated(
        &self,
        reason: &'static str,
        request_id: Option<&str>,
        peer: Option<std::net::IpAddr>,
    ) {
        self.metrics.unauthenticated();
        if self.refusals.admits(&*self.clock) {
            events::record_unauthenticated(self, reason, request_id, peer).await;
        }
    }
}

/// Loads what is served first: the pinned set, or the bundle's or the folder's. What a bundle holds must load, pinned or not.
async fn load_first(
    store: &Store,
    sources: &Sources,
    pin: Option<&Arc<str>>,
    bundle: Option<&Contents>,
) -> Result<(PackSet, Loaded), StartError> {
    if let Some(contents) = bundle {
        let packs = contents.packs();
        sources.held.store(Some(Arc::clone(&packs)));
        if pin.is_some() {
            let set = sources.with(packs.to_vec()).map_err(LoadError::from)?;
            reload::make(set, None).await?;
        }
    }
    let loading = async {
        let set = reload::wanted(store, sources, pin.map(Arc::as_ref)).await?;
        Ok(reload::make(set, None).await?)
    };
    loading.await.map_err(|error| match (pin, error) {
        (Some(id), source) => StartError::Pinned { id: Arc::clone(id), source },
        (None, RevisionError::Load(error)) => error.into(),
        (None, RevisionError::Store(error)) => error.into(),
        (None, source) => StartError::Pinned { id: Arc::from(""), source },
    })
}

/// Says what the last end of the decision log was like, when it was no clean one.
fn report_opened(opened: &Opened) {
    let Opened { missing_at_most, missing_unknown, cut_bytes, .. } = *opened;
    if missing_unknown {
        tracing::warn!(
            "the decision log did not end cleanly, and nothing tells how many records are missing"
        );
    } else if missing_at_most > 0 || cut_bytes > 0 {
        tracing::warn!(
            missing_at_most,
            cut_bytes,
            "the decision log did not end cleanly: a gap record says so"
        );
    }
}

/// Opens the decision log, and tells how it ended.
async fn open_log(
    config: &Config,
    root: &RootKey,
    (clock, rng): (&Arc<dyn Clock>, &dyn Rng),
    store: &Store,
) -> Result<DecisionLog, StartError> {
    let (options, keys) = (log_options(config), LogKeys::derive(root)?);
    let log = DecisionLog::open(options, keys, Arc::clone(clock), rng, store.clone()).await?;
    report_opened(log.opened());
    Ok(log)
}

/// Opens the store and checks that it belongs to the root key.
///
/// # Errors
/// When the folder or database can't be used.
pub async fn open_store(config: &Config, root: &RootKey) -> Result<Store, StartError> {
    let folder = &config.data.folder;
    make_folder(folder)?;
    let store = match &config.data.database_url {
        Some(url) => Store::connect(url).await?,
        None => Store::open(folder).await?,
    };
    let fingerprint = hex::encode(root.derive(Purpose::Fingerprint).mac(b"database"));
    store.check_root_key(&fingerprint).await?;
    Ok(store)
}

/// Opens the state's home.
///
/// # Errors
/// When its URL can't be used.
pub async fn open_state(
    config: &Config,
    store: &Store,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<State, StartError> {
    let state = &config.state;
    let settings = Settings { redis_url: state.redis_url.as_ref(), key_prefix: &state.key_prefix };
    Ok(State::open(&settings, store, clock, rng).await?)
}

/// Makes the data folder, for its owner alone.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(folder: &std::path::Path) -> Result<(), StartError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| StartError::DataFolder { path: folder.to_owned(), source })
}

fn log_options(config: &Config) -> Options {
    let log = config.decision_log;
    Options {
        mode: match log.mode {
            LogMode::Durable => Mode::Durable,
            LogMode::Queued => Mode::Queued,
            LogMode::Gap => Mode::Gap,
        },
        sync: match log.sync {
            LogSync::Never => Sync::Never,
            LogSync::Interval => Sync::Interval(Duration::from_millis(log.sync_milliseconds)),
            LogSync::Always => Sync::Always,
        },
        segment_bytes: log.segment_bytes,
        checkpoint_every: Duration::from_secs(log.checkpoint_seconds),
        queue_records: log.queue_records,
        ..Options::new(&config.data.folder)
    }
}

//! A server that follows a bundle: had from its source, judged, and served whole or not at all.
//!
//! Promises: what is served was signed by a trusted key, loads with all of its packs and plugins, and is not older than
//! any that was served before, by this node or another on its store. What fails leaves what is served where it is, and
//! says why. A restart without the source serves what was served last. Must never: serve a part of a bundle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderValue;

use super::{App, StartError};
use crate::bundle::contents::ContentsError;
use crate::bundle::source::FileError;
use crate::bundle::{Bundle, BundleError, Contents, MOST_BYTES, Named, NotNewer, Source, read_file};
use crate::clock::{Clock, Timestamp};
use crate::config::{Bundle as Settings, Config};
use crate::outbound::{Fetched, Outbound, OutboundError};
use crate::plugin::folder::Files;
use crate::policy::LoadError;
use crate::store::{Store, StoreError};

mod follow;
mod kept;

pub use kept::last as last_bundle;

/// A bundle that was judged, and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    named: Named,
    contents: Arc<Contents>,
    bytes: Bytes,
}

/// What follows a bundle.
#[derive(Debug)]
pub(super) struct Following {
    settings: Settings,
    source: Source,
    kept: PathBuf,
    outbound: Outbound,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tag: Option<HeaderValue>,
    /// The last bundle that was refused although it verifies, and when.
    refused: Option<(Named, Duration)>,
    status: BundleStatus,
}

/// How a server follows its bundle.
#[derive(Clone, Debug)]
pub struct BundleStatus {
    /// Where it is had from.
    pub source: String,
    /// The version that is served.
    pub version: u64,
    /// Its manifest's digest.
    pub digest: String,
    /// When it began to be served.
    pub taken_at: Timestamp,
    /// When the source was last asked.
    pub polled_at: Timestamp,
    /// Why what the source has is not served.
    pub error: Option<String>,
    /// How often the source was asked with success.
    pub polls_ok: u64,
    /// And without.
    pub polls_failed: u64,
}

/// Why a bundle is not served.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Its file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its URL can't be had.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It is none, or nobody trusted vouches for it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// What is in it is no packs and plugins.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// It is older than what was served.
    #[error(transparent)]
    NotNewer(#[from] NotNewer),
    /// Its packs do not load.
    #[error("the bundle's policies do not load:\n{0}")]
    Policies(#[from] LoadError),
    /// Its plugins do not load.
    #[error("the bundle's plugins do not load:\n{0}")]
    Plugins(String),
    /// It can't be noted that it is served.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of this program failed.
    #[error("the bundle could not be loaded: the loader failed, which is a defect of this program")]
    Defect,
}

impl Judged {
    /// Looks at the signatures first, and at what was taken before; then at the contents. It blocks.
    fn of(bytes: Bytes, settings: &Settings) -> Result<Self, TakeError> {
        let bundle = Bundle::read_trusted(bytes.clone(), &settings.trusted_keys)?;
        Ok(Self { named: bundle.named(), contents: Arc::new(Contents::of(&bundle)?), bytes })
    }
}

impl Following {
    /// Starts with the source's bundle, or else with the one that was served last: `load` makes what is served of it.
    /// Without a configured bundle, `load` is given nothing.
    pub(super) async fn start<T>(
        config: &Config,
        (store, clock): (&Store, &dyn Clock),
        load: impl AsyncFn(Option<&Contents>) -> Result<T, StartError>,
    ) -> Result<(Option<Self>, T), StartError> {
        let Some(source) = config.bundle.source.clone() else { return Ok((None, load(None).await?)) };
        let settings = config.bundle.clone();
        let outbound =
            Outbound::new(Duration::from_secs(settings.timeout_seconds)).map_err(TakeError::from)?;
        let kept = kept::place(&config.data.folder);
        let taken = store.taken_bundle().await?;
        let offered = first(&source, &settings, &outbound).await.and_then(|(judged, tag)| {
            judged.named.may_follow(taken.as_ref())?;
            Ok((judged, tag))
        });
        let (judged, tag, loaded, error) = match with(offered, &load).await {
            Ok((judged, tag, loaded)) => (judged, tag, loaded, None),
            Err(error) => {
                let why = match &error {
                    StartError::Bundle(error) => error.to_string(),
                    error => error.to_string(),
                };
                let last = kept::read(&kept, &settings, taken.as_ref());
                let Ok((judged, _, loaded)) = with(last.map(|judged| (judged, None)), &load).await else {
                    return Err(error);
                };
                tracing::error!(
                    "the bundle of `{source}` is not served, but the one that was served last: {why}"
                );
                (judged, None, loaded, Some(why))
            }
        };
        let newest = store.take_bundle(&judged.named).await?;
        judged.named.may_follow(Some(&newest)).map_err(TakeError::from)?;
        kept::keep(&kept, &judged.bytes);
        let now = clock.now();
        tracing::info!(version = judged.named.version, digest = %judged.named.digest, "the bundle is served");
        let status = BundleStatus {
            source: source.to_string(),
            version: judged.named.version,
            digest: judged.named.digest.to_string(),
            taken_at: now,
            polled_at: now,
            polls_ok: u64::from(error.is_none()),
            polls_failed: u64::from(error.is_some()),
            error,
        };
        let state = Mutex::new(State { tag, refused: None, status });
        Ok((Some(Self { settings, source, kept, outbound, state }), loaded))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the source has at the start.
async fn first(
    source: &Source,
    settings: &Settings,
    outbound: &Outbound,
) -> Result<(Judged, Option<HeaderValue>), TakeError> {
    let Fetched::Body(bytes, tag) = fetch(source, outbound, None).await? else {
        return Err(TakeError::Defect);
    };
    Ok((judge(bytes, settings).await?, tag))
}

async fn with<T>(
    judged: Result<(Judged, Option<HeaderValue>), TakeError>,
    load: &impl AsyncFn(Option<&Contents>) -> Result<T, StartError>,
) -> Result<(Judged, Option<HeaderValue>, T), StartError> {
    let (judged, tag) = judged?;
    let loaded = load(Some(&judged.contents)).await?;
    Ok((judged, tag, loaded))
}

async fn fetch(
    source: &Source,
    outbound: &Outbound,
    tag: Option<&HeaderValue>,
) -> Result<Fetched, TakeError> {
    match source {
        Source::Url(uri) => Ok(outbound.get(uri, tag, MOST_BYTES).await?),
        Source::File(path) => {
            let path = path.clone();
            let reading = tokio::task::spawn_blocking(move || read_file(&path));
            Ok(Fetched::Body(reading.await.map_err(|_| TakeError::Defect)??, None))
        }
    }
}

async fn judge(bytes: Bytes, settings: &Settings) -> Result<Judged, TakeError> {
    let settings = settings.clone();
    let judging = tokio::task::spawn_blocking(move || Judged::of(bytes, &settings));
    judging.await.map_err(|_| TakeError::Defect)?
}

/// The plugins of a bundle, if packs come from one.
pub(super) fn plugins_of(contents: Option<&Contents>) -> Option<&BTreeMap<String, Files>> {
    contents.map(|contents| &contents.plugins)
}

impl App {
    /// How the bundle is followed, if one is.
    pub fn bundle_status(&self) -> Option<BundleStatus> {
        self.bundle.as_ref().map(|following| following.lock().status.clone())
    }

    /// The bundle's numbers, as Prometheus' text.
    pub fn render_bundle(&self, out: &mut String) {
        use std::fmt::Write as _;
        let Some(status) = self.bundle_status() else { return };
        let (ok, failed) = (status.polls_ok, status.polls_failed);
        write!(
            out,
            "# HELP portcullis_bundle_version the version of the bundle that is served\n\
             # TYPE portcullis_bundle_version gauge\nportcullis_bundle_version {}\n\
             # HELP portcullis_bundle_polls_total how often the bundle's source was asked, by result\n\
             # TYPE portcullis_bundle_polls_total counter\n\
             portcullis_bundle_polls_total{{result=\"ok\"}} {ok}\n\
             portcullis_bundle_polls_total{{result=\"failed\"}} {failed}\n\
             # HELP portcullis_bundle_failing whether what the source has is not served, since it failed\n\
             # TYPE portcullis_bundle_failing gauge\nportcullis_bundle_failing {}\n",
            status.version,
            u8::from(status.error.is_some())
        )
        .ok();
    }
}

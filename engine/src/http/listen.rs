//! The listener: connections in, answers out, and an end that finishes what is in flight.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::authzen;
use super::caller::REQUEST_ID;
use super::drain::Draining;
use super::error::ApiError;
use super::tls::{Certificates, TlsError};
use crate::app::App;
use crate::config::Config;

/// Headers of one request together, in bytes.
const HEADER_BYTES: usize = 32 << 10;
/// A TLS handshake that takes longer is ended.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address can't be had.
    #[error("can't listen on {address}: {source}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could read what is sent.
    #[error(
        "{0} is not a loopback address, and plain HTTP there can be read by others: set `[tls] cert` and `key`, or `server.allow_plaintext = true`"
    )]
    Plaintext(SocketAddr),
    /// `--dev` is for this machine alone.
    #[error("`--dev` listens on loopback only, not on {0}")]
    DevOffLoopback(SocketAddr),
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that listens, and does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    certificates: Option<Arc<Certificates>>,
    address: SocketAddr,
}

impl Listener {
    /// Takes the configured address.
    ///
    /// # Errors
    /// When it can't be had, or would be reachable without TLS.
    pub async fn bind(config: &Config, dev: bool) -> Result<Self, ListenError> {
        let server = &config.server;
        let address = server.listen;
        if dev && !address.ip().is_loopback() {
            return Err(ListenError::DevOffLoopback(address));
        }
        let certificates = config.tls.as_ref().map(Certificates::read).transpose()?.map(Arc::new);
        if certificates.is_none() && !address.ip().is_loopback() && !server.allow_plaintext {
            return Err(ListenError::Plaintext(address));
        }
        let failed = |source| ListenError::Address { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, certificates, address })
    }

    /// The URL of the address that was had.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `shutdown`, then finishes what is in flight.
    pub async fn serve(self, app: Arc<App>, routes: Router, shutdown: impl Future<Output = ()>) {
        let connections = Arc::new(Semaphore::new(app.config.server.connections));
        let graceful = GracefulShutdown::new();
        let builder = builder(&app);
        if let Some(certificates) = self.certificates.clone() {
            tokio::spawn(async move { certificates.follow().await });
        }
        tokio::pin!(shutdown);
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&connections).acquire_owned() => permit,
                () = &mut shutdown => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = &mut shutdown => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: accepting again at once would only spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let connection = Connection { app: Arc::clone(&app), routes: routes.clone(), peer };
            let (builder, watcher) = (builder.clone(), graceful.watcher());
            let certificates = self.certificates.clone();
            tokio::spawn(async move {
                connection.run(stream, certificates, builder, watcher).await;
                drop(permit);
            });
        }
        drop(self.socket);
        let patience = Duration::from_secs(app.config.server.shutdown_seconds);
        if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                seconds = patience.as_secs(),
                "requests were still in flight when the wait was over"
            );
        }
    }
}

fn builder(app: &App) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_timeout = Duration::from_secs(app.config.server.header_seconds);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEADER_BYTES)
        // Answers are small: to copy one behind its headers costs less than to send two pieces.
        .writev(false)
        .half_close(true)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(100)
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX));
    builder
}

struct Connection {
    app: Arc<App>,
    routes: Router,
    peer: SocketAddr,
}

impl Connection {
    async fn run(
        self,
        stream: TcpStream,
        certificates: Option<Arc<Certificates>>,
        builder: Builder<TokioExecutor>,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        stream.set_nodelay(true).ok();
        match certificates {
            None => self.speak(stream, builder, watcher).await,
            Some(certificates) => {
                let handshake = certificates.acceptor().accept(stream);
                match tokio::time::timeout(HANDSHAKE, handshake).await {
                    Ok(Ok(stream)) => self.speak(stream, builder, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "no TLS handshake"),
                    Err(_) => tracing::debug!(peer = %self.peer, "the TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak<S>(
        self,
        stream: S,
        builder: Builder<TokioExecutor>,
        watcher: hyper_util::server::graceful::Watcher,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = self.peer;
        let patience = Duration::from_secs(self.app.config.server.header_seconds);
        let activity = Arc::new(Activity::default());
        let requests = Arc::clone(&activity);
        let service = hyper::service::service_fn(move |request| {
            let answering = answer(Arc::clone(&self.app), self.routes.clone(), peer, request);
            let requests = Arc::clone(&requests);
            async move {
                let _busy = requests.begin();
                answering.await
            }
        });
        let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, %peer, "the connection ended early");
            },
            () = activity.ends(patience) => tracing::debug!(%peer, "the connection was idle: closed"),
        }
    }
}

/// A connection with nothing in flight for this long is closed. (HTTP/1 ends waiting ones sooner.)
const IDLE: Duration = Duration::from_secs(120);

/// What a connection has been used for. Protocol detection and HTTP/2 wait without end for a client that says
/// nothing: it must not hold one of the server's connections for it.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    in_flight: AtomicU64,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until the connection has brought no request in time, or none for long.
    async fn ends(&self, patience: Duration) {
        // A moment more than the HTTP/1 reader's own limit, which answers where it can.
        tokio::time::sleep(patience.saturating_add(Duration::from_secs(1))).await;
        let mut begun = self.begun.load(Ordering::Relaxed);
        while begun > 0 {
            tokio::time::sleep(IDLE.max(patience)).await;
            let before = std::mem::replace(&mut begun, self.begun.load(Ordering::Relaxed));
            if begun == before && self.in_flight.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

/// A request in flight.
struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What every request gets, whatever its route: its id back, a count, and an answer even to a defect.
async fn answer(
    app: Arc<App>,
    routes: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let started = app.clock.monotonic();
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let has_body = !request.body().is_end_stream();
    request.extensions_mut().insert(Peer(peer));
    let request = request.map(|body| Body::new(Draining::new(body)));
    let answering = std::pin::pin!(respond(&app, routes, request));
    let mut response = match CatchPanic(AssertUnwindSafe(answering)).await {
        Ok(response) => response,
        Err(panic) => {
            app.metrics.panicked();
            tracing::error!(panic, request_id = ?request_id, "a request ended in a defect");
            ApiError::Defect.into_response()
        }
    };
    if has_body && may_have_left_the_body(response.status()) {
        // Nobody may have read the body, and then no other request can follow it.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(id) = request_id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    app.metrics.requested(response.status().as_u16(), app.clock.monotonic().saturating_sub(started));
    Ok(response)
}

/// The answer of a request's route. The one that is asked for most is known by its path, before the table is looked at.
async fn respond(app: &Arc<App>, routes: Router, request: Request<Body>) -> Response<Body> {
    match authzen::evaluation_of(&request) {
        Some(pack) => authzen::evaluate_boxed(State(Arc::clone(app)), pack, request).await.into_response(),
        None => match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    }
}

/// Statuses that are answered before the body was read.
fn may_have_left_the_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// A future that gives the message of a panic instead of passing it on.
struct CatchPanic<F>(AssertUnwindSafe<F>);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let future = &mut self.0.0;
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| std::pin::Pin::new(future).poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                std::task::Poll::Ready(Err(text.unwrap_or_default()))
            }
        }
    }
}

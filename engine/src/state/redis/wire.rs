//! The connection that operations share: made when it is wanted, thrown away when it breaks or falls silent.
//!
//! Promises: an operation is over in about a second, whatever the server does; a server that is back is used again by
//! the next operation that comes a tenth of a second after the last failure. Nothing waits in a queue for a server
//! that is away.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, ServerErrorKind};
use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::StateError;
use super::address::{Address, CONNECT, Connection};
use crate::clock::Clock;

/// How long one answer may take.
const RESPONSE: Duration = Duration::from_millis(500);
/// How long an operation may take, a new connection included.
const DEADLINE: Duration = Duration::from_millis(1_000);
/// How long the answer "there is no connection" is repeated before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether an operation may be asked a second time when the connection broke: whether doing it twice is doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Yes,
    No,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

#[derive(Debug)]
pub(super) struct Wire {
    address: Address,
    clock: Arc<dyn Clock>,
    live: ArcSwapOption<Connection>,
    /// The last attempt that failed: when, and why. Locked while a connection is made.
    failed: Mutex<Option<(Duration, String)>>,
}

impl Wire {
    pub(super) fn new(address: Address, clock: Arc<dyn Clock>) -> Self {
        Self { address, clock, live: ArcSwapOption::empty(), failed: Mutex::new(None) }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, call: Call<'_>, again: Again) -> Result<T, StateError> {
        let asking = tokio::time::timeout(DEADLINE, self.try_to_ask(call, again));
        asking.await.unwrap_or_else(|_| Err(StateError::Unavailable("no answer within a second".into())))
    }

    async fn try_to_ask<T: FromRedisValue>(&self, call: Call<'_>, again: Again) -> Result<T, StateError> {
        let mut again = again;
        loop {
            let live = self.live().await?;
            let error = match call.send(&mut (*live).clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if is_broken(&error) {
                self.give_up(&live);
            }
            if again == Again::No || !error.is_connection_dropped() {
                return Err(as_state_error(&error));
            }
            again = Again::No;
        }
    }

    /// A connection of its own, for what keeps one busy.
    pub(super) async fn connect(&self, response: Duration) -> Result<Connection, StateError> {
        let connecting = tokio::time::timeout(CONNECT, self.address.connect(response));
        match connecting.await {
            Ok(connected) => connected.map_err(|error| as_state_error(&error)),
            Err(_) => Err(StateError::Unavailable("no connection within a second".into())),
        }
    }

    async fn live(&self) -> Result<Arc<Connection>, StateError> {
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let mut failed = self.failed.lock().await;
        // Another may have made one meanwhile.
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        if let Some((at, why)) = &*failed
            && self.clock.monotonic().saturating_sub(*at) < PAUSE
        {
            return Err(StateError::Unavailable(why.clone()));
        }
        match self.connect(RESPONSE).await {
            Ok(connection) => {
                *failed = None;
                warn_of_eviction(connection.clone()).await;
                let live = Arc::new(connection);
                self.live.store(Some(Arc::clone(&live)));
                Ok(live)
            }
            Err(error) => {
                let why = match &error {
                    StateError::Unavailable(why) => why.clone(),
                    other => other.to_string(),
                };
                *failed = Some((self.clock.monotonic(), why));
                Err(error)
            }
        }
    }

    /// Throws a connection away, unless that was done already.
    fn give_up(&self, broken: &Arc<Connection>) {
        let current = self.live.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, broken)) {
            self.live.compare_and_swap(&current, None);
        }
    }
}

impl Call<'_> {
    pub(super) async fn send<T: FromRedisValue>(self, connection: &mut Connection) -> RedisResult<T> {
        match self {
            Self::Script(script) => script.invoke_async(connection).await,
            Self::Command(command) => command.query_async(connection).await,
        }
    }
}

/// Whether the next operation should have another connection. Silence counts: the server may be gone without a word.
/// So does a server that has become a replica: its name may lead to the new primary.
fn is_broken(error: &RedisError) -> bool {
    let moved = matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
            | ErrorKind::ClusterConnectionNotFound
    );
    error.is_io_error() || error.is_unrecoverable_error() || moved
}

/// The error in the server's words, as far as they can hold no secret: code and category.
pub(super) fn as_state_error(error: &RedisError) -> StateError {
    if matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse)
        || error.code() == Some("WRONGTYPE")
    {
        return StateError::Corrupt(error.category().to_owned());
    }
    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
    StateError::Unavailable(format!("{}{code}", error.category()))
}

/// A server that makes room by throwing keys away could let a one-time claim be won twice.
async fn warn_of_eviction(mut connection: Connection) {
    if matches!(connection, Connection::Cluster(_)) {
        return;
    }
    let asked: RedisResult<String> = ::redis::cmd("INFO").arg("memory").query_async(&mut connection).await;
    let Ok(info) = asked else { return };
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let policy = value("maxmemory_policy").unwrap_or("noeviction").trim();
    if value("maxmemory").is_some_and(|most| most.trim() != "0") && policy != "noeviction" {
        tracing::warn!(
            policy,
            "Redis throws keys away when its memory is full: one-time claims could be won twice; \
             set `maxmemory-policy noeviction`"
        );
    }
}

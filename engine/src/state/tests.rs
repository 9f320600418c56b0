//! The same tests on every home of the state.
//!
//! Redis is that of `PORTCULLIS_TEST_REDIS`; without it those tests say that they are skipped.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::random::SystemRng;

mod durability;
mod histories;
mod limits;
mod model;
mod operations;
mod outage;
mod server;
mod streams;

/// A state to test, and how time passes there.
struct Home {
    state: State,
    /// Stands still until it is moved; none on Redis, which has its own.
    clock: Option<Arc<ManualClock>>,
    _folder: Option<tempfile::TempDir>,
}

const HOUR: Duration = Duration::from_secs(3_600);
const TINY: Duration = Duration::from_millis(1);

impl Home {
    /// A home of its own on the Redis that the environment names.
    async fn redis() -> Option<Self> {
        let state = redis_state(&test_redis()?, &fresh_prefix()).await;
        Some(Self { state, clock: None, _folder: None })
    }

    /// A home of its own in this process.
    async fn embedded() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
        let state = embedded_state(folder.path(), clock.clone()).await;
        Some(Self { state, clock: Some(clock), _folder: Some(folder) })
    }

    async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

/// The state of a process that starts on this folder.
async fn embedded_state(folder: &std::path::Path, clock: Arc<ManualClock>) -> State {
    let store = Store::open(folder).await.unwrap();
    let settings = Settings { redis_url: None, key_prefix: "portcullis" };
    State::open(&settings, &store, clock, Arc::new(SystemRng::new())).await.unwrap()
}

/// The Redis to test with. A test that gets none says so, and is over.
#[expect(clippy::disallowed_methods, reason = "tests learn here where their Redis is")]
#[expect(clippy::print_stderr, reason = "a test that tests nothing must say so")]
fn test_redis() -> Option<String> {
    let url = std::env::var("PORTCULLIS_TEST_REDIS").ok();
    if url.is_none() {
        eprintln!("skipped: PORTCULLIS_TEST_REDIS is not set");
    }
    url
}

fn fresh_prefix() -> String {
    format!("test:{}", hex::encode(SystemRng::new().id_bytes().unwrap()))
}

/// A state on this Redis. The store beside it is not asked.
async fn redis_state(url: &str, prefix: &str) -> State {
    let url = SecretString::from(url.to_owned());
    let settings = Settings { redis_url: Some(&url), key_prefix: prefix };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let opened =
        State::open(&settings, &store, Arc::new(SystemClock::new()), Arc::new(SystemRng::new())).await;
    store.close().await;
    opened.unwrap()
}

/// The same tests for each home, in the modules `on_embedded` and `on_redis`.
macro_rules! on_each_home {
    ($($test:ident),* $(,)?) => {
        mod on_redis {
            crate::state::tests::on_each_home!(@on redis: $($test),*);
        }
        mod on_embedded {
            crate::state::tests::on_each_home!(@on embedded: $($test),*);
        }
    };
    (@on $home:ident: $($test:ident),*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            if let Some(home) = crate::state::tests::Home::$home().await {
                super::$test(home).await;
            }
        })*
    };
}
use on_each_home;

//! The same tests on every home of the state.
//!
//! Redis is that of `PORTCULLIS_TEST_REDIS`; without it those tests say that they are skipped.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::random::SystemRng;

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
}

const HOUR: Duration = Duration::from_secs(3_600);
const TINY: Duration = Duration::from_millis(1);

impl Home {
    /// A home of its own on the Redis that the environment names.
    fn redis() -> Option<Self> {
        test_redis().map(|url| Self { state: redis_state(&url, &fresh_prefix()) })
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
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

fn redis_state(url: &str, prefix: &str) -> State {
    let url = SecretString::from(url.to_owned());
    let settings = Settings { redis_url: Some(&url), key_prefix: prefix };
    State::open(&settings, Arc::new(SystemClock::new()), Arc::new(SystemRng::new())).unwrap()
}

/// Each named test, on each home.
macro_rules! on_each_home {
    ($($test:ident),* $(,)?) => {
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(home) = crate::state::tests::Home::redis() {
                    super::$test(home).await;
                }
            })*
        }
    };
}
use on_each_home;

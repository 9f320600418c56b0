//! Shared, fast, expiring, atomic: one-time claims, limits, bounded sets, counters, small values, the stream of changes.
//!
//! Promises: each operation is one atomic step, whichever of its homes answers, and both give the same answers; what
//! is over its time is gone, without a job. When the home can't be asked, that is an error and never an answer.
//! Must never: stand in for the store. Redis may lose what it acknowledged (a failover, its persistence settings).

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::clock::{Clock, Timestamp};
use crate::random::{RandomError, Rng};
use crate::store::Store;

mod bounds;
mod embedded;
mod rate;
mod redis;
pub mod stream;
mod window;

#[cfg(test)]
mod tests;

pub use bounds::{MAX_KEY_BYTES, MAX_TTL, MAX_VALUE_BYTES};
pub use rate::{Rate, Verdict};

use bounds::{Ttl, check_key, check_text, check_value};
use embedded::EmbeddedState;
use redis::RedisState;

/// Why the state gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    /// What was asked is outside of the limits.
    #[error("{0}")]
    Invalid(String),
    /// The configured URL or prefix can't be used. Never says the URL itself: it may hold a password.
    #[error("can't use `state.redis_url`: {0}")]
    Url(String),
    /// The home of the state can't be asked now.
    #[error("the state can't be asked: {0}")]
    Unavailable(String),
    /// What is kept there is not what this program keeps there.
    #[error("the state holds something else than it should: {0}")]
    Corrupt(String),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Whose a one-time claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The claimant's, now or by an earlier call of the same claimant.
    Won {
        /// When it can be claimed again.
        until: Timestamp,
    },
    /// Another's.
    Lost,
}

/// What a full set does with a new member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuses it.
    Refuse,
    /// Puts the oldest out.
    EvictOldest,
}

/// What became of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in, and had room.
    New,
    /// It was in; its time is renewed, its age is not.
    Already,
    /// It is not in: the set is full.
    Refused,
    /// It is in, and these are out for it, the oldest first.
    Evicted(Vec<String>),
}

/// Which state of a value: another one after every change, also after it was deleted and put again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

/// What became of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Swapped; the new version.
    Done(Version),
    /// The value has another version than expected.
    Conflict,
}

/// Where the state is kept.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Redis or Valkey: `redis://`, `rediss://`, or `redis+cluster://host1,host2` and `rediss+cluster://…`. `None`:
    /// in this process.
    pub redis_url: Option<&'a SecretString>,
    /// What every key of Redis begins with: letters, digits, `_`, `-`, `.`, `:`.
    pub key_prefix: &'a str,
}

/// The state, in one of its homes.
#[derive(Clone, Debug)]
pub enum State {
    /// On Redis or Valkey, shared by all nodes.
    Redis(Arc<RedisState>),
    /// In this process and its store.
    Embedded(Arc<EmbeddedState>),
}

/// The same call on either home.
macro_rules! each {
    ($state:expr, $home:ident => $call:expr) => {
        match $state {
            State::Redis($home) => $call.await,
            State::Embedded($home) => $call.await,
        }
    };
}

impl State {
    /// Prepares the state's home. Redis need not be there yet: operations fail until it is. Without Redis, what the
    /// store holds of the state is taken over.
    ///
    /// On Redis `clock` is the system's, not one that is corrected by [`State::shared_now`].
    ///
    /// # Errors
    /// When the URL or the prefix can't be used, or the store fails.
    pub async fn open(
        settings: &Settings<'_>,
        store: &Store,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, StateError> {
        Ok(match settings.redis_url {
            Some(url) => Self::Redis(Arc::new(RedisState::new(url, settings.key_prefix, clock, rng)?)),
            None => Self::Embedded(Arc::new(EmbeddedState::open(store, clock, rng).await?)),
        })
    }

    /// Writes through to the store what is not written at once, and sweeps it, for as long as it runs. Where Redis
    /// does that, it only waits.
    pub async fn maintain(&self) {
        match self {
            Self::Redis(_) => std::future::pending().await,
            Self::Embedded(home) => home.maintain().await,
        }
    }

    /// Writes through what is left, before the store is closed.
    ///
    /// # Errors
    /// When the store fails: then the last second of rates, counters and windows is lost.
    pub async fn close(&self) -> Result<(), StateError> {
        match self {
            Self::Redis(_) => Ok(()),
            Self::Embedded(home) => home.write().await,
        }
    }

    /// Claims `key` for `claimant`: the first one has it until `ttl` is over. Its own retry wins again, for the same
    /// time.
    ///
    /// # Errors
    /// When the state can't be asked: then nothing is claimed as far as the caller may know.
    pub async fn claim_once(&self, key: &str, claimant: &str, ttl: Duration) -> Result<Claim, StateError> {
        check_key(key)?;
        check_text("claimant", claimant)?;
        let ttl = Ttl::new(ttl)?;
        each!(self, home => home.claim_once(key, claimant, ttl))
    }

    /// Whether `cost` requests conform to the rate (GCRA), which then counts them. Cost 0 only looks; a cost above the
    /// burst is never allowed.
    ///
    /// # Errors
    /// When the rate makes no sense, or the state can't be asked.
    pub async fn gcra(&self, key: &str, rate: Rate, cost: u32) -> Result<Verdict, StateError> {
        check_key(key)?;
        let rate = rate.check()?;
        // What can never be allowed only looks.
        let counted = if cost > rate.burst { 0 } else { cost };
        let step = each!(self, home => home.gcra(key, rate, counted))?;
        Ok(rate.verdict(step, cost))
    }

    /// Adds a member to a set that holds at most `limit` (1 to 10,000) members, each for its own `ttl`.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn bounded_insert(
        &self,
        set: &str,
        member: &str,
        (limit, when_full): (u32, WhenFull),
        ttl: Duration,
    ) -> Result<Inserted, StateError> {
        check_key(set)?;
        check_text("member", member)?;
        let limit = bounds::check_limit(limit)?;
        let ttl = Ttl::new(ttl)?;
        each!(self, home => home.bounded_insert(set, member, (limit, when_full), ttl))
    }

    /// Takes a member out; says whether it was in.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn remove_member(&self, set: &str, member: &str) -> Result<bool, StateError> {
        check_key(set)?;
        check_text("member", member)?;
        each!(self, home => home.remove_member(set, member))
    }

    /// The members, the oldest first.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn members(&self, set: &str) -> Result<Vec<String>, StateError> {
        check_key(set)?;
        each!(self, home => home.members(set))
    }

    /// Adds to a counter, whose time begins with its first add; gives the new count. Counts stay within ±(2⁵³ - 1).
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn add(&self, key: &str, by: i64, ttl: Duration) -> Result<i64, StateError> {
        check_key(key)?;
        let ttl = Ttl::new(ttl)?;
        each!(self, home => home.add(key, bounds::clamp(by), ttl))
    }

    /// A counter's count; 0 when there is none.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn count(&self, key: &str) -> Result<i64, StateError> {
        check_key(key)?;
        each!(self, home => home.count(key))
    }

    /// Adds to a sliding window of 1 ms to 31 days; gives the sum over the window. The sum is of 61 slices, each a
    /// sixtieth of the window: what is older than the window by less than a sixtieth still counts, nothing younger is
    /// ever missed.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn window_add(&self, key: &str, window: Duration, by: u32) -> Result<u64, StateError> {
        check_key(key)?;
        let window = window::Window::new(window)?;
        each!(self, home => home.window_add(key, window, by))
    }

    /// The sum over a sliding window.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn window_count(&self, key: &str, window: Duration) -> Result<u64, StateError> {
        self.window_add(key, window, 0).await
    }

    /// Keeps a value of at most 64 KiB, whatever was there.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Version, StateError> {
        check_key(key)?;
        check_value(value)?;
        let ttl = Ttl::new(ttl)?;
        each!(self, home => home.put(key, value, ttl))
    }

    /// A value and its version.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StateError> {
        check_key(key)?;
        each!(self, home => home.get(key))
    }

    /// Keeps a value if what is there has the version `expected`; `None`: if there is none.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
        ttl: Duration,
    ) -> Result<Swap, StateError> {
        check_key(key)?;
        check_value(value)?;
        let ttl = Ttl::new(ttl)?;
        each!(self, home => home.compare_and_swap(key, expected, value, ttl))
    }

    /// Deletes a value; says whether there was one.
    ///
    /// # Errors
    /// When the state can't be asked.
    pub async fn delete(&self, key: &str) -> Result<bool, StateError> {
        check_key(key)?;
        each!(self, home => home.delete(key))
    }
}

impl Version {
    /// One that no value has had.
    fn fresh(rng: &dyn Rng) -> Result<Self, StateError> {
        let [a, b, c, d, e, f, g, h, ..] = rng.id_bytes()?;
        Ok(Self(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
    }
}

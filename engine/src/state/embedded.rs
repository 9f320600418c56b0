//! The state of one process, without Redis.
//!
//! Promises: claims, values and sets are in the store before they are answered, which is also the arbiter between
//! processes on one database. Rates, counters and windows are in memory, and in the store a second later: kill -9
//! forgets at most that second of them. Must never: share those between processes; that takes Redis.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Mutex, MutexGuard};

use super::bounds::{self, Ttl};
use super::rate::{CheckedRate, Step};
use super::window::Window;
use super::{Claim, Inserted, StateError, Swap, Version, WhenFull};
use crate::clock::{Clock, Timestamp};
use crate::random::Rng;
use crate::store::state_entries::{SetBound, SetInsert, Span, StateValue};
use crate::store::{Store, StoreError};

mod counts;

use counts::{Counts, Held, Kind};

/// How often counts are written.
pub(super) const WRITE: Duration = Duration::from_secs(1);
/// Once in how many of these what is over is swept from the store.
const SWEEP_EVERY: u32 = 30;

/// The state, in this process and its store.
#[derive(Debug)]
pub struct EmbeddedState {
    store: Store,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    counts: Counts,
    /// Writers of this process queue here: SQLite's own waiting is by sleeping, and not in turn.
    turn: Mutex<()>,
}

impl EmbeddedState {
    pub(super) async fn open(
        store: &Store,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, StateError> {
        let counts = Counts::default();
        let mut unreadable = 0;
        let take = |count| unreadable += u32::from(!counts.load(count));
        store.each_state_count(clock.now(), take).await?;
        if unreadable > 0 {
            tracing::warn!(unreadable, "counts that another version kept can't be read: they begin anew");
        }
        Ok(Self { store: store.clone(), clock, rng, counts, turn: Mutex::new(()) })
    }

    fn span(&self, ttl: Ttl) -> Span {
        let now = self.clock.now();
        Span { now, ends_at: Timestamp(now.0.saturating_add(ttl.micros())) }
    }

    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.store.is_shared() { None } else { Some(self.turn.lock().await) }
    }

    pub(super) async fn claim_once(&self, key: &str, claimant: &str, ttl: Ttl) -> Result<Claim, StateError> {
        let _turn = self.turn().await;
        let claimed = self.store.claim_state(key, claimant, self.span(ttl)).await?;
        Ok(claimed.map_or(Claim::Lost, |until| Claim::Won { until }))
    }

    pub(super) async fn bounded_insert(
        &self,
        set: &str,
        member: &str,
        (limit, when_full): (u32, WhenFull),
        ttl: Ttl,
    ) -> Result<Inserted, StateError> {
        let bound = SetBound { limit: limit.into(), evicts: when_full == WhenFull::EvictOldest };
        let _turn = self.turn().await;
        let inserted = self.store.insert_state_member(set, member, bound, self.span(ttl)).await?;
        Ok(match inserted {
            SetInsert::Already => Inserted::Already,
            SetInsert::Refused => Inserted::Refused,
            SetInsert::In(out) if out.is_empty() => Inserted::New,
            SetInsert::In(out) => Inserted::Evicted(out),
        })
    }

    pub(super) async fn remove_member(&self, set: &str, member: &str) -> Result<bool, StateError> {
        let _turn = self.turn().await;
        Ok(self.store.remove_state_member(set, member, self.clock.now()).await?)
    }

    pub(super) async fn members(&self, set: &str) -> Result<Vec<String>, StateError> {
        Ok(self.store.state_members(set, self.clock.now()).await?)
    }

    pub(super) async fn put(&self, key: &str, value: &[u8], ttl: Ttl) -> Result<Version, StateError> {
        let version = Version::fresh(&*self.rng)?;
        let _turn = self.turn().await;
        self.store.put_state(key, &kept(value, version), self.span(ttl)).await?;
        Ok(version)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StateError> {
        let Some(kept) = self.store.state(key, self.clock.now()).await? else { return Ok(None) };
        let value = STANDARD.decode(&kept.value);
        let value =
            value.map_err(|_| StateError::Corrupt("a value is not of the form it is kept in".into()))?;
        Ok(Some((value, Version(kept.version.cast_unsigned()))))
    }

    pub(super) async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
        ttl: Ttl,
    ) -> Result<Swap, StateError> {
        let version = Version::fresh(&*self.rng)?;
        let expected = expected.map(|version| version.0.cast_signed());
        let _turn = self.turn().await;
        let swapped = self.store.swap_state(key, expected, &kept(value, version), self.span(ttl)).await?;
        Ok(if swapped { Swap::Done(version) } else { Swap::Conflict })
    }

    pub(super) async fn delete(&self, key: &str) -> Result<bool, StateError> {
        let _turn = self.turn().await;
        Ok(self.store.delete_state(key, self.clock.now()).await?)
    }

    pub(super) async fn gcra(&self, key: &str, rate: CheckedRate, cost: u32) -> Result<Step, StateError> {
        let now = self.clock.now();
        Ok(self.counts.change(Kind::Rate, key, now, |held| {
            let before = if let Some(Held::Rate(held)) = held { Some(*held) } else { None };
            let (step, after) = rate.step(u64::try_from(now.0).unwrap_or(0), before, cost);
            if let Some(after) = after {
                let ends_at = i64::try_from(after.paid_back.us).unwrap_or(i64::MAX).saturating_add(1_000);
                return (step, Some((Held::Rate(after), Timestamp(ends_at))));
            }
            (step, None)
        }))
    }

    pub(super) async fn add(&self, key: &str, by: i64, ttl: Ttl) -> Result<i64, StateError> {
        let span = self.span(ttl);
        Ok(self.counts.change_until(Kind::Count, key, span, |held| {
            let before = if let Some(Held::Count(count)) = held { *count } else { 0 };
            let count = bounds::clamp(before.saturating_add(by));
            (count, Held::Count(count))
        }))
    }

    pub(super) async fn count(&self, key: &str) -> Result<i64, StateError> {
        Ok(self.counts.change(Kind::Count, key, self.clock.now(), |held| {
            (if let Some(Held::Count(count)) = held { *count } else { 0 }, None)
        }))
    }

    pub(super) async fn window_add(&self, key: &str, window: Window, by: u32) -> Result<u64, StateError> {
        let now = self.clock.now();
        let ends_at = Timestamp(now.0.saturating_add(window.keep_millis().saturating_mul(1_000)));
        Ok(self.counts.change(Kind::Window(window.slice_us), key, now, |held| {
            let mut slices = if let Some(Held::Window(slices)) = held { slices.clone() } else { Vec::new() };
            let sum = window.add(&mut slices, now, by);
            (sum, (by > 0).then_some((Held::Window(slices), ends_at)))
        }))
    }

    /// Writes counts every second and sweeps what is over, for as long as it runs.
    pub(super) async fn maintain(&self) {
        let mut failing = false;
        let mut until_sweep = 0_u32;
        loop {
            tokio::time::sleep(WRITE).await;
            let mut kept = self.write().await;
            if until_sweep == 0 && kept.is_ok() {
                let _turn = self.turn().await;
                kept = self.store.sweep_state(self.clock.now()).await.map(drop).map_err(Into::into);
                until_sweep = SWEEP_EVERY;
            }
            until_sweep = until_sweep.saturating_sub(1);
            match kept {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!(%error, "counts can't be written to the store: tried again every second");
                }
                Err(_) => {}
            }
        }
    }

    /// Writes the counts that changed since they were last written.
    pub(super) async fn write(&self) -> Result<(), StateError> {
        let changed = self.counts.take_changed(self.clock.now());
        let _turn = self.turn().await;
        let written = self.store.write_state_counts(&changed).await;
        if written.is_err() {
            self.counts.mark_changed(&changed);
        }
        Ok(written?)
    }
}

fn kept(value: &[u8], version: Version) -> StateValue {
    StateValue { value: STANDARD.encode(value), version: version.0.cast_signed() }
}

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::Corrupt(error.to_string()),
            StoreError::Nul => Self::Invalid(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

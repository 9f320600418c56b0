//! The one home of time.
//!
//! Everything else is handed a [`Clock`]; the lints ban the system's own. A test
//! can therefore stand at any instant, and a decision can be replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch, rounded down.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The RFC 3339 text in UTC, with microseconds; `None` outside of years -9999 to 9999.
    pub fn to_rfc3339(self) -> Option<String> {
        jiff::Timestamp::from_microsecond(self.0).ok().map(|time| format!("{time:.6}"))
    }

    /// Reads RFC 3339 text; an offset is required.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Self(time.as_microsecond()))
    }
}

/// What the time is: the wall clock, and a monotonic one for intervals.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back.
    fn monotonic(&self) -> Duration;
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The system's clocks, with the monotonic one starting at zero now.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the system's clock")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the system's clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that follows another one, by an offset: the nodes of one installation judge by one time, though one of them
/// has a wrong clock.
#[derive(Debug)]
pub struct SharedClock {
    own: Arc<dyn Clock>,
    offset_us: AtomicI64,
}

/// A smaller difference is not worth a step.
const TOLERATED_US: i64 = 100_000;

impl SharedClock {
    /// A clock that agrees with `own` until it is set.
    pub fn over(own: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { own, offset_us: AtomicI64::new(0) })
    }

    /// Sets it by the shared time at the moment between two readings of the own clock. The longer these are apart, the
    /// less is known. Gives the difference when it is a new one and worth a word.
    pub fn set(&self, shared: Timestamp, between: (Timestamp, Timestamp)) -> Option<i64> {
        let (before, after) = between;
        let middle = before.0 + (after.0 - before.0) / 2;
        let unsure = (after.0 - before.0).abs() / 2;
        let measured = shared.0.saturating_sub(middle);
        let offset = if measured.abs() <= TOLERATED_US + unsure { 0 } else { measured };
        let old = self.offset_us.load(Ordering::Acquire);
        if (offset - old).abs() <= TOLERATED_US + unsure {
            return None;
        }
        self.offset_us.store(offset, Ordering::Release);
        Some(offset)
    }

    /// How far the own clock is behind, in microseconds.
    pub fn offset_us(&self) -> i64 {
        self.offset_us.load(Ordering::Acquire)
    }

    /// The own clock's time.
    pub fn own_now(&self) -> Timestamp {
        self.own.now()
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.own.now().0.saturating_add(self.offset_us()))
    }

    fn monotonic(&self) -> Duration {
        self.own.monotonic()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now_us: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { now_us: AtomicI64::new(now.0), monotonic_ns: AtomicU64::new(0) })
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now_us.fetch_add(micros, Ordering::SeqCst);
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic_ns.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips_on_a_leap_day() {
        let time = Timestamp::parse_rfc3339("2028-02-29T23:59:59.000001Z").unwrap();
        assert_eq!(time.to_rfc3339().unwrap(), "2028-02-29T23:59:59.000001Z");
    }

    #[test]
    fn a_time_without_offset_is_refused() {
        assert_eq!(Timestamp::parse_rfc3339("2028-02-29T23:59:59"), None);
    }

    #[test]
    fn a_clock_that_is_an_hour_off_is_set_by_the_shared_time() {
        const HOUR: i64 = 3_600_000_000;
        let clock = SharedClock::over(ManualClock::at(Timestamp(0)));
        let read = (Timestamp(-1_000), Timestamp(1_000));
        assert_eq!(clock.set(Timestamp(HOUR), read), Some(HOUR));
        assert_eq!(clock.now(), Timestamp(HOUR));
        // What is within the error of the measurement is no news.
        assert_eq!(clock.set(Timestamp(HOUR + 50_000), read), None);
        assert_eq!(clock.set(Timestamp(20_000), read), Some(0));
        assert_eq!(clock.now(), Timestamp(0));
        let slow = (Timestamp(-600_000), Timestamp(600_000));
        assert_eq!(clock.set(Timestamp(500_000), slow), None);
    }

    #[test]
    fn a_manual_clock_moves_both_hands() {
        let clock = ManualClock::at(Timestamp(0));
        clock.advance(Duration::from_millis(5));
        assert_eq!(clock.now(), Timestamp(5_000));
        assert_eq!(clock.monotonic(), Duration::from_millis(5));
    }
}

//! The stream of changes: nodes tell each other how far the store is, and find out how old what they know may be.
//!
//! Promises: an [`Event::Echo`] comes after everything that stood in the stream before that heartbeat; what may have
//! been missed is an [`Event::Gap`]. So a node that asks the store at a gap, and counts its [`Freshness`] from the last
//! echo, knows everything that was announced before that heartbeat was sent. Must never: be the only word of a change.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{State, StateError};
use crate::clock::Timestamp;

/// How often a node says that it is there.
pub const HEARTBEAT: Duration = Duration::from_millis(200);

/// How far the store is, in a node's words.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// Whose word this is.
    pub node: &'a str,
    /// The store's sequence number.
    pub sequence: u64,
}

/// What the stream brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Some node, perhaps this one, says that the store is at least here.
    Announced {
        /// The store's sequence number.
        sequence: u64,
    },
    /// This node's own heartbeat came back.
    Echo {
        /// When it was sent, by the monotonic clock.
        sent_at: Duration,
    },
    /// Something may have been missed: ask the store.
    Gap,
}

/// How old what this node knows may be.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Nanoseconds, and one: 0 is never.
    newest: AtomicU64,
}

impl Freshness {
    /// Notes an echo, once everything before it is taken in.
    pub fn echoed(&self, sent_at: Duration) {
        let nanos = u64::try_from(sent_at.as_nanos()).unwrap_or(u64::MAX);
        self.newest.fetch_max(nanos.saturating_add(1), Ordering::AcqRel);
    }

    /// How long ago, at the monotonic `now`, the last heartbeat that came back was sent; `None` when none ever did.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let nanos = self.newest.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_nanos(nanos)))
    }
}

/// One look at the server's clock.
#[derive(Clone, Copy, Debug)]
struct Sample {
    server_us: i64,
    /// The middle of the look, by the monotonic clock.
    middle: Duration,
    round_trip: Duration,
}

/// The server's clock, as seen from here: the shortest of the last looks. It goes on with the monotonic clock, so that
/// no step of this machine's wall clock moves it.
#[derive(Debug, Default)]
pub(super) struct SharedTime(Mutex<VecDeque<Sample>>);

/// How many looks count: a step of the server's clock is followed within three seconds.
const LOOKS: usize = 16;

impl SharedTime {
    pub(super) fn note(&self, server_us: i64, sent: Duration, received: Duration) {
        let round_trip = received.saturating_sub(sent);
        let sample = Sample { server_us, middle: sent + round_trip / 2, round_trip };
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == LOOKS {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    pub(super) fn at(&self, now: Duration) -> Option<Timestamp> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let best = samples.iter().min_by_key(|sample| sample.round_trip)?;
        let since = now.saturating_sub(best.middle);
        Some(Timestamp(best.server_us.saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))))
    }
}

/// The heartbeats that are under way: what they are called, and when they were sent.
#[derive(Debug)]
pub(super) struct Beats {
    /// Of this run of this node, so that an earlier run's are not taken for its own.
    run: u64,
    sent: Mutex<VecDeque<(u64, Duration)>>,
}

impl Beats {
    pub(super) fn of_run(run: u64) -> Self {
        Self { run, sent: Mutex::default() }
    }

    /// Notes a heartbeat, before it is sent; gives its name.
    pub(super) fn start(&self, now: Duration) -> String {
        const UNDER_WAY: usize = 64;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let next = sent.back().map_or(0, |(last, _)| last + 1);
        if sent.len() == UNDER_WAY {
            sent.pop_front();
        }
        sent.push_back((next, now));
        format!("{:016x}.{next}", self.run)
    }

    /// When a heartbeat was sent; `None` for another's, or one that took too long.
    pub(super) fn sent_at(&self, name: &str) -> Option<Duration> {
        let (run, number) = name.split_once('.')?;
        if run != format!("{:016x}", self.run) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().find(|(one, _)| *one == number).map(|(_, at)| *at)
    }
}

impl State {
    /// Whether other nodes share this state, so that there is a stream to follow.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Tells all nodes how far the store is, after the change is committed there. In one process there is nobody to
    /// tell.
    ///
    /// # Errors
    /// When the stream did not take it: other nodes may not know of the change for as long as they trust the stream.
    pub async fn publish(&self, announcement: Announcement<'_>) -> Result<(), StateError> {
        match self {
            Self::Redis(home) => home.announce(announcement, None).await.map(drop),
            Self::Embedded(_) => Ok(()),
        }
    }

    /// Follows the stream, and says every [`HEARTBEAT`] that this node is there and at `sequence()`, until nobody
    /// receives the events any more. Where nothing is shared, it only waits for that.
    pub async fn follow(
        &self,
        node: &str,
        sequence: impl Fn() -> u64 + Send + Sync,
        events: &mpsc::Sender<Event>,
    ) {
        match self {
            Self::Redis(home) => home.follow(node, sequence, events).await,
            Self::Embedded(_) => events.closed().await,
        }
    }

    /// The time by the clock that all nodes share, going on by this node's monotonic one; `None` when there is none,
    /// or it was never seen.
    pub fn shared_now(&self) -> Option<Timestamp> {
        match self {
            Self::Redis(home) => home.shared_now(),
            Self::Embedded(_) => None,
        }
    }

    /// What must be added to this machine's wall clock to have the shared time, in microseconds.
    pub fn shared_time_offset(&self) -> Option<i64> {
        match self {
            Self::Redis(home) => home.shared_time_offset(),
            Self::Embedded(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn freshness_counts_from_when_the_newest_echo_was_sent() {
        let freshness = Freshness::default();
        assert_eq!(freshness.age(at(0)), None);
        freshness.echoed(at(0));
        assert_eq!(freshness.age(at(700)), Some(at(700)));
        freshness.echoed(at(500));
        freshness.echoed(at(400));
        assert_eq!(freshness.age(at(700)), Some(at(200)));
        assert_eq!(freshness.age(at(100)), Some(at(0)));
    }

    #[test]
    fn only_heartbeats_of_this_run_are_known() {
        let beats = Beats::of_run(7);
        let names: Vec<_> = (0..65).map(|number| beats.start(at(number))).collect();
        assert_eq!(beats.sent_at(&names[64]), Some(at(64)));
        assert_eq!(beats.sent_at(&names[0]), None, "forgotten: it took too long");
        assert_eq!(Beats::of_run(8).sent_at(&names[64]), None);
        for name in ["", ".", "0000000000000007", "0000000000000007.", "0000000000000007.-1", "7.64"] {
            assert_eq!(beats.sent_at(name), None, "{name}");
        }
    }

    #[test]
    fn shared_time_takes_the_shortest_look_and_goes_on_monotonically() {
        let time = SharedTime::default();
        assert_eq!(time.at(at(0)), None);
        time.note(1_000_000, at(0), at(400));
        assert_eq!(time.at(at(200)), Some(Timestamp(1_000_000)));
        time.note(5_000_000, at(500), at(502));
        assert_eq!(time.at(at(601)), Some(Timestamp(5_100_000)));
        // The short look is forgotten after as many others.
        for number in 0..16 {
            time.note(9_000_000 + number, at(700), at(710));
        }
        assert_eq!(time.at(at(705)).map(|time| time.0 / 1_000_000), Some(9));
    }
}

//! Rates, counters and windows in memory, spread over shards so that few wait for each other.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::state::rate::{Fine, HeldRate};
use crate::store::state_entries::{Span, StateCount};

const SHARDS: usize = 64;

/// What is counted under a key: a key has its own count of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Rate,
    Count,
    /// By the microseconds of its slices.
    Window(i64),
}

/// A count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Rate(HeldRate),
    Count(i64),
    /// Slices and what each holds.
    Window(Vec<(i64, u64)>),
}

type Key = (Kind, String);

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Key, (Held, Timestamp)>,
    changed: HashSet<Key>,
}

/// All counts.
#[derive(Debug)]
pub(super) struct Counts {
    shards: Vec<Mutex<Shard>>,
    // Keyed at random: keys come from outside.
    hasher: RandomState,
}

impl Default for Counts {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, hasher: RandomState::new() }
    }
}

impl Counts {
    /// Looks at a count that is not over, and keeps what `change` makes of it.
    pub(super) fn change<T>(
        &self,
        kind: Kind,
        key: &str,
        now: Timestamp,
        change: impl FnOnce(Option<&Held>) -> (T, Option<(Held, Timestamp)>),
    ) -> T {
        let key = (kind, key.to_owned());
        let mut shard = self.shard(&key);
        let held = shard.entries.get(&key).filter(|(_, ends_at)| *ends_at > now);
        let (answer, next) = change(held.map(|(held, _)| held));
        if let Some(next) = next {
            shard.changed.insert(key.clone());
            shard.entries.insert(key, next);
        }
        answer
    }

    /// The same for a count whose time is set when it begins.
    pub(super) fn change_until<T>(
        &self,
        kind: Kind,
        key: &str,
        span: Span,
        change: impl FnOnce(Option<&Held>) -> (T, Held),
    ) -> T {
        let key = (kind, key.to_owned());
        let mut shard = self.shard(&key);
        let held = shard.entries.get(&key).filter(|(_, ends_at)| *ends_at > span.now);
        let ends_at = held.map_or(span.ends_at, |(_, ends_at)| *ends_at);
        let (answer, next) = change(held.map(|(held, _)| held));
        shard.changed.insert(key.clone());
        shard.entries.insert(key, (next, ends_at));
        answer
    }

    /// Takes over what was written; says whether it could be read.
    pub(super) fn load(&self, count: StateCount) -> bool {
        let read = || {
            let kind = Kind::from_text(&count.kind)?;
            Some((kind, Held::from_text(kind, &count.value)?))
        };
        let Some((kind, held)) = read() else { return false };
        let key = (kind, count.entry);
        self.shard(&key).entries.insert(key, (held, count.ends_at));
        true
    }

    /// Forgets what is over, and gives what changed.
    pub(super) fn take_changed(&self, now: Timestamp) -> Vec<StateCount> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.entries.retain(|_, (_, ends_at)| *ends_at > now);
            let changed = std::mem::take(&mut shard.changed);
            all.extend(changed.into_iter().filter_map(|key| {
                let (held, ends_at) = shard.entries.get(&key)?;
                let (kind, entry) = key;
                Some(StateCount { kind: kind.to_text(), entry, value: held.to_text(), ends_at: *ends_at })
            }));
        }
        all
    }

    /// What could not be written is to be written again.
    pub(super) fn mark_changed(&self, counts: &[StateCount]) {
        for count in counts {
            let Some(kind) = Kind::from_text(&count.kind) else { continue };
            let key = (kind, count.entry.clone());
            self.shard(&key).changed.insert(key);
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(self.hasher.hash_one(key) % 64).unwrap_or(0);
        let shard = self.shards.get(place).or_else(|| self.shards.first());
        #[expect(clippy::expect_used, reason = "there are 64 shards, always")]
        lock(shard.expect("64 shards"))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kind {
    fn to_text(self) -> String {
        match self {
            Self::Rate => "rate".into(),
            Self::Count => "count".into(),
            Self::Window(slice_us) => format!("window:{slice_us}"),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "rate" => Some(Self::Rate),
            "count" => Some(Self::Count),
            _ => text.strip_prefix("window:")?.parse().ok().map(Self::Window),
        }
    }
}

impl Held {
    fn to_text(&self) -> String {
        match self {
            Self::Rate(HeldRate { paid_back, parts }) => {
                format!("{} {} {parts}", paid_back.us, paid_back.part)
            }
            Self::Count(count) => count.to_string(),
            Self::Window(slices) => {
                let slices: Vec<_> = slices.iter().map(|(slice, count)| format!("{slice}:{count}")).collect();
                slices.join(" ")
            }
        }
    }

    fn from_text(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Rate => {
                let numbers: Result<Vec<u64>, _> = text.split(' ').map(str::parse).collect();
                let [us, part, parts] = numbers.ok()?[..] else { return None };
                Some(Self::Rate(HeldRate { paid_back: Fine { us, part }, parts }))
            }
            Kind::Count => text.parse().ok().map(Self::Count),
            Kind::Window(_) => {
                let slice = |text: &str| {
                    let (slice, count) = text.split_once(':')?;
                    Some((slice.parse().ok()?, count.parse().ok()?))
                };
                text.split(' ').map(slice).collect::<Option<_>>().map(Self::Window)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            slices in prop::collection::vec(any::<(i64, u64)>(), 1..61),
            count in any::<i64>(),
            rate in any::<(u64, u64, u64)>(),
        ) {
            let (us, part, parts) = rate;
            let rate = Held::Rate(HeldRate { paid_back: Fine { us, part }, parts });
            for (kind, held) in
                [(Kind::Window(7), Held::Window(slices)), (Kind::Count, Held::Count(count)), (Kind::Rate, rate)]
            {
                prop_assert_eq!(Kind::from_text(&kind.to_text()), Some(kind));
                prop_assert_eq!(Held::from_text(kind, &held.to_text()), Some(held));
            }
        }
    }

    #[test]
    fn what_another_version_wrote_is_not_taken() {
        for (kind, value) in [
            ("rate", "1 2"),
            ("rate", "1 2 -3"),
            ("count", "many"),
            ("count", ""),
            ("window:7", "1:2 3"),
            ("window:x", "1:2"),
            ("other", "1"),
        ] {
            let counts = Counts::default();
            let (kind, value) = (kind.to_owned(), value.to_owned());
            let count = StateCount { kind, entry: "k".into(), value, ends_at: Timestamp(i64::MAX) };
            assert!(!counts.load(count.clone()), "{count:?}");
        }
    }
}

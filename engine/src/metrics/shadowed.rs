//! Counters of what packs in shadow would have answered.

use metrics::Counter;

use super::Metrics;
use crate::policy::shadow::Outcome;

/// One counter for each way in which a comparison ends.
pub(super) struct ShadowCounters {
    same: Counter,
    changed: Counter,
    flipped: Counter,
    not_compared: Counter,
    dropped: Counter,
}

impl ShadowCounters {
    pub(super) fn new(
        counter: impl Fn(&'static str, &'static str, &[(&'static str, &'static str)]) -> Counter,
    ) -> Self {
        let of = |result: &'static str| {
            let help = "decisions compared with those of packs in shadow, by result";
            counter("portcullis_shadow_decisions_total", help, &[("result", result)])
        };
        Self {
            same: of("same"),
            changed: of("changed"),
            flipped: of("flipped"),
            not_compared: of("not_compared"),
            dropped: of("dropped"),
        }
    }
}

impl Metrics {
    /// A decision was compared with that of packs in shadow.
    pub fn shadowed(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Same => &self.shadowed.same,
            Outcome::Changed => &self.shadowed.changed,
            Outcome::Flipped => &self.shadowed.flipped,
            Outcome::NotCompared => &self.shadowed.not_compared,
        };
        counter.increment(1);
    }

    /// A decision found no room to be compared.
    pub fn shadow_dropped(&self) {
        self.shadowed.dropped.increment(1);
    }
}

//! How long requests take, as a Prometheus histogram.
//!
//! The exporter's own histograms keep every sample until they are summed, which stops requests ten times a second for
//! as long as that takes. This one is an atomic addition a request and has nothing to sum.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in nanoseconds, and as seconds; from a small decision to a large batch.
const BOUNDS: [(u64, &str); 11] = [
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (100_000_000, "0.1"),
    (1_000_000_000, "1"),
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Samples at most as long as each bound and longer than the one before; the last are longer than all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl Latency {
    pub(super) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.iter().position(|(bound, _)| nanos <= *bound).unwrap_or(BOUNDS.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Prometheus' text format 0.0.4.
    pub(super) fn render(&self, name: &str, help: &str, out: &mut String) {
        // Writing to a string can't fail.
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram").ok();
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        let mut total = 0;
        for (count, bound) in self.counts.iter().zip(bounds) {
            total += count.load(Ordering::Relaxed);
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}").ok();
        }
        let sum = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(out, "{name}_sum {sum}\n{name}_count {total}").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_bounds_belong_to_their_bucket() {
        let latency = Latency::default();
        for nanos in [1, 25_000, 25_001, 2_000_000_000] {
            latency.record(Duration::from_nanos(nanos));
        }
        let mut text = String::new();
        latency.render("x_seconds", "how long", &mut text);
        for line in [
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{le=\"0.000025\"} 2",
            "x_seconds_bucket{le=\"0.00005\"} 3",
            "x_seconds_bucket{le=\"1\"} 3",
            "x_seconds_bucket{le=\"+Inf\"} 4",
            "x_seconds_sum 2.000050002",
            "x_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}

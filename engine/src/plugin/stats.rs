//! What a plugin's calls came to, on this node since its start.
//!
//! Promises: numbers alone, save the last error's text, which is kept with the tenant whose call it was.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::surroundings::Called;
use super::{CallFailure, FailureKind, Output};
use crate::clock::Timestamp;

/// Upper bounds of fuel.
const FUEL: [u64; 12] = [
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];
/// Upper bounds of time, in microseconds.
const MICROSECONDS: [u64; 12] = [5, 10, 20, 50, 100, 250, 500, 1_000, 5_000, 20_000, 100_000, 1_000_000];

/// Samples up to each bound and beyond the one before; the last are beyond all.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; 13],
    sum: AtomicU64,
}

impl Histogram {
    fn record(&self, bounds: &[u64; 12], value: u64) {
        let place = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self, bounds: &[u64; 12]) -> Buckets {
        let bounds = bounds.iter().copied().map(Some).chain([None]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let mut total = 0;
        let buckets = bounds.zip(counts).map(|(at_most, count)| {
            total += count;
            Bucket { at_most, calls: total }
        });
        Buckets { buckets: buckets.collect(), sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// A histogram as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Buckets {
    /// Each with all that are smaller.
    pub buckets: Vec<Bucket>,
    /// Of all values.
    pub sum: u64,
}

/// How many calls were at most so large.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Bucket {
    /// The bound; none is all.
    pub at_most: Option<u64>,
    /// How many.
    pub calls: u64,
}

/// The last call that failed.
#[derive(Clone, Debug)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// Whose call it was.
    pub tenant: Arc<str>,
    /// How it failed.
    pub failure: CallFailure,
}

/// Counts of calls that count, or of those in shadow mode.
#[derive(Debug, Default)]
pub struct Counts {
    calls: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
    rejections: AtomicU64,
    findings: AtomicU64,
}

/// Everything that is counted of one plugin.
#[derive(Debug, Default)]
pub struct Stats {
    enforced: Counts,
    shadow: Counts,
    /// Calls in shadow mode that found no room.
    dropped: AtomicU64,
    /// Loads that failed.
    load_failures: AtomicU64,
    circuit_opened: AtomicU64,
    fuel: Histogram,
    microseconds: Histogram,
    last_error: Mutex<Option<LastError>>,
}

impl Counts {
    fn note(&self, output: &Result<Output, CallFailure>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let findings = match output {
            Ok(Output::Validate(said)) => {
                self.rejections.fetch_add(u64::from(said.rejection.is_some()), Ordering::Relaxed);
                said.findings.len()
            }
            Ok(Output::Detect(said)) => said.findings.len(),
            Ok(Output::Mask { .. } | Output::Sign { .. }) => 0,
            Err(failure) => {
                let place = FailureKind::ALL.iter().position(|kind| *kind == failure.kind);
                if let Some(count) = place.and_then(|place| self.failures.get(place)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                0
            }
        };
        self.findings.fetch_add(findings as u64, Ordering::Relaxed);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many had a request rejected.
    pub fn rejections(&self) -> u64 {
        self.rejections.load(Ordering::Relaxed)
    }

    /// How many findings there were.
    pub fn findings(&self) -> u64 {
        self.findings.load(Ordering::Relaxed)
    }

    /// How many failed, by what of.
    pub fn failures(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL
            .into_iter()
            .zip(&self.failures)
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }
}

impl Stats {
    /// A call of this tenant at this instant, beside its request or not.
    pub(super) fn note(&self, called: &Called, in_shadow: bool, (tenant, at): (&Arc<str>, Timestamp)) {
        let counts = if in_shadow { &self.shadow } else { &self.enforced };
        counts.note(&called.output);
        if let Err(failure) = &called.output {
            let last = LastError { at, tenant: Arc::clone(tenant), failure: failure.clone() };
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
            // It did not run.
            if failure.kind == FailureKind::CircuitOpen {
                return;
            }
        }
        self.fuel.record(&FUEL, called.fuel);
        let took = u64::try_from(called.took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.record(&MICROSECONDS, took);
    }

    pub(super) fn circuit_opened(&self) {
        self.circuit_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn load_failed(&self) {
        self.load_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A call in shadow mode found no room.
    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that count.
    pub fn enforced(&self) -> &Counts {
        &self.enforced
    }

    /// Calls in shadow mode.
    pub fn shadow(&self) -> &Counts {
        &self.shadow
    }

    /// How many calls in shadow mode found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How often its circuit opened.
    pub fn circuit_openings(&self) -> u64 {
        self.circuit_opened.load(Ordering::Relaxed)
    }

    /// Fuel a call.
    pub fn fuel(&self) -> Buckets {
        self.fuel.read(&FUEL)
    }

    /// Microseconds a call.
    pub fn microseconds(&self) -> Buckets {
        self.microseconds.read(&MICROSECONDS)
    }

    /// The last call that failed.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All plugins' numbers in Prometheus' text format 0.0.4. Names are plain, so that nothing is to be escaped.
pub fn render<'a>(all: impl Iterator<Item = (&'a str, &'a Stats)> + Clone, out: &mut String) {
    // Writing to a string can't fail.
    let mut family = |name: &str, kind: &str, help: &str, lines: &mut dyn FnMut(&mut String)| {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
        lines(out);
    };
    let ways = |stats: &'a Stats| [("enforce", &stats.enforced), ("shadow", &stats.shadow)];
    let mut of_counts = |name: &str, help: &str, count: &dyn Fn(&Counts) -> u64| {
        family(name, "counter", help, &mut |out| {
            for (plugin, stats) in all.clone() {
                for (mode, counts) in ways(stats) {
                    writeln!(out, "{name}{{plugin=\"{plugin}\",mode=\"{mode}\"}} {}", count(counts)).ok();
                }
            }
        });
    };
    of_counts("portcullis_plugin_calls_total", "calls of plugins", &Counts::calls);
    of_counts("portcullis_plugin_rejections_total", "requests that plugins rejected", &Counts::rejections);
    of_counts("portcullis_plugin_findings_total", "findings of plugins", &Counts::findings);
    let name = "portcullis_plugin_failures_total";
    family(name, "counter", "calls of plugins that failed, by what of", &mut |out| {
        for (plugin, stats) in all.clone() {
            for (mode, counts) in ways(stats) {
                for (kind, count) in counts.failures() {
                    let kind = kind.name();
                    writeln!(out, "{name}{{plugin=\"{plugin}\",mode=\"{mode}\",kind=\"{kind}\"}} {count}")
                        .ok();
                }
            }
        }
    });
    let mut of_stats = |name: &str, help: &str, count: &dyn Fn(&Stats) -> &AtomicU64| {
        family(name, "counter", help, &mut |out| {
            for (plugin, stats) in all.clone() {
                writeln!(out, "{name}{{plugin=\"{plugin}\"}} {}", count(stats).load(Ordering::Relaxed)).ok();
            }
        });
    };
    of_stats("portcullis_plugin_shadow_dropped_total", "calls in shadow mode that found no room", &|s| {
        &s.dropped
    });
    of_stats("portcullis_plugin_load_failures_total", "builds of plugins that could not be loaded", &|s| {
        &s.load_failures
    });
    of_stats("portcullis_plugin_circuit_opened_total", "times that a plugin's circuit opened", &|s| {
        &s.circuit_opened
    });
    for (name, help, divisor) in [
        ("portcullis_plugin_fuel", "fuel a call", 1.0),
        ("portcullis_plugin_seconds", "time a call, making and unmaking the instance included", 1e6),
    ] {
        family(name, "histogram", help, &mut |out| {
            for (plugin, stats) in all.clone() {
                let read = if divisor > 1.0 { stats.microseconds() } else { stats.fuel() };
                render_histogram(name, plugin, (&read, divisor), out);
            }
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "the text of a histogram is a float")]
fn render_histogram(name: &str, plugin: &str, (read, divisor): (&Buckets, f64), out: &mut String) {
    let mut total = 0;
    for bucket in &read.buckets {
        let bound = bucket.at_most.map_or("+Inf".to_owned(), |bound| (bound as f64 / divisor).to_string());
        total = bucket.calls;
        writeln!(out, "{name}_bucket{{plugin=\"{plugin}\",le=\"{bound}\"}} {total}").ok();
    }
    let sum = read.sum as f64 / divisor;
    writeln!(out, "{name}_sum{{plugin=\"{plugin}\"}} {sum}\n{name}_count{{plugin=\"{plugin}\"}} {total}")
        .ok();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plugin::output::Validated;

    fn called(output: Result<Output, CallFailure>) -> Called {
        Called {
            output,
            fuel: 1_200,
            took: Duration::from_micros(12),
            memory_bytes: 0,
            logs: Vec::new(),
            logs_dropped: 0,
            transcript: None,
        }
    }

    #[test]
    fn calls_are_counted_by_what_became_of_them() {
        let stats = Stats::default();
        let rejected = Validated { findings: Vec::new(), rejection: Some("no".into()) };
        let whose = (&Arc::from("acme"), Timestamp(1));
        stats.note(&called(Ok(Output::Validate(rejected))), false, whose);
        let failure = |kind| CallFailure { kind, message: "x".into() };
        stats.note(&called(Err(failure(FailureKind::Fuel))), true, whose);
        stats.note(&called(Err(failure(FailureKind::CircuitOpen))), false, whose);
        let mut text = String::new();
        render([("guard", &stats)].into_iter(), &mut text);
        for line in [
            "portcullis_plugin_calls_total{plugin=\"guard\",mode=\"enforce\"} 2",
            "portcullis_plugin_rejections_total{plugin=\"guard\",mode=\"enforce\"} 1",
            "portcullis_plugin_failures_total{plugin=\"guard\",mode=\"shadow\",kind=\"fuel\"} 1",
            "portcullis_plugin_failures_total{plugin=\"guard\",mode=\"enforce\",kind=\"circuit_open\"} 1",
            "portcullis_plugin_fuel_bucket{plugin=\"guard\",le=\"1000\"} 0",
            "portcullis_plugin_fuel_bucket{plugin=\"guard\",le=\"5000\"} 2",
            "portcullis_plugin_fuel_count{plugin=\"guard\"} 2",
            "portcullis_plugin_seconds_bucket{plugin=\"guard\",le=\"0.00001\"} 0",
            "portcullis_plugin_seconds_bucket{plugin=\"guard\",le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert_eq!(&*stats.last_error().unwrap().tenant, "acme");
    }
}

//! Counters, in Prometheus' text format.
//!
//! Handles are made once: a metric on the path of a decision is one atomic addition.

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::audit::Stats;
use crate::decision::Verdict;
use crate::validate::Shares;

mod latency;
mod shadowed;
mod validation;
use latency::Latency;
use shadowed::ShadowCounters;
use validation::ValidationMetrics;

/// All metrics of a server.
pub struct Metrics {
    handle: PrometheusHandle,
    allowed: Counter,
    denied: Counter,
    requests: Vec<(u16, Counter)>,
    request_seconds: Latency,
    reloads_ok: Counter,
    reloads_failed: Counter,
    plugin_reloads_ok: Counter,
    plugin_reloads_failed: Counter,
    refused: Counter,
    unauthenticated: Counter,
    panics: Counter,
    break_glass: Counter,
    log_failed: Counter,
    log: LogGauges,
    packs: Gauge,
    policies: Gauge,
    knowledge_age: Gauge,
    clock_offset: Gauge,
    unannounced: Counter,
    validation: ValidationMetrics,
    undetected: Counter,
    left_to_cedar: Counter,
    differed: Counter,
    not_compiled: Gauge,
    shadowed: ShadowCounters,
}

struct LogGauges {
    records: Counter,
    bytes: Counter,
    gaps: Counter,
    dropped: Counter,
    write_errors: Counter,
    background_errors: Counter,
    index_lag: Gauge,
    checkpoint: Gauge,
    last: Gauge,
}

impl LogGauges {
    fn new(
        counter: impl Fn(&'static str, &'static str, &[(&'static str, &'static str)]) -> Counter,
        gauge: impl Fn(&'static str, &'static str) -> Gauge,
    ) -> Self {
        Self {
            records: counter("portcullis_decision_log_records_total", "records written", &[]),
            bytes: counter("portcullis_decision_log_bytes_total", "bytes written", &[]),
            gaps: counter("portcullis_decision_log_gaps_total", "gap records written", &[]),
            dropped: counter(
                "portcullis_decision_log_dropped_total",
                "records dropped, the queue being full",
                &[],
            ),
            write_errors: counter("portcullis_decision_log_write_errors_total", "appends that failed", &[]),
            background_errors: counter(
                "portcullis_decision_log_background_errors_total",
                "failures of syncing, indexing and checkpoints",
                &[],
            ),
            index_lag: gauge("portcullis_decision_log_index_lag", "records written and not yet in the index"),
            checkpoint: gauge(
                "portcullis_decision_log_checkpoint_sequence",
                "the last record that a checkpoint covers",
            ),
            last: gauge("portcullis_decision_log_sequence", "the last record's sequence number"),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// The statuses that have a counter of their own; others share their class's.
const STATUSES: [u16; 20] =
    [200, 201, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 428, 429, 431, 500, 503, 0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that all stand at zero.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counter = |name: &'static str, help: &'static str, labels: &[(&'static str, &'static str)]| {
            recorder.describe_counter(KeyName::from(name), None, SharedString::from(help));
            recorder.register_counter(&key(name, labels), &METADATA)
        };
        let gauge = |name: &'static str, help: &'static str| {
            recorder.describe_gauge(KeyName::from(name), None, SharedString::from(help));
            recorder.register_gauge(&key(name, &[]), &METADATA)
        };
        let decisions = ("portcullis_decisions_total", "decisions, by outcome");
        let reloads = ("portcullis_reloads_total", "loads of changed policy files, by result");
        let plugin_reloads = ("portcullis_plugin_reloads_total", "loads of changed plugins, by result");
        Self {
            allowed: counter(decisions.0, decisions.1, &[("outcome", "allow")]),
            denied: counter(decisions.0, decisions.1, &[("outcome", "deny")]),
            requests: request_counters(&recorder),
            request_seconds: Latency::default(),
            reloads_ok: counter(reloads.0, reloads.1, &[("result", "ok")]),
            reloads_failed: counter(reloads.0, reloads.1, &[("result", "failed")]),
            plugin_reloads_ok: counter(plugin_reloads.0, plugin_reloads.1, &[("result", "ok")]),
            plugin_reloads_failed: counter(plugin_reloads.0, plugin_reloads.1, &[("result", "failed")]),
            refused: counter("portcullis_refused_total", "calls by callers without the right", &[]),
            unauthenticated: counter("portcullis_unauthenticated_total", "calls without a known key", &[]),
            panics: counter("portcullis_panics_total", "requests that ended in a defect of the server", &[]),
            break_glass: counter(
                "portcullis_break_glass_total",
                "roles taken without an approval, by breaking the glass",
                &[],
            ),
            log_failed: counter(
                "portcullis_unrecorded_total",
                "requests denied, since they could not be recorded",
                &[],
            ),
            shadowed: ShadowCounters::new(counter),
            log: LogGauges::new(counter, gauge),
            packs: gauge("portcullis_packs", "packs that are served"),
            policies: gauge("portcullis_policies", "policies that are served"),
            knowledge_age: gauge("portcullis_store_age_seconds", "how old what is known of the store may be"),
            clock_offset: gauge(
                "portcullis_clock_offset_seconds",
                "how far this clock is behind the shared one",
            ),
            unannounced: counter(
                "portcullis_unannounced_total",
                "changes that the stream did not take at once",
                &[],
            ),
            left_to_cedar: counter(
                "portcullis_policies_left_to_cedar_total",
                "policies that Cedar's own evaluator judged, the compiled form having nothing to say",
                &[],
            ),
            differed: counter(
                "portcullis_evaluation_differences_total",
                "decisions of which the compiled form and Cedar's own evaluator said different things",
                &[],
            ),
            not_compiled: gauge(
                "portcullis_policies_not_compiled",
                "served policies without a compiled form",
            ),
            validation: ValidationMetrics::new(&recorder),
            undetected: counter(
                "portcullis_detection_dropped_total",
                "decisions that no detector was told of, the queue being full",
                &[],
            ),
            handle: recorder.handle(),
        }
    }

    /// How old what is known may be, and how far the clock is behind.
    pub fn knows(&self, age: std::time::Duration, offset_us: i64) {
        self.knowledge_age.set(age.as_secs_f64());
        // Whole milliseconds are exact in a float.
        self.clock_offset.set(f64::from(i32::try_from(offset_us / 1_000).unwrap_or(i32::MAX)) / 1_000.0);
    }

    /// A change could not be announced at once.
    pub fn unannounced(&self) {
        self.unannounced.increment(1);
    }

    /// One decision was answered.
    pub fn decided(&self, verdict: Verdict) {
        match verdict {
            Verdict::Allow => self.allowed.increment(1),
            Verdict::Deny => self.denied.increment(1),
        }
    }

    /// A question was evaluated.
    pub fn evaluated(&self, left_to_cedar: u32, differed: bool) {
        if left_to_cedar > 0 {
            self.left_to_cedar.increment(left_to_cedar.into());
        }
        if differed {
            self.differed.increment(1);
        }
    }

    /// One request was answered.
    pub fn requested(&self, status: u16, took: std::time::Duration) {
        let known = self.requests.iter().find(|(known, _)| *known == status);
        if let Some((_, counter)) = known.or(self.requests.last()) {
            counter.increment(1);
        }
        self.request_seconds.record(took);
    }

    /// Policy files were loaded, or not.
    pub fn reloaded(&self, ok: bool) {
        if ok { self.reloads_ok.increment(1) } else { self.reloads_failed.increment(1) }
    }

    /// Plugins were loaded again, or one of them not.
    pub fn plugins_reloaded(&self, ok: bool) {
        if ok { self.plugin_reloads_ok.increment(1) } else { self.plugin_reloads_failed.increment(1) }
    }

    /// What is served now.
    pub fn serving(&self, packs: usize, policies: usize, not_compiled: usize) {
        // Counts of files: far below what a float holds exactly.
        self.packs.set(u32::try_from(packs).map_or(f64::MAX, f64::from));
        self.policies.set(u32::try_from(policies).map_or(f64::MAX, f64::from));
        self.not_compiled.set(u32::try_from(not_compiled).map_or(f64::MAX, f64::from));
    }

    /// A caller lacked a right.
    pub fn refused(&self) {
        self.refused.increment(1);
    }

    /// A call had no known key.
    pub fn unauthenticated(&self) {
        self.unauthenticated.increment(1);
    }

    /// A request ended in a panic.
    pub fn panicked(&self) {
        self.panics.increment(1);
    }

    /// Somebody took a role without an approval.
    pub fn broke_glass(&self) {
        self.break_glass.increment(1);
    }

    /// Answers were turned into denies.
    pub fn log_failed(&self) {
        self.log_failed.increment(1);
    }

    /// What became of requests that applications reported, and how many decisions no detector was told of.
    pub fn inspected(&self, shares: &Shares, undetected: u64) {
        self.validation.set(shares);
        self.undetected.absolute(undetected);
    }

    /// Everything, as text.
    pub fn render(&self, log: &Stats) -> String {
        self.log.records.absolute(log.records);
        self.log.bytes.absolute(log.bytes);
        self.log.gaps.absolute(log.gaps);
        self.log.dropped.absolute(log.dropped);
        self.log.write_errors.absolute(log.write_errors);
        self.log.background_errors.absolute(log.background_errors);
        self.log.index_lag.set(approximate(log.index_lag_records));
        self.log.checkpoint.set(approximate(log.checkpoint_seq));
        self.log.last.set(approximate(log.last_seq));
        let mut text = self.handle.render();
        let help = "time from a request's headers to its answer";
        self.request_seconds.render("portcullis_request_seconds", help, &mut text);
        text
    }
}

/// One counter a status.
fn request_counters(recorder: &impl Recorder) -> Vec<(u16, Counter)> {
    const NAME: &str = "portcullis_requests_total";
    recorder.describe_counter(KeyName::from(NAME), None, SharedString::from("HTTP requests, by status"));
    let counter = |status: u16| {
        let label = if status == 0 { "other".to_owned() } else { status.to_string() };
        let key = Key::from_parts(NAME, vec![Label::new("status", label)]);
        (status, recorder.register_counter(&key, &METADATA))
    };
    STATUSES.map(counter).into()
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    Key::from_parts(name, labels.iter().map(|(name, value)| Label::new(*name, *value)).collect::<Vec<_>>())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; beyond 2^53 its last digits do not matter"
)]
fn approximate(number: u64) -> f64 {
    number as f64
}

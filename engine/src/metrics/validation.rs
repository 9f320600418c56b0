//! Which share of requests, and of routes, is validated.

use metrics::{Counter, Gauge, KeyName, Recorder, SharedString};

use super::{METADATA, key};
use crate::validate::{Counted, Shares};

/// The metrics of the stage `validate`.
pub(super) struct ValidationMetrics {
    requests: [Counter; Counted::ALL.len()],
    routes: Gauge,
    used: Gauge,
    request_share: Gauge,
    route_share: Gauge,
}

impl ValidationMetrics {
    pub(super) fn new(recorder: &impl Recorder) -> Self {
        const REQUESTS: &str = "portcullis_validation_requests_total";
        let help = "requests that applications reported, by what validation said of them";
        recorder.describe_counter(KeyName::from(REQUESTS), None, SharedString::from(help));
        let gauge = |name: &'static str, help: &'static str| {
            recorder.describe_gauge(KeyName::from(name), None, SharedString::from(help));
            recorder.register_gauge(&key(name, &[]), &METADATA)
        };
        Self {
            requests: Counted::ALL.map(|counted| {
                recorder.register_counter(&key(REQUESTS, &[("result", counted.name())]), &METADATA)
            }),
            routes: gauge("portcullis_validation_routes", "routes that are configured"),
            used: gauge(
                "portcullis_validation_routes_used",
                "routes whose schema checked a request since the start",
            ),
            request_share: gauge(
                "portcullis_validation_request_share",
                "which share of reported requests was checked by a schema, from 0 to 1",
            ),
            route_share: gauge(
                "portcullis_validation_route_share",
                "which share of configured routes has a schema, from 0 to 1",
            ),
        }
    }

    pub(super) fn set(&self, shares: &Shares) {
        let [valid, invalid, ..] = shares.requests;
        for (counter, count) in self.requests.iter().zip(shares.requests) {
            counter.absolute(count);
        }
        self.routes.set(float(shares.routes as u64));
        self.used.set(float(shares.used as u64));
        self.request_share.set(share(valid + invalid, shares.requests.iter().sum()));
        self.route_share.set(share(shares.with_schema as u64, shares.routes as u64));
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; beyond 2^53 its last digits do not matter"
)]
fn float(number: u64) -> f64 {
    number as f64
}

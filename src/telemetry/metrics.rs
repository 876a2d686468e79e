//! Every metric by name, and how it is recorded.
//!
//! Names, labels and buckets are those of k8s.io/apiserver pkg/endpoints/metrics/metrics.go where it has the metric, so
//! that its dashboards and alerts fit; our own start with `bulward_`.

pub mod controllers;
mod flow;
pub mod policies;
mod process;
#[cfg(test)]
mod tests;

use std::{fmt::Display, time::Duration};

use http::StatusCode;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

pub use flow::FlowMetrics;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

const REQUEST: [&str; 8] = [
    "verb",
    "dry_run",
    "group",
    "version",
    "resource",
    "subresource",
    "scope",
    "component",
];
const LATENCY: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const REVIEW: [f64; 8] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// What a request is counted under. Take the words from what was routed, never from the request's own text: an unknown
/// verb is `other`, or a caller could fill the memory with label values.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLabels<'a> {
    /// GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, CONNECT or other.
    pub verb: &'a str,
    /// `All` or empty.
    pub dry_run: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The API version.
    pub version: &'a str,
    /// The plural resource.
    pub resource: &'a str,
    /// The subresource, or the path of a request without a resource.
    pub subresource: &'a str,
    /// resource, namespace, cluster or empty.
    pub scope: &'a str,
    /// `apiserver` for API routes, else empty.
    pub component: &'a str,
}

/// The two pools of `--max-requests-inflight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// get, list.
    ReadOnly,
    /// Everything else.
    Mutating,
}

/// Counts something as present until it is dropped.
#[derive(Debug)]
pub struct Present(IntGauge);

/// All metrics of one server; servers in one process do not share any.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    flows: flow::Flows,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    response_sizes: HistogramVec,
    long_running: IntGaugeVec,
    in_flight: IntGaugeVec,
    terminations: IntCounterVec,
    watch_events: IntCounterVec,
    authentication_attempts: IntCounterVec,
    authentication_duration: HistogramVec,
    authorization_attempts: IntCounterVec,
    authorization_duration: HistogramVec,
    delegated_authentication: IntCounterVec,
    delegated_authorization: IntCounterVec,
    storage_objects: IntGaugeVec,
    tls_handshake_errors: IntCounter,
    connections: IntGauge,
    watchcache_revision: IntGauge,
    watchcache_oldest_revision: IntGauge,
    watchcache_object_bytes: IntGaugeVec,
    watchcache_log_bytes: IntGauge,
    visibility_subjects: IntGauge,
    visibility_postings: IntGauge,
    visibility_bytes: IntGauge,
    watchers: IntGauge,
    policies: policies::PolicyMetrics,
}

// === impl Metrics ===

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let it = &Registrar { registry: &registry };
        let request_and_code: Vec<&str> = REQUEST.into_iter().chain(["code"]).collect();
        let no_dry_run: Vec<&str> = REQUEST.into_iter().filter(|label| *label != "dry_run").collect();
        let no_dry_run_and_code: Vec<&str> = no_dry_run.iter().copied().chain(["code"]).collect();
        let sizes: Vec<f64> = (3..10).map(|power| 10_f64.powi(power)).collect();
        it.keep(process::ProcessCollector::new());
        Self {
            flows: flow::Flows::new(it),
            requests: it.counters(
                "apiserver_request_total",
                "Requests answered, by what they asked for and the HTTP code.",
                &request_and_code,
            ),
            request_duration: it.histograms(
                "apiserver_request_duration_seconds",
                "Time to answer a request, watches excluded.",
                &REQUEST,
                &LATENCY,
            ),
            response_sizes: it.histograms(
                "apiserver_response_sizes",
                "Bytes of an answer to a get or list.",
                &no_dry_run,
                &sizes,
            ),
            long_running: it.gauges(
                "apiserver_longrunning_requests",
                "Watches that are running.",
                &no_dry_run,
            ),
            in_flight: it.gauges(
                "apiserver_current_inflight_requests",
                "Requests being answered, watches excluded.",
                &["request_kind"],
            ),
            terminations: it.counters(
                "apiserver_request_terminations_total",
                "Requests that the server ended in self-defence: too many at once, or too slow.",
                &no_dry_run_and_code,
            ),
            watch_events: it.counters(
                "apiserver_watch_events_total",
                "Events sent to watchers.",
                &["group", "version", "resource"],
            ),
            authentication_attempts: it.counters(
                "authentication_attempts",
                "Callers told apart: success, failure or error.",
                &["result"],
            ),
            authentication_duration: it.histograms(
                "authentication_duration_seconds",
                "Time to tell who is asking.",
                &["result"],
                &REVIEW,
            ),
            authorization_attempts: it.counters(
                "authorization_attempts_total",
                "Decisions: allowed, denied or error.",
                &["result"],
            ),
            authorization_duration: it.histograms(
                "authorization_duration_seconds",
                "Time to a decision.",
                &["result"],
                &REVIEW,
            ),
            delegated_authentication: it.counters(
                "apiserver_delegated_authn_request_total",
                "TokenReviews sent to the cluster.",
                &["code"],
            ),
            delegated_authorization: it.counters(
                "apiserver_delegated_authz_request_total",
                "SubjectAccessReviews sent to the cluster.",
                &["code"],
            ),
            storage_objects: it.gauges("apiserver_storage_objects", "Objects stored.", &["resource"]),
            tls_handshake_errors: it.counter("apiserver_tls_handshake_errors_total", "TLS handshakes that failed."),
            connections: it.gauge("bulward_connections", "Connections that are open."),
            watchcache_revision: it.gauge("bulward_watchcache_revision", "The newest revision in the watch cache."),
            watchcache_oldest_revision: it.gauge(
                "bulward_watchcache_oldest_revision",
                "The oldest revision from which a watch can resume.",
            ),
            watchcache_object_bytes: it.gauges(
                "bulward_watchcache_object_bytes",
                "Length of all objects as they are served.",
                &["resource"],
            ),
            watchcache_log_bytes: it.gauge(
                "bulward_watchcache_log_bytes",
                "Object versions in the history, roughly; the newest ones are shared with the objects.",
            ),
            visibility_subjects: it.gauge("bulward_visibility_subjects", "Subjects that see at least one object."),
            visibility_postings: it.gauge(
                "bulward_visibility_postings",
                "Pairs of a subject and an object that it sees.",
            ),
            visibility_bytes: it.gauge("bulward_visibility_bytes", "Memory of the visibility index, estimated."),
            watchers: it.gauge("bulward_watchers", "Watches that are running."),
            policies: policies::PolicyMetrics::new(it),
            registry,
        }
    }

    /// Those of ValidatingAdmissionPolicies.
    pub fn policies(&self) -> policies::PolicyMetrics {
        self.policies.clone()
    }

    /// The text that `/metrics` answers with, of type [`CONTENT_TYPE`].
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory does not fail, and the names have been checked when they were registered.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }

    /// An answered request; `bytes` for those that read.
    pub fn request(&self, labels: &RequestLabels<'_>, code: StatusCode, elapsed: Duration, bytes: Option<u64>) {
        let all = labels.all();
        let mut with_code = [""; 9];
        with_code[..8].copy_from_slice(&all);
        with_code[8] = code.as_str();
        self.requests.with_label_values(&with_code).inc();
        if labels.verb != "WATCH" {
            self.request_duration
                .with_label_values(&all)
                .observe(elapsed.as_secs_f64());
        }
        if let Some(bytes) = bytes {
            let size = self.response_sizes.with_label_values(&labels.without_dry_run());
            // Exact up to 2^53 bytes.
            #[expect(clippy::cast_precision_loss)]
            size.observe(bytes as f64);
        }
    }

    /// A watch that has begun.
    pub fn long_running(&self, labels: &RequestLabels<'_>) -> Present {
        Present::of(self.long_running.with_label_values(&labels.without_dry_run()))
    }

    /// A request that is being answered.
    pub fn in_flight(&self, kind: RequestKind) -> Present {
        let kind = match kind {
            RequestKind::ReadOnly => "readOnly",
            RequestKind::Mutating => "mutating",
        };
        Present::of(self.in_flight.with_label_values(&[kind]))
    }

    /// A request ended in self-defence (429, 504).
    pub fn terminated(&self, labels: &RequestLabels<'_>, code: StatusCode) {
        let mut with_code = [""; 8];
        with_code[..7].copy_from_slice(&labels.without_dry_run());
        with_code[7] = code.as_str();
        self.terminations.with_label_values(&with_code).inc();
    }

    /// Events sent to one watcher.
    pub fn watch_events(&self, group: &str, version: &str, resource: &str, count: u64) {
        self.watch_events
            .with_label_values(&[group, version, resource])
            .inc_by(count);
    }

    /// A caller told apart: `success`, `failure` (bad credentials) or `error`.
    pub fn authentication(&self, result: &'static str, elapsed: Duration) {
        self.authentication_attempts.with_label_values(&[result]).inc();
        self.authentication_duration
            .with_label_values(&[result])
            .observe(elapsed.as_secs_f64());
    }

    /// A decision: `allowed`, `denied` or `error`.
    pub fn authorization(&self, result: &'static str, elapsed: Duration) {
        self.authorization_attempts.with_label_values(&[result]).inc();
        self.authorization_duration
            .with_label_values(&[result])
            .observe(elapsed.as_secs_f64());
    }

    /// A TokenReview's HTTP code, `<error>` without one.
    pub fn token_review(&self, code: &str) {
        self.delegated_authentication.with_label_values(&[code]).inc();
    }

    /// A SubjectAccessReview's HTTP code, `<error>` without one.
    pub fn access_review(&self, code: &str) {
        self.delegated_authorization.with_label_values(&[code]).inc();
    }

    /// How many objects are stored of `resource` (`organizations.apiserver.bulward.io`).
    pub fn storage_objects(&self, resource: &impl Display, count: usize) {
        self.storage_objects
            .with_label_values(&[&resource.to_string()])
            .set(signed(count as u64));
    }

    /// A handshake failed.
    pub fn tls_handshake_error(&self) {
        self.tls_handshake_errors.inc();
    }

    /// A connection was opened (`true`) or closed.
    pub fn connection(&self, opened: bool) {
        self.connections.add(if opened { 1 } else { -1 });
    }

    /// How long all objects of `resource` are as they are served.
    pub fn object_bytes(&self, resource: &impl Display, bytes: usize) {
        self.watchcache_object_bytes
            .with_label_values(&[&resource.to_string()])
            .set(signed(bytes as u64));
    }

    /// Where the watch cache stands, how far back it reaches, and the bytes of that history.
    pub fn watchcache(&self, newest: u64, oldest: u64, bytes: usize) {
        self.watchcache_revision.set(signed(newest));
        self.watchcache_oldest_revision.set(signed(oldest));
        self.watchcache_log_bytes.set(signed(bytes as u64));
    }

    /// The size of the visibility index.
    pub fn visibility_index(&self, subjects: usize, postings: usize, bytes: usize) {
        self.visibility_subjects.set(signed(subjects as u64));
        self.visibility_postings.set(signed(postings as u64));
        self.visibility_bytes.set(signed(bytes as u64));
    }

    /// How many watches are running.
    pub fn watchers(&self, count: usize) {
        self.watchers.set(signed(count as u64));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Gauges are signed; no count of ours gets near the limit.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

// === impl RequestLabels ===

impl<'a> RequestLabels<'a> {
    fn all(&self) -> [&'a str; 8] {
        let [verb, rest @ ..] = self.without_dry_run();
        let [group, version, resource, subresource, scope, component] = rest;
        [
            verb,
            self.dry_run,
            group,
            version,
            resource,
            subresource,
            scope,
            component,
        ]
    }

    fn without_dry_run(&self) -> [&'a str; 7] {
        [
            self.verb,
            self.group,
            self.version,
            self.resource,
            self.subresource,
            self.scope,
            self.component,
        ]
    }
}

// === impl Present ===

impl Present {
    fn of(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes metrics and registers them. All names are written above, so a bad one shows in the first test.
struct Registrar<'a> {
    registry: &'a Registry,
}

impl Registrar<'_> {
    fn keep(&self, collector: impl Collector + 'static) {
        self.registry
            .register(Box::new(collector))
            .expect("each metric is registered once");
    }

    fn made<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("the names above are well-formed");
        self.keep(metric.clone());
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.made(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.made(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.made(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.made(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(HistogramVec::new(opts, labels))
    }
}

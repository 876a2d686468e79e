//! Every metric by name, and how it is recorded.
//!
//! Names, labels and buckets are those of k8s.io/apiserver where it has the metric, so that its dashboards and alerts fit;
//! our own start with `bulward_`. `docs/metrics.md` has all of them.

pub mod admission;
pub mod audit;
pub mod controllers;
mod described;
mod few;
mod flow;
mod health;
mod identity;
pub mod policies;
mod process;
mod requests;
mod reset;
mod stored;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector, proto::MetricFamily,
};

use self::admission::AdmissionMetrics;
pub use described::Described;
pub use flow::FlowMetrics;
pub use requests::{RequestKind, RequestLabels, WatchMetrics};
pub use stored::KindTotals;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Something that is asked when somebody looks: it changes at any time, and counts nothing itself.
struct Asked<T>(Box<dyn Fn() -> T + Send + Sync>);

impl<T> std::fmt::Debug for Asked<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// Counts something as present until it is dropped.
#[derive(Debug)]
pub struct Present(IntGauge);

/// All metrics of one server; servers in one process do not share any.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    flows: flow::Flows,
    described: Vec<Described>,
    serving_certificate: IntGauge,
    serving_until: OnceLock<Asked<i64>>,
    encrypted_values: IntCounterVec,
    encrypted: OnceLock<Asked<Vec<(String, u64)>>>,
    forgotten: reset::Forgotten,
    requests: requests::Requests,
    identity: identity::Identity,
    stored: stored::Stored,
    checks: health::Checks,
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
    audit: audit::AuditMetrics,
    admission: Arc<AdmissionMetrics>,
}

// === impl Metrics ===

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let described = Descriptions::default();
        let it = &Registrar {
            registry: &registry,
            described: &described,
        };
        it.keep(process::ProcessCollector::new());
        Self {
            flows: flow::Flows::new(it),
            requests: requests::Requests::new(it),
            identity: identity::Identity::new(it),
            stored: stored::Stored::new(it),
            checks: health::Checks::new(&described),
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
            serving_certificate: it.gauge(
                "bulward_serving_certificate_expiration_timestamp_seconds",
                "Until when the serving certificate is valid, in seconds since 1970.",
            ),
            serving_until: OnceLock::new(),
            encrypted_values: it.counters(
                "bulward_encrypted_values_total",
                "Values that this process has encrypted, by the key; all processes together should stay far below 2^32.",
                &["key"],
            ),
            encrypted: OnceLock::new(),
            forgotten: reset::Forgotten::default(),
            policies: policies::PolicyMetrics::new(it),
            audit: audit::AuditMetrics::new(it),
            admission: Arc::new(AdmissionMetrics::new(it)),
            registry,
            described: described.into_inner(),
        }
    }

    /// Those of ValidatingAdmissionPolicies.
    pub fn policies(&self) -> policies::PolicyMetrics {
        self.policies.clone()
    }

    /// What is counted of the audit.
    pub fn audit(&self) -> &audit::AuditMetrics {
        &self.audit
    }

    /// Those of admission.
    pub fn admission(&self) -> &Arc<AdmissionMetrics> {
        &self.admission
    }

    /// The text that `/metrics` answers with, of type [`CONTENT_TYPE`].
    pub fn render(&self) -> Vec<u8> {
        let mut families = self.gather();
        self.forgotten.take_from(&mut families);
        written(&families)
    }

    /// Tells counts as of now from now on.
    pub fn reset(&self) {
        self.forgotten.forget(self.gather());
    }

    fn gather(&self) -> Vec<MetricFamily> {
        if let Some(Asked(until)) = self.serving_until.get() {
            self.serving_certificate.set(until());
        }
        if let Some(Asked(encrypted)) = self.encrypted.get() {
            for (key, count) in encrypted() {
                let counter = self.encrypted_values.with_label_values(&[&key]);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
        self.registry.gather()
    }

    /// What there is to be found at `/metrics` and `/metrics/slis`, also where nothing has been counted yet.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// From now on tells until when (seconds since 1970) the serving certificate is valid. The first word stands.
    pub fn serving_certificate(&self, not_after: impl Fn() -> i64 + Send + Sync + 'static) {
        let _ = self.serving_until.set(Asked(Box::new(not_after)));
    }

    /// From now on tells how many values each key has encrypted. The first word stands.
    pub fn encrypted_values(&self, by_key: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static) {
        let _ = self.encrypted.set(Asked(Box::new(by_key)));
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

fn written(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail, and the names have been checked when they were registered.
    if let Err(error) = TextEncoder::new().encode(families, &mut text) {
        tracing::error!(%error, "metrics cannot be written");
    }
    text
}

/// Gauges are signed; no count of ours gets near the limit.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
    described: &'a Descriptions,
}

/// What has been registered so far.
type Descriptions = RefCell<Vec<Described>>;

impl Registrar<'_> {
    fn keep(&self, collector: impl Collector + 'static) {
        self.described.borrow_mut().extend(Described::of(&collector));
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

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(Histogram::with_opts(opts))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(HistogramVec::new(opts, labels))
    }
}

//! What is counted of requests (k8s.io/apiserver pkg/endpoints/metrics/metrics.go).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use parking_lot::RwLock;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::few::Few;
use super::{Metrics, Present, Registrar};

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
const WATCH_LIST: [f64; 17] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];
const FILTER: [f64; 13] = [
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0, 10.0, 15.0, 30.0,
];
/// The stages that a request passes, as Go calls them, in its order (k8s.io/apiserver pkg/server/config.go).
const FILTERS: [&str; 5] = [
    "authentication",
    "audit",
    "constrainedimpersonation",
    "priorityandfairness",
    "authorization",
];
/// The codes that most answers have.
const USUAL: [StatusCode; 3] = [StatusCode::OK, StatusCode::CREATED, StatusCode::NOT_FOUND];

/// What a request is counted under. Take the words from what was routed, never from the request's own text: an unknown
/// verb is `other`, or a caller could fill the memory with label values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestLabels<'a> {
    /// GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, CONNECT or other.
    pub verb: &'a str,
    /// `All`, `invalid` or empty.
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

#[derive(Debug)]
pub(super) struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    sli_duration: HistogramVec,
    response_sizes: HistogramVec,
    body_sizes: HistogramVec,
    field_validation: Few<Histogram>,
    filters: Few<Histogram>,
    long_running: IntGaugeVec,
    in_flight: [IntGauge; 2],
    terminations: IntCounterVec,
    aborts: IntCounterVec,
    deprecated: IntGaugeVec,
    watch_events: IntCounterVec,
    watch_event_sizes: HistogramVec,
    watch_list_duration: HistogramVec,
    hasher: RandomState,
    series: RwLock<HashMap<u64, Arc<Series>>>,
}

/// What requests with the same labels are counted in: found by one look instead of one for each metric.
#[derive(Debug)]
struct Series {
    labels: [Box<str>; 8],
    usual: [OnceLock<IntCounter>; USUAL.len()],
    duration: Histogram,
    sli_duration: OnceLock<Histogram>,
    response_sizes: OnceLock<Histogram>,
}

/// What one watch counts in, found when it begins.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    events: IntCounter,
    sizes: Histogram,
    lists: HistogramVec,
}

// === impl Requests ===

impl Requests {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        let request_and_code: Vec<&str> = REQUEST.into_iter().chain(["code"]).collect();
        let no_dry_run: Vec<&str> = REQUEST.into_iter().filter(|label| *label != "dry_run").collect();
        let no_dry_run_and_code: Vec<&str> = no_dry_run.iter().copied().chain(["code"]).collect();
        let no_component: Vec<&str> = no_dry_run
            .iter()
            .copied()
            .filter(|label| *label != "component")
            .collect();
        let sizes: Vec<f64> = (3..10).map(|power| 10_f64.powi(power)).collect();
        let bodies: Vec<f64> = (0..31).map(|step| 50_000.0 + 100_000.0 * f64::from(step)).collect();
        let events: Vec<f64> = (10..18).map(|power| 2_f64.powi(power)).collect();
        let in_flight = it.gauges(
            "apiserver_current_inflight_requests",
            "Requests being answered, watches excluded.",
            &["request_kind"],
        );
        let field_validation = it.histograms(
            "field_validation_request_duration_seconds",
            "Time to answer a request, by the fieldValidation that it asked for.",
            &["field_validation"],
            &LATENCY[2..],
        );
        let filters = it.histograms(
            "apiserver_request_filter_duration_seconds",
            "Time that a request spent in a stage that it came through, or, of authentication, failed in.",
            &["filter"],
            &FILTER,
        );
        Self {
            total: it.counters(
                "apiserver_request_total",
                "Requests answered, by what they asked for and the HTTP code; of watches, those that have ended.",
                &request_and_code,
            ),
            duration: it.histograms(
                "apiserver_request_duration_seconds",
                "Time to answer a request; of a watch, how long it went on.",
                &REQUEST,
                &LATENCY,
            ),
            sli_duration: it.histograms(
                "apiserver_request_sli_duration_seconds",
                "Time to answer a request without what webhooks and queues took; watches and dry runs excluded.",
                &no_dry_run,
                &LATENCY[2..],
            ),
            response_sizes: it.histograms(
                "apiserver_response_sizes",
                "Bytes of an answer to a get, a list or a watch.",
                &no_dry_run,
                &sizes,
            ),
            body_sizes: it.histograms(
                "apiserver_request_body_size_bytes",
                "Bytes of a request's body.",
                &["resource", "verb", "group"],
                &bodies,
            ),
            field_validation: Few::new(&["", "Strict", "Warn", "Ignore", "invalid"], move |value| {
                field_validation.with_label_values(&[value])
            }),
            filters: Few::new(&FILTERS, move |value| filters.with_label_values(&[value])),
            long_running: it.gauges(
                "apiserver_longrunning_requests",
                "Watches that are running.",
                &no_dry_run,
            ),
            in_flight: ["readOnly", "mutating"].map(|kind| in_flight.with_label_values(&[kind])),
            terminations: it.counters(
                "apiserver_request_terminations_total",
                "Requests that the server ended in self-defence: too many at once, or too slow.",
                &no_dry_run_and_code,
            ),
            aborts: it.counters(
                "apiserver_request_aborts_total",
                "Requests whose client went away before they were answered.",
                &no_component,
            ),
            deprecated: it.gauges(
                "apiserver_requested_deprecated_apis",
                "1 for a deprecated API that somebody has asked for.",
                &["group", "version", "resource", "subresource", "removed_release"],
            ),
            watch_events: it.counters(
                "apiserver_watch_events_total",
                "Events sent to watchers, bookmarks included.",
                &["group", "version", "resource"],
            ),
            watch_event_sizes: it.histograms(
                "apiserver_watch_events_sizes",
                "Bytes of an event sent to a watcher.",
                &["group", "version", "resource"],
                &events,
            ),
            watch_list_duration: it.histograms(
                "apiserver_watch_list_duration_seconds",
                "Time until a watch that begins with everything has sent all of that.",
                &["group", "version", "resource", "scope"],
                &WATCH_LIST,
            ),
            hasher: RandomState::new(),
            series: RwLock::default(),
        }
    }

    fn series(&self, labels: &RequestLabels<'_>) -> Arc<Series> {
        let hash = self.hasher.hash_one(labels);
        let known = self.series.read().get(&hash).cloned();
        if let Some(series) = known.filter(|series| series.is_of(labels)) {
            return series;
        }
        let all = labels.all();
        let series = Arc::new(Series {
            labels: all.map(Box::from),
            usual: Default::default(),
            duration: self.duration.with_label_values(&all),
            sli_duration: OnceLock::new(),
            response_sizes: OnceLock::new(),
        });
        self.series.write().insert(hash, series.clone());
        series
    }

    fn count(&self, series: &Series, labels: &RequestLabels<'_>, code: StatusCode) {
        let counter = || {
            let mut with_code = [""; 9];
            with_code[..8].copy_from_slice(&labels.all());
            with_code[8] = code.as_str();
            self.total.with_label_values(&with_code)
        };
        match USUAL.iter().position(|usual| *usual == code) {
            Some(at) => series.usual[at].get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }
}

impl Metrics {
    /// An answered request; of `elapsed`, `elsewhere` was not this server's; `bytes` for those that read.
    pub fn request(
        &self,
        labels: &RequestLabels<'_>,
        code: StatusCode,
        elapsed: Duration,
        elsewhere: Duration,
        bytes: Option<u64>,
    ) {
        let own = &self.requests;
        let series = own.series(labels);
        own.count(&series, labels, code);
        let seconds = elapsed.as_secs_f64();
        series.duration.observe(seconds);
        let watch = labels.verb == "WATCH";
        if !watch && labels.dry_run.is_empty() {
            let child = || own.sli_duration.with_label_values(&labels.without_dry_run());
            let own = elapsed.saturating_sub(elsewhere).as_secs_f64();
            series.sli_duration.get_or_init(child).observe(own);
        }
        if let Some(bytes) = bytes.filter(|_| watch || matches!(labels.verb, "GET" | "LIST")) {
            let child = || own.response_sizes.with_label_values(&labels.without_dry_run());
            series.response_sizes.get_or_init(child).observe(float(bytes));
        }
    }

    /// The body of a request that writes; `verb` is create, update, patch, delete or `delete_collection`.
    pub fn request_body(&self, group: &str, resource: &str, verb: &str, bytes: usize) {
        let sizes = self.requests.body_sizes.with_label_values(&[resource, verb, group]);
        sizes.observe(float(bytes as u64));
    }

    /// How long a request with this `fieldValidation` took: Strict, Warn, Ignore, `invalid` or empty.
    pub fn field_validation(&self, asked: &'static str, elapsed: Duration) {
        self.requests.field_validation.at(asked).observe(elapsed.as_secs_f64());
    }

    /// How long a request spent in a stage: one of [`FILTERS`]. As in Go, one that ends there is not counted, but for those
    /// who cannot be told (k8s.io/apiserver pkg/endpoints/filterlatency).
    pub fn filter(&self, name: &'static str, elapsed: Duration) {
        self.requests.filters.at(name).observe(elapsed.as_secs_f64());
    }

    /// A watch that has begun.
    pub fn long_running(&self, labels: &RequestLabels<'_>) -> Present {
        let gauge = &self.requests.long_running;
        Present::of(gauge.with_label_values(&labels.without_dry_run()))
    }

    /// A request that is being answered.
    pub fn in_flight(&self, kind: RequestKind) -> Present {
        let [reading, writing] = &self.requests.in_flight;
        Present::of(match kind {
            RequestKind::ReadOnly => reading.clone(),
            RequestKind::Mutating => writing.clone(),
        })
    }

    /// A request ended in self-defence (429, 504).
    pub fn terminated(&self, labels: &RequestLabels<'_>, code: StatusCode) {
        let mut with_code = [""; 8];
        with_code[..7].copy_from_slice(&labels.without_dry_run());
        with_code[7] = code.as_str();
        self.requests.terminations.with_label_values(&with_code).inc();
    }

    /// A client went away before it was answered.
    pub fn aborted(&self, labels: &RequestLabels<'_>) {
        let [values @ .., _] = labels.without_dry_run();
        self.requests.aborts.with_label_values(&values).inc();
    }

    /// Somebody asked for a deprecated API; `removed_release` is the one that will not have it, if that is known.
    pub fn deprecated(&self, group: &str, version: &str, resource: &str, subresource: &str, removed_release: &str) {
        let labels = [group, version, resource, subresource, removed_release];
        self.requests.deprecated.with_label_values(&labels).set(1);
    }

    /// What a watch of a resource is to count in.
    pub fn watch(&self, group: &str, version: &str, resource: &str) -> WatchMetrics {
        let own = &self.requests;
        let labels = [group, version, resource];
        WatchMetrics {
            events: own.watch_events.with_label_values(&labels),
            sizes: own.watch_event_sizes.with_label_values(&labels),
            lists: own.watch_list_duration.clone(),
        }
    }
}

// === impl Series ===

impl Series {
    fn is_of(&self, labels: &RequestLabels<'_>) -> bool {
        let own = self.labels.iter().map(|label| &**label);
        own.eq(labels.all())
    }
}

// === impl WatchMetrics ===

impl WatchMetrics {
    /// An event of so many bytes goes out.
    pub fn event(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(float(bytes as u64));
    }

    /// Everything that was there at the beginning has been sent to a watch of group, version, resource and scope.
    pub fn listed(&self, labels: [&str; 4], elapsed: Duration) {
        self.lists.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }
}

/// Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no size of ours gets near 2^53")]
fn float(count: u64) -> f64 {
    count as f64
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

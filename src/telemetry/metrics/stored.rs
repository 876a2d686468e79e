//! What is counted of the storage, of the cache over it, and of what callers see of that.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Metrics, Registrar, signed};

const LATENCY: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const PROBE: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];

#[derive(Debug)]
pub(super) struct Stored {
    objects: IntGaugeVec,
    resource_objects: IntGaugeVec,
    resource_bytes: IntGaugeVec,
    requests: IntCounterVec,
    errors: IntCounterVec,
    duration: HistogramVec,
    probes: Histogram,
    events_received: IntCounterVec,
    loads: IntCounter,
    lists: IntCounterVec,
    fetched: IntCounterVec,
    returned: IntCounterVec,
    hidden: IntCounterVec,
    gained: IntCounterVec,
    lost: IntCounterVec,
    lag: IntGauge,
}

/// What has happened to one kind since the server began.
#[derive(Clone, Copy, Debug, Default)]
pub struct KindTotals {
    /// Lists answered.
    pub lists: u64,
    /// Objects that these looked at: what exists for the caller where that is known beforehand.
    pub fetched: u64,
    /// Objects that matched.
    pub returned: u64,
    /// Objects that were there and did not exist for the caller, in lists of everything.
    pub hidden: u64,
    /// Events that told a watcher of an object because it became visible, not because it changed.
    pub gained: u64,
    /// Events that told a watcher that an object is gone though it only became invisible.
    pub lost: u64,
    /// Changes that came from the storage.
    pub received: u64,
}

impl Stored {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        let of_resource = ["group", "resource"];
        let operation = ["operation", "group", "resource"];
        Self {
            objects: it.gauges("apiserver_storage_objects", "Objects stored.", &["resource"]),
            resource_objects: it.gauges("apiserver_resource_objects", "Objects stored.", &of_resource),
            resource_bytes: it.gauges(
                "apiserver_resource_size_estimate_bytes",
                "Length of all objects as they are served.",
                &of_resource,
            ),
            requests: it.counters(
                "etcd_requests_total",
                "Requests to the storage, be it etcd or not.",
                &operation,
            ),
            errors: it.counters(
                "etcd_request_errors_total",
                "Requests that the storage could not answer; a lost race is none.",
                &operation,
            ),
            duration: it.histograms(
                "etcd_request_duration_seconds",
                "Time that the storage took to answer.",
                &operation,
                &LATENCY,
            ),
            probes: it.histogram(
                "bulward_revision_probe_duration_seconds",
                "Time that the storage took to say its newest revision; many reads share one such question.",
                &PROBE,
            ),
            events_received: it.counters(
                "apiserver_watch_cache_events_received_total",
                "Changes that came from the storage.",
                &of_resource,
            ),
            loads: it.counter(
                "bulward_watchcache_loads_total",
                "How often everything was read from the storage: once when it starts, and after a gap in the history.",
            ),
            lists: it.counters(
                "apiserver_cache_list_total",
                "Lists answered from the cache.",
                &["group", "resource", "index"],
            ),
            fetched: it.counters(
                "apiserver_cache_list_fetched_objects_total",
                "Objects that lists looked at: of filtered ones, those that exist for the caller.",
                &["group", "resource", "index"],
            ),
            returned: it.counters(
                "apiserver_cache_list_returned_objects_total",
                "Objects that matched a list's selectors.",
                &of_resource,
            ),
            hidden: it.counters(
                "bulward_list_hidden_objects_total",
                "Objects that were there and did not exist for the caller, over all filtered lists of everything.",
                &of_resource,
            ),
            gained: it.counters(
                "bulward_watch_gained_events_total",
                "ADDED events for objects that did not change but became visible.",
                &of_resource,
            ),
            lost: it.counters(
                "bulward_watch_lost_events_total",
                "DELETED events for objects that still exist but became invisible.",
                &of_resource,
            ),
            lag: it.gauge(
                "bulward_watchcache_lag_revisions",
                "How many revisions the cache is behind the newest one that the storage has told of.",
            ),
        }
    }
}

impl Metrics {
    /// A request to the storage has been answered.
    pub fn storage_request(&self, operation: &'static str, group: &str, resource: &str, failed: bool, time: Duration) {
        let labels = [operation, group, resource];
        self.stored.requests.with_label_values(&labels).inc();
        let duration = self.stored.duration.with_label_values(&labels);
        duration.observe(time.as_secs_f64());
        if failed {
            self.stored.errors.with_label_values(&labels).inc();
        }
    }

    /// The storage has said its newest revision.
    pub fn revision_probe(&self, time: Duration) {
        self.stored.probes.observe(time.as_secs_f64());
    }

    /// How many objects are stored of a resource, and how long they are as they are served.
    pub fn objects(&self, group: &str, resource: &str, count: usize, bytes: usize) {
        let name = format!("{resource}.{group}");
        let (count, bytes) = (signed(count as u64), signed(bytes as u64));
        let stored = &self.stored;
        let qualified = if group.is_empty() { resource } else { &name };
        stored.objects.with_label_values(&[qualified]).set(count);
        let labels = [group, resource];
        stored.resource_objects.with_label_values(&labels).set(count);
        stored.resource_bytes.with_label_values(&labels).set(bytes);
    }

    /// What has happened to a kind so far. Read off when somebody looks, so that counting costs the readers little.
    pub fn kind_totals(&self, group: &str, resource: &str, totals: &KindTotals) {
        let stored = &self.stored;
        let labels = [group, resource];
        let indexed = [group, resource, ""];
        raise(&stored.lists.with_label_values(&indexed), totals.lists);
        raise(&stored.fetched.with_label_values(&indexed), totals.fetched);
        raise(&stored.returned.with_label_values(&labels), totals.returned);
        raise(&stored.hidden.with_label_values(&labels), totals.hidden);
        raise(&stored.gained.with_label_values(&labels), totals.gained);
        raise(&stored.lost.with_label_values(&labels), totals.lost);
        raise(&stored.events_received.with_label_values(&labels), totals.received);
    }

    /// How often everything has been loaded, and how far the cache is behind what is known of the storage.
    pub fn cache_progress(&self, loads: u64, lag: u64) {
        raise(&self.stored.loads, loads);
        self.stored.lag.set(signed(lag));
    }
}

/// Counts up to a total that is kept elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

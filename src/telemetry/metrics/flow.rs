//! Seats and queues, by the names of k8s.io/apiserver pkg/util/flowcontrol/metrics/metrics.go.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Metrics, Registrar};

/// The flow schema of callers whose requests are counted: each caller is a flow of its own.
const CALLERS: &str = "callers";
/// The flow schema of tokens that have to be looked up: each address that brings some is a flow of its own.
const ADDRESSES: &str = "addresses";
/// Its level.
const REVIEWS: &str = "tokenReviews";
/// The schema and the level of those who are never held up.
const EXEMPT: &str = "exempt";

#[derive(Debug)]
pub(super) struct Flows {
    dispatched: IntCounterVec,
    rejected: IntCounterVec,
    executing: IntGaugeVec,
    in_queue: IntGaugeVec,
    in_queue_by_kind: IntGaugeVec,
    seats: [IntGaugeVec; 2],
    wait: HistogramVec,
    exempt: IntCounter,
    connections_refused: IntCounter,
}

/// The figures of one pool of seats.
#[derive(Clone, Debug)]
pub struct FlowMetrics {
    schema: &'static str,
    level: &'static str,
    dispatched: IntCounter,
    rejected: IntCounterVec,
    executing: IntGauge,
    in_queue: IntGauge,
    /// Of requests alone.
    in_queue_by_kind: Option<IntGauge>,
    seats: [IntGauge; 2],
    waited: Histogram,
    in_vain: Histogram,
}

// === impl Flows ===

impl Flows {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        let labels = ["flow_schema", "priority_level"];
        let dispatched = it.counters(
            "apiserver_flowcontrol_dispatched_requests_total",
            "Requests whose turn came.",
            &labels,
        );
        Self {
            exempt: dispatched.with_label_values(&[EXEMPT, EXEMPT]),
            dispatched,
            connections_refused: it.counter(
                "bulward_refused_connections_total",
                "Connections closed because their address had too many.",
            ),
            rejected: it.counters(
                "apiserver_flowcontrol_rejected_requests_total",
                "Requests refused with 429, by the reason: queue-full, time-out, too-many-watches, too-many-unread.",
                &["flow_schema", "priority_level", "reason"],
            ),
            executing: it.gauges(
                "apiserver_flowcontrol_current_executing_requests",
                "Requests that have a seat: until their answer is sent, or their watch runs.",
                &labels,
            ),
            in_queue: it.gauges(
                "apiserver_flowcontrol_current_inqueue_requests",
                "Requests that wait for a seat.",
                &labels,
            ),
            in_queue_by_kind: it.gauges(
                "apiserver_current_inqueue_requests",
                "Requests that wait for a seat, by whether they only read.",
                &["request_kind"],
            ),
            seats: [
                ("apiserver_flowcontrol_nominal_limit_seats", "Seats that there are."),
                (
                    "apiserver_flowcontrol_current_limit_seats",
                    "Seats that may be taken now: all that there are, as no level lends any to another.",
                ),
            ]
            .map(|(name, help)| it.gauges(name, help, &["priority_level"])),
            wait: it.histograms(
                "apiserver_flowcontrol_request_wait_duration_seconds",
                "How long requests waited for a seat that had to; execute says whether they got one.",
                &["flow_schema", "priority_level", "execute"],
                &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0],
            ),
        }
    }
}

impl Metrics {
    /// The figures of a pool of seats for requests of one kind, `readOnly` or `mutating`.
    pub fn flow(&self, kind: &'static str) -> FlowMetrics {
        FlowMetrics {
            in_queue_by_kind: Some(self.flows.in_queue_by_kind.with_label_values(&[kind])),
            ..self.flow_of(CALLERS, kind)
        }
    }

    /// The figures of the seats for reviews of tokens.
    pub fn token_review_flow(&self) -> FlowMetrics {
        self.flow_of(ADDRESSES, REVIEWS)
    }

    fn flow_of(&self, schema: &'static str, level: &'static str) -> FlowMetrics {
        let flows = &self.flows;
        let waits = |execute| flows.wait.with_label_values(&[schema, level, execute]);
        FlowMetrics {
            schema,
            level,
            dispatched: flows.dispatched.with_label_values(&[schema, level]),
            rejected: flows.rejected.clone(),
            executing: flows.executing.with_label_values(&[schema, level]),
            in_queue: flows.in_queue.with_label_values(&[schema, level]),
            in_queue_by_kind: None,
            seats: [&flows.seats[0], &flows.seats[1]].map(|seats| seats.with_label_values(&[level])),
            waited: waits("true"),
            in_vain: waits("false"),
        }
    }

    /// A request that needs no seat.
    pub fn exempt(&self) {
        self.flows.exempt.inc();
    }

    /// A connection closed because its address had too many.
    pub fn connection_refused(&self) {
        self.flows.connections_refused.inc();
    }

    /// A request refused because its caller does not read the answers to others.
    pub fn unread_refused(&self) {
        self.flows
            .rejected
            .with_label_values(&[CALLERS, "readOnly", "too-many-unread"])
            .inc();
    }

    /// A watch refused because its caller has too many.
    pub fn watch_refused(&self) {
        self.flows
            .rejected
            .with_label_values(&[CALLERS, "readOnly", "too-many-watches"])
            .inc();
    }
}

// === impl FlowMetrics ===

impl FlowMetrics {
    /// How many seats there are.
    pub fn seats(&self, count: usize) {
        for seats in &self.seats {
            seats.set(super::signed(count as u64));
        }
    }

    /// A request has got a seat.
    pub fn dispatched(&self) {
        self.dispatched.inc();
    }

    /// A request has got none: `queue-full` or `time-out`.
    pub fn refused(&self, reason: &'static str) {
        self.rejected
            .with_label_values(&[self.schema, self.level, reason])
            .inc();
    }

    /// So many more seats are taken.
    pub fn executing(&self, more: i64) {
        self.executing.add(more);
    }

    /// So many more requests wait.
    pub fn in_queue(&self, more: i64) {
        self.in_queue.add(more);
        if let Some(by_kind) = &self.in_queue_by_kind {
            by_kind.add(more);
        }
    }

    /// A request has waited, and got a seat or not.
    pub fn waited(&self, elapsed: Duration, seated: bool) {
        let waits = if seated { &self.waited } else { &self.in_vain };
        waits.observe(elapsed.as_secs_f64());
    }
}

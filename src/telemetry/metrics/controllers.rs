//! Metrics of controllers, by the names that client-go gives them (k8s.io/component-base metrics/prometheus/workqueue,
//! clientgo/leaderelection), so that dashboards and alerts for kube-controller-manager fit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tokio::time::Instant;

use super::{Described, Descriptions, Registrar, process};

/// client-go's: from 10 ns to 10 s, each ten times the last.
const BUCKETS: [f64; 10] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// All metrics of one set of controllers.
#[derive(Debug)]
pub struct ControllerMetrics {
    registry: Registry,
    described: Vec<Described>,
    depth: IntGaugeVec,
    adds: IntCounterVec,
    queue_duration: HistogramVec,
    work_duration: HistogramVec,
    retries: IntCounterVec,
    leading: IntGaugeVec,
    writes: IntCounterVec,
    working: Working,
}

/// The metrics of one queue.
#[derive(Debug)]
pub struct QueueMetrics {
    name: String,
    depth: IntGauge,
    adds: IntCounter,
    queue_duration: Histogram,
    work_duration: Histogram,
    retries: IntCounter,
    working: Working,
}

/// What is being worked at, by queue and key, since when; asked for when the metrics are read.
#[derive(Clone, Debug)]
struct Working {
    since: Arc<Mutex<HashMap<(String, String), Instant>>>,
    unfinished: GaugeVec,
    longest: GaugeVec,
}

// === impl ControllerMetrics ===

impl ControllerMetrics {
    /// All metrics, at zero.
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let described = Descriptions::default();
        let it = &Registrar {
            registry: &registry,
            described: &described,
        };
        it.keep(process::ProcessCollector::new());
        let name = &["name"];
        let working = Working {
            since: Arc::default(),
            unfinished: working_gauge(
                "workqueue_unfinished_work_seconds",
                "Seconds of work that is in progress and has not been counted in workqueue_work_duration_seconds yet.",
            ),
            longest: working_gauge(
                "workqueue_longest_running_processor_seconds",
                "Seconds that the longest running worker has been at its key.",
            ),
        };
        it.keep(working.clone());
        Arc::new(Self {
            depth: it.gauges("workqueue_depth", "Keys that wait to be reconciled.", name),
            adds: it.counters("workqueue_adds_total", "Keys that were added.", name),
            queue_duration: it.histograms(
                "workqueue_queue_duration_seconds",
                "Time that a key waits until a worker takes it.",
                name,
                &BUCKETS,
            ),
            work_duration: it.histograms(
                "workqueue_work_duration_seconds",
                "Time that a worker takes for a key.",
                name,
                &BUCKETS,
            ),
            retries: it.counters(
                "workqueue_retries_total",
                "Keys that were tried again after a failure.",
                name,
            ),
            leading: it.gauges(
                "leader_election_master_status",
                "Whether this replica is the one that acts.",
                name,
            ),
            writes: it.counters(
                "bulward_controller_writes_total",
                "Requests that changed something, by controller and what they were for.",
                &["name", "step"],
            ),
            working,
            registry,
            described: described.into_inner(),
        })
    }

    /// What there is to be found at `/metrics`, also where nothing has been counted yet.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// Those of one queue.
    pub fn queue(&self, name: &str) -> QueueMetrics {
        let label = &[name];
        self.working.unfinished.with_label_values(label).set(0.0);
        self.working.longest.with_label_values(label).set(0.0);
        QueueMetrics {
            name: name.to_owned(),
            depth: self.depth.with_label_values(label),
            adds: self.adds.with_label_values(label),
            queue_duration: self.queue_duration.with_label_values(label),
            work_duration: self.work_duration.with_label_values(label),
            retries: self.retries.with_label_values(label),
            working: self.working.clone(),
        }
    }

    /// Whether this replica holds the lease of that name.
    pub fn leading(&self, lease: &str, leads: bool) {
        self.leading.with_label_values(&[lease]).set(i64::from(leads));
    }

    /// A controller has changed something in the cluster.
    pub fn wrote(&self, controller: &str, step: &str) {
        self.writes.with_label_values(&[controller, step]).inc();
    }

    /// The text that `/metrics` answers with, of type [`super::CONTENT_TYPE`].
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory does not fail, and the names have been checked when they were registered.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

// === impl QueueMetrics ===

impl QueueMetrics {
    /// A key was added.
    pub fn added(&self) {
        self.adds.inc();
    }

    /// So many keys wait.
    pub fn depth(&self, keys: usize) {
        self.depth.set(super::signed(keys as u64));
    }

    /// A key has waited so long.
    pub fn waited(&self, time: Duration) {
        self.queue_duration.observe(time.as_secs_f64());
    }

    /// A key will be tried again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// A worker begins with a key.
    pub fn began(&self, key: &str) {
        let at = (self.name.clone(), key.to_owned());
        self.working.since.lock().insert(at, Instant::now());
    }

    /// It has done with it.
    pub fn ended(&self, key: &str) {
        let since = self.working.since.lock().remove(&(self.name.clone(), key.to_owned()));
        if let Some(since) = since {
            self.work_duration.observe(since.elapsed().as_secs_f64());
        }
    }
}

// === impl Working ===

fn working_gauge(name: &str, help: &str) -> GaugeVec {
    GaugeVec::new(Opts::new(name, help), &["name"]).expect("the names above are well-formed")
}

impl Collector for Working {
    fn desc(&self) -> Vec<&Desc> {
        self.unfinished.desc().into_iter().chain(self.longest.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut by_queue: HashMap<String, (f64, f64)> = HashMap::new();
        for ((queue, _), since) in &*self.since.lock() {
            let seconds = since.elapsed().as_secs_f64();
            let (sum, longest) = by_queue.entry(queue.clone()).or_default();
            (*sum, *longest) = (*sum + seconds, longest.max(seconds));
        }
        // A queue at rest keeps its series.
        let both = [&self.unfinished, &self.longest];
        for family in both.into_iter().flat_map(Collector::collect) {
            for metric in family.get_metric() {
                let name = metric.get_label().first().map(|label| label.value().to_owned());
                by_queue.entry(name.unwrap_or_default()).or_default();
            }
        }
        for (queue, (sum, longest)) in by_queue {
            self.unfinished.with_label_values(&[&queue]).set(sum);
            self.longest.with_label_values(&[&queue]).set(longest);
        }
        both.into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_in_progress_is_told() {
        let metrics = ControllerMetrics::new();
        let queue = metrics.queue("organization");
        queue.began("a");
        queue.began("b");
        tokio::time::advance(Duration::from_secs(3)).await;
        let text = || String::from_utf8(metrics.render()).unwrap();
        let told = text();
        assert!(
            told.contains("workqueue_unfinished_work_seconds{name=\"organization\"} 6"),
            "{told}"
        );
        assert!(
            told.contains("workqueue_longest_running_processor_seconds{name=\"organization\"} 3"),
            "{told}"
        );
        queue.ended("a");
        queue.ended("b");
        let told = text();
        assert!(
            told.contains("workqueue_unfinished_work_seconds{name=\"organization\"} 0"),
            "{told}"
        );
        assert!(
            told.contains("workqueue_work_duration_seconds_sum{name=\"organization\"} 6"),
            "{told}"
        );
    }
}

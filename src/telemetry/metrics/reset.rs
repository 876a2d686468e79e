//! `DELETE /metrics`: from then on counts are told as of that moment (k8s.io/component-base metrics HandlerWithReset).
//!
//! Nothing that counts is touched: what had been counted by then is taken away when metrics are written. So those that are
//! kept at hand by the hot paths stay valid, and what is there now (a gauge) is told as it is.

use std::collections::HashMap;

use parking_lot::Mutex;
use prometheus::proto::{Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// What had been counted when somebody said to forget it.
#[derive(Debug, Default)]
pub(super) struct Forgotten(Mutex<Vec<MetricFamily>>);

impl Forgotten {
    /// Forgets what these say.
    pub(super) fn forget(&self, families: Vec<MetricFamily>) {
        *self.0.lock() = families;
    }

    /// Takes away what is forgotten. As in Go, it is the metrics with labels: those of them that have not been counted
    /// since are not told of.
    pub(super) fn take_from(&self, families: &mut Vec<MetricFamily>) {
        let forgotten = self.0.lock();
        let by_name: HashMap<&str, &MetricFamily> = forgotten.iter().map(|family| (family.name(), family)).collect();
        for family in families.iter_mut() {
            let kind = family.get_field_type();
            if let Some(before) = by_name.get(family.name()) {
                let before: HashMap<Vec<Label<'_>>, &Metric> =
                    before.get_metric().iter().map(|one| (labels(one), one)).collect();
                family.mut_metric().retain_mut(|now| match before.get(&labels(now)) {
                    Some(before) if !now.get_label().is_empty() => since(kind, before, now),
                    _ => true,
                });
            }
        }
        families.retain(|family| !family.get_metric().is_empty());
    }
}

/// Name and value.
type Label<'a> = (&'a str, &'a str);

fn labels(metric: &Metric) -> Vec<Label<'_>> {
    let label = |pair| (LabelPair::name(pair), LabelPair::value(pair));
    metric.get_label().iter().map(label).collect()
}

/// Makes `now` what has been counted since `before`; `false` if that is nothing.
fn since(kind: MetricType, before: &Metric, now: &mut Metric) -> bool {
    match kind {
        MetricType::COUNTER => {
            let more = now.get_counter().get_value() - before.get_counter().get_value();
            let mut counter = Counter::default();
            counter.set_value(more);
            now.set_counter(counter);
            more > 0.0
        }
        MetricType::HISTOGRAM => {
            let (was, is) = (before.get_histogram(), now.get_histogram());
            let more = is.get_sample_count().saturating_sub(was.get_sample_count());
            let mut buckets = is.get_bucket().to_vec();
            for (bucket, before) in buckets.iter_mut().zip(was.get_bucket()) {
                let count = bucket.cumulative_count().saturating_sub(before.cumulative_count());
                bucket.set_cumulative_count(count);
            }
            let mut histogram = Histogram::default();
            histogram.set_sample_count(more);
            histogram.set_sample_sum(is.get_sample_sum() - was.get_sample_sum());
            histogram.set_bucket(buckets);
            now.set_histogram(histogram);
            more > 0
        }
        _ => true,
    }
}

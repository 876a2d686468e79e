//! What is registered, as a table: the documentation is held against it.

use prometheus::core::Collector;
use prometheus::proto::MetricType;

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// counter, gauge or histogram.
    pub kind: &'static str,
    /// The names of its labels, in alphabetical order.
    pub labels: Vec<String>,
    /// The sentence about it.
    pub help: String,
}

impl Described {
    /// All metrics of a collector.
    pub(super) fn of(collector: &dyn Collector) -> Vec<Self> {
        let families = collector.collect();
        let describe = |desc: &prometheus::core::Desc| {
            let family = families.iter().find(|family| family.name() == desc.fq_name);
            let mut labels = desc.variable_labels.clone();
            labels.sort();
            Self {
                name: desc.fq_name.clone(),
                kind: match family.map(prometheus::proto::MetricFamily::get_field_type) {
                    Some(MetricType::COUNTER) => "counter",
                    Some(MetricType::HISTOGRAM) => "histogram",
                    _ => "gauge",
                },
                labels,
                help: desc.help.clone(),
            }
        };
        collector.desc().into_iter().map(describe).collect()
    }
}

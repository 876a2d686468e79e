//! `/metrics/slis` (k8s.io/component-base metrics/prometheus/slis): what the health checks said, for those who reckon
//! availability.

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::{Metrics, Registrar, written};

#[derive(Debug)]
pub(super) struct Checks {
    registry: Registry,
    last: IntGaugeVec,
    total: IntCounterVec,
}

impl Checks {
    /// They have a registry of their own, as they have a path of their own.
    pub(super) fn new(described: &super::Descriptions) -> Self {
        let registry = Registry::new();
        let it = Registrar {
            registry: &registry,
            described,
        };
        Self {
            last: it.gauges(
                "kubernetes_healthcheck",
                "1 if the check passed when it was last looked at, else 0.",
                &["name", "type"],
            ),
            total: it.counters(
                "kubernetes_healthchecks_total",
                "Results of the check: success or error.",
                &["name", "type", "status"],
            ),
            registry,
        }
    }
}

impl Metrics {
    /// A health check has been looked at; `endpoint` is healthz, livez or readyz.
    pub fn health_check(&self, name: &str, endpoint: &str, passed: bool) {
        self.checks
            .last
            .with_label_values(&[name, endpoint])
            .set(i64::from(passed));
        let status = if passed { "success" } else { "error" };
        self.checks.total.with_label_values(&[name, endpoint, status]).inc();
    }

    /// The text that `/metrics/slis` answers with.
    pub fn render_slis(&self) -> Vec<u8> {
        written(&self.checks.registry.gather())
    }
}

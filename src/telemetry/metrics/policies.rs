//! Metrics of ValidatingAdmissionPolicies, as Kubernetes names them
//! (k8s.io/apiserver pkg/admission/plugin/policy/validating/metrics/metrics.go).

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::Registrar;

const LABELS: [&str; 4] = ["policy", "policy_binding", "error_type", "enforcement_action"];
const BUCKETS: [f64; 5] = [0.000_000_5, 0.001, 0.01, 0.1, 1.0];

/// What policies decided, and how long they took.
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    checks: IntCounterVec,
    duration: HistogramVec,
}

impl PolicyMetrics {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        Self {
            checks: it.counters(
                "apiserver_validating_admission_policy_check_total",
                "Decisions of ValidatingAdmissionPolicies, by policy, binding and what was done about them.",
                &LABELS,
            ),
            duration: it.histograms(
                "apiserver_validating_admission_policy_check_duration_seconds",
                "Time of one validation expression.",
                &LABELS,
                &BUCKETS,
            ),
        }
    }

    /// One decision: `error_type` is no_error, compile_error, invalid_error or out_of_budget; `action` is allow, deny, warn
    /// or audit. The names are those of objects of the cluster's administrator.
    pub fn checked(&self, policy: &str, binding: &str, error_type: &str, action: &str, elapsed: Duration) {
        let labels = [policy, binding, error_type, action];
        self.checks.with_label_values(&labels).inc();
        self.duration.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }
}

//! What admission costs and refuses (k8s.io/apiserver pkg/admission/metrics/metrics.go).

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::Registrar;

const PLUGIN: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];
const CONDITIONS: [f64; 7] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];
const WEBHOOK: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];

/// The metrics of admission.
#[derive(Debug)]
pub struct AdmissionMetrics {
    steps: HistogramVec,
    plugins: HistogramVec,
    webhooks: HistogramVec,
    rejections: IntCounterVec,
    requests: IntCounterVec,
    fail_open: IntCounterVec,
    exclusions: IntCounterVec,
    condition_errors: IntCounterVec,
    conditions: HistogramVec,
}

/// What a webhook or a policy was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The webhook or the policy.
    pub name: &'a str,
    /// `admit` or `validating`; `validate` for a policy.
    pub step: &'static str,
    /// `CREATE` ..
    pub operation: &'a str,
}

impl AdmissionMetrics {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        Self {
            steps: it.histograms(
                "apiserver_admission_step_admission_duration_seconds",
                "Time of all plugins of a step: admit or validate.",
                &["type", "operation", "rejected"],
                &PLUGIN,
            ),
            plugins: it.histograms(
                "apiserver_admission_controller_admission_duration_seconds",
                "Time of one plugin.",
                &["name", "type", "operation", "rejected"],
                &PLUGIN,
            ),
            webhooks: it.histograms(
                "apiserver_admission_webhook_admission_duration_seconds",
                "Time of one webhook.",
                &["name", "type", "operation", "rejected"],
                &WEBHOOK,
            ),
            rejections: it.counters(
                "apiserver_admission_webhook_rejection_count",
                "Requests refused by a webhook (no_error), or because of it: calling_webhook_error, apiserver_internal_error.",
                &["name", "type", "operation", "error_type", "rejection_code"],
            ),
            requests: it.counters(
                "apiserver_admission_webhook_request_total",
                "Calls of webhooks, by the code that came of them.",
                &["name", "type", "operation", "code", "rejected"],
            ),
            fail_open: it.counters(
                "apiserver_admission_webhook_fail_open_count",
                "Failed calls of webhooks that were ignored, as their failure policy says.",
                &["name", "type"],
            ),
            exclusions: it.counters(
                "apiserver_admission_match_condition_exclusions_total",
                "Requests of which a match condition said that the webhook or the policy is not about them.",
                &["name", "kind", "type", "operation"],
            ),
            condition_errors: it.counters(
                "apiserver_admission_match_condition_evaluation_errors_total",
                "Match conditions that went wrong.",
                &["name", "kind", "type", "operation"],
            ),
            conditions: it.histograms(
                "apiserver_admission_match_condition_evaluation_seconds",
                "Time of all match conditions of a webhook or a policy.",
                &["name", "kind", "type", "operation"],
                &CONDITIONS,
            ),
        }
    }

    /// All plugins of a step.
    pub fn step(&self, step: &str, operation: &str, rejected: bool, elapsed: Duration) {
        let labels = [step, operation, flag(rejected)];
        self.steps.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }

    /// One plugin.
    pub fn plugin(&self, name: &str, step: &str, operation: &str, rejected: bool, elapsed: Duration) {
        let labels = [name, step, operation, flag(rejected)];
        self.plugins.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }

    /// One webhook that was called.
    pub fn webhook(&self, call: Call<'_>, rejected: bool, code: u16, elapsed: Duration) {
        let Call { name, step, operation } = call;
        let (code, rejected) = (bounded(code), flag(rejected));
        let labels = [name, step, operation, &code, rejected];
        self.requests.with_label_values(&labels).inc();
        let labels = [name, step, operation, rejected];
        self.webhooks.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }

    /// A request that ended at a webhook.
    pub fn rejection(&self, call: Call<'_>, error_type: &'static str, code: u16) {
        let labels = [call.name, call.step, call.operation, error_type, &bounded(code)];
        self.rejections.with_label_values(&labels).inc();
    }

    /// A failed call that was ignored.
    pub fn fail_open(&self, call: Call<'_>) {
        self.fail_open.with_label_values(&[call.name, call.step]).inc();
    }

    /// Match conditions that were asked; `kind` is `webhook` or `policy`.
    pub fn conditions(&self, call: Call<'_>, kind: &'static str, errors: usize, elapsed: Duration) {
        let labels = [call.name, kind, call.step, call.operation];
        self.conditions
            .with_label_values(&labels)
            .observe(elapsed.as_secs_f64());
        if errors > 0 {
            self.condition_errors.with_label_values(&labels).inc_by(errors as u64);
        }
    }

    /// A request that match conditions exclude; `kind` is `webhook` or `policy`.
    pub fn exclusion(&self, call: Call<'_>, kind: &'static str) {
        let labels = [call.name, kind, call.step, call.operation];
        self.exclusions.with_label_values(&labels).inc();
    }
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A webhook may say what it likes: codes above 600 are one.
fn bounded(code: u16) -> String {
    code.min(600).to_string()
}

//! What was recorded, and what was not (k8s.io/apiserver pkg/audit/metrics.go).

use prometheus::{IntCounter, IntCounterVec};

use super::Registrar;

/// The metrics of the audit. Clones count together.
#[derive(Clone, Debug)]
pub struct AuditMetrics {
    events: IntCounter,
    errors: IntCounterVec,
    levels: IntCounterVec,
    rejected: IntCounter,
}

impl AuditMetrics {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        Self {
            events: it.counter(
                "apiserver_audit_event_total",
                "Counter of audit events generated and sent to the audit backend.",
            ),
            errors: it.counters(
                "apiserver_audit_error_total",
                "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
                &["plugin"],
            ),
            levels: it.counters(
                "apiserver_audit_level_total",
                "Counter of policy levels for audit events (1 per request).",
                &["level"],
            ),
            rejected: it.counter(
                "apiserver_audit_requests_rejected_total",
                "Counter of apiserver requests rejected due to an error in audit logging backend.",
            ),
        }
    }

    /// An event was made.
    pub fn event(&self) {
        self.events.inc();
    }

    /// A request is recorded at this level.
    pub fn level(&self, level: &str) {
        self.levels.with_label_values(&[level]).inc();
    }

    /// Events are lost in `plugin`: log, webhook, buffered (there were too many) or truncate (too large).
    pub fn failed(&self, plugin: &str, events: usize) {
        self.errors.with_label_values(&[plugin]).inc_by(events as u64);
    }

    /// A request was refused because it could not be recorded.
    pub fn rejected(&self) {
        self.rejected.inc();
    }
}

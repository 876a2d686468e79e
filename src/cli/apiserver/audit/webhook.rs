//! The `--audit-webhook-*` flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;

use super::super::{given, path};
use super::{Batching, ModeName, Truncating, version};
use crate::config::{AuditWebhook, Error, parse_duration};

#[derive(Debug, clap::Args)]
#[group(id = "audit-webhook")]
pub(super) struct WebhookArgs {
    /// Sends what is recorded to the server that this kubeconfig names, as audit.k8s.io/v1 EventLists
    #[arg(id = "audit-webhook-config-file", long = "audit-webhook-config-file", value_name = "FILE", value_parser = path(), env = "BULWARD_AUDIT_WEBHOOK_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// How long to wait after the first failure; further ones wait longer, and the fifth gives up
    #[arg(id = "audit-webhook-initial-backoff", long = "audit-webhook-initial-backoff", value_name = "DURATION", default_value = "10s", value_parser = parse_duration, env = "BULWARD_AUDIT_WEBHOOK_INITIAL_BACKOFF")]
    initial_backoff: Duration,
    /// What requests wait for
    #[arg(id = "audit-webhook-mode", long = "audit-webhook-mode", value_name = "MODE", value_enum, default_value_t = ModeName::Batch, env = "BULWARD_AUDIT_WEBHOOK_MODE")]
    mode: ModeName,
    /// The form of events
    #[arg(
        id = "audit-webhook-version",
        long = "audit-webhook-version",
        value_name = "VERSION",
        default_value = "audit.k8s.io/v1",
        env = "BULWARD_AUDIT_WEBHOOK_VERSION"
    )]
    version: String,
    /// With batch: events that may wait; what comes on top of that is lost and counted
    #[arg(
        id = "audit-webhook-batch-buffer-size",
        long = "audit-webhook-batch-buffer-size",
        value_name = "COUNT",
        default_value_t = 10_000,
        env = "BULWARD_AUDIT_WEBHOOK_BATCH_BUFFER_SIZE"
    )]
    batch_buffer_size: usize,
    /// With batch: events that are delivered at once, at most
    #[arg(
        id = "audit-webhook-batch-max-size",
        long = "audit-webhook-batch-max-size",
        value_name = "COUNT",
        default_value_t = 400,
        env = "BULWARD_AUDIT_WEBHOOK_BATCH_MAX_SIZE"
    )]
    batch_max_size: usize,
    /// With batch: how long to wait for as many
    #[arg(id = "audit-webhook-batch-max-wait", long = "audit-webhook-batch-max-wait", value_name = "DURATION", value_parser = parse_duration, default_value = "30s", env = "BULWARD_AUDIT_WEBHOOK_BATCH_MAX_WAIT")]
    batch_max_wait: Duration,
    /// With batch: whether deliveries are limited in number
    #[arg(id = "audit-webhook-batch-throttle-enable", long = "audit-webhook-batch-throttle-enable", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = true, env = "BULWARD_AUDIT_WEBHOOK_BATCH_THROTTLE_ENABLE")]
    batch_throttle_enable: bool,
    /// With batch: deliveries a second
    #[arg(
        id = "audit-webhook-batch-throttle-qps",
        long = "audit-webhook-batch-throttle-qps",
        value_name = "RATE",
        default_value_t = 10.0,
        env = "BULWARD_AUDIT_WEBHOOK_BATCH_THROTTLE_QPS"
    )]
    batch_throttle_qps: f64,
    /// With batch: deliveries at once, after a rest
    #[arg(
        id = "audit-webhook-batch-throttle-burst",
        long = "audit-webhook-batch-throttle-burst",
        value_name = "COUNT",
        default_value_t = 15,
        env = "BULWARD_AUDIT_WEBHOOK_BATCH_THROTTLE_BURST"
    )]
    batch_throttle_burst: u32,
    /// Whether large events lose what was sent and answered
    #[arg(id = "audit-webhook-truncate-enabled", long = "audit-webhook-truncate-enabled", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, env = "BULWARD_AUDIT_WEBHOOK_TRUNCATE_ENABLED")]
    truncate_enabled: bool,
    /// Bytes of an event; one that is larger even then is lost
    #[arg(
        id = "audit-webhook-truncate-max-event-size",
        long = "audit-webhook-truncate-max-event-size",
        value_name = "BYTES",
        default_value_t = 102_400,
        env = "BULWARD_AUDIT_WEBHOOK_TRUNCATE_MAX_EVENT_SIZE"
    )]
    truncate_max_event_size: usize,
    /// With batch: bytes that are delivered at once, at most
    #[arg(id = "audit-webhook-truncate-max-batch-size", long = "audit-webhook-truncate-max-batch-size", value_name = "BYTES", default_value_t = 10 << 20, env = "BULWARD_AUDIT_WEBHOOK_TRUNCATE_MAX_BATCH_SIZE")]
    truncate_max_batch_size: usize,
}

impl WebhookArgs {
    pub(super) fn config(self) -> Result<Option<AuditWebhook>, Error> {
        let Some(config_file) = given(self.config_file) else {
            return Ok(None);
        };
        let batching = Batching {
            buffer: ("audit-webhook-batch-buffer-size", self.batch_buffer_size),
            max_size: ("audit-webhook-batch-max-size", self.batch_max_size),
            max_wait: self.batch_max_wait,
            throttle: self.batch_throttle_enable.then_some((
                "audit-webhook-batch-throttle-qps",
                self.batch_throttle_qps,
                self.batch_throttle_burst,
            )),
            concurrent: true,
        };
        let truncating = Truncating {
            enabled: self.truncate_enabled,
            max_event: ("audit-webhook-truncate-max-event-size", self.truncate_max_event_size),
            max_batch: ("audit-webhook-truncate-max-batch-size", self.truncate_max_batch_size),
        };
        version("audit-webhook-version", &self.version)?;
        Ok(Some(AuditWebhook {
            config_file,
            initial_backoff: self.initial_backoff,
            mode: self.mode.mode(&batching, &truncating)?,
            truncate: truncating.truncate()?,
        }))
    }
}

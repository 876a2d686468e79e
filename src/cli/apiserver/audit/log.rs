//! The `--audit-log-*` flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;

use super::super::{given, path, refused};
use super::{Batching, ModeName, Truncating, version};
use crate::audit::Rotation;
use crate::config::{AuditLog, Error, parse_duration};

#[derive(Debug, clap::Args)]
#[group(id = "audit-log")]
pub(super) struct LogArgs {
    /// Records requests in this file, a line of JSON for each event; - is standard output
    #[arg(id = "audit-log-path", long = "audit-log-path", value_name = "FILE", value_parser = path(), env = "BULWARD_AUDIT_LOG_PATH")]
    path: Option<PathBuf>,
    /// How a line looks
    #[arg(
        id = "audit-log-format",
        long = "audit-log-format",
        value_name = "FORMAT",
        default_value = "json",
        env = "BULWARD_AUDIT_LOG_FORMAT"
    )]
    format: String,
    /// Days after which an old file is removed; 0 keeps it
    #[arg(
        id = "audit-log-maxage",
        long = "audit-log-maxage",
        value_name = "DAYS",
        default_value_t = 366,
        env = "BULWARD_AUDIT_LOG_MAXAGE"
    )]
    maxage: u32,
    /// Old files that are kept; 0 keeps all
    #[arg(
        id = "audit-log-maxbackup",
        long = "audit-log-maxbackup",
        value_name = "COUNT",
        default_value_t = 100,
        env = "BULWARD_AUDIT_LOG_MAXBACKUP"
    )]
    maxbackup: usize,
    /// Megabytes after which a new file is begun; 0 never begins one
    #[arg(
        id = "audit-log-maxsize",
        long = "audit-log-maxsize",
        value_name = "MEGABYTES",
        default_value_t = 100,
        env = "BULWARD_AUDIT_LOG_MAXSIZE"
    )]
    maxsize: u32,
    /// Whether old files are compressed
    #[arg(id = "audit-log-compress", long = "audit-log-compress", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, env = "BULWARD_AUDIT_LOG_COMPRESS")]
    compress: bool,
    /// What requests wait for
    #[arg(id = "audit-log-mode", long = "audit-log-mode", value_name = "MODE", value_enum, default_value_t = ModeName::Blocking, env = "BULWARD_AUDIT_LOG_MODE")]
    mode: ModeName,
    /// The form of events
    #[arg(
        id = "audit-log-version",
        long = "audit-log-version",
        value_name = "VERSION",
        default_value = "audit.k8s.io/v1",
        env = "BULWARD_AUDIT_LOG_VERSION"
    )]
    version: String,
    /// With batch: events that may wait; what comes on top of that is lost and counted
    #[arg(
        id = "audit-log-batch-buffer-size",
        long = "audit-log-batch-buffer-size",
        value_name = "COUNT",
        default_value_t = 10_000,
        env = "BULWARD_AUDIT_LOG_BATCH_BUFFER_SIZE"
    )]
    batch_buffer_size: usize,
    /// With batch: events that are delivered at once, at most
    #[arg(
        id = "audit-log-batch-max-size",
        long = "audit-log-batch-max-size",
        value_name = "COUNT",
        default_value_t = 1,
        env = "BULWARD_AUDIT_LOG_BATCH_MAX_SIZE"
    )]
    batch_max_size: usize,
    /// With batch: how long to wait for as many
    #[arg(id = "audit-log-batch-max-wait", long = "audit-log-batch-max-wait", value_name = "DURATION", value_parser = parse_duration, default_value = "0s", env = "BULWARD_AUDIT_LOG_BATCH_MAX_WAIT")]
    batch_max_wait: Duration,
    /// With batch: whether deliveries are limited in number
    #[arg(id = "audit-log-batch-throttle-enable", long = "audit-log-batch-throttle-enable", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, env = "BULWARD_AUDIT_LOG_BATCH_THROTTLE_ENABLE")]
    batch_throttle_enable: bool,
    /// With batch: deliveries a second; has to be given where they are limited
    #[arg(
        id = "audit-log-batch-throttle-qps",
        long = "audit-log-batch-throttle-qps",
        value_name = "RATE",
        default_value_t = 0.0,
        env = "BULWARD_AUDIT_LOG_BATCH_THROTTLE_QPS"
    )]
    batch_throttle_qps: f64,
    /// With batch: deliveries at once, after a rest; has to be given where they are limited
    #[arg(
        id = "audit-log-batch-throttle-burst",
        long = "audit-log-batch-throttle-burst",
        value_name = "COUNT",
        default_value_t = 0,
        env = "BULWARD_AUDIT_LOG_BATCH_THROTTLE_BURST"
    )]
    batch_throttle_burst: u32,
    /// Whether large events lose what was sent and answered
    #[arg(id = "audit-log-truncate-enabled", long = "audit-log-truncate-enabled", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, env = "BULWARD_AUDIT_LOG_TRUNCATE_ENABLED")]
    truncate_enabled: bool,
    /// Bytes of an event; one that is larger even then is lost
    #[arg(
        id = "audit-log-truncate-max-event-size",
        long = "audit-log-truncate-max-event-size",
        value_name = "BYTES",
        default_value_t = 102_400,
        env = "BULWARD_AUDIT_LOG_TRUNCATE_MAX_EVENT_SIZE"
    )]
    truncate_max_event_size: usize,
    /// With batch: bytes that are delivered at once, at most
    #[arg(id = "audit-log-truncate-max-batch-size", long = "audit-log-truncate-max-batch-size", value_name = "BYTES", default_value_t = 10 << 20, env = "BULWARD_AUDIT_LOG_TRUNCATE_MAX_BATCH_SIZE")]
    truncate_max_batch_size: usize,
}

impl LogArgs {
    pub(super) fn config(self) -> Result<Option<AuditLog>, Error> {
        let Some(path) = given(self.path) else {
            return Ok(None);
        };
        if self.format != "json" {
            return Err(refused(
                "audit-log-format",
                format!("{:?}: events are written as json", self.format),
            ));
        }
        let batching = Batching {
            buffer: ("audit-log-batch-buffer-size", self.batch_buffer_size),
            max_size: ("audit-log-batch-max-size", self.batch_max_size),
            max_wait: self.batch_max_wait,
            throttle: self.batch_throttle_enable.then_some((
                "audit-log-batch-throttle-qps",
                self.batch_throttle_qps,
                self.batch_throttle_burst,
            )),
            concurrent: false,
        };
        let truncating = Truncating {
            enabled: self.truncate_enabled,
            max_event: ("audit-log-truncate-max-event-size", self.truncate_max_event_size),
            max_batch: ("audit-log-truncate-max-batch-size", self.truncate_max_batch_size),
        };
        version("audit-log-version", &self.version)?;
        Ok(Some(AuditLog {
            path,
            rotation: Rotation {
                max_size: u64::from(self.maxsize) << 20,
                max_age: self.maxage,
                max_backups: self.maxbackup,
                compress: self.compress,
            },
            mode: self.mode.mode(&batching, &truncating)?,
            truncate: truncating.truncate()?,
        }))
    }
}

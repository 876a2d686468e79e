//! What is recorded of requests, and where.

use std::path::PathBuf;
use std::time::Duration;

use crate::audit::{Mode, Rotation, Truncate};

/// Nothing is recorded where there is neither a log nor a webhook.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The policy; our own when absent.
    pub policy_file: Option<PathBuf>,
    /// A file, or standard output.
    pub log: Option<AuditLog>,
    /// A server.
    pub webhook: Option<AuditWebhook>,
}

/// A file of events.
#[derive(Clone, Debug)]
pub struct AuditLog {
    /// The file; `-` is standard output.
    pub path: PathBuf,
    /// When another file is begun, and what becomes of the old one.
    pub rotation: Rotation,
    /// What requests wait for.
    pub mode: Mode,
    /// How large an event may be; as large as it is when absent.
    pub truncate: Option<Truncate>,
}

/// A server that is sent events.
#[derive(Clone, Debug)]
pub struct AuditWebhook {
    /// A kubeconfig that names it.
    pub config_file: PathBuf,
    /// How long to wait after the first failure.
    pub initial_backoff: Duration,
    /// What requests wait for.
    pub mode: Mode,
    /// How large an event may be.
    pub truncate: Option<Truncate>,
}

//! What records requests, as configured.

use std::sync::Arc;

use super::Error;
use crate::audit::{Auditor, Backend, LogFile, Policy, Webhook};
use crate::cluster;
use crate::cluster::webhook::Backoff;
use crate::config::Audit;
use crate::telemetry::metrics::audit::AuditMetrics;

/// All attempts of one delivery together: five of them with pauses that grow from ten seconds take some minutes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);
/// What cannot be delivered within this time when the server ends is lost.
const FLUSH: std::time::Duration = std::time::Duration::from_secs(25);

/// Nothing where nothing is to be recorded.
pub(super) async fn auditor(config: &Audit, metrics: &AuditMetrics) -> Result<Option<Arc<Auditor>>, Error> {
    let mut backends = Vec::new();
    if let Some(log) = &config.log {
        let opened = LogFile::open(&log.path, log.rotation);
        let opened = opened.map_err(|error| failed("audit-log-path", &log.path, error))?;
        let mode = log.mode.clone();
        backends.push(Backend::new(Arc::new(opened), mode, log.truncate, metrics.clone()));
    }
    if let Some(webhook) = &config.webhook {
        let client = cluster::client("--audit-webhook-config-file", Some(&webhook.config_file)).await;
        let client = client.map_err(|error| Error::Audit(error.to_string()))?;
        let backoff = Backoff {
            first: webhook.initial_backoff,
            timeout: PATIENCE,
            ..Backoff::default()
        };
        let to = Arc::new(Webhook::new(client, backoff));
        let mode = webhook.mode.clone();
        backends.push(Backend::new(to, mode, webhook.truncate, metrics.clone()));
    }
    if backends.is_empty() {
        return Ok(None);
    }
    let policy = match &config.policy_file {
        Some(path) => Policy::load(path).map_err(|error| failed("audit-policy-file", path, error))?,
        None => Policy::standard(),
    };
    Ok(Some(Auditor::new(policy, backends, metrics.clone())))
}

/// Delivers what is still to be delivered.
pub(super) async fn finish(auditor: Option<Arc<Auditor>>) {
    if let Some(auditor) = auditor
        && tokio::time::timeout(FLUSH, auditor.flush()).await.is_err()
    {
        tracing::error!("audit events are lost: they could not be delivered in time");
    }
}

fn failed(flag: &str, path: &std::path::Path, error: impl std::fmt::Display) -> Error {
    Error::Audit(format!("--{flag} {}: {error}", path.display()))
}

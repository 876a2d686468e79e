//! What records requests, as configured.

use std::sync::Arc;

use super::Error;
use crate::audit::{Auditor, Backend, LogFile, Policy, Webhook};
use crate::cluster;
use crate::cluster::webhook::Backoff;
use crate::config::Audit;
use crate::telemetry::metrics::audit::AuditMetrics;

/// What cannot be delivered within this time when the server ends is lost.
const FLUSH: std::time::Duration = std::time::Duration::from_secs(25);

/// Nothing where nothing is to be recorded.
pub(super) async fn auditor(config: &Audit, metrics: &AuditMetrics) -> Result<Option<Arc<Auditor>>, Error> {
    // Also if nothing records: what is wrong with it is not to be found out when something does.
    let policy = match &config.policy_file {
        Some(path) => Some(Policy::load(path).map_err(|error| failed("audit-policy-file", path, error))?),
        None => None,
    };
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
        let to = Arc::new(Webhook::new(client, Backoff::unhurried(webhook.initial_backoff)));
        let mode = webhook.mode.clone();
        backends.push(Backend::new(to, mode, webhook.truncate, metrics.clone()));
    }
    if backends.is_empty() {
        if policy.is_some() {
            tracing::warn!(
                "--audit-policy-file is given, but neither --audit-log-path nor a webhook: nothing is recorded"
            );
        }
        return Ok(None);
    }
    let policy = policy.unwrap_or_else(Policy::standard);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[tokio::test]
    async fn a_policy_is_read_even_if_nothing_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        let config = Audit {
            policy_file: Some(path.clone()),
            ..Audit::default()
        };
        let metrics = Metrics::new();
        std::fs::write(
            &path,
            "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Sometimes}]}",
        )
        .unwrap();
        let refused = auditor(&config, metrics.audit())
            .await
            .err()
            .expect("refused")
            .to_string();
        assert!(refused.starts_with("--audit-policy-file /"), "{refused}");
        std::fs::write(
            &path,
            "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}",
        )
        .unwrap();
        assert!(auditor(&config, metrics.audit()).await.unwrap().is_none());
    }
}

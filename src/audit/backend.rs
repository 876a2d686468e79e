//! Where events go, and what the requests wait for (k8s.io/apiserver pkg/server/options/audit.go).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::batch::Batch;
use super::event::{Event, Level};
use crate::telemetry::metrics::audit::AuditMetrics;

/// Why events were not recorded. Says nothing of what is in them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// Writes events down, or sends them off.
#[async_trait]
pub trait Delivery: Send + Sync + 'static {
    /// What it is called in metrics and logs: `log` or `webhook`.
    fn name(&self) -> &'static str;

    /// All of these events, each one JSON object, or none.
    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure>;
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Nothing: events are collected, and lost where there are too many.
    Batch(BatchOptions),
    /// Its events; that they cannot be recorded is counted, and no matter.
    Blocking,
    /// The same, but a request whose arrival cannot be recorded is refused.
    BlockingStrict,
}

/// How events are collected.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    /// Events that may wait; what comes on top of that is lost, and counted.
    pub buffer: usize,
    /// Events that are delivered at once, at most.
    pub max_size: usize,
    /// How long to wait for as many.
    pub max_wait: Duration,
    /// Deliveries a second, and how many of them at once when there were none for a while; no limit when absent.
    pub throttle: Option<(f64, u32)>,
    /// Whether the next may begin before the last one is done.
    pub concurrent: bool,
    /// Bytes that are delivered at once, if that is limited.
    pub max_bytes: Option<usize>,
}

/// How large an event may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// Bytes of an event: what was sent and answered is left out of a larger one, and if that does not help, all of it.
    pub max_event: usize,
}

/// One place where events go.
pub struct Backend {
    way: Way,
    truncate: Option<Truncate>,
    metrics: AuditMetrics,
}

enum Way {
    Direct { to: Arc<dyn Delivery>, strict: bool },
    Batch(Batch),
}

impl Backend {
    /// Delivers to `to` in a mode.
    pub fn new(to: Arc<dyn Delivery>, mode: Mode, truncate: Option<Truncate>, metrics: AuditMetrics) -> Self {
        let way = match mode {
            Mode::Batch(options) => Way::Batch(Batch::start(to, options, metrics.clone())),
            Mode::Blocking => Way::Direct { to, strict: false },
            Mode::BlockingStrict => Way::Direct { to, strict: true },
        };
        Self { way, truncate, metrics }
    }

    /// Takes an event; `json` is the same as text. Whether the request may go on.
    pub(super) async fn record(&self, event: &Event, json: &Bytes) -> bool {
        let Some(json) = self.fitting(event, json) else {
            self.metrics.failed("truncate", 1);
            tracing::error!(
                audit_id = event.audit_id,
                "an audit event is too large even after truncating"
            );
            return true;
        };
        match &self.way {
            Way::Batch(batch) => {
                batch.add(json);
                true
            }
            Way::Direct { to, strict } => deliver(&**to, &[json], &self.metrics).await || !strict,
        }
    }

    /// Delivers what waits.
    pub(super) async fn flush(&self) {
        if let Way::Batch(batch) = &self.way {
            batch.finish().await;
        }
    }

    fn fitting(&self, event: &Event, json: &Bytes) -> Option<Bytes> {
        let fits = |json: &Bytes| self.truncate.is_none_or(|limit| json.len() <= limit.max_event);
        if fits(json) {
            return Some(json.clone());
        }
        // Less than what was sent has nothing that could be left out.
        let short = event.level >= Level::Request;
        let short = short.then(|| Bytes::from(event.truncated().to_json()));
        short.filter(fits)
    }
}

/// Delivers; what does not arrive is counted and logged.
pub(super) async fn deliver(to: &dyn Delivery, events: &[Bytes], metrics: &AuditMetrics) -> bool {
    match to.deliver(events).await {
        Ok(()) => true,
        Err(error) => {
            metrics.failed(to.name(), events.len());
            tracing::error!(%error, plugin = to.name(), events = events.len(), "audit events are lost");
            false
        }
    }
}

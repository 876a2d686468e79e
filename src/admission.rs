//! Admission as the main cluster configures it: kube-apiserver admits nothing of what an extension server serves, so that it
//! has to follow the configuration itself (k8s.io/apiserver pkg/admission).

pub mod attributes;
pub mod cel;
pub mod equivalents;
pub mod lifecycle;
pub mod matching;
pub mod mutating_policies;
pub mod namespaces;
pub mod policy;
pub mod rules;
pub mod sources;
pub mod webhook;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;

use crate::rest::Target;
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::telemetry::metrics::admission::AdmissionMetrics;
use crate::wire::notes::Notes;
use crate::wire::status::Status;
use crate::wire::validation::names::qualified_name;

/// How long a request waits for what has not been read from the cluster yet.
const READY: Duration = Duration::from_secs(10);

/// A fact for the audit, unless its key is none (k8s.io/apiserver pkg/admission/attributes.go).
fn annotate(notes: &Notes, key: String, value: impl Into<String>) {
    if key.split('/').count() == 2 && qualified_name(&key).is_empty() {
        notes.annotate(key, value);
    } else {
        tracing::warn!(key, "not a key for an annotation of the audit");
    }
}

/// The plugins by Kubernetes' names, in their order: all of them change, then all of them judge.
pub struct Plugins {
    plugins: Vec<(&'static str, Arc<dyn Admission>)>,
    metrics: Arc<AdmissionMetrics>,
}

impl Plugins {
    /// None yet.
    pub fn new(metrics: Arc<AdmissionMetrics>) -> Self {
        Self {
            plugins: Vec::new(),
            metrics,
        }
    }

    /// Adds a plugin behind the others.
    pub fn push(&mut self, name: &'static str, plugin: Arc<dyn Admission>) {
        self.plugins.push((name, plugin));
    }

    /// Those that have something to do with a write.
    fn asked<'a>(&'a self, attempt: &'a Attempt<'_>) -> impl Iterator<Item = &'a (&'static str, Arc<dyn Admission>)> {
        let handles = |(_, plugin): &&(_, Arc<dyn Admission>)| plugin.handles(attempt.target, attempt.operation);
        self.plugins.iter().filter(handles)
    }

    /// Runs one plugin, and tells the metrics.
    async fn timed<T>(
        &self,
        name: &'static str,
        step: &'static str,
        attempt: &Attempt<'_>,
        work: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        let begun = Instant::now();
        let result = work.await;
        let (operation, rejected) = (attempt.operation.name(), result.is_err());
        self.metrics.plugin(name, step, operation, rejected, begun.elapsed());
        result
    }
}

#[async_trait]
impl Admission for Plugins {
    fn handles(&self, target: &Target<'_>, operation: Operation) -> bool {
        self.plugins.iter().any(|(_, plugin)| plugin.handles(target, operation))
    }

    async fn mutate(&self, attempt: &Attempt<'_>, object: &mut Value) -> Result<bool, Status> {
        let begun = Instant::now();
        let mut result = Ok(false);
        for (name, plugin) in self.asked(attempt) {
            match self.timed(name, "admit", attempt, plugin.mutate(attempt, object)).await {
                Ok(changed) => result = result.map(|before| before || changed),
                Err(status) => {
                    result = Err(status);
                    break;
                }
            }
        }
        let (operation, rejected) = (attempt.operation.name(), result.is_err());
        self.metrics.step("admit", operation, rejected, begun.elapsed());
        result
    }

    async fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Status> {
        let begun = Instant::now();
        let mut result = Ok(());
        for (name, plugin) in self.asked(attempt) {
            result = self.timed(name, "validate", attempt, plugin.validate(attempt)).await;
            if result.is_err() {
                break;
            }
        }
        let (operation, rejected) = (attempt.operation.name(), result.is_err());
        self.metrics.step("validate", operation, rejected, begun.elapsed());
        result
    }
}

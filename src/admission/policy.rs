//! ValidatingAdmissionPolicies and their bindings, followed live from the main cluster
//! (k8s.io/apiserver pkg/admission/plugin/policy/validating).
//!
//! What is there is compiled once for each version and kept in an immutable snapshot; a request that no policy is about
//! costs one look at it.

mod compiled;
mod dispatch;
mod follow;
mod params;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::READY;
use super::attributes::Attributes;
use super::cel;
use super::equivalents::Equivalents;
use super::namespaces::Namespaces;
use crate::authz::Authorizer;
use crate::rest::Target;
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::telemetry::metrics::admission::{AdmissionMetrics, Call};
use crate::telemetry::metrics::policies::PolicyMetrics;
use crate::wire::status::Status;
use snapshot::{Current, Snapshot};

/// The policies of the main cluster.
pub struct Policies {
    current: Arc<Current>,
    namespaces: Namespaces,
    authorizer: Arc<dyn Authorizer>,
    metrics: PolicyMetrics,
    admission: Arc<AdmissionMetrics>,
    resources: Arc<Equivalents>,
}

impl Policies {
    /// Follows the policies of the cluster behind `client` until `stop`; `authorizer` answers expressions that ask it.
    pub fn follow(
        client: &Client,
        namespaces: Namespaces,
        resources: Arc<Equivalents>,
        authorizer: Arc<dyn Authorizer>,
        (metrics, admission): (PolicyMetrics, Arc<AdmissionMetrics>),
        stop: &CancellationToken,
    ) -> Self {
        Self {
            current: snapshot::keep(client.clone(), stop.clone()),
            namespaces,
            authorizer,
            metrics,
            admission,
            resources,
        }
    }

    /// What has not been read yet.
    pub fn missing(&self) -> Option<&'static str> {
        self.current.missing()
    }

    /// As in Go, conditions that all hold are not timed.
    fn conditions_asked(&self, policy: &str, operation: &str, asked: &cel::Asked) {
        if asked.matched == cel::Matched::Yes {
            return;
        }
        let call = Call {
            name: policy,
            step: "validate",
            operation,
        };
        self.admission.conditions(call, "policy", asked.errors, asked.elapsed);
    }

    async fn snapshot(&self, attributes: &Attributes<'_>) -> Result<Arc<Snapshot>, Status> {
        if let Some(snapshot) = self.current.get() {
            return Ok(snapshot);
        }
        let waited = tokio::time::timeout(READY, self.current.ready()).await;
        match self.current.get() {
            Some(snapshot) if waited.is_ok() => Ok(snapshot),
            _ => Err(attributes.forbidden("not yet ready to handle request")),
        }
    }
}

#[async_trait]
impl Admission for Policies {
    /// Where no policy is about such writes, nothing has to be prepared. What is not known yet is of concern to everything.
    fn handles(&self, target: &Target<'_>, _: Operation) -> bool {
        let snapshot = self.current.get();
        snapshot.is_none_or(|snapshot| snapshot.concerns(target.resource, &self.resources))
    }

    async fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Status> {
        let attributes = Attributes::judging(attempt);
        let snapshot = self.snapshot(&attributes).await?;
        if !snapshot.concerns(attributes.resource, &self.resources) {
            return Ok(());
        }
        dispatch::dispatch(self, &snapshot, &attributes, &attempt.target.caller.notes).await
    }
}

/// A namespace as `namespaceObject` (k8s.io/apiserver pkg/admission/plugin/cel/condition.go CreateNamespaceObject).
fn shown(namespace: &Namespace) -> serde_json::Value {
    let mut shown = serde_json::to_value(namespace).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|field, _| ["metadata", "spec", "status"].contains(&field.as_str()));
    }
    if let Some(metadata) = shown["metadata"].as_object_mut() {
        metadata.retain(|field, _| !["managedFields", "ownerReferences", "selfLink"].contains(&field.as_str()));
    }
    shown
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies")
            .field("current", &self.current.get())
            .finish_non_exhaustive()
    }
}

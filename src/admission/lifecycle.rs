//! NamespaceLifecycle: nothing is created in a namespace that is not there or goes, nor changed in one that is not there
//! (k8s.io/apiserver pkg/admission/plugin/namespace/lifecycle/admission.go).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::attributes::Attributes;
use super::sources::Sources;
use crate::rest::Target;
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::wire::status::{Cause, Details, Status};

/// How long the watch may take to tell of a namespace that somebody has just made.
const LAG: Duration = Duration::from_millis(50);

/// The plugin.
pub struct NamespaceLifecycle(pub Arc<Sources>);

#[async_trait]
impl Admission for NamespaceLifecycle {
    fn handles(&self, target: &Target<'_>, operation: Operation) -> bool {
        operation != Operation::Delete && target.resource.stored.namespaced
    }

    async fn mutate(&self, attempt: &Attempt<'_>, object: &mut Value) -> Result<bool, Status> {
        let name = attempt.target.namespace;
        let forbidden =
            |object: &mut Value, why: String| Attributes::changing(attempt, std::mem::take(object)).forbidden(why);
        if let Err(why) = self.0.namespaces_ready().await {
            return Err(forbidden(object, why.to_owned()));
        }
        let namespaces = self.0.namespaces();
        let creates = attempt.operation == Operation::Create;
        let mut namespace = namespaces.known(name);
        if namespace.is_none() && creates {
            tokio::time::sleep(LAG).await;
            namespace = namespaces.known(name);
        }
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => namespaces.get(name).await?,
        };
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
        if !creates || phase != Some("Terminating") {
            return Ok(false);
        }
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        let mut status = forbidden(object, why);
        let details = status.details.get_or_insert_with(Box::<Details>::default);
        details.causes.push(Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {name} is being terminated"),
            field: "metadata.namespace".to_owned(),
        });
        Err(status)
    }
}

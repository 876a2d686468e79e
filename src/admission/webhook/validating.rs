//! ValidatingAdmissionWebhook: all at once (pkg/admission/plugin/webhook/validating/dispatcher.go).

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;

use super::dispatch::{Dispatcher, Wrong};
use crate::admission::annotate;
use crate::admission::attributes::Attributes;
use crate::admission::sources::Sources;
use crate::authz::Authorizer;
use crate::rest::Target;
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::telemetry::metrics::admission::AdmissionMetrics;
use crate::wire::status::Status;

/// The plugin.
pub struct ValidatingAdmissionWebhook {
    /// What it follows.
    pub sources: Arc<Sources>,
    /// What it counts.
    pub metrics: Arc<AdmissionMetrics>,
    /// Whom conditions may ask.
    pub authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Admission for ValidatingAdmissionWebhook {
    fn handles(&self, target: &Target<'_>, _operation: Operation) -> bool {
        self.sources.concern(self.sources.validating(), target.resource)
    }

    async fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Status> {
        let attributes = Attributes::judging(attempt);
        let hooks = self.sources.validating();
        let ready = self.sources.ready(hooks).await;
        ready.map_err(|why| attributes.forbidden(why))?;
        let dispatcher = Dispatcher {
            sources: &self.sources,
            metrics: &self.metrics,
            authorizer: &self.authorizer,
            notes: &attempt.target.caller.notes,
            step: "validating",
        };
        let hooks = hooks.load();
        let mut relevant = Vec::new();
        for hook in hooks.iter() {
            let resources = self.sources.resources();
            if let Some(resource) = dispatcher.invocation(hook, &attributes, resources).await? {
                relevant.push((hook, resource));
            }
        }
        let calls = relevant.iter().enumerate().map(|(at, (hook, resource))| {
            let (dispatcher, attributes) = (&dispatcher, &attributes);
            async move {
                let begun = Instant::now();
                let outcome = dispatcher.ask(hook, attributes, resource).await;
                if hook.ignores_failure && matches!(outcome, Err(Wrong::Calling(..))) {
                    let key = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{at}");
                    annotate(dispatcher.notes, key, hook.name.as_str());
                }
                dispatcher.settle(hook, attributes, begun, outcome)
            }
        });
        // Of several refusals the first one is told; which one came first would be chance.
        let begun = Instant::now();
        let outcomes = join_all(calls).await;
        dispatcher.notes.spent_elsewhere(begun.elapsed());
        outcomes.into_iter().try_for_each(|outcome| outcome.map(|_| ()))
    }
}

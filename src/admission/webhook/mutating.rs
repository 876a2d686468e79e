//! MutatingAdmissionWebhook: one after the other, and some again (pkg/admission/plugin/webhook/mutating/dispatcher.go).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Hook;
use super::dispatch::{Dispatcher, Wrong};
use crate::admission::annotate;
use crate::admission::attributes::Attributes;
use crate::admission::equivalents::converted;
use crate::admission::sources::Sources;
use crate::authz::Authorizer;
use crate::rest::Target;
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::rest::resource::Resource;
use crate::telemetry::metrics::admission::AdmissionMetrics;
use crate::wire::json;
use crate::wire::notes::Detail;
use crate::wire::patch::{JsonPatch, decode_json};
use crate::wire::quote::go_quote;
use crate::wire::status::Status;

const MUTATION: &str = "mutation.webhook.admission.k8s.io/";
const PATCH: &str = "patch.webhook.admission.k8s.io/";
const FAILED_OPEN: &str = "failed-open.mutation.webhook.admission.k8s.io/";
/// The only type of patches.
const JSON_PATCH: &str = "JSONPatch";

/// The plugin.
pub struct MutatingAdmissionWebhook {
    /// What it follows.
    pub sources: Arc<Sources>,
    /// What it counts.
    pub metrics: Arc<AdmissionMetrics>,
    /// Whom conditions may ask.
    pub authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Admission for MutatingAdmissionWebhook {
    fn handles(&self, target: &Target<'_>, _operation: Operation) -> bool {
        self.sources.concern(self.sources.mutating(), target.resource)
    }

    async fn mutate(&self, attempt: &Attempt<'_>, object: &mut Value) -> Result<bool, Status> {
        let mut attributes = Attributes::changing(attempt, std::mem::take(object));
        let begun = Instant::now();
        let changed = self.dispatch(attempt, &mut attributes).await;
        attempt.target.caller.notes.spent_elsewhere(begun.elapsed());
        *object = attributes.object.into_owned();
        changed
    }
}

impl MutatingAdmissionWebhook {
    async fn dispatch<'a>(&'a self, attempt: &'a Attempt<'a>, attributes: &mut Attributes<'a>) -> Result<bool, Status> {
        let hooks = self.sources.mutating();
        let ready = self.sources.ready(hooks).await;
        ready.map_err(|why| attributes.forbidden(why))?;
        let dispatcher = Dispatcher {
            sources: &self.sources,
            metrics: &self.metrics,
            authorizer: &self.authorizer,
            notes: &attempt.target.caller.notes,
            step: "admit",
        };
        let hooks = hooks.load();
        let mut changed = false;
        // Those that want to know of later changes, and those that are owed a second call.
        let (mut invoked, mut owed) = (BTreeSet::new(), BTreeSet::new());
        for round in 0..2 {
            if round == 1 && !changed {
                break;
            }
            for hook in hooks.iter() {
                if round == 1 && !owed.contains(&hook.index) {
                    continue;
                }
                let resources = self.sources.resources();
                let Some(resource) = dispatcher.invocation(hook, attributes, resources).await? else {
                    continue;
                };
                let begun = Instant::now();
                let outcome = dispatcher.change(hook, attempt, attributes, resource, round).await;
                let ignored = hook.ignores_failure && matches!(outcome, Err(Wrong::Calling(..)));
                let settled = dispatcher.settle(hook, attributes, begun, outcome)?;
                if ignored {
                    dispatcher.tell(FAILED_OPEN, round, hook, hook.name.clone());
                }
                if settled == Some(true) {
                    changed = true;
                    owed.append(&mut invoked);
                }
                if hook.reinvoked {
                    invoked.insert(hook.index);
                }
            }
        }
        Ok(changed)
    }
}

/// What the audit is told of one call (`MutationAuditAnnotation` and `PatchAuditAnnotation`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fact<'a> {
    configuration: &'a str,
    webhook: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'a str>,
}

impl Dispatcher<'_> {
    /// Asks one webhook, and does what it says. Says whether that has changed the object.
    async fn change(
        &self,
        hook: &Hook,
        attempt: &Attempt<'_>,
        attributes: &mut Attributes<'_>,
        resource: &Resource,
        round: usize,
    ) -> Result<bool, Wrong> {
        let mut fact = Fact {
            configuration: &hook.configuration,
            webhook: &hook.name,
            mutated: None,
            patch: None,
            patch_type: None,
        };
        let outcome = self.changed(hook, attempt, attributes, resource).await;
        let (mutated, patch) = match &outcome {
            Ok((mutated, patch)) => (*mutated, patch.as_ref()),
            Err(_) => (false, None),
        };
        if let Some(patch) = patch.filter(|_| self.notes.wanted(Detail::Objects)) {
            fact.patch = serde_json::from_slice(patch).ok();
            fact.patch_type = Some(JSON_PATCH);
            self.tell(PATCH, round, hook, text(&fact));
            (fact.patch, fact.patch_type) = (None, None);
        }
        fact.mutated = Some(mutated);
        self.tell(MUTATION, round, hook, text(&fact));
        outcome.map(|(mutated, _)| mutated)
    }

    fn tell(&self, prefix: &str, round: usize, hook: &Hook, value: String) {
        annotate(self.notes, format!("{prefix}round_{round}_index_{}", hook.index), value);
    }

    /// Whether the object has been changed, and by which patch.
    async fn changed(
        &self,
        hook: &Hook,
        attempt: &Attempt<'_>,
        attributes: &mut Attributes<'_>,
        resource: &Resource,
    ) -> Result<(bool, Option<Vec<u8>>), Wrong> {
        let answer = self.ask(hook, attributes, resource).await?;
        if answer.patch.is_empty() {
            return Ok((false, None));
        }
        let calling =
            |why: String| Wrong::Calling(format!("failed calling webhook {}: {why}", go_quote(&hook.name)), 503);
        let patch = decode_json(&answer.patch, false);
        let (patch, _) =
            patch.map_err(|why| calling(format!("received undecodable patch in webhook response: {why}")))?;
        if patch.is_empty() {
            return Ok((false, None));
        }
        if attributes.object.is_null() {
            let name = go_quote(&hook.name);
            return Err(Wrong::Other(Status::internal_because(format!(
                "admission webhook {name} attempted to modify the object, which is not supported for this operation"
            ))));
        }
        if answer.patch_type != JSON_PATCH {
            let patch_type = go_quote(&answer.patch_type);
            return Err(calling(format!("unsupported patch type {patch_type}")));
        }
        let mut patched =
            apply(&patch, attributes, resource).map_err(|why| Wrong::Other(Status::internal_because(why)))?;
        let differs = patched != *attributes.object;
        attempt.tidy(&mut patched).map_err(Wrong::Other)?;
        attributes.object = Cow::Owned(patched);
        Ok((differs, Some(answer.patch)))
    }
}

fn text(fact: &Fact<'_>) -> String {
    String::from_utf8_lossy(&json::to_vec(fact)).into_owned()
}

/// The object after a patch of what the webhook saw.
fn apply(patch: &JsonPatch, attributes: &Attributes<'_>, resource: &Resource) -> Result<Value, String> {
    let mut shown = converted(&attributes.object, attributes.resource, resource).into_owned();
    patch.apply(&mut shown)?;
    if !shown.is_object() {
        return Err("the patch leaves no object".to_owned());
    }
    Ok(converted(&shown, resource, attributes.resource).into_owned())
}

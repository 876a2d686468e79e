//! One call of one webhook, and what becomes of its failure.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::Hook;
use super::reply::Failed;
use super::review::{Answer, Bad, Version, denied};
use crate::admission::annotate;
use crate::admission::attributes::{Attributes, Named};
use crate::admission::cel::Matched;
use crate::admission::equivalents::converted;
use crate::admission::sources::Sources;
use crate::authz::Authorizer;
use crate::rest::resource::Resource;
use crate::telemetry::metrics::admission::{AdmissionMetrics, Call};
use crate::wire::notes::Notes;
use crate::wire::quote::go_quote;
use crate::wire::status::Status;

/// Why a webhook does not let a request pass.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It could not be asked, or gave no answer: the failure policy decides. The code is for the metrics.
    Calling(String, u16),
    /// It said no.
    Rejected(Status),
    /// Something else.
    Other(Status),
}

/// What all calls of one sort share.
pub(super) struct Dispatcher<'a> {
    pub(super) sources: &'a Sources,
    pub(super) metrics: &'a AdmissionMetrics,
    pub(super) authorizer: &'a Arc<dyn Authorizer>,
    pub(super) notes: &'a Arc<Notes>,
    /// `admit` or `validating`.
    pub(super) step: &'static str,
}

impl Dispatcher<'_> {
    /// The resource as which a webhook is to see a request, if it is to see it.
    pub(super) async fn invocation<'r>(
        &self,
        hook: &Hook,
        attributes: &Attributes<'r>,
        resources: &'r crate::admission::equivalents::Equivalents,
    ) -> Result<Option<&'r Resource>, Status> {
        let matched = hook.matcher.matches(attributes, resources, self.sources.namespaces());
        let Some(resource) = matched.await? else {
            return Ok(None);
        };
        if hook.conditions.is_empty() {
            return Ok(Some(resource));
        }
        let inputs = attributes.inputs(resource, None, self.authorizer);
        let asked = hook.conditions.ask(&inputs).await;
        // As in Go, conditions that all hold are not timed.
        if asked.matched != Matched::Yes {
            let call = self.call(hook, attributes);
            self.metrics.conditions(call, "webhook", asked.errors, asked.elapsed);
        }
        match asked.matched {
            Matched::Yes => Ok(Some(resource)),
            Matched::No(_) => {
                self.metrics.exclusion(self.call(hook, attributes), "webhook");
                Ok(None)
            }
            Matched::Failed(why) if hook.ignores_failure => {
                tracing::warn!(webhook = hook.name, why, "match conditions failed, not called");
                Ok(None)
            }
            Matched::Failed(why) => {
                tracing::warn!(webhook = hook.name, why, "match conditions failed, refused");
                let name = attributes.name.as_str();
                Err(Status::forbidden(&attributes.group_resource(), name, why))
            }
        }
    }

    /// Asks a webhook about a request, which it sees as one for `resource`.
    pub(super) async fn ask(
        &self,
        hook: &Hook,
        attributes: &Attributes<'_>,
        resource: &Resource,
    ) -> Result<Answer, Wrong> {
        if attributes.dry_run && !hook.spares_dry_runs() {
            let why = format!("admission webhook {} does not support dry run", go_quote(&hook.name));
            return Err(Wrong::Other(Status::bad_request(why)));
        }
        let calling = |why: String, code: u16| {
            Wrong::Calling(format!("failed calling webhook {}: {why}", go_quote(&hook.name)), code)
        };
        let version = Version::of(&hook.versions);
        let version = version.map_err(|why| calling(format!("could not create admission objects: {why}"), 400))?;
        let endpoint = hook.endpoint.as_ref();
        let endpoint = endpoint.map_err(|why| calling(format!("could not get REST client: {why}"), 500))?;
        let uid = uuid::Uuid::new_v4().to_string();
        let shown = |object| -> Cow<'_, Value> { converted(object, attributes.resource, resource) };
        let (object, old) = (shown(&attributes.object), shown(attributes.old_object));
        let review = version.review(&uid, attributes.request(Named::of(resource)), &object, &old);
        let failed = |why: String, code| calling(format!("failed to call webhook: {why}"), code);
        let reply = endpoint
            .post(review, hook.timeout)
            .await
            .map_err(|why| failed(why, 503))?;
        reply.check(version).map_err(|Failed(why, code)| failed(why, code))?;
        let answer = version.answer(&uid, self.step == "admit", &reply.body);
        let answer = answer.map_err(|bad| match bad {
            Bad::Undecodable(why) => failed(format!("the answer is {why}"), 503),
            Bad::Invalid(why) => calling(format!("received invalid webhook response: {why}"), 503),
        })?;
        for (key, value) in &answer.audit_annotations {
            annotate(self.notes, format!("{}/{key}", hook.name), value.as_str());
        }
        for warning in &answer.warnings {
            self.notes.warn(warning.as_str());
        }
        if answer.allowed {
            return Ok(answer);
        }
        Err(Wrong::Rejected(denied(&hook.name, answer.status)))
    }

    /// What becomes of a call: an error that the caller is told, or nothing. Says whether a failure was ignored.
    pub(super) fn settle<T>(
        &self,
        hook: &Hook,
        attributes: &Attributes<'_>,
        begun: Instant,
        outcome: Result<T, Wrong>,
    ) -> Result<Option<T>, Status> {
        let call = self.call(hook, attributes);
        let (rejected, code, error_type) = match &outcome {
            Ok(_) => (false, 200, ""),
            Err(Wrong::Calling(_, code)) => (!hook.ignores_failure, *code, "calling_webhook_error"),
            Err(Wrong::Rejected(status)) => (true, status.code, "no_error"),
            Err(Wrong::Other(_)) => (true, 0, "apiserver_internal_error"),
        };
        if rejected {
            self.metrics.rejection(call, error_type, code);
        }
        self.metrics.webhook(call, rejected, code, begun.elapsed());
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Wrong::Calling(why, _)) if hook.ignores_failure => {
                tracing::warn!(webhook = hook.name, why, "ignored, as the failure policy says");
                self.metrics.fail_open(call);
                Ok(None)
            }
            Err(Wrong::Calling(why, _)) => {
                tracing::warn!(webhook = hook.name, why, "refused, as the failure policy says");
                Err(Status::internal_because(why))
            }
            Err(Wrong::Rejected(status) | Wrong::Other(status)) => Err(status),
        }
    }

    fn call<'h>(&self, hook: &'h Hook, attributes: &Attributes<'_>) -> Call<'h> {
        Call {
            name: &hook.name,
            step: self.step,
            operation: attributes.operation.name(),
        }
    }
}

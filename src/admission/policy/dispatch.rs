//! One write before all policies (k8s.io/apiserver pkg/admission/plugin/policy/validating/dispatcher.go).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::compiled::{Annotation, Decision, Policy, Verdict};
use super::matching::Labels;
use super::params::collect;
use super::request::{Request, View};
use super::snapshot::{Active, Binding, Snapshot};
use super::{Policies, shown};
use crate::admission::cel::{self, Inputs};
use crate::authz::ResourceAttributes;
use crate::wire::notes::Notes;
use crate::wire::status::{Cause, Status};

/// Where a denial is told to the audit that is only to be audited.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";
/// The longest value of an audit annotation.
const LONGEST_ANNOTATION: usize = 10 << 10;

/// A refusal, before the first one is told.
struct Denial {
    message: String,
    reason: String,
}

/// What the policies are asked with: made when the first one asks.
struct Asked<'a, 'r> {
    policies: &'a Policies,
    request: &'a Request<'r>,
    namespace: Option<Value>,
    views: Vec<(View, Arc<Inputs>)>,
}

pub(super) async fn dispatch(
    policies: &Policies,
    snapshot: &Snapshot,
    request: &Request<'_>,
    notes: &Notes,
) -> Result<(), Status> {
    let namespace = match request.namespace {
        "" => None,
        name => Some(policies.namespaces.get(name).await),
    };
    let labels: Result<Labels, String> = match &namespace {
        None => Ok(Labels::new()),
        Some(Ok(namespace)) => Ok(namespace.metadata.labels.clone().unwrap_or_default()),
        Some(Err(status)) => Err(status.message.clone()),
    };
    let mut asked = Asked {
        policies,
        request,
        namespace: None,
        views: Vec::new(),
    };
    let mut denials = Vec::new();
    for active in &snapshot.active {
        let policy = &active.policy;
        let view = match policy.matching.matches(request, &labels) {
            Ok(None) => continue,
            Ok(Some(view)) => view,
            Err(error) => {
                denials.extend(misconfigured(policy, None, &error));
                continue;
            }
        };
        if let Err(error) = &active.params {
            denials.extend(misconfigured(policy, None, error));
            continue;
        }
        let mut annotations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for binding in &active.bindings {
            let params = match params_of(active, binding, request, &labels).await {
                Ok(params) => params,
                Err(error) => {
                    denials.extend(misconfigured(policy, Some(binding), &error));
                    continue;
                }
            };
            for param in params {
                // Asked late: without parameters there is no question, and no namespace is missed.
                if let Some(namespace) = &namespace {
                    asked.namespace = Some(shown(namespace.as_ref().map_err(Clone::clone)?));
                }
                let verdict = asked.ask(policy, &view, param).await;
                if let Some(conditions) = &verdict.conditions {
                    policies.conditions_asked(&policy.name, request.operation, conditions);
                }
                take(policies, policy, binding, &verdict, notes, &mut denials);
                annotate(
                    policies,
                    policy,
                    binding,
                    verdict.annotations,
                    &mut annotations,
                    &mut denials,
                );
            }
        }
        for (key, values) in annotations {
            notes.annotate(format!("{}/{key}", policy.name), values.join(", "));
        }
    }
    match denials.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(refusal(request, first)),
    }
}

/// The parameters of a binding; none: there is nothing to ask.
async fn params_of(
    active: &Active,
    binding: &Binding,
    request: &Request<'_>,
    labels: &Result<Labels, String>,
) -> Result<Vec<Option<Value>>, String> {
    if binding.matching.matches(request, labels)?.is_none() {
        return Ok(Vec::new());
    }
    let params = active.params.as_ref().map_err(Clone::clone)?;
    let kind = active.policy.param_kind.as_ref();
    collect(kind, binding.param_ref.as_ref(), params.as_ref(), request.namespace).await
}

impl Asked<'_, '_> {
    async fn ask(&mut self, policy: &Arc<Policy>, view: &View, param: Option<Value>) -> Verdict {
        let inputs = self.inputs(view);
        let (asked, policy) = (policy.clone(), policy);
        let verdict = cel::run(move || match param {
            None => asked.validate(&inputs),
            Some(param) => asked.validate(&inputs.with_params(Some(&param))),
        });
        verdict
            .await
            .unwrap_or_else(|aborted| policy.failed(aborted.to_string()))
    }

    fn inputs(&mut self, view: &View) -> Arc<Inputs> {
        if let Some((_, inputs)) = self.views.iter().find(|(known, _)| known == view) {
            return inputs.clone();
        }
        let request = self.request;
        let about = ResourceAttributes {
            group: request.view.group.clone(),
            version: request.view.version.clone(),
            resource: request.view.resource.clone(),
            subresource: request.subresource.to_owned(),
            namespace: request.namespace.to_owned(),
            name: request.name.to_owned(),
            ..ResourceAttributes::default()
        };
        let user = Arc::new(request.user.clone());
        let inputs = Arc::new(Inputs::new(
            request.in_view(view, request.object).as_ref(),
            request.in_view(view, request.old_object).as_ref(),
            &request.admission_request(view),
            self.namespace.as_ref(),
            Some(cel::Authorizer::new(self.policies.authorizer.clone(), user, about)),
        ));
        self.views.push((view.clone(), inputs.clone()));
        inputs
    }
}

/// What each action of the binding makes of the decisions.
fn take(
    policies: &Policies,
    policy: &Policy,
    binding: &Binding,
    verdict: &Verdict,
    notes: &Notes,
    denials: &mut Vec<Denial>,
) {
    for (index, decision) in verdict.decisions.iter().enumerate() {
        let count = |action| {
            let kind = error_type(decision);
            policies
                .metrics
                .checked(&policy.name, &binding.name, kind, action, decision.elapsed);
        };
        if !decision.denies {
            if decision.error {
                count("allow");
            }
            continue;
        }
        for action in &binding.actions {
            match action.as_str() {
                "Deny" => {
                    denials.push(denial(policy, Some(binding), &decision.message, &decision.reason));
                    count("deny");
                }
                "Audit" => {
                    notes.annotate(FAILURE, failure(policy, binding, index, decision));
                    count("audit");
                }
                "Warn" => {
                    notes.warn(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                        policy.name, binding.name, decision.message
                    ));
                    count("warn");
                }
                _ => {}
            }
        }
    }
}

fn annotate(
    policies: &Policies,
    policy: &Policy,
    binding: &Binding,
    made: Vec<Annotation>,
    annotations: &mut BTreeMap<String, Vec<String>>,
    denials: &mut Vec<Denial>,
) {
    for annotation in made {
        match annotation {
            Annotation::Publish { key, mut value } => {
                let end = (0..=LONGEST_ANNOTATION.min(value.len()))
                    .rev()
                    .find(|at| value.is_char_boundary(*at));
                value.truncate(end.unwrap_or_default());
                let values = annotations.entry(key).or_default();
                // Bindings that say the same say it once.
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            Annotation::Error(message) => {
                let kind = error_kind(&message);
                policies
                    .metrics
                    .checked(&policy.name, &binding.name, kind, "deny", Duration::ZERO);
                denials.push(denial(policy, Some(binding), &message, ""));
            }
            Annotation::Exclude => {}
        }
    }
}

fn misconfigured(policy: &Policy, binding: Option<&Binding>, error: &str) -> Option<Denial> {
    let what = if binding.is_some() { "binding" } else { "policy" };
    let message = format!("failed to configure {what}: {error}");
    (!policy.ignores_failures).then(|| denial(policy, binding, &message, ""))
}

fn denial(policy: &Policy, binding: Option<&Binding>, message: &str, reason: &str) -> Denial {
    let binding = binding
        .map(|binding| format!(" with binding '{}'", binding.name))
        .unwrap_or_default();
    Denial {
        message: format!(
            "ValidatingAdmissionPolicy '{}'{binding} denied request: {message}",
            policy.name
        ),
        reason: reason.to_owned(),
    }
}

fn refusal(request: &Request<'_>, denial: Denial) -> Status {
    let mut status = forbidden(request, &denial.message);
    let (code, reason) = match denial.reason.as_str() {
        "Forbidden" => (403, "Forbidden"),
        "Unauthorized" => (401, "Unauthorized"),
        "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
        _ => (422, "Invalid"),
    };
    (status.code, status.reason) = (code, reason.into());
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            message: denial.message,
            ..Cause::default()
        });
    }
    status
}

/// k8s.io/apiserver pkg/admission/errors.go NewForbidden
pub(super) fn forbidden(request: &Request<'_>, why: &str) -> Status {
    let metadata = |field: &str| {
        let text = request.object.and_then(|object| object["metadata"][field].as_str());
        text.filter(|text| !text.is_empty())
    };
    let own = Some(request.name).filter(|name| !name.is_empty());
    let name = own
        .or_else(|| metadata("name"))
        .or_else(|| metadata("generateName"))
        .unwrap_or("Unknown");
    Status::forbidden(&request.group_resource(), name, why)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    message: &'a str,
    policy: &'a str,
    binding: &'a str,
    expression_index: usize,
    validation_actions: &'a [String],
}

fn failure(policy: &Policy, binding: &Binding, expression_index: usize, decision: &Decision) -> String {
    let failure = Failure {
        message: &decision.message,
        policy: &policy.name,
        binding: &binding.name,
        expression_index,
        validation_actions: &binding.actions,
    };
    serde_json::to_string(&[failure]).unwrap_or_default()
}

fn error_type(decision: &Decision) -> &'static str {
    // As in Go, a denial that is no error counts as one.
    if decision.denies || decision.error {
        error_kind(&decision.message)
    } else {
        "no_error"
    }
}

/// k8s.io/apiserver pkg/admission/plugin/policy/validating/errors.go
fn error_kind(message: &str) -> &'static str {
    if message.starts_with("compilation") {
        "compile_error"
    } else if message.starts_with("validation failed due to running out of cost budget") {
        "out_of_budget"
    } else {
        "invalid_error"
    }
}

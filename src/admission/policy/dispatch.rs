//! One write before all policies (k8s.io/apiserver pkg/admission/plugin/policy/validating/dispatcher.go).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::compiled::{Annotation, Decision, Policy, Verdict};
use super::params::collect;
use super::snapshot::{Active, Binding, Snapshot};
use super::{Policies, shown};
use crate::admission::annotate as tell;
use crate::admission::attributes::Attributes;
use crate::admission::cel::{self, Inputs};
use crate::admission::matching::Matcher;
use crate::rest::resource::Resource;
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
struct Asked<'a> {
    policies: &'a Policies,
    attributes: &'a Attributes<'a>,
    /// The request's namespace, once somebody has asked for it.
    namespace: Option<Value>,
    /// What they know, by the resource as which they see the request.
    inputs: Vec<(&'a Resource, Arc<Inputs>)>,
}

pub(super) async fn dispatch<'a>(
    policies: &'a Policies,
    snapshot: &Snapshot,
    attributes: &'a Attributes<'a>,
    notes: &Notes,
) -> Result<(), Status> {
    let mut asked = Asked {
        policies,
        attributes,
        namespace: None,
        inputs: Vec::new(),
    };
    let mut denials = Vec::new();
    for active in &snapshot.active {
        let policy = &active.policy;
        let resource = match policies.matches(&policy.matching, attributes).await {
            Ok(None) => continue,
            Ok(Some(resource)) => resource,
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
            let params = match params_of(policies, active, binding, attributes).await {
                Ok(params) => params,
                Err(error) => {
                    denials.extend(misconfigured(policy, Some(binding), &error));
                    continue;
                }
            };
            for param in params {
                let verdict = asked.ask(policy, resource, param).await?;
                if let Some(conditions) = &verdict.conditions {
                    policies.conditions_asked(&policy.name, attributes.operation.name(), conditions);
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
            tell(notes, format!("{}/{key}", policy.name), values.join(", "));
        }
    }
    match denials.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(refusal(attributes, first)),
    }
}

/// The parameters of a binding; none: there is nothing to ask.
async fn params_of(
    policies: &Policies,
    active: &Active,
    binding: &Binding,
    attributes: &Attributes<'_>,
) -> Result<Vec<Option<Value>>, String> {
    if policies.matches(&binding.matching, attributes).await?.is_none() {
        return Ok(Vec::new());
    }
    let params = active.params.as_ref().map_err(Clone::clone)?;
    let kind = active.policy.param_kind.as_ref();
    collect(kind, binding.param_ref.as_ref(), params.as_ref(), attributes.namespace).await
}

impl Policies {
    /// The resource as which a policy or a binding means a request.
    async fn matches<'a>(
        &'a self,
        matcher: &Matcher,
        attributes: &Attributes<'a>,
    ) -> Result<Option<&'a Resource>, String> {
        let matched = matcher.matches(attributes, &self.resources, &self.namespaces);
        matched.await.map_err(|status| status.message)
    }
}

impl<'a> Asked<'a> {
    async fn ask(
        &mut self,
        policy: &Arc<Policy>,
        resource: &'a Resource,
        param: Option<Value>,
    ) -> Result<Verdict, Status> {
        let inputs = self.inputs(resource).await?;
        let (asked, policy) = (policy.clone(), policy);
        let verdict = cel::run(move || match param {
            None => asked.validate(&inputs),
            Some(param) => asked.validate(&inputs.with_params(Some(&param))),
        });
        let verdict = verdict.await;
        Ok(verdict.unwrap_or_else(|aborted| policy.failed(aborted.to_string())))
    }

    /// Made late: without parameters there is no question, and no namespace is missed.
    async fn inputs(&mut self, resource: &'a Resource) -> Result<Arc<Inputs>, Status> {
        let mut known = self.inputs.iter();
        if let Some((_, inputs)) = known.find(|(known, _)| known.group_version == resource.group_version) {
            return Ok(inputs.clone());
        }
        let name = self.attributes.namespace;
        if self.namespace.is_none() && !name.is_empty() {
            let namespace = self.policies.namespaces.get(name).await?;
            self.namespace = Some(shown(&namespace));
        }
        let (namespace, authorizer) = (self.namespace.as_ref(), &self.policies.authorizer);
        let inputs = self.attributes.inputs(resource, namespace, authorizer);
        self.inputs.push((resource, inputs.clone()));
        Ok(inputs)
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

fn refusal(attributes: &Attributes<'_>, denial: Denial) -> Status {
    let mut status = attributes.forbidden(&denial.message);
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

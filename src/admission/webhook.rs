//! Admission webhooks (k8s.io/apiserver pkg/admission/plugin/webhook).

pub mod client;
mod conditions;
mod dispatch;
pub mod mutating;
pub mod resolve;
pub mod review;
pub mod validating;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use self::client::{Clients, Endpoint};
use super::equivalents::Equivalents;
use super::matching::{Matcher, selector};
use super::rules::Rule;
use crate::rest::resource::Resource;

/// The default of `timeoutSeconds`.
const TIMEOUT: i32 = 10;

/// A webhook, ready to be called.
pub struct Hook {
    /// Its name.
    pub name: String,
    /// The configuration that it stands in.
    pub configuration: String,
    /// Its place among all webhooks of its sort.
    pub index: usize,
    /// What it is about.
    pub matcher: Matcher,
    /// What else has to hold.
    pub conditions: Vec<MatchCondition>,
    /// Whether a failed call lets the request pass.
    pub ignores_failure: bool,
    /// `None`, `NoneOnDryRun` ..; empty if nothing is said.
    pub side_effects: String,
    /// How long a call may take.
    pub timeout: Duration,
    /// The versions of AdmissionReview that it takes, by its preference.
    pub versions: Vec<String>,
    /// Whether it is called again when a later one has changed the object.
    pub reinvoked: bool,
    /// Where it is.
    pub endpoint: Result<Arc<Endpoint>, String>,
}

/// What both sorts have in common.
struct Parts<'a> {
    name: &'a str,
    client: &'a WebhookClientConfig,
    rules: Option<&'a Vec<RuleWithOperations>>,
    match_policy: Option<&'a str>,
    matcher: (
        Result<crate::wire::selector::LabelSelector, String>,
        Result<crate::wire::selector::LabelSelector, String>,
    ),
    conditions: Option<&'a Vec<MatchCondition>>,
    failure_policy: Option<&'a str>,
    side_effects: &'a str,
    timeout: Option<i32>,
    versions: &'a [String],
    reinvocation: Option<&'a str>,
}

impl Hook {
    /// The mutating webhooks of all configurations that may be about one of the resources.
    pub fn mutating(
        configurations: &[Arc<MutatingWebhookConfiguration>],
        resources: &Equivalents,
        clients: &Clients,
    ) -> Vec<Arc<Self>> {
        let webhooks = configurations.iter().flat_map(|configuration| {
            let hooks = configuration.webhooks.iter().flatten();
            hooks.map(|hook| (&configuration.metadata, Parts::from(hook)))
        });
        Self::compiled(webhooks, resources, clients)
    }

    /// The validating webhooks of all configurations that may be about one of the resources.
    pub fn validating(
        configurations: &[Arc<ValidatingWebhookConfiguration>],
        resources: &Equivalents,
        clients: &Clients,
    ) -> Vec<Arc<Self>> {
        let webhooks = configurations.iter().flat_map(|configuration| {
            let hooks = configuration.webhooks.iter().flatten();
            hooks.map(|hook| (&configuration.metadata, Parts::from(hook)))
        });
        Self::compiled(webhooks, resources, clients)
    }

    /// Webhooks with the metadata of their configurations. Those that are about nothing here count in the numbering.
    fn compiled<'a>(
        webhooks: impl Iterator<Item = (&'a ObjectMeta, Parts<'a>)>,
        resources: &Equivalents,
        clients: &Clients,
    ) -> Vec<Arc<Self>> {
        let compile = |(index, (configuration, parts)): (usize, (&ObjectMeta, Parts<'_>))| {
            let name = configuration.name.as_deref().unwrap_or_default();
            Self::compile(name, index, &parts, resources, clients)
        };
        webhooks.enumerate().filter_map(compile).collect()
    }

    fn compile(
        configuration: &str,
        index: usize,
        parts: &Parts<'_>,
        resources: &Equivalents,
        clients: &Clients,
    ) -> Option<Arc<Self>> {
        let rule = |rule: &RuleWithOperations| {
            Rule::new(
                rule.operations.as_ref(),
                rule.api_groups.as_ref(),
                rule.api_versions.as_ref(),
                rule.resources.as_ref(),
                rule.scope.as_ref(),
            )
        };
        let (namespaces, objects) = parts.matcher.clone();
        let matcher = Matcher {
            rules: parts.rules.into_iter().flatten().map(rule).collect(),
            equivalent: parts.match_policy != Some("Exact"),
            namespaces,
            objects,
        };
        if !matcher.may_match(resources) {
            return None;
        }
        let timeout = parts.timeout.unwrap_or(TIMEOUT);
        Some(Arc::new(Self {
            name: parts.name.to_owned(),
            configuration: configuration.to_owned(),
            index,
            matcher,
            conditions: parts.conditions.cloned().unwrap_or_default(),
            ignores_failure: parts.failure_policy == Some("Ignore"),
            side_effects: parts.side_effects.to_owned(),
            timeout: Duration::from_secs(timeout.clamp(1, 30).unsigned_abs().into()),
            versions: parts.versions.to_vec(),
            reinvoked: parts.reinvocation == Some("IfNeeded"),
            endpoint: clients.endpoint(parts.client),
        }))
    }

    /// Whether it may be about writes of a resource.
    pub(super) fn may_be_about(&self, resource: &Resource, resources: &Equivalents) -> bool {
        let other = |other: &Arc<Resource>| self.matcher.may_match_resource(other);
        self.matcher.may_match_resource(resource) || (self.matcher.equivalent && resources.others(resource).any(other))
    }

    /// Whether it may be called for a request that is not carried out.
    fn spares_dry_runs(&self) -> bool {
        matches!(self.side_effects.as_str(), "None" | "NoneOnDryRun")
    }
}

impl<'a> From<&'a MutatingWebhook> for Parts<'a> {
    fn from(hook: &'a MutatingWebhook) -> Self {
        Self {
            name: &hook.name,
            client: &hook.client_config,
            rules: hook.rules.as_ref(),
            match_policy: hook.match_policy.as_deref(),
            matcher: (
                selector(hook.namespace_selector.as_ref()),
                selector(hook.object_selector.as_ref()),
            ),
            conditions: hook.match_conditions.as_ref(),
            failure_policy: hook.failure_policy.as_deref(),
            side_effects: &hook.side_effects,
            timeout: hook.timeout_seconds,
            versions: &hook.admission_review_versions,
            reinvocation: hook.reinvocation_policy.as_deref(),
        }
    }
}

impl<'a> From<&'a ValidatingWebhook> for Parts<'a> {
    fn from(hook: &'a ValidatingWebhook) -> Self {
        Self {
            name: &hook.name,
            client: &hook.client_config,
            rules: hook.rules.as_ref(),
            match_policy: hook.match_policy.as_deref(),
            matcher: (
                selector(hook.namespace_selector.as_ref()),
                selector(hook.object_selector.as_ref()),
            ),
            conditions: hook.match_conditions.as_ref(),
            failure_policy: hook.failure_policy.as_deref(),
            side_effects: &hook.side_effects,
            timeout: hook.timeout_seconds,
            versions: &hook.admission_review_versions,
            reinvocation: None,
        }
    }
}

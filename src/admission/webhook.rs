//! Admission webhooks (k8s.io/apiserver pkg/admission/plugin/webhook).

pub mod client;
pub mod configuration;
pub mod credentials;
mod dispatch;
pub mod mutating;
pub mod reply;
pub mod resolve;
pub mod review;
pub mod validating;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use self::client::{Clients, Endpoint};
use super::cel::Conditions;
use super::equivalents::Equivalents;
use super::matching::{Matcher, selector};
use super::rules::Rule;

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
    pub conditions: Conditions,
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

/// A configuration of webhooks, of either sort.
pub trait Configuration: kube::Resource<DynamicType = ()> {
    /// Its webhooks, in their order.
    fn parts(&self) -> Vec<Parts<'_>>;
}

/// What a webhook of either sort says.
pub struct Parts<'a> {
    name: &'a str,
    client: &'a WebhookClientConfig,
    rules: Option<&'a Vec<RuleWithOperations>>,
    match_policy: Option<&'a str>,
    namespaces: Option<&'a LabelSelector>,
    objects: Option<&'a LabelSelector>,
    conditions: &'a [MatchCondition],
    failure_policy: Option<&'a str>,
    side_effects: &'a str,
    timeout: Option<i32>,
    versions: &'a [String],
    reinvocation: Option<&'a str>,
}

/// Makes webhooks of what configurations say, and keeps what is costly to make as long as they say the same.
pub struct Compiler {
    clients: Arc<Clients>,
    resources: Arc<Equivalents>,
    conditions: HashMap<String, Conditions>,
}

impl Compiler {
    /// Of webhooks about `resources`.
    pub fn new(clients: Arc<Clients>, resources: Arc<Equivalents>) -> Self {
        Self {
            clients,
            resources,
            conditions: HashMap::new(),
        }
    }

    /// The webhooks of all configurations that may be about one of the resources. Others count in the numbering.
    pub async fn compile<K: Configuration>(&mut self, configurations: &[Arc<K>]) -> Vec<Arc<Hook>> {
        let mut hooks = Vec::new();
        let mut conditions = HashMap::new();
        let all = configurations.iter().flat_map(|configuration| {
            let name = configuration.meta().name.as_deref().unwrap_or_default();
            configuration.parts().into_iter().map(move |parts| (name, parts))
        });
        let all: Vec<(&str, Parts<'_>)> = all.collect();
        for (index, (configuration, parts)) in all.into_iter().enumerate() {
            let matcher = parts.matcher();
            if matcher.concerns_any(&self.resources) {
                let compiled = self.conditions(parts.conditions, &mut conditions).await;
                let endpoint = self.clients.endpoint(parts.client);
                hooks.push(Arc::new(parts.hook(configuration, index, matcher, compiled, endpoint)));
            }
        }
        self.conditions = conditions;
        hooks
    }

    /// Compiles conditions that are not known from the last time; all that are in use now go into `kept`.
    async fn conditions(&self, given: &[MatchCondition], kept: &mut HashMap<String, Conditions>) -> Conditions {
        if given.is_empty() {
            return Conditions::default();
        }
        let key: String = given
            .iter()
            .map(|one| format!("{:?}", (&one.name, &one.expression)))
            .collect();
        let known = kept.get(&key).or_else(|| self.conditions.get(&key)).cloned();
        let compiled = match known {
            Some(known) => known,
            None => Conditions::compile(given).await,
        };
        kept.insert(key, compiled.clone());
        compiled
    }
}

impl Parts<'_> {
    fn matcher(&self) -> Matcher {
        Matcher {
            rules: self.rules.into_iter().flatten().map(Rule::from).collect(),
            open: false,
            excluded: Vec::new(),
            equivalent: self.match_policy != Some("Exact"),
            namespaces: selector(self.namespaces),
            objects: selector(self.objects),
        }
    }

    fn hook(
        &self,
        configuration: &str,
        index: usize,
        matcher: Matcher,
        conditions: Conditions,
        endpoint: Result<Arc<Endpoint>, String>,
    ) -> Hook {
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        Hook {
            name: self.name.to_owned(),
            configuration: configuration.to_owned(),
            index,
            matcher,
            conditions,
            ignores_failure: self.failure_policy == Some("Ignore"),
            side_effects: self.side_effects.to_owned(),
            timeout: Duration::from_secs(timeout.clamp(1, 30).unsigned_abs().into()),
            versions: self.versions.to_vec(),
            reinvoked: self.reinvocation == Some("IfNeeded"),
            endpoint,
        }
    }
}

impl Hook {
    /// Whether it may be called for a request that is not carried out.
    fn spares_dry_runs(&self) -> bool {
        matches!(self.side_effects.as_str(), "None" | "NoneOnDryRun")
    }
}

impl Configuration for MutatingWebhookConfiguration {
    fn parts(&self) -> Vec<Parts<'_>> {
        self.webhooks.iter().flatten().map(Parts::from).collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    fn parts(&self) -> Vec<Parts<'_>> {
        self.webhooks.iter().flatten().map(Parts::from).collect()
    }
}

impl<'a> From<&'a MutatingWebhook> for Parts<'a> {
    fn from(hook: &'a MutatingWebhook) -> Self {
        Self {
            name: &hook.name,
            client: &hook.client_config,
            rules: hook.rules.as_ref(),
            match_policy: hook.match_policy.as_deref(),
            namespaces: hook.namespace_selector.as_ref(),
            objects: hook.object_selector.as_ref(),
            conditions: hook.match_conditions.as_deref().unwrap_or_default(),
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
            namespaces: hook.namespace_selector.as_ref(),
            objects: hook.object_selector.as_ref(),
            conditions: hook.match_conditions.as_deref().unwrap_or_default(),
            failure_policy: hook.failure_policy.as_deref(),
            side_effects: &hook.side_effects,
            timeout: hook.timeout_seconds,
            versions: &hook.admission_review_versions,
            reinvocation: None,
        }
    }
}

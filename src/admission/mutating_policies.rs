//! MutatingAdmissionPolicies are not applied here. Whoever relies on one for what we serve is told so in the log.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::NamedRuleWithOperations;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::equivalents::Equivalents;
use super::rules::Rule;

/// How long until a cluster that has no such policies is asked again: somebody may have turned them on.
const PAUSE: Duration = Duration::from_secs(600);

/// Warns of every policy that matches something that is served, until `stop`.
pub async fn follow(client: Client, resources: Arc<Equivalents>, stop: CancellationToken) {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy");
    let kind = ApiResource::from_gvk_with_plural(&kind, "mutatingadmissionpolicies");
    let api: Api<DynamicObject> = Api::all_with(client, &kind);
    let mut warned = HashSet::new();
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), watcher::Config::default()).default_backoff());
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            match event {
                Ok(watcher::Event::Apply(policy) | watcher::Event::InitApply(policy)) => {
                    let name = policy.metadata.name.clone().unwrap_or_default();
                    if matches(&policy, &resources) && warned.insert((name.clone(), policy.metadata.generation)) {
                        tracing::warn!(
                            policy = name,
                            "MutatingAdmissionPolicies are not applied to what is served here, and this one matches some of it"
                        );
                    }
                }
                Ok(_) => {}
                Err(error) if unserved(&error) => break,
                Err(error) => tracing::debug!(%error, "mutatingadmissionpolicies cannot be read"),
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// Whether the cluster knows no such kind, or does not show it to us.
fn unserved(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// Whether a policy is about something that is served.
fn matches(policy: &DynamicObject, resources: &Equivalents) -> bool {
    let rules = policy.data.pointer("/spec/matchConstraints/resourceRules").cloned();
    let rules: Vec<NamedRuleWithOperations> = rules
        .and_then(|rules| serde_json::from_value(rules).ok())
        .unwrap_or_default();
    let about = |rule: &Rule| {
        let mut all = resources.all();
        all.any(|resource| rule.may_match(&resource.group_version, &resource.stored.plural))
    };
    rules.iter().map(Rule::from).any(|rule| about(&rule))
}

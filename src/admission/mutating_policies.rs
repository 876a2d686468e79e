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

/// How long until a cluster that has no such policies, or does not show them, is asked again.
const PAUSE: Duration = Duration::from_secs(600);
/// The versions in which clusters have had them, newest first.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// What an administrator should know.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    /// A policy of this name would apply to something that is served.
    Matches(String),
    /// Nobody knows whether there are any: the reason.
    Hidden(String),
}

/// Warns of every policy that matches something that is served, until `stop`.
pub async fn follow(client: Client, resources: Arc<Equivalents>, stop: CancellationToken) {
    let tell = |notice| match notice {
        Notice::Matches(policy) => tracing::warn!(
            policy,
            "MutatingAdmissionPolicies are not applied to what is served here, and this one matches some of it"
        ),
        Notice::Hidden(why) => tracing::warn!(
            why,
            "MutatingAdmissionPolicies are not applied here, and those that match something cannot be told of: they may not be read"
        ),
    };
    watch(client, resources, PAUSE, tell, stop).await;
}

async fn watch(
    client: Client,
    resources: Arc<Equivalents>,
    pause: Duration,
    mut tell: impl FnMut(Notice) + Send,
    stop: CancellationToken,
) {
    let mut warned = HashSet::new();
    let mut hidden = false;
    loop {
        // The newest version that is served is followed as long as it is.
        for version in VERSIONS {
            let api = policies(&client, version);
            let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
            let why = loop {
                match stop.run_until_cancelled(events.next()).await {
                    // This one comes before anything has been read.
                    Some(Some(Ok(watcher::Event::Init))) => {}
                    Some(Some(Ok(event))) => {
                        hidden = false;
                        if let watcher::Event::Apply(policy) | watcher::Event::InitApply(policy) = event {
                            let name = policy.metadata.name.clone().unwrap_or_default();
                            if matches(&policy, &resources) && warned.insert((name.clone(), policy.metadata.generation))
                            {
                                tell(Notice::Matches(name));
                            }
                        }
                    }
                    Some(Some(Err(error))) => match unserved(&error) {
                        Some(why) => break why,
                        None => tracing::debug!(%error, "mutatingadmissionpolicies cannot be read"),
                    },
                    Some(None) | None => return,
                }
            };
            // Rights do not depend on the version.
            if let Unserved::Forbidden(why) = why {
                if !std::mem::replace(&mut hidden, true) {
                    tell(Notice::Hidden(why));
                }
                break;
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

fn policies(client: &Client, version: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", version, "MutatingAdmissionPolicy");
    let kind = ApiResource::from_gvk_with_plural(&kind, "mutatingadmissionpolicies");
    Api::all_with(client.clone(), &kind)
}

/// Why there is nothing to follow.
enum Unserved {
    /// The cluster knows no such kind.
    Unknown,
    /// It does not show it to us: its words.
    Forbidden(String),
}

fn unserved(error: &watcher::Error) -> Option<Unserved> {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return None;
    };
    match error {
        kube::Error::Api(status) if status.code == 404 => Some(Unserved::Unknown),
        kube::Error::Api(status) if status.code == 403 => Some(Unserved::Forbidden(status.message.clone())),
        _ => None,
    }
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

#[cfg(test)]
mod tests;

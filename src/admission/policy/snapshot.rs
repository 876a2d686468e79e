//! What is configured, as of now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use k8s_openapi::api::admissionregistration::v1::{
    ParamRef, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::runtime::reflector::Store;
use kube::{Api, Client, ResourceExt};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::compiled::Policy;
use super::follow::follow;
use super::params::{self, Params};
use crate::admission::cel;
use crate::admission::equivalents::Equivalents;
use crate::admission::matching::Matcher;
use crate::rest::resource::Resource;

/// Pause before a `paramKind` that the cluster does not serve is looked for again.
const RETRY: Duration = Duration::from_secs(1);

/// All policies that are bound, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) active: Vec<Active>,
}

/// A policy with its bindings.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) policy: Arc<Policy>,
    pub(super) bindings: Vec<Binding>,
    /// The objects of its `paramKind`; an error where there is no such kind.
    pub(super) params: Result<Option<Arc<Params>>, String>,
}

#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) matching: Matcher,
    pub(super) param_ref: Option<ParamRef>,
    pub(super) actions: Vec<String>,
}

/// The newest snapshot; none before the first lists are complete.
#[derive(Debug)]
pub(super) struct Current {
    snapshot: ArcSwapOption<Snapshot>,
    /// What has not been read yet.
    missing: watch::Sender<Option<&'static str>>,
}

impl Snapshot {
    pub(super) fn concerns(&self, resource: &Resource, resources: &Equivalents) -> bool {
        let concerns = |active: &Active| active.policy.matching.concerns(resource, resources);
        self.active.iter().any(concerns)
    }
}

impl Current {
    pub(super) fn get(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    pub(super) async fn ready(&self) {
        // The sender lives as long as this.
        let _ = self.missing.subscribe().wait_for(Option::is_none).await;
    }

    pub(super) fn missing(&self) -> Option<&'static str> {
        *self.missing.borrow()
    }
}

/// Keeps a snapshot up to date until `stop`.
pub(super) fn keep(client: Client, stop: CancellationToken) -> Arc<Current> {
    let current = Arc::new(Current {
        snapshot: ArcSwapOption::empty(),
        missing: watch::Sender::new(Some("validatingadmissionpolicies")),
    });
    let changed = Arc::new(Notify::new());
    let tell = || {
        let changed = changed.clone();
        move || changed.notify_one()
    };
    let keeper = Keeper {
        policies: follow(Api::all(client.clone()), (), stop.clone(), tell()),
        bindings: follow(Api::all(client.clone()), (), stop.clone(), tell()),
        client,
        compiled: HashMap::new(),
        params: HashMap::new(),
    };
    tokio::spawn(keeper.run(current.clone(), changed, stop));
    current
}

struct Keeper {
    client: Client,
    policies: Store<ValidatingAdmissionPolicy>,
    bindings: Store<ValidatingAdmissionPolicyBinding>,
    /// By name, with the uid and revision from which it was made.
    compiled: HashMap<String, ((String, String), Arc<Policy>)>,
    params: HashMap<(String, String), Arc<Params>>,
}

impl Keeper {
    async fn run(mut self, current: Arc<Current>, changed: Arc<Notify>, stop: CancellationToken) {
        let both = async {
            let policies = self.policies.wait_until_ready().await.is_ok();
            current.missing.send_replace(Some("validatingadmissionpolicybindings"));
            policies && self.bindings.wait_until_ready().await.is_ok()
        };
        let listed = tokio::select! {
            () = stop.cancelled() => false,
            listed = both => listed,
        };
        if !listed {
            return;
        }
        loop {
            let (snapshot, complete) = self.build().await;
            current.snapshot.store(Some(Arc::new(snapshot)));
            current.missing.send_replace(None);
            let again = async {
                if complete {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(RETRY).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = changed.notified() => {}
                () = again => {}
            }
        }
    }

    /// The snapshot, and whether nothing is missing in it.
    async fn build(&mut self) -> (Snapshot, bool) {
        let mut bound: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
        let mut bindings = self.bindings.state();
        bindings.sort_by_key(|binding| binding.name_any());
        for binding in bindings {
            let spec = binding.spec.clone().unwrap_or_default();
            bound
                .entry(spec.policy_name.unwrap_or_default())
                .or_default()
                .push(Binding {
                    name: binding.name_any(),
                    matching: Matcher::new(&spec.match_resources.unwrap_or_default()),
                    param_ref: spec.param_ref,
                    actions: spec.validation_actions.unwrap_or_default(),
                });
        }
        let mut policies = self.policies.state();
        policies.sort_by_key(|policy| policy.name_any());
        let mut active = Vec::new();
        for policy in policies {
            // A policy without bindings is asked nothing.
            if let Some(bindings) = bound.remove(&policy.name_any()) {
                let policy = self.compile(&policy).await;
                let params = self.follow_params(&policy).await;
                active.push(Active {
                    policy,
                    bindings,
                    params,
                });
            }
        }
        self.compiled
            .retain(|name, _| active.iter().any(|active| active.policy.name == *name));
        let used = |key: &(String, String)| {
            active
                .iter()
                .filter_map(|a| a.policy.param_kind.as_ref())
                .any(|kind| params::key(kind) == *key)
        };
        self.params.retain(|key, _| used(key));
        let complete = active.iter().all(|active| active.params.is_ok());
        (Snapshot { active }, complete)
    }

    async fn compile(&mut self, policy: &Arc<ValidatingAdmissionPolicy>) -> Arc<Policy> {
        let (name, version) = (
            policy.name_any(),
            (
                policy.uid().unwrap_or_default(),
                policy.resource_version().unwrap_or_default(),
            ),
        );
        if let Some((known, compiled)) = self.compiled.get(&name)
            && *known == version
        {
            return compiled.clone();
        }
        let source = policy.clone();
        let compiled = match cel::run(move || Policy::compile(&source)).await {
            Ok(compiled) => compiled,
            // The parser has failed; the policy stays, and its failure policy decides.
            Err(error) => Policy::broken(policy, &error.to_string()),
        };
        let compiled = Arc::new(compiled);
        self.compiled.insert(name, (version, compiled.clone()));
        compiled
    }

    async fn follow_params(&mut self, policy: &Policy) -> Result<Option<Arc<Params>>, String> {
        let Some(kind) = &policy.param_kind else {
            return Ok(None);
        };
        let key = params::key(kind);
        if let Some(params) = self.params.get(&key) {
            return Ok(Some(params.clone()));
        }
        let params = Params::follow(&self.client, kind).await?;
        self.params.insert(key, params.clone());
        Ok(Some(params))
    }
}

//! Takes the steps that [`super::tenant`] plans.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::Duration;

use super::super::FILTERED;
use super::super::organization::Status;
use super::labels::OWNER_UID;
use super::namespace::{self, Claim, owner_uid};
use super::status::{Reason, is_ready, ready};
use super::tenant::{Facts, Step};
use super::world::{Kind, Tenant, World};
use crate::controllers::events::Events;
use crate::controllers::manager::Manager;
use crate::controllers::pace::Pace;
use crate::controllers::{Error, Key, Next, Reconcile};
use crate::telemetry::metrics::controllers::ControllerMetrics;
use crate::wire::meta::now;

/// When the store has to catch up with something that was asked of the cluster directly.
const SOON: Duration = Duration::from_millis(100);

/// Acts for one of the two kinds.
pub(super) struct Actor {
    kind: Kind,
    controller: &'static str,
    world: Arc<World>,
    /// What decides about an object; nothing if there is none.
    facts: fn(&World, &Key) -> Option<Facts>,
    client: Client,
    events: Events,
    metrics: Arc<ControllerMetrics>,
    pace: Pace,
    /// What was skipped when people heard of it last.
    skipped: Mutex<HashMap<Key, Vec<String>>>,
}

impl Actor {
    pub(super) fn new(
        kind: Kind,
        controller: &'static str,
        manager: &Manager,
        world: &Arc<World>,
        facts: fn(&World, &Key) -> Option<Facts>,
    ) -> Self {
        Self {
            kind,
            controller,
            world: world.clone(),
            facts,
            client: manager.client(),
            events: manager.events(),
            metrics: manager.metrics(),
            pace: Pace::default(),
            skipped: Mutex::default(),
        }
    }

    /// Looks once, and takes one step.
    async fn look(&self, facts: Facts) -> Result<Next, Error> {
        self.tell_skipped(&facts).await;
        let step = facts.next(&now());
        if matches!(step, Step::WriteStatus { paced: true, .. })
            && let Some(wait) = self.pace.wait(&facts.key)
        {
            return Ok(Next::After(wait));
        }
        let name = step.name();
        let next = self.take(&facts, step).await?;
        if name != "nothing" {
            self.metrics.wrote(self.controller, name);
            tracing::debug!(controller = self.controller, key = %facts.key, step = name, "done");
        }
        Ok(next)
    }

    async fn take(&self, facts: &Facts, step: Step) -> Result<Next, Error> {
        match step {
            Step::Nothing => {}
            Step::AddFinalizer => {
                let mut finalizers = facts.tenant.metadata.finalizers.clone().unwrap_or_default();
                finalizers.push(facts.finalizer().to_owned());
                self.patch(facts, json!({"metadata": {"finalizers": finalizers}}))
                    .await?;
            }
            Step::CreateNamespace(labels) => self.create_namespace(facts, labels).await?,
            Step::LabelNamespace(labels) => self.label(facts, &labels).await?,
            Step::DeleteProjects(projects) => {
                for project in projects {
                    self.delete_project(&project).await?;
                }
            }
            Step::DeleteNamespace => self.delete_namespace(facts).await?,
            Step::RemoveFinalizer => return self.remove_finalizer(facts).await,
            Step::WriteStatus { status, paced } => {
                self.write_status(facts, &status).await?;
                if paced {
                    self.pace.wrote(&facts.key);
                }
                self.tell(facts, &status).await;
            }
        }
        Ok(Next::Done)
    }

    async fn create_namespace(&self, facts: &Facts, labels: BTreeMap<String, String>) -> Result<(), Error> {
        let name = facts.namespace_name();
        let new = namespace::new(&name, labels);
        let created = self.namespaces().create(&PostParams::default(), &new).await;
        let created = created.map_err(Error::request("create namespace"));
        if let Err(error) = &created
            && matches!(error.code(), Some(403 | 422))
            && let Some(Step::WriteStatus { status, .. }) = facts.refused(&error.to_string(), &now())
        {
            self.write_status(facts, &status).await?;
        }
        created?;
        tracing::info!(controller = self.controller, key = %facts.key, namespace = name, "namespace created");
        Ok(())
    }

    async fn label(&self, facts: &Facts, labels: &BTreeMap<String, String>) -> Result<(), Error> {
        let Some(found) = &facts.namespace else { return Ok(()) };
        // With the version that was judged: nobody else's Namespace is labelled by mistake.
        let patch = json!({"metadata": {
            "resourceVersion": found.metadata.resource_version,
            "labels": labels,
            "annotations": {OWNER_UID: labels.get(OWNER_UID)},
        }});
        let name = facts.namespace_name();
        let adopted = facts.claim() == Claim::Offered;
        let patched = self
            .namespaces()
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.map_err(Error::request("label namespace"))?;
        tracing::info!(controller = self.controller, key = %facts.key, namespace = name, adopted, "namespace labelled");
        Ok(())
    }

    async fn delete_project(&self, key: &Key) -> Result<(), Error> {
        let Some(project) = self.world.projects.get(key) else {
            return Ok(());
        };
        let api: Api<Tenant> = Api::namespaced_with(self.client.clone(), &key.namespace, &Kind::Project.resource());
        let deleted = api.delete(&key.name, &only(project.metadata.uid.clone(), None)).await;
        match deleted.map_err(Error::request("delete project")) {
            // Gone, or another one of the same name by now: the store will tell.
            Err(error) if !error.is_stale() => Err(error),
            _ => Ok(()),
        }
    }

    async fn delete_namespace(&self, facts: &Facts) -> Result<(), Error> {
        let Some(found) = &facts.namespace else { return Ok(()) };
        let exactly = only(found.metadata.uid.clone(), found.metadata.resource_version.clone());
        let deleted = self.namespaces().delete(&facts.namespace_name(), &exactly).await;
        deleted.map_err(Error::request("delete namespace"))?;
        tracing::info!(controller = self.controller, key = %facts.key, namespace = facts.namespace_name(), "namespace deleted");
        Ok(())
    }

    /// The store may not know yet what this very controller made a moment ago, and the finalizer is the last tie to it: the
    /// cluster itself is asked.
    async fn remove_finalizer(&self, facts: &Facts) -> Result<Next, Error> {
        let name = facts.namespace_name();
        let found = self
            .namespaces()
            .get_opt(&name)
            .await
            .map_err(Error::request("get namespace"))?;
        if found.as_ref().and_then(owner_uid) == Some(facts.uid()) {
            return Ok(Next::After(SOON));
        }
        if self.kind == Kind::Organization && found.is_none() {
            let projects: Api<Tenant> = Api::namespaced_with(self.client.clone(), &name, &Kind::Project.resource());
            let left = projects.list_metadata(&ListParams::default().limit(1)).await;
            if !left.map_err(Error::request("list projects"))?.items.is_empty() {
                return Ok(Next::After(SOON));
            }
        }
        let mut finalizers = facts.tenant.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != facts.finalizer());
        self.patch(facts, json!({"metadata": {"finalizers": finalizers}}))
            .await?;
        tracing::info!(controller = self.controller, key = %facts.key, "finalizer removed");
        Ok(Next::Done)
    }

    async fn patch(&self, facts: &Facts, patch: Value) -> Result<(), Error> {
        let (api, patch) = (self.tenants(&facts.key), versioned(&facts.tenant, patch));
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = api.patch(&facts.key.name, &parameters, &patch).await;
        patched.map(drop).map_err(Error::request("patch finalizers"))
    }

    async fn write_status(&self, facts: &Facts, status: &Status) -> Result<(), Error> {
        let mut status = json!(status);
        if status.get("ownMembers").is_none() {
            status["ownMembers"] = Value::Null;
        }
        let patch = versioned(&facts.tenant, json!({ "status": status }));
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self
            .tenants(&facts.key)
            .patch_status(&facts.key.name, &parameters, &patch)
            .await;
        patched.map(drop).map_err(Error::request("write status"))
    }

    /// That an object is ready, or why it is not, for those who look at its events.
    async fn tell(&self, facts: &Facts, status: &Status) {
        let before = facts.tenant.status.as_deref().and_then(ready);
        let Some(condition) = ready(status) else { return };
        let same = before.is_some_and(|before| before.reason == condition.reason);
        if same || condition.reason == Reason::Deleting.text() {
            return;
        }
        let (regarding, note) = (self.regarding(facts), condition.message.clone());
        if is_ready(status) {
            self.events
                .normal(&regarding, "Reconcile", &condition.reason, note)
                .await;
        } else {
            self.events
                .warning(&regarding, "Reconcile", &condition.reason, note)
                .await;
        }
    }

    async fn tell_skipped(&self, facts: &Facts) {
        let skipped = &facts.bound.skipped;
        {
            let mut told = self.skipped.lock();
            if told.get(&facts.key).map_or(skipped.is_empty(), |told| told == skipped) {
                return;
            }
            told.insert(facts.key.clone(), skipped.clone());
        }
        if !skipped.is_empty() {
            let note = format!("nobody can be: {}", skipped.join(", "));
            let regarding = self.regarding(facts);
            self.events
                .warning(&regarding, "FollowMembers", "SubjectSkipped", note)
                .await;
        }
    }

    /// The object as its owners know it. Events about an Organization lie in its own namespace, and while it has none there
    /// are none.
    fn regarding(&self, facts: &Facts) -> ObjectReference {
        let found = facts.namespace.as_deref();
        let own = facts.claim() == Claim::Ours && !found.is_some_and(namespace::is_terminating);
        let namespace = match self.kind {
            Kind::Organization => own.then(|| facts.namespace_name()),
            Kind::Project => Some(facts.key.namespace.clone()),
        };
        ObjectReference {
            api_version: Some(format!("{FILTERED}/v1alpha1")),
            kind: Some(self.kind.name().to_owned()),
            name: Some(facts.key.name.clone()),
            namespace,
            uid: Some(facts.uid().to_owned()),
            ..ObjectReference::default()
        }
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    fn tenants(&self, key: &Key) -> Api<Tenant> {
        match self.kind {
            Kind::Organization => Api::all_with(self.client.clone(), &self.kind.resource()),
            Kind::Project => Api::namespaced_with(self.client.clone(), &key.namespace, &self.kind.resource()),
        }
    }
}

#[async_trait]
impl Reconcile for Actor {
    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        match (self.facts)(&self.world, key) {
            Some(facts) => self.look(facts).await,
            None => {
                self.skipped.lock().remove(key);
                Ok(Next::Done)
            }
        }
    }
}

/// A patch of exactly the object that was looked at.
fn versioned(tenant: &Tenant, mut patch: Value) -> Value {
    patch["metadata"]["uid"] = json!(tenant.meta().uid);
    patch["metadata"]["resourceVersion"] = json!(tenant.meta().resource_version);
    patch
}

/// Deletes this object and no other of its name.
fn only(uid: Option<String>, resource_version: Option<String>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    }
}

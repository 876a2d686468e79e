//! The controllers of what makes roles: their finalizer and their status. The roles themselves are the namespaces' matter.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::super::labels::MAKER_UID;
use super::super::status::READY;
use super::act;
use super::maker::{Maker, MakerKind, MakerObject};
use super::status::{self, Outcome};
use super::target::Target;
use super::world::RoleWorld;
use crate::controllers::events::Events;
use crate::controllers::manager::Manager;
use crate::controllers::pace::Pace;
use crate::controllers::queue::Queue;
use crate::controllers::store::Change;
use crate::controllers::{Error, Key, Next, Reconcile};
use crate::groups::tenancy::ROLES;
use crate::groups::tenancy::makers::RoleStatus;
use crate::groups::tenancy::organization::Condition;
use crate::wire::meta;

/// When the stores have to catch up with something.
const SOON: Duration = Duration::from_millis(50);
/// For how long nothing is said of a role that is on its way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Deletions at once.
const AT_ONCE: usize = 8;
const WORKERS: usize = 2;
/// How much longer than it took a look is followed by none.
const REST: u32 = 9;

struct Makers {
    kind: MakerKind,
    world: Arc<RoleWorld>,
    client: Client,
    events: Events,
    pace: Pace,
    /// Since when something has been on its way.
    waiting: Mutex<HashMap<Key, Instant>>,
    /// Until when a maker is not looked at again.
    rests: Mutex<HashMap<Key, Instant>>,
}

/// Registers the controller of one kind; the controller of namespaces adds keys to its queue, too.
pub(super) fn register(manager: &mut Manager, world: &Arc<RoleWorld>, kind: MakerKind, queue: Arc<Queue>) {
    world
        .makers(kind)
        .notify(&queue, |change: &Change<'_, MakerObject>| vec![change.key()]);
    let reconciler = Makers {
        kind,
        world: world.clone(),
        client: manager.client(),
        events: manager.events(),
        pace: Pace::default(),
        waiting: Mutex::default(),
        rests: Mutex::default(),
    };
    manager.controller(queue, WORKERS, Arc::new(reconciler));
}

#[async_trait]
impl Reconcile for Makers {
    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(object) = self.world.makers(self.kind).get(key) else {
            self.waiting.lock().remove(key);
            self.rests.lock().remove(key);
            return Ok(Next::Done);
        };
        let maker = Maker::new(self.kind, object);
        match (maker.is_deleting(), maker.has_finalizer()) {
            (true, false) => Ok(Next::Done),
            (true, true) => self.delete(&maker).await,
            (false, false) => {
                let mut finalizers = maker.object.meta().finalizers.clone().unwrap_or_default();
                finalizers.push(self.kind.finalizer());
                self.write_finalizers(&maker, finalizers).await?;
                Ok(Next::Done)
            }
            (false, true) => self.tell(&maker).await,
        }
    }
}

impl Makers {
    /// Writes the status, if there is something new to say.
    async fn tell(&self, maker: &Maker) -> Result<Next, Error> {
        // Before anything is computed: a template may have thousands of targets, each of which brings a look.
        let rest = self.rests.lock().get(&maker.key).copied();
        let rest = rest
            .map(|until| until.saturating_duration_since(Instant::now()))
            .filter(|rest| !rest.is_zero());
        if let Some(wait) = self.pace.wait(&maker.key).max(rest) {
            return Ok(Next::After(wait));
        }
        if self.world.groups.load().is_none() {
            return Ok(Next::After(SOON));
        }
        let overdue = {
            let waiting = self.waiting.lock();
            waiting.get(&maker.key).is_some_and(|since| since.elapsed() >= PATIENCE)
        };
        let began = Instant::now();
        let outcomes = self.outcomes(maker);
        // A template with thousands of targets takes its time; it must not take all of it.
        self.rests
            .lock()
            .insert(maker.key.clone(), Instant::now() + began.elapsed() * REST);
        let Some(new) = status::status(maker, &outcomes, overdue, &meta::now()) else {
            self.waiting
                .lock()
                .entry(maker.key.clone())
                .or_insert_with(Instant::now);
            return Ok(Next::After(PATIENCE));
        };
        self.waiting.lock().remove(&maker.key);
        if maker.object.status.as_ref().map(|status| &status.0) != Some(&new) {
            self.write_status(maker, &new).await?;
            self.pace.wrote(&maker.key);
            self.announce(maker, &new).await;
        }
        Ok(Next::Done)
    }

    /// That roles are in place, or what was cut off, or what stands in the way, for those who look at events. They lie in the
    /// Organization's namespace; about a template of all Organizations, which is in none, nothing is written.
    async fn announce(&self, maker: &Maker, new: &RoleStatus) {
        let before = maker.object.status.as_ref().and_then(|status| ready(&status.0));
        let Some(condition) = ready(new) else { return };
        let cut = status::cut_off(&condition.message);
        // How many namespaces there are is no news.
        let same = |before: &Condition| before.reason == condition.reason && status::cut_off(&before.message) == cut;
        if before.is_some_and(same) {
            return;
        }
        let regarding = ObjectReference {
            api_version: Some(format!("{ROLES}/v1alpha1")),
            kind: Some(self.kind.name().to_owned()),
            name: Some(maker.key.name.clone()),
            namespace: self.kind.namespaced().then(|| maker.key.namespace.clone()),
            uid: Some(maker.uid().to_owned()),
            ..ObjectReference::default()
        };
        let (action, note) = ("GrantRoles", condition.message.clone());
        if condition.status == "True" && cut.is_none() {
            self.events.normal(&regarding, action, &condition.reason, note).await;
        } else {
            self.events.warning(&regarding, action, &condition.reason, note).await;
        }
    }

    /// How far the maker has come in each of its targets.
    fn outcomes(&self, maker: &Maker) -> Vec<Outcome> {
        let near = self.world.namespaces_near(self.kind, &maker.key);
        let targets = near.iter().filter_map(|name| Target::of(&self.world.base, name));
        let facts = targets
            .filter(|target| maker.applies(target))
            .filter_map(|target| self.world.facts_of(target));
        let outcomes = facts.map(|facts| {
            let grant = facts.grant(maker, &facts.maximum());
            let state = facts.state(maker, &grant);
            Outcome::new(maker, &facts.target, grant, state)
        });
        outcomes.collect()
    }

    /// Deletes what was made, wherever it is, and lets the maker go.
    async fn delete(&self, maker: &Maker) -> Result<Next, Error> {
        let status = status::deleting(maker, &meta::now());
        if maker.object.status.as_ref().map(|status| &status.0) != Some(&status) {
            self.write_status(maker, &status).await?;
            return Ok(Next::Done);
        }
        // From here on nobody makes anything for it: all who look now know that it is going away.
        drop(self.world.making.write().await);
        let bindings = self
            .made_by::<RoleBinding>(maker, &self.world.base.bindings.all())
            .await?;
        let roles = self.made_by::<Role>(maker, &self.world.roles.all()).await?;
        let nothing = bindings.is_empty() && roles.is_empty();
        self.delete_all(bindings).await?;
        self.delete_all(roles).await?;
        if !nothing {
            return Ok(Next::After(SOON));
        }
        let mut finalizers = maker.object.meta().finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| *finalizer != self.kind.finalizer());
        self.write_finalizers(maker, finalizers).await?;
        tracing::info!(controller = self.kind.singular(), key = %maker.key, "finalizer removed");
        Ok(Next::Done)
    }

    /// What the maker made: by the cluster's own word, since a store may not know yet what was made a moment ago, and by the
    /// store's, which knows what lost its label.
    async fn made_by<K>(&self, maker: &Maker, known: &[Arc<K>]) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let (uid, name) = (maker.uid(), maker.role_name());
        let labelled = ListParams::default().labels(&format!("{MAKER_UID}={uid}"));
        let listed = Api::<K>::all(self.client.clone()).list(&labelled).await;
        let mut found = listed.map_err(Error::request("list what was made"))?.items;
        let unlabelled = known.iter().filter(|object| {
            let meta = object.meta();
            let labels = meta.labels.as_ref();
            !labels.is_some_and(|labels| labels.contains_key(MAKER_UID))
                && self.world.made.maker(meta).as_deref() == Some(uid)
        });
        found.extend(unlabelled.map(|object| (**object).clone()));
        // A copy under another name is its user's own.
        found.retain(|object| object.meta().name.as_deref() == Some(&name));
        Ok(found)
    }

    async fn delete_all<K>(&self, objects: Vec<K>) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let deletions = objects.into_iter().map(|object| {
            let namespace = object.meta().namespace.as_deref().unwrap_or_default();
            let api = Api::<K>::namespaced(self.client.clone(), namespace);
            async move { act::delete(&api, &object).await }
        });
        let deletions: Vec<_> = deletions.collect();
        stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn write_finalizers(&self, maker: &Maker, finalizers: Vec<String>) -> Result<(), Error> {
        let change = json!({"metadata": {
            "uid": maker.uid(),
            "resourceVersion": maker.object.meta().resource_version,
            "finalizers": finalizers,
        }});
        let api = self.api(maker);
        let patched = api
            .patch(&maker.key.name, &PatchParams::default(), &Patch::Merge(&change))
            .await;
        patched.map_err(Error::request("write finalizers")).map(drop)
    }

    async fn write_status(&self, maker: &Maker, status: &RoleStatus) -> Result<(), Error> {
        let mut status = json!(status);
        if let Some(members) = status.as_object_mut().filter(|_| !self.kind.shows_rules()) {
            members.retain(|name, _| !["effectiveRules", "cut"].contains(&name.as_str()));
        }
        let change: Value = json!({
            "metadata": {"uid": maker.uid(), "resourceVersion": maker.object.meta().resource_version},
            "status": status,
        });
        let api = self.api(maker);
        let patched = api
            .patch_status(&maker.key.name, &PatchParams::default(), &Patch::Merge(&change))
            .await;
        patched.map_err(Error::request("write status")).map(drop)
    }

    fn api(&self, maker: &Maker) -> Api<MakerObject> {
        let resource = self.kind.resource();
        match self.kind.namespaced() {
            true => Api::namespaced_with(self.client.clone(), &maker.key.namespace, &resource),
            false => Api::all_with(self.client.clone(), &resource),
        }
    }
}

fn ready(status: &RoleStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.r#type == READY)
}

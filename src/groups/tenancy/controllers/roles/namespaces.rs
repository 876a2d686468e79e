//! The controller of a namespace's roles. Its key is the namespace's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Client, Resource};
use tokio::time::Duration;

use super::super::WORKERS;
use super::super::status::is_ready;
use super::super::world::Tenant;
use super::act;
use super::maker::{Maker, MakerKind, MakerObject};
use super::world::{Original, RoleWorld};
use crate::controllers::manager::Manager;
use crate::controllers::queue::Queue;
use crate::controllers::store::Change;
use crate::controllers::{Error, Key, Next, Reconcile};
use crate::wire::subject::Subject;

/// How soon to look again for what is not known yet.
const SOON: Duration = Duration::from_millis(50);

type Queues = Arc<[(MakerKind, Arc<Queue>)]>;

struct Namespaces {
    world: Arc<RoleWorld>,
    client: Client,
    /// Of the controllers that tell what became of each kind of makers.
    makers: Queues,
}

/// What a namespace's roles depend on: themselves, whose namespace it is, and what makes roles there.
pub(super) fn register(manager: &mut Manager, world: &Arc<RoleWorld>, makers: Queues) -> Arc<Queue> {
    let queue = manager.queue("role");
    let known = world.clone();
    world.roles.notify(&queue, move |change: &Change<'_, Role>| {
        known.made.saw(change);
        vec![Key::cluster(change.key().namespace)]
    });
    world.originals.notify(&queue, |change: &Change<'_, Original>| {
        vec![Key::cluster(change.key().namespace)]
    });
    let known = world.clone();
    world
        .base
        .bindings
        .notify(&queue, move |change: &Change<'_, RoleBinding>| {
            known.made.saw(change);
            vec![Key::cluster(change.key().namespace)]
        });
    let known = world.clone();
    world
        .base
        .namespaces
        .notify(&queue, move |change: &Change<'_, Namespace>| {
            let name = change.key().name;
            // Whether Projects have an Organization depends on the Namespace that they lie in.
            let inside = known.namespaces_of(&name);
            let matters = change.old.is_none() || change.new.is_none();
            if matters { cluster(inside) } else { cluster(vec![name]) }
        });
    let known = world.clone();
    world
        .base
        .organizations
        .notify(&queue, move |change: &Change<'_, Tenant>| {
            match seen(change.old) == seen(change.new) {
                true => Vec::new(),
                false => cluster(known.namespaces_of(&change.key().name)),
            }
        });
    world.base.projects.notify(&queue, |change: &Change<'_, Tenant>| {
        match seen(change.old) == seen(change.new) {
            true => Vec::new(),
            false => vec![Key::cluster(format!(
                "{}-{}",
                change.key().namespace,
                change.key().name
            ))],
        }
    });
    for kind in MakerKind::ALL {
        let known = world.clone();
        world
            .makers(kind)
            .notify(&queue, move |change: &Change<'_, MakerObject>| {
                match stage(change.old) == stage(change.new) {
                    true => Vec::new(),
                    false => cluster(known.namespaces_near(kind, &change.key())),
                }
            });
    }
    let reconciler = Namespaces {
        world: world.clone(),
        client: manager.client(),
        makers,
    };
    manager.controller(queue.clone(), WORKERS, Arc::new(reconciler));
    queue
}

fn cluster(names: Vec<String>) -> Vec<Key> {
    names.into_iter().map(Key::cluster).collect()
}

/// What roles depend on of an Organization or a Project.
#[derive(PartialEq)]
struct Seen<'a> {
    deleting: bool,
    ready: bool,
    uid: Option<&'a str>,
    owners: &'a [Subject],
    own_members: Option<&'a [Subject]>,
    members: &'a [Subject],
    labels: Option<&'a BTreeMap<String, String>>,
}

fn seen(tenant: Option<&Arc<Tenant>>) -> Option<Seen<'_>> {
    let tenant = tenant?;
    let status = tenant.status.as_deref();
    Some(Seen {
        deleting: tenant.metadata.deletion_timestamp.is_some(),
        ready: status.is_some_and(is_ready),
        uid: tenant.metadata.uid.as_deref(),
        owners: &tenant.spec.owners,
        own_members: status.and_then(|status| status.own_members.as_deref()),
        members: status.map_or(&[], |status| &status.members),
        labels: tenant.metadata.labels.as_ref(),
    })
}

/// What roles depend on of a maker: its status is none of it.
fn stage(object: Option<&Arc<MakerObject>>) -> Option<(Option<&str>, Option<i64>, bool, usize)> {
    let meta = object?.meta();
    let finalizers = meta.finalizers.iter().flatten().count();
    Some((
        meta.uid.as_deref(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
        finalizers,
    ))
}

#[async_trait]
impl Reconcile for Namespaces {
    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        if self.world.groups.load().is_none() {
            return Ok(Next::After(SOON));
        }
        // Who is done with a maker waits until nobody may still make something for it.
        let _making = self.world.making.read().await;
        let Some(facts) = self.world.facts(&key.name) else {
            return Ok(Next::Done);
        };
        let steps = facts.steps();
        let acted = !steps.is_empty();
        for step in steps {
            let name = step.name();
            act::take(&self.client, &key.name, step).await?;
            tracing::info!(controller = "role", namespace = key.name, step = name, "done");
        }
        if !acted {
            self.tell(&facts.makers);
        }
        Ok(Next::Done)
    }
}

impl Namespaces {
    /// What is told of makers may have changed.
    fn tell(&self, makers: &[Maker]) {
        for maker in makers {
            if let Some((_, queue)) = self.makers.iter().find(|(kind, _)| *kind == maker.kind) {
                queue.add(maker.key.clone());
            }
        }
    }
}

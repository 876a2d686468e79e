//! Projects: each has the Namespace `<the one it lies in>-<its name>`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;

use super::act::Actor;
use super::labels::{ORGANIZATION, label};
use super::namespace::{self, Claim, claim, is_terminating, owner_uid};
use super::tenant::Facts;
use super::world::{Kind, Tenant, World};
use super::{WORKERS, members};
use crate::controllers::Key;
use crate::controllers::manager::Manager;
use crate::controllers::store::Change;

/// What a Project depends on: itself, the Namespace of its own with the RoleBindings in it, the Namespace it lies in, and the
/// Organization that owns that.
pub(super) fn register(manager: &mut Manager, world: &Arc<World>) {
    let queue = manager.queue("project");
    world
        .projects
        .notify(&queue, |change: &Change<'_, Tenant>| vec![change.key()]);
    let known = world.clone();
    world.namespaces.notify(&queue, move |change: &Change<'_, Namespace>| {
        let name = change.key().name;
        let mut keys = known.projects_called(&name);
        if parent(change.old) != parent(change.new) {
            let inside = known.projects.within(&name);
            keys.extend(inside.iter().map(|project| Key::of(&**project)));
        }
        keys
    });
    let known = world.clone();
    world.bindings.notify(&queue, move |change: &Change<'_, RoleBinding>| {
        known.projects_called(&change.key().namespace)
    });
    let known = world.clone();
    world.organizations.notify(&queue, move |change: &Change<'_, Tenant>| {
        let lives = |tenant: Option<&Arc<Tenant>>| tenant.map(|it| it.metadata.deletion_timestamp.is_none());
        if lives(change.old) == lives(change.new) {
            return Vec::new();
        }
        let inside = known.projects.within(&change.key().name);
        inside.iter().map(|project| Key::of(&**project)).collect()
    });
    let actor = Actor::new(Kind::Project, "project", manager, world, facts);
    manager.controller(queue, WORKERS, Arc::new(actor));
}

/// What a Project sees of the Namespace that it lies in.
fn parent(namespace: Option<&Arc<Namespace>>) -> Option<(bool, Option<&str>, Option<&str>)> {
    let namespace = namespace?;
    let organization = label(namespace.metadata.labels.as_ref(), ORGANIZATION);
    Some((is_terminating(namespace), owner_uid(namespace), organization))
}

/// What decides; nothing if there is no such Project.
fn facts(world: &World, key: &Key) -> Option<Facts> {
    let tenant = world.projects.get(key)?;
    let uid = tenant.metadata.uid.clone().unwrap_or_default();
    let name = namespace::name(Kind::Project, key);
    let found = world.namespaces.get(&Key::cluster(&name));
    let (mut bound, mut held) = (members::Bound::default(), false);
    match claim(found.as_deref(), Kind::Project, key, &uid) {
        Claim::Ours => bound = members::bound(&world.bindings.within(&name), &uid),
        Claim::Absent => {}
        Claim::Foreign | Claim::Offered => held = world.holds(found.as_deref()),
    }
    let around = world.namespaces.get(&Key::cluster(&key.namespace));
    let organization = world.organizations.get(&Key::cluster(&key.namespace));
    let owner = around.as_deref().and_then(owner_uid);
    let organization = organization.filter(|it| owner.is_some() && it.metadata.uid.as_deref() == owner);
    Some(Facts {
        kind: Kind::Project,
        key: key.clone(),
        tenant,
        namespace: found,
        held,
        bound,
        projects: Vec::new(),
        blocked: blocked(&key.namespace, around.as_deref(), organization.as_deref()),
        organization: organization.is_some().then(|| key.namespace.clone()),
    })
}

/// Nothing is made for a Project whose surroundings are going away: it will go with them.
fn blocked(name: &str, around: Option<&Namespace>, organization: Option<&Tenant>) -> Option<String> {
    match around {
        None => Some(format!("namespace {name:?}, in which the project lies, does not exist")),
        Some(around) if is_terminating(around) => Some(format!(
            "namespace {name:?}, in which the project lies, is being deleted"
        )),
        Some(_) if organization.is_some_and(|it| it.metadata.deletion_timestamp.is_some()) => {
            Some(format!("organization {name:?} is being deleted"))
        }
        Some(_) => None,
    }
}

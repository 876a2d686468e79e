//! Organizations: each has the Namespace of its name.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;

use super::WORKERS;
use super::act::Actor;
use super::members;
use super::namespace::{self, Claim, claim};
use super::status::is_ready;
use super::tenant::Facts;
use super::world::{Kind, Tenant, World};
use crate::controllers::Key;
use crate::controllers::manager::Manager;
use crate::controllers::store::Change;

/// What an Organization depends on: itself, the Namespace of its name with the RoleBindings and the Projects in it.
pub(super) fn register(manager: &mut Manager, world: &Arc<World>) {
    let queue = manager.queue("organization");
    world
        .organizations
        .notify(&queue, |change: &Change<'_, Tenant>| vec![change.key()]);
    let known = world.clone();
    world.namespaces.notify(&queue, move |change: &Change<'_, Namespace>| {
        known.organization_called(&change.key().name)
    });
    let known = world.clone();
    world.bindings.notify(&queue, move |change: &Change<'_, RoleBinding>| {
        known.organization_called(&change.key().namespace)
    });
    let known = world.clone();
    world.projects.notify(&queue, move |change: &Change<'_, Tenant>| {
        if change.old.is_some() && seen(change.old) == seen(change.new) {
            return Vec::new();
        }
        known.organization_called(&change.key().namespace)
    });
    let actor = Actor::new(Kind::Organization, "organization", manager, world, facts);
    manager.controller(queue, WORKERS, Arc::new(actor));
}

/// What an Organization sees of a Project.
fn seen(project: Option<&Arc<Tenant>>) -> Option<(bool, bool, &[crate::wire::subject::Subject])> {
    let project = project?;
    let status = project.status.as_deref();
    let deleting = project.metadata.deletion_timestamp.is_some();
    Some((
        deleting,
        status.is_some_and(is_ready),
        status.map_or(&[], |status| &status.members),
    ))
}

/// What decides; nothing if there is no such Organization.
fn facts(world: &World, key: &Key) -> Option<Facts> {
    let tenant = world.organizations.get(key)?;
    let uid = tenant.metadata.uid.clone().unwrap_or_default();
    let name = namespace::name(Kind::Organization, key);
    let found = world.namespaces.get(&Key::cluster(&name));
    let (mut bound, mut projects, mut held) = (members::Bound::default(), Vec::new(), false);
    match claim(found.as_deref(), Kind::Organization, key, &uid) {
        Claim::Ours => {
            bound = members::bound(&world.bindings.within(&name), &uid);
            projects = world.projects.within(&name);
        }
        Claim::Absent => projects = world.projects.within(&name),
        Claim::Foreign | Claim::Offered => held = world.holds(found.as_deref()),
    }
    Some(Facts {
        kind: Kind::Organization,
        key: key.clone(),
        tenant,
        namespace: found,
        held,
        bound,
        projects,
        blocked: None,
        organization: Some(key.name.clone()),
    })
}

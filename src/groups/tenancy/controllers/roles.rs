//! Roles and RoleBindings in the namespaces of Organizations and Projects: those that templates and owners' roles make, and
//! users' own, which are cut to what the Organization may do at most.
//!
//! The unit is a namespace: [`plan`] says what it needs, [`act`] does it. What is told of a maker (its status, its
//! finalizer) follows from what the namespaces hold.

pub mod act;
pub mod defaults;
pub mod grant;
mod groups;
pub mod maker;
mod makers;
pub mod memory;
mod namespaces;
pub mod own;
pub mod plan;
pub mod status;
pub mod target;
mod world;

use std::sync::Arc;

use super::Options;
use super::world::World;
use crate::controllers::manager::Manager;
use maker::MakerKind;
use world::RoleWorld;

/// Registers all that has to do with roles.
pub(super) fn register(manager: &mut Manager, world: &Arc<World>, options: &Options) {
    let world = Arc::new(RoleWorld::follow(manager, world));
    let queues = MakerKind::ALL.map(|kind| (kind, manager.queue(kind.singular())));
    let namespaces = namespaces::register(manager, &world, queues.clone().into());
    for (kind, queue) in queues {
        makers::register(manager, &world, kind, queue);
    }
    groups::register(manager, &world, namespaces);
    defaults::register(manager, &world, options);
}

//! What makes Organizations and Projects real on the cluster. They talk to kube-apiserver alone, as an ordinary client.
//!
//! Each file plans with a pure function from what the [`World`] holds to the next step, and has a thin part that takes it. A
//! look takes one step; the change that it makes brings the next look. So nothing is ever half done in memory, and a
//! controller that dies anywhere is continued by another one.

pub mod act;
pub mod labels;
pub mod members;
pub mod namespace;
pub mod organization;
pub mod project;
pub mod roles;
pub mod status;
pub mod tenant;
pub mod world;

use std::sync::Arc;

use super::super::Options;
use crate::controllers::manager::Manager;
use world::World;

/// Keys that each controller works at at once.
const WORKERS: usize = 8;

/// Registers all of them.
pub fn register(manager: &mut Manager, options: &Options) {
    let world = Arc::new(World::follow(manager));
    organization::register(manager, &world);
    project::register(manager, &world);
    roles::register(manager, &world, options);
}

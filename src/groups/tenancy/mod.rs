//! Organization and Project: `apiserver.bulward.io` (filtered) and `storage.bulward.io` (everything, for administrators
//! and controllers) are two views of the same stored objects.

pub mod columns;
pub mod controllers;
pub mod facts;
pub mod organization;
pub mod project;
pub mod reserved;
mod rules;
pub mod subjects;

use std::sync::Arc;

use super::Options;
use crate::rest::resource::{Access, Group, Kind, Resource};
use crate::wire::names::GroupVersion;

/// The filtered view, for everybody.
pub const FILTERED: &str = "apiserver.bulward.io";
/// The unfiltered view, guarded by RBAC alone.
pub const STORAGE: &str = "storage.bulward.io";

/// Both groups. The filtered one has the higher priority, so that `kubectl get organizations` finds it.
pub fn groups(options: &Options) -> Vec<Group> {
    let reserved = Arc::new(reserved::Reserved::new(&options.reserved_names));
    let kinds = [
        (Arc::new(organization::kind(reserved.clone())), "iorg"),
        (Arc::new(project::kind(reserved)), "iprj"),
    ];
    let filtered = kinds
        .iter()
        .map(|(kind, _)| view(kind, FILTERED, Access::Filtered, None));
    let storage = kinds
        .iter()
        .map(|(kind, short)| view(kind, STORAGE, Access::Unfiltered, Some(short)));
    vec![
        Group {
            name: FILTERED.to_owned(),
            priority: 2_000,
            resources: filtered.collect(),
            reviews: Vec::new(),
        },
        Group {
            name: STORAGE.to_owned(),
            priority: 1_000,
            resources: storage.collect(),
            reviews: Vec::new(),
        },
    ]
}

fn view(kind: &Arc<Kind>, group: &str, access: Access, short_name: Option<&str>) -> Arc<Resource> {
    Arc::new(Resource {
        group_version: GroupVersion::new(group, "v1alpha1"),
        stored: kind.clone(),
        short_names: short_name.map(str::to_owned).into_iter().collect(),
        categories: Vec::new(),
        access,
        status_subresource: access == Access::Unfiltered,
        version: None,
        deprecation: None,
    })
}

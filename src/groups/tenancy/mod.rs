//! Organization and Project: `apiserver.bulward.io` (filtered) and `storage.bulward.io` (everything, for administrators
//! and controllers) are two views of the same stored objects. `bulward.io` has what makes roles in their namespaces.

pub mod columns;
pub mod controllers;
pub mod facts;
pub mod makers;
pub mod organization;
pub mod project;
pub mod rbac;
pub mod reserved;
pub mod role_original;
mod rules;
pub mod selector;
pub mod subjects;

use std::sync::Arc;

use super::Options;
use serde_json::Value;

use crate::rest::resource::{Access, Group, Guard, Kind, Resource};
use crate::wire::names::GroupVersion;

/// The filtered view, for everybody.
pub const FILTERED: &str = "apiserver.bulward.io";
/// The unfiltered view, guarded by RBAC alone.
pub const STORAGE: &str = "storage.bulward.io";
/// Templates and roles, guarded by RBAC alone.
pub const ROLES: &str = "bulward.io";

/// The label that makes a Project a provider's or a tenant's of KubeCarrier.
pub const PROJECT_ROLE: &str = "kubecarrier.io/project-role";

/// While there are templates that go by it, the label grants something: whoever may write a Project may not write it
/// (tenancy.md R13).
const ROLE_LABEL: Guard = Guard {
    verb: "assign",
    differs: |new, old| label(new) != label(old),
};

fn label(object: &Value) -> &Value {
    &object["metadata"]["labels"][PROJECT_ROLE]
}

/// The groups. The filtered one has the higher priority, so that `kubectl get organizations` finds it.
pub fn groups(options: &Options) -> Vec<Group> {
    let reserved = Arc::new(reserved::Reserved::new(&options.reserved_names));
    let kinds = [
        (Arc::new(organization::kind(reserved.clone())), "iorg"),
        (
            Arc::new(project::kind(
                reserved,
                options.kubecarrier_templates.then_some(ROLE_LABEL),
            )),
            "iprj",
        ),
    ];
    let originals = Arc::new(role_original::kind());
    let filtered = kinds
        .iter()
        .map(|(kind, _)| view(kind, FILTERED, Access::Filtered, None));
    let storage = kinds
        .iter()
        .map(|(kind, short)| view(kind, STORAGE, Access::Unfiltered, Some(short)));
    let storage = storage.chain([Arc::new(Resource {
        status_subresource: false,
        ..resource(&originals, STORAGE, Access::Unfiltered, None)
    })]);
    let roles = [
        (makers::organization_role_template(), "ort"),
        (makers::project_role_template(), "prt"),
        (makers::organization_role(), "orole"),
        (makers::project_role(), "prole"),
    ];
    let roles = roles.map(|(kind, short)| view(&Arc::new(kind), ROLES, Access::Unfiltered, Some(short)));
    let group = |name: &str, priority, resources| Group {
        name: name.to_owned(),
        priority,
        resources,
        reviews: Vec::new(),
    };
    vec![
        group(FILTERED, 2_000, filtered.collect()),
        group(ROLES, 1_500, roles.into()),
        group(STORAGE, 1_000, storage.collect()),
    ]
}

fn view(kind: &Arc<Kind>, group: &str, access: Access, short_name: Option<&str>) -> Arc<Resource> {
    Arc::new(resource(kind, group, access, short_name))
}

fn resource(kind: &Arc<Kind>, group: &str, access: Access, short_name: Option<&str>) -> Resource {
    Resource {
        group_version: GroupVersion::new(group, "v1alpha1"),
        stored: kind.clone(),
        short_names: short_name.map(str::to_owned).into_iter().collect(),
        categories: Vec::new(),
        access,
        status_subresource: access == Access::Unfiltered,
        version: None,
        deprecation: None,
    }
}

//! Descriptors for the tests.

use std::sync::Arc;

use bulward::rest::resource::{Access, Cell, Column, Conventions, Edge, Group, Kind, Registry, Resource, Strategy};
use bulward::visibility::Facts;
use bulward::wire::names::GroupVersion;
use serde_json::{Value, json};

struct Anything;

impl Strategy for Anything {}

/// The two views of Organizations and Projects, as they are served.
pub(super) fn tenancy() -> Registry {
    bulward::groups::registry(&bulward::groups::Options::default())
}

/// The CustomResourceDefinitions that kube-apiserver described in `upstream/`: gadgets with a status, clusterwides without.
pub(super) fn gadgets() -> Registry {
    let group = "t.example.io";
    let resource = |kind, status_subresource| {
        Arc::new(Resource {
            group_version: GroupVersion::new(group, "v1"),
            stored: kind,
            short_names: if status_subresource {
                vec!["gd".to_owned()]
            } else {
                Vec::new()
            },
            categories: Vec::new(),
            access: Access::Unfiltered,
            status_subresource,
            version: None,
            deprecation: None,
        })
    };
    let schema = || json!({"type": "object", "properties": {"spec": {"type": "object"}}});
    Registry {
        groups: vec![Group {
            name: group.to_owned(),
            priority: 1000,
            resources: vec![
                resource(kind("Gadget", true, schema()), true),
                resource(kind("Clusterwide", false, schema()), false),
            ],
            reviews: Vec::new(),
        }],
    }
}

fn kind(name: &str, namespaced: bool, schema: Value) -> Arc<Kind> {
    let column = Column {
        name: "Name".to_owned(),
        kind: "string",
        format: "name",
        description: "The name.".to_owned(),
        priority: 0,
        cell: Cell::Name,
    };
    Arc::new(Kind {
        kind: name.to_owned(),
        singular: name.to_lowercase(),
        plural: format!("{}s", name.to_lowercase()),
        description: format!("{name} is what its owners and members see."),
        namespaced,
        schema,
        strategy: Arc::new(Anything),
        selectable_fields: Vec::new(),
        columns: vec![column],
        edge: Edge::Members {
            facts: |_| Facts::default(),
            through: None,
            parent: None,
        },
        conventions: Conventions::CustomResource,
    })
}

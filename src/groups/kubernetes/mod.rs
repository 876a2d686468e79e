//! What a cluster brings along and a server without one has to serve itself: Namespaces and Events, and the roles of RBAC.
//! They answer like the originals (k8s.io/kubernetes pkg/registry/{core,rbac}).

pub mod event;
pub mod namespace;
pub mod rbac;
pub mod reviews;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::rest::resource::{Access, Cell, Column, Group, Kind, Resource, Version};
use crate::wire::names::GroupVersion;

/// These groups, in the order of their priority.
pub fn groups() -> Vec<Group> {
    let event = Arc::new(event::kind());
    let core = vec![
        resource(event.clone(), "", &["ev"], None),
        resource(Arc::new(namespace::kind()), "", &["ns"], None),
    ];
    let events = vec![resource(event, event::GROUP, &["ev"], Some(event::version()))];
    let roles = rbac::kinds();
    let roles = roles.map(|kind| resource(Arc::new(kind), rbac::GROUP, &[], None));
    vec![
        group("", 18_000, core),
        group(event::GROUP, 17_750, events),
        group(rbac::GROUP, 17_000, roles.into()),
        Group {
            reviews: reviews::authorization(),
            ..group(reviews::AUTHORIZATION, 17_600, Vec::new())
        },
        Group {
            reviews: reviews::authentication(),
            ..group(reviews::AUTHENTICATION, 17_700, Vec::new())
        },
    ]
}

/// Priorities are those of kube-apiserver.
fn group(name: &str, priority: i32, resources: Vec<Arc<Resource>>) -> Group {
    Group {
        name: name.to_owned(),
        priority,
        resources,
        reviews: Vec::new(),
    }
}

fn resource(kind: Arc<Kind>, group: &str, short_names: &[&str], version: Option<Version>) -> Arc<Resource> {
    Arc::new(Resource {
        group_version: GroupVersion::new(group, "v1"),
        short_names: short_names.iter().map(|&name| name.to_owned()).collect(),
        categories: Vec::new(),
        access: Access::Unfiltered,
        status_subresource: kind.kind == namespace::KIND,
        stored: kind,
        version,
        deprecation: None,
    })
}

fn column(name: &str, description: &str, priority: i32, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string",
        format: if matches!(cell, Cell::Name) { "name" } else { "" },
        description: description.to_owned(),
        priority,
        cell,
    }
}

fn name_column() -> Column {
    column("Name", "Name must be unique within its place.", 0, Cell::Name)
}

fn age_column() -> Column {
    column("Age", "Time since the object was created.", 0, Cell::Age)
}

/// The schema of a text.
fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// The schema of a list of texts.
fn texts(description: &str) -> Value {
    json!({"type": "array", "description": description, "items": {"type": "string"}})
}

/// The schema of an object.
fn object(description: &str, required: &[&str], properties: &Value) -> Value {
    let mut schema = json!({"type": "object", "description": description, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The schema of a list of objects.
fn list(description: &str, items: &Value) -> Value {
    json!({"type": "array", "description": description, "items": items})
}

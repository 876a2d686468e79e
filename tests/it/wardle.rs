//! The toy group: `wardle.example.com` of `k8s.io/sample-apiserver`, built through the library's public interface alone.

mod fischer;
mod flunder;
mod oracle;
mod v1beta1;
mod versions;

use std::sync::Arc;

use bulward::rest::resource::{Access, Cell, Column, Group, Kind, Registry, Resource, Version};
use bulward::wire::names::GroupVersion;
use serde_json::{Value, json};

/// The group's name.
pub(crate) const GROUP: &str = "wardle.example.com";

/// The toy group alone, for [`crate::harness::in_process::InProcess::serving`].
pub(crate) fn registry() -> Registry {
    let flunder = Arc::new(flunder::kind());
    let fischer = Arc::new(fischer::kind());
    Registry {
        groups: vec![Group {
            name: GROUP.to_owned(),
            priority: 1000,
            resources: vec![
                resource(&flunder, "v1beta1", Some(v1beta1::version())),
                resource(&flunder, "v1alpha1", None),
                resource(&fischer, "v1alpha1", None),
            ],
            reviews: Vec::new(),
        }],
    }
}

fn resource(kind: &Arc<Kind>, name: &str, version: Option<Version>) -> Arc<Resource> {
    // As the lifecycle of Go's types has it.
    let deprecated = name == "v1alpha1";
    let warning = format!(
        "{GROUP}/{name} {} is deprecated in v1.3+, unavailable in v1.10+",
        kind.kind
    );
    Arc::new(Resource {
        group_version: GroupVersion::new(GROUP, name),
        stored: kind.clone(),
        short_names: Vec::new(),
        categories: Vec::new(),
        access: Access::Unfiltered,
        status_subresource: false,
        version,
        deprecation: deprecated.then_some(warning),
    })
}

/// The schema of a Flunder whose spec has these fields.
fn schema(spec: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "default": {}, "properties": spec},
            "status": {"type": "object", "default": {}},
        },
    })
}

fn drop_nulls(spec: &mut Value) {
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

/// What Go's default table converter shows (k8s.io/apiserver pkg/registry/rest/table.go).
fn columns() -> Vec<Column> {
    let name = "Name must be unique within a namespace. Is required when creating resources, although some resources may \
                allow a client to request the generation of an appropriate name automatically. Name is primarily intended \
                for creation idempotence and configuration definition. Cannot be updated. More info: \
                https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
    let created = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not \
                   guaranteed to be set in happens-before order across separate operations. Clients may not set this value. \
                   It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. \
                   More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
    let column = |name: &str, kind, format, description: &str, cell| Column {
        name: name.to_owned(),
        kind,
        format,
        description: description.to_owned(),
        priority: 0,
        cell,
    };
    vec![
        column("Name", "string", "name", name, Cell::Name),
        column("Created At", "date", "", created, Cell::Object(created_at)),
    ]
}

fn created_at(object: &Value) -> Value {
    // what has none, such as a bookmark, was created at Go's beginning of time
    let created = object["metadata"]["creationTimestamp"].as_str();
    json!(created.unwrap_or("0001-01-01T00:00:00Z"))
}

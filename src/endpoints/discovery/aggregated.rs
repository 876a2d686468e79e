//! `APIGroupDiscoveryList`: all groups in one document.
//!
//! Shape: k8s.io/api/apidiscovery/v2, as k8s.io/apiserver pkg/endpoints/discovery/aggregated/handler.go fills it.

use serde_json::{Value, json};

use super::legacy::served;
use crate::rest::resource::{Group, Registry, Resource, STATUS_VERBS, VERBS};

/// The answer to `GET /apis` for clients that know aggregated discovery.
pub(super) fn list(registry: &Registry) -> Value {
    let items: Vec<Value> = registry.groups.iter().map(group).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn group(group: &Group) -> Value {
    let versions = group.versions();
    let versions = versions.iter().map(|version| {
        let resources: Vec<Value> = served(group, version).into_iter().map(|one| resource(one)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    });
    json!({"metadata": {"name": group.name}, "versions": versions.collect::<Vec<_>>()})
}

fn resource(resource: &Resource) -> Value {
    let kind = &resource.stored;
    // Named in full although equal to the parent's: clients older than 1.28 do not fill in what is empty.
    let response_kind = json!({
        "group": resource.group_version.group,
        "version": resource.group_version.version,
        "kind": kind.kind,
    });
    let mut value = json!({
        "resource": kind.plural,
        "responseKind": response_kind,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": VERBS,
    });
    if !resource.short_names.is_empty() {
        value["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        value["categories"] = json!(resource.categories);
    }
    if resource.status_subresource {
        value["subresources"] =
            json!([{"subresource": "status", "responseKind": response_kind, "verbs": STATUS_VERBS}]);
    }
    value
}

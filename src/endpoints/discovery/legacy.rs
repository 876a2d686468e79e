//! `APIGroupList`, `APIGroup` and `APIResourceList`.
//!
//! Shapes: k8s.io/apiserver pkg/endpoints/discovery/{root,group,version}.go; storage version hash: storageversionhash.go there.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rest::resource::{Access, Group, Registry, Resource, VERBS};
use crate::rest::review::REVIEW_VERBS;
use crate::wire::names::GroupVersion;

/// The answer to `GET /apis`; it has no `apiVersion`, as in Go.
pub(super) fn group_list(registry: &Registry, server_address: &str) -> Value {
    let groups = registry.groups.iter().filter(|group| !group.is_legacy()).map(|group| {
        let mut value = described(group);
        value["serverAddressByClientCIDRs"] = addresses(server_address);
        value
    });
    json!({"kind": "APIGroupList", "groups": groups.collect::<Vec<_>>()})
}

/// The answer to `GET /api`.
pub(super) fn versions(group: &Group, server_address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": group.versions(), "serverAddressByClientCIDRs": addresses(server_address)})
}

fn addresses(server_address: &str) -> Value {
    json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}])
}

/// The answer to `GET /apis/<group>`.
pub(super) fn group(group: &Group) -> Value {
    let mut value = described(group);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    value
}

fn described(group: &Group) -> Value {
    let versions = group.versions();
    let versions = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{}/{version}", group.name), "version": version}));
    let versions: Vec<Value> = versions.collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

/// The answer to `GET /apis/<group>/<version>`.
pub(super) fn resource_list(registry: &Registry, group: &Group, version: &str) -> Value {
    let mut resources = Vec::new();
    for resource in served(group, version) {
        let kind = &resource.stored;
        let mut entry = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            "storageVersionHash": storage_version_hash(registry, resource),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for (name, verbs) in resource.subresources() {
            resources.push(json!({
                "name": format!("{}/{name}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": verbs,
            }));
        }
    }
    for review in group.reviews.iter().filter(|one| one.group_version.version == version) {
        resources.push(json!({
            "name": review.plural,
            "singularName": review.singular,
            "namespaced": review.namespaced,
            "kind": review.kind,
            "verbs": REVIEW_VERBS,
        }));
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GroupVersion::new(&group.name, version).to_string(),
        "resources": resources,
    })
}

/// The resources of one version, by name.
pub(super) fn served<'a>(group: &'a Group, version: &str) -> Vec<&'a Arc<Resource>> {
    let resources = group
        .resources
        .iter()
        .filter(|resource| resource.group_version.version == version);
    let mut resources: Vec<&Arc<Resource>> = resources.collect();
    resources.sort_by(|a, b| a.stored.plural.cmp(&b.stored.plural));
    resources
}

/// All resources that serve one stored kind carry the same hash, which is how clients learn that they are one set of objects. The storage version
/// is the one that shows the stored objects as they are: of an unfiltered view, and without a conversion.
fn storage_version_hash(registry: &Registry, resource: &Resource) -> String {
    let views = || {
        registry
            .resources()
            .filter(|view| Arc::ptr_eq(&view.stored, &resource.stored))
    };
    let storage = views()
        .find(|view| view.access == Access::Unfiltered && view.version.is_none())
        .or_else(|| views().next());
    let group_version = storage.map_or(&resource.group_version, |storage| &storage.group_version);
    hash(&format!("{group_version}/{}", resource.stored.kind))
}

fn hash(group_version_kind: &str) -> String {
    STANDARD.encode(&Sha256::digest(group_version_kind)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_go_servers_send() {
        assert_eq!(hash("wardle.example.com/v1alpha1/Fischer"), "YS5qRiSxzNM=");
    }
}

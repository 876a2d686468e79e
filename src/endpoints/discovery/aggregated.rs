//! `APIGroupDiscoveryList`: all groups in one document.
//!
//! Shape: k8s.io/api/apidiscovery/v2, as k8s.io/apiserver pkg/endpoints/discovery/aggregated/handler.go fills it.

use serde_json::{Value, json};

use super::legacy::served;
use crate::rest::resource::{Group, Registry, Resource, Review, VERBS};
use crate::rest::review::REVIEW_VERBS;
use crate::wire::names::GroupVersion;

/// The answer to `GET /apis` for clients that know aggregated discovery; `legacy` is for that to `GET /api`.
pub(super) fn list(registry: &Registry, legacy: bool) -> Value {
    let groups = registry.groups.iter().filter(|group| group.is_legacy() == legacy);
    let items: Vec<Value> = groups.map(group).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn group(group: &Group) -> Value {
    let versions = group.versions();
    let versions = versions.iter().map(|version| {
        let mut resources: Vec<Value> = served(group, version).into_iter().map(|one| resource(one)).collect();
        let reviews = group.reviews.iter();
        resources.extend(reviews.filter(|one| one.group_version.version == *version).map(review));
        json!({"version": version, "resources": resources, "freshness": "Current"})
    });
    let metadata = match group.is_legacy() {
        true => json!({}),
        false => json!({"name": group.name}),
    };
    json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
}

fn review(review: &Review) -> Value {
    let GroupVersion { group, version } = &review.group_version;
    json!({
        "resource": review.plural,
        "responseKind": {"group": group, "version": version, "kind": review.kind},
        "scope": if review.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": review.singular,
        "verbs": REVIEW_VERBS,
    })
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
    let subresources = resource
        .subresources()
        .map(|(name, verbs)| json!({"subresource": name, "responseKind": response_kind, "verbs": verbs}));
    let subresources: Vec<Value> = subresources.collect();
    if !subresources.is_empty() {
        value["subresources"] = subresources.into();
    }
    value
}

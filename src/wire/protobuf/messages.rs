//! Field numbers: k8s.io/apimachinery pkg/apis/meta/v1/generated.proto, k8s.io/api/apidiscovery/v2/generated.proto.

use super::{Field, Kind, Message, Presence, builtin};
use Kind::{Flag, Integer, Json, Text, TextMap, Time};
use Presence::{Always, List, Optional, Repeated};

/// The message of a kind that may be a body.
pub(super) fn of(api_version: &str, kind: &str) -> Option<&'static Message> {
    Some(match kind {
        "PartialObjectMetadata" => &PARTIAL,
        "PartialObjectMetadataList" => &PARTIAL_LIST,
        "Status" => &STATUS,
        "APIGroupList" => &GROUP_LIST,
        "APIGroup" => &GROUP,
        "APIResourceList" => &RESOURCE_LIST,
        "APIGroupDiscoveryList" => &DISCOVERY_LIST,
        "APIVersions" => &VERSIONS,
        "DeleteOptions" => &DELETE_OPTIONS,
        _ => return builtin::of(api_version, kind),
    })
}

pub(super) const fn field(number: u32, name: &'static str, kind: Kind, presence: Presence) -> Field {
    Field {
        number,
        name,
        kind,
        presence,
    }
}

pub(super) const fn message(number: u32, name: &'static str, message: &'static Message, presence: Presence) -> Field {
    field(number, name, Kind::Message(message), presence)
}

pub(super) static PARTIAL: Message = Message(&[message(1, "metadata", &OBJECT_META, Always)]);

static PARTIAL_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &PARTIAL, Repeated),
]);

pub(super) static LIST_META: Message = Message(&[
    field(1, "selfLink", Text, Always),
    field(2, "resourceVersion", Text, Always),
    field(3, "continue", Text, Always),
    field(4, "remainingItemCount", Integer, Optional),
]);

pub(super) static OBJECT_META: Message = Message(&[
    field(1, "name", Text, Always),
    field(2, "generateName", Text, Always),
    field(3, "namespace", Text, Always),
    field(4, "selfLink", Text, Always),
    field(5, "uid", Text, Always),
    field(6, "resourceVersion", Text, Always),
    field(7, "generation", Integer, Always),
    field(8, "creationTimestamp", Time, Always),
    field(9, "deletionTimestamp", Time, Optional),
    field(10, "deletionGracePeriodSeconds", Integer, Optional),
    field(11, "labels", TextMap, Optional),
    field(12, "annotations", TextMap, Optional),
    message(13, "ownerReferences", &OWNER_REFERENCE, Repeated),
    field(14, "finalizers", Text, Repeated),
    message(17, "managedFields", &MANAGED_FIELDS, Repeated),
]);

static OWNER_REFERENCE: Message = Message(&[
    field(1, "kind", Text, Always),
    field(3, "name", Text, Always),
    field(4, "uid", Text, Always),
    field(5, "apiVersion", Text, Always),
    field(6, "controller", Flag, Optional),
    field(7, "blockOwnerDeletion", Flag, Optional),
]);

static MANAGED_FIELDS: Message = Message(&[
    field(1, "manager", Text, Always),
    field(2, "operation", Text, Always),
    field(3, "apiVersion", Text, Always),
    field(4, "time", Time, Optional),
    field(6, "fieldsType", Text, Always),
    field(7, "fieldsV1", Json, Optional),
    field(8, "subresource", Text, Always),
]);

static STATUS: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    field(2, "status", Text, Always),
    field(3, "message", Text, Always),
    field(4, "reason", Text, Always),
    message(5, "details", &STATUS_DETAILS, Optional),
    field(6, "code", Integer, Always),
]);

static STATUS_DETAILS: Message = Message(&[
    field(1, "name", Text, Always),
    field(2, "group", Text, Always),
    field(3, "kind", Text, Always),
    message(4, "causes", &STATUS_CAUSE, Repeated),
    field(5, "retryAfterSeconds", Integer, Always),
    field(6, "uid", Text, Always),
]);

static STATUS_CAUSE: Message = Message(&[
    field(1, "reason", Text, Always),
    field(2, "message", Text, Always),
    field(3, "field", Text, Always),
]);

static GROUP_LIST: Message = Message(&[message(1, "groups", &GROUP, Repeated)]);

static GROUP: Message = Message(&[
    field(1, "name", Text, Always),
    message(2, "versions", &GROUP_VERSION, Repeated),
    message(3, "preferredVersion", &GROUP_VERSION, Always),
    message(4, "serverAddressByClientCIDRs", &SERVER_ADDRESS, Repeated),
]);

static VERSIONS: Message = Message(&[
    field(1, "versions", Text, Repeated),
    message(2, "serverAddressByClientCIDRs", &SERVER_ADDRESS, Repeated),
]);

static GROUP_VERSION: Message = Message(&[
    field(1, "groupVersion", Text, Always),
    field(2, "version", Text, Always),
]);

static SERVER_ADDRESS: Message = Message(&[
    field(1, "clientCIDR", Text, Always),
    field(2, "serverAddress", Text, Always),
]);

static RESOURCE_LIST: Message = Message(&[
    field(1, "groupVersion", Text, Always),
    message(2, "resources", &RESOURCE, Repeated),
]);

static RESOURCE: Message = Message(&[
    field(1, "name", Text, Always),
    field(2, "namespaced", Flag, Always),
    field(3, "kind", Text, Always),
    field(4, "verbs", Text, List),
    field(5, "shortNames", Text, Repeated),
    field(6, "singularName", Text, Always),
    field(7, "categories", Text, Repeated),
    field(8, "group", Text, Always),
    field(9, "version", Text, Always),
    field(10, "storageVersionHash", Text, Always),
]);

static DISCOVERY_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &GROUP_DISCOVERY, Repeated),
]);

static GROUP_DISCOVERY: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "versions", &VERSION_DISCOVERY, Repeated),
]);

static VERSION_DISCOVERY: Message = Message(&[
    field(1, "version", Text, Always),
    message(2, "resources", &RESOURCE_DISCOVERY, Repeated),
    field(3, "freshness", Text, Always),
]);

static RESOURCE_DISCOVERY: Message = Message(&[
    field(1, "resource", Text, Always),
    message(2, "responseKind", &GROUP_VERSION_KIND, Optional),
    field(3, "scope", Text, Always),
    field(4, "singularResource", Text, Always),
    field(5, "verbs", Text, Repeated),
    field(6, "shortNames", Text, Repeated),
    field(7, "categories", Text, Repeated),
    message(8, "subresources", &SUBRESOURCE_DISCOVERY, Repeated),
]);

static SUBRESOURCE_DISCOVERY: Message = Message(&[
    field(1, "subresource", Text, Always),
    message(2, "responseKind", &GROUP_VERSION_KIND, Optional),
    message(3, "acceptedTypes", &GROUP_VERSION_KIND, Repeated),
    field(4, "verbs", Text, Repeated),
]);

static GROUP_VERSION_KIND: Message = Message(&[
    field(1, "group", Text, Always),
    field(2, "version", Text, Always),
    field(3, "kind", Text, Always),
]);

static DELETE_OPTIONS: Message = Message(&[
    field(1, "gracePeriodSeconds", Integer, Optional),
    message(2, "preconditions", &PRECONDITIONS, Optional),
    field(3, "orphanDependents", Flag, Optional),
    field(4, "propagationPolicy", Text, Optional),
    field(5, "dryRun", Text, Repeated),
    field(6, "ignoreStoreReadErrorWithClusterBreakingPotential", Flag, Optional),
]);

static PRECONDITIONS: Message = Message(&[
    field(1, "uid", Text, Optional),
    field(2, "resourceVersion", Text, Optional),
]);

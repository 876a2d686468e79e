//! The schemas (k8s.io/api rbac/v1 types.go). Nothing is required by them: what must be there is said by the validation, in
//! its own words.

use serde_json::{Value, json};

use crate::groups::kubernetes::{list, object, text, texts};

pub(super) fn role() -> Value {
    json!({"type": "object", "properties": {"rules": rules()}})
}

pub(super) fn cluster_role() -> Value {
    let requirement = object(
        "A selector requirement is a selector that contains values, a key, and an operator that relates the key and values.",
        &[],
        &json!({
            "key": text("The label key that the selector applies to."),
            "operator": text("A key's relationship to a set of values: In, NotIn, Exists or DoesNotExist."),
            "values": atomic(texts("Values for In and NotIn; empty for Exists and DoesNotExist.")),
        }),
    );
    let selector = object(
        "A label query over ClusterRoles.",
        &[],
        &json!({
            "matchExpressions": atomic(list("Label selector requirements; all of them must hold.", &requirement)),
            "matchLabels": {
                "type": "object",
                "description": "A map of key and value pairs; all of them must be there.",
                "additionalProperties": {"type": "string"},
            },
        }),
    );
    let selectors = list(
        "Selectors of ClusterRoles whose rules are to be united; any of them may match.",
        &selector,
    );
    let aggregation = object(
        "How to build the rules of this ClusterRole. If it is set, the rules are controller managed.",
        &[],
        &json!({"clusterRoleSelectors": atomic(selectors)}),
    );
    json!({"type": "object", "properties": {"aggregationRule": aggregation, "rules": rules()}})
}

pub(super) fn binding(namespaced: bool) -> Value {
    let kinds = if namespaced {
        "Role or ClusterRole"
    } else {
        "ClusterRole"
    };
    let reference = object(
        "The role that is bound. It cannot be changed.",
        &[],
        &json!({
            "apiGroup": text("The API group of the role: rbac.authorization.k8s.io."),
            "kind": text(&format!("The kind of the role: {kinds}.")),
            "name": text("The name of the role."),
        }),
    );
    let subject = object(
        "A user, a group or a service account.",
        &[],
        &json!({
            "apiGroup": text("The API group of the subject: rbac.authorization.k8s.io for User and Group, empty for ServiceAccount."),
            "kind": text("The kind of the subject: User, Group or ServiceAccount."),
            "name": text("The name of the subject."),
            "namespace": text("The namespace of a ServiceAccount."),
        }),
    );
    let subjects = atomic(list("Whom the role applies to.", &subject));
    json!({
        "type": "object",
        "properties": {"roleRef": reference, "subjects": subjects},
    })
}

fn rules() -> Value {
    let rule = object(
        "What may be done to which resources, or to which URLs.",
        &[],
        &json!({
            "apiGroups": atomic(texts("The API groups of the resources; \"\" is the core group, * stands for all.")),
            "nonResourceURLs": atomic(texts("URL paths; * is allowed as their last step. Only in ClusterRoles.")),
            "resourceNames": atomic(texts("The names that the rule is confined to; empty stands for all.")),
            "resources": atomic(texts("The resources; * stands for all, */scale for that subresource of all.")),
            "verbs": atomic(texts("The verbs; * stands for all.")),
        }),
    );
    atomic(list("What the role allows.", &rule))
}

fn atomic(mut schema: Value) -> Value {
    schema["x-kubernetes-list-type"] = json!("atomic");
    schema
}

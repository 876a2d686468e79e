//! Field numbers of Kubernetes' own kinds: k8s.io/api {core,rbac,authorization,authentication}/v1/generated.proto.

use super::Kind::{Flag, ListMap, Text, TextMap, Time};
use super::Message;
use super::Presence::{Always, Optional, Repeated};
use super::messages::{LIST_META, OBJECT_META, field, message};

/// The message of a kind, or of its list.
pub(super) fn of(api_version: &str, kind: &str) -> Option<&'static Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => &NAMESPACE,
        ("v1", "NamespaceList") => &NAMESPACE_LIST,
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => &CLUSTER_ROLE,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleList") => &CLUSTER_ROLE_LIST,
        ("rbac.authorization.k8s.io/v1", "Role") => &ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleList") => &ROLE_LIST,
        // the two bindings are one message
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding" | "RoleBinding") => &BINDING,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBindingList" | "RoleBindingList") => &BINDING_LIST,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => &SELF_ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SubjectAccessReview" | "LocalSubjectAccessReview") => &ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => &RULES_REVIEW,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => &SELF_REVIEW,
        _ => return None,
    })
}

static NAMESPACE: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "spec", &NAMESPACE_SPEC, Always),
    message(3, "status", &NAMESPACE_STATUS, Always),
]);

static NAMESPACE_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &NAMESPACE, Repeated),
]);

static NAMESPACE_SPEC: Message = Message(&[field(1, "finalizers", Text, Repeated)]);

static NAMESPACE_STATUS: Message = Message(&[
    field(1, "phase", Text, Always),
    message(2, "conditions", &NAMESPACE_CONDITION, Repeated),
]);

static NAMESPACE_CONDITION: Message = Message(&[
    field(1, "type", Text, Always),
    field(2, "status", Text, Always),
    field(4, "lastTransitionTime", Time, Always),
    field(5, "reason", Text, Always),
    field(6, "message", Text, Always),
]);

static POLICY_RULE: Message = Message(&[
    field(1, "verbs", Text, Repeated),
    field(2, "apiGroups", Text, Repeated),
    field(3, "resources", Text, Repeated),
    field(4, "resourceNames", Text, Repeated),
    field(5, "nonResourceURLs", Text, Repeated),
]);

static ROLE: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "rules", &POLICY_RULE, Repeated),
]);

static ROLE_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &ROLE, Repeated),
]);

static CLUSTER_ROLE: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "rules", &POLICY_RULE, Repeated),
    message(3, "aggregationRule", &AGGREGATION_RULE, Optional),
]);

static CLUSTER_ROLE_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &CLUSTER_ROLE, Repeated),
]);

static AGGREGATION_RULE: Message = Message(&[message(1, "clusterRoleSelectors", &LABEL_SELECTOR, Repeated)]);

static LABEL_SELECTOR: Message = Message(&[
    field(1, "matchLabels", TextMap, Optional),
    message(2, "matchExpressions", &REQUIREMENT, Repeated),
]);

static REQUIREMENT: Message = Message(&[
    field(1, "key", Text, Always),
    field(2, "operator", Text, Always),
    field(3, "values", Text, Repeated),
]);

static BINDING: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "subjects", &SUBJECT, Repeated),
    message(3, "roleRef", &ROLE_REF, Always),
]);

static BINDING_LIST: Message = Message(&[
    message(1, "metadata", &LIST_META, Always),
    message(2, "items", &BINDING, Repeated),
]);

static SUBJECT: Message = Message(&[
    field(1, "kind", Text, Always),
    field(2, "apiGroup", Text, Always),
    field(3, "name", Text, Always),
    field(4, "namespace", Text, Always),
]);

static ROLE_REF: Message = Message(&[
    field(1, "apiGroup", Text, Always),
    field(2, "kind", Text, Always),
    field(3, "name", Text, Always),
]);

static SELF_ACCESS_REVIEW: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "spec", &SELF_ACCESS_REVIEW_SPEC, Always),
    message(3, "status", &ACCESS_REVIEW_STATUS, Always),
]);

static SELF_ACCESS_REVIEW_SPEC: Message = Message(&[
    message(1, "resourceAttributes", &RESOURCE_ATTRIBUTES, Optional),
    message(2, "nonResourceAttributes", &NON_RESOURCE_ATTRIBUTES, Optional),
]);

static ACCESS_REVIEW: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "spec", &ACCESS_REVIEW_SPEC, Always),
    message(3, "status", &ACCESS_REVIEW_STATUS, Always),
]);

static ACCESS_REVIEW_SPEC: Message = Message(&[
    message(1, "resourceAttributes", &RESOURCE_ATTRIBUTES, Optional),
    message(2, "nonResourceAttributes", &NON_RESOURCE_ATTRIBUTES, Optional),
    field(3, "user", Text, Always),
    field(4, "groups", Text, Repeated),
    field(5, "extra", ListMap, Optional),
    field(6, "uid", Text, Always),
]);

static ACCESS_REVIEW_STATUS: Message = Message(&[
    field(1, "allowed", Flag, Always),
    field(2, "reason", Text, Always),
    field(3, "evaluationError", Text, Always),
    field(4, "denied", Flag, Always),
]);

static RESOURCE_ATTRIBUTES: Message = Message(&[
    field(1, "namespace", Text, Always),
    field(2, "verb", Text, Always),
    field(3, "group", Text, Always),
    field(4, "version", Text, Always),
    field(5, "resource", Text, Always),
    field(6, "subresource", Text, Always),
    field(7, "name", Text, Always),
    message(8, "fieldSelector", &SELECTOR_ATTRIBUTES, Optional),
    message(9, "labelSelector", &SELECTOR_ATTRIBUTES, Optional),
]);

static SELECTOR_ATTRIBUTES: Message = Message(&[
    field(1, "rawSelector", Text, Always),
    message(2, "requirements", &REQUIREMENT, Repeated),
]);

static NON_RESOURCE_ATTRIBUTES: Message = Message(&[field(1, "path", Text, Always), field(2, "verb", Text, Always)]);

static RULES_REVIEW: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "spec", &RULES_REVIEW_SPEC, Always),
    message(3, "status", &RULES_REVIEW_STATUS, Always),
]);

static RULES_REVIEW_SPEC: Message = Message(&[field(1, "namespace", Text, Always)]);

static RULES_REVIEW_STATUS: Message = Message(&[
    message(1, "resourceRules", &RESOURCE_RULE, Repeated),
    message(2, "nonResourceRules", &NON_RESOURCE_RULE, Repeated),
    field(3, "incomplete", Flag, Always),
    field(4, "evaluationError", Text, Always),
]);

static RESOURCE_RULE: Message = Message(&[
    field(1, "verbs", Text, Repeated),
    field(2, "apiGroups", Text, Repeated),
    field(3, "resources", Text, Repeated),
    field(4, "resourceNames", Text, Repeated),
]);

static NON_RESOURCE_RULE: Message = Message(&[
    field(1, "verbs", Text, Repeated),
    field(2, "nonResourceURLs", Text, Repeated),
]);

static SELF_REVIEW: Message = Message(&[
    message(1, "metadata", &OBJECT_META, Always),
    message(2, "status", &SELF_REVIEW_STATUS, Always),
]);

static SELF_REVIEW_STATUS: Message = Message(&[message(1, "userInfo", &USER_INFO, Always)]);

static USER_INFO: Message = Message(&[
    field(1, "username", Text, Always),
    field(2, "uid", Text, Always),
    field(3, "groups", Text, Repeated),
    field(4, "extra", ListMap, Optional),
]);

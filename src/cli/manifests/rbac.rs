//! Who may do what: the server itself, and the users.

mod controllers;

use std::fmt::Write;

pub(super) use controllers::ACCOUNT as CONTROLLERS;

use super::Options;
use crate::rest::resource::{Access, Registry, Resource};

/// What every authenticated user may do with the objects that the filtered views show them; ownership is checked by the server.
const USER_VERBS: &str = "delete, deletecollection, get, list, patch, update, watch";

const HEAD: &str = "\
# The server asks kube-apiserver who a token belongs to (TokenReview) and what a caller may do (SubjectAccessReview).
";

const READER: &str = "\
# It reads there which front proxies it may believe.
";

const ADMISSION: &str = "\
# It admits writes as the cluster is configured to; of Services it asks where a webhook is.
";

/// What the server follows of the cluster's admission.
const ADMISSION_RULES: &str = "\
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingadmissionpolicies, mutatingwebhookconfigurations, validatingadmissionpolicies, validatingadmissionpolicybindings, validatingwebhookconfigurations]
  verbs: [get, list, watch]
- apiGroups: [\"\"]
  resources: [namespaces]
  verbs: [get, list, watch]
- apiGroups: [\"\"]
  resources: [services]
  verbs: [get]
";

const USERS: &str = "\
# Every authenticated user may enter the filtered views; the server shows each just their own objects, and lets owners alone change them.
";

const METRICS: &str = "\
# For the account that reads the API servers' metrics (docs/metrics.md); bind it to that.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: bulward:metrics-reader
rules:
- nonResourceURLs: [/metrics, /metrics/slis]
  verbs: [get]
";

const CREATOR: &str = "\
# An administrator may delete this binding, and bind the role to whom they like.
";

const FOOT: &str = "\
# Nothing else is granted on the unfiltered views: system:masters needs no grant there, and nobody else should have one.
#
# Nothing more is needed for kube-controller-manager. Its garbage collector (system:controller:generic-garbage-collector) and its namespace controller
# (system:controller:namespace-controller) hold their verbs on all resources of all groups, in either view. That they see unfiltered what they look for
# is not RBAC's doing, but the server's (--unfiltered-users).
";

/// The file.
pub(super) fn rbac(registry: &Registry, options: &Options) -> String {
    let Options { namespace, service, .. } = options;
    let mut out = format!(
        "apiVersion: v1\n\
         kind: ServiceAccount\n\
         metadata:\n\
         \x20 name: {service}\n\
         \x20 namespace: {namespace}\n\
         ---\n"
    );
    out.push_str(HEAD);
    let account = format!("- kind: ServiceAccount\n  name: {service}\n  namespace: {namespace}\n");
    binding(
        &mut out,
        "ClusterRoleBinding",
        "",
        &format!("{service}:auth-delegator"),
        ("ClusterRole", "system:auth-delegator"),
        &account,
    );
    out.push_str("---\n");
    out.push_str(READER);
    let reader = "extension-apiserver-authentication-reader";
    binding(
        &mut out,
        "RoleBinding",
        "  namespace: kube-system\n",
        &format!("{service}:authentication-reader"),
        ("Role", reader),
        &account,
    );

    out.push_str("---\n");
    out.push_str(ADMISSION);
    let admission = format!("{service}:admission");
    write!(
        out,
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {admission}\nrules:\n{ADMISSION_RULES}---\n"
    )
    .expect("a string takes all text");
    binding(
        &mut out,
        "ClusterRoleBinding",
        "",
        &admission,
        ("ClusterRole", &admission),
        &account,
    );

    let everybody = "- apiGroup: rbac.authorization.k8s.io\n  kind: Group\n  name: system:authenticated\n";
    let filtered: Vec<&Resource> = registry
        .resources()
        .filter(|resource| resource.access == Access::Filtered)
        .map(AsRef::as_ref)
        .collect();
    out.push_str("---\n");
    out.push_str(USERS);
    cluster_role(&mut out, "bulward:user", &filtered, USER_VERBS);
    out.push_str("---\n");
    binding(
        &mut out,
        "ClusterRoleBinding",
        "",
        "bulward:user",
        ("ClusterRole", "bulward:user"),
        everybody,
    );

    // What lives in namespaces is created by whom a role in that namespace lets; what does not, by whom this lets.
    for resource in filtered.iter().filter(|resource| !resource.stored.namespaced) {
        let name = format!("bulward:{}-creator", resource.stored.singular);
        out.push_str("---\n");
        cluster_role(&mut out, &name, &[resource], "create");
        out.push_str("---\n");
        out.push_str(CREATOR);
        binding(
            &mut out,
            "ClusterRoleBinding",
            "",
            &name,
            ("ClusterRole", &name),
            everybody,
        );
    }
    out.push_str("---\n");
    out.push_str(METRICS);
    controllers::controllers(&mut out, options);
    out.push_str(FOOT);
    out
}

/// A ClusterRole with one rule a group.
fn cluster_role(out: &mut String, name: &str, resources: &[&Resource], verbs: &str) {
    let head =
        format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n");
    out.push_str(&head);
    let mut rules: Vec<(&str, Vec<&str>)> = Vec::new();
    for resource in resources {
        let (group, plural) = (resource.group_version.group.as_str(), resource.stored.plural.as_str());
        match rules.iter_mut().find(|(candidate, _)| *candidate == group) {
            Some((_, plurals)) if plurals.contains(&plural) => {}
            Some((_, plurals)) => plurals.push(plural),
            None => rules.push((group, vec![plural])),
        }
    }
    for (group, plurals) in rules {
        let plurals = plurals.join(", ");
        writeln!(
            out,
            "- apiGroups: [{group}]\n  resources: [{plurals}]\n  verbs: [{verbs}]"
        )
        .expect("a string takes all text");
    }
}

/// A binding; `namespace` is the line of its metadata, empty for a ClusterRoleBinding.
pub(super) fn binding(
    out: &mut String,
    kind: &str,
    namespace: &str,
    name: &str,
    (role_kind, role): (&str, &str),
    subjects: &str,
) {
    let text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: {kind}\n\
         metadata:\n\
         \x20 name: {name}\n\
         {namespace}\
         roleRef:\n\
         \x20 apiGroup: rbac.authorization.k8s.io\n\
         \x20 kind: {role_kind}\n\
         \x20 name: {role}\n\
         subjects:\n\
         {subjects}"
    );
    out.push_str(&text);
}

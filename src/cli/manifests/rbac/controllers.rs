//! What the controllers may do: just what they use. The tests run them with this and nothing else.

use std::fmt::Write;

use super::super::Options;
use super::binding;
use crate::groups::tenancy::{ROLES, STORAGE};

/// Who the controllers are.
pub(in super::super) const ACCOUNT: &str = "bulward-controller-manager";

const RBAC: &str = "rbac.authorization.k8s.io";

/// API group, resources, verbs, in the whole cluster.
const RULES: &[(&str, &[&str], &[&str])] = &[
    // Finalizers.
    (STORAGE, &["organizations"], &["list", "watch", "patch"]),
    // The same, and an Organization takes its Projects with it.
    (STORAGE, &["projects"], &["list", "watch", "patch", "delete"]),
    (STORAGE, &["organizations/status", "projects/status"], &["patch"]),
    (
        "",
        &["namespaces"],
        &["get", "list", "watch", "create", "patch", "delete"],
    ),
    // Who is a member, and whom roles are bound to.
    (RBAC, &["rolebindings"], &["list", "watch", "create", "patch", "delete"]),
    // What tenants may do is more than the controllers may: they may grant it, in Roles alone.
    (
        RBAC,
        &["roles"],
        &["list", "watch", "create", "patch", "delete", "bind", "escalate"],
    ),
    (
        STORAGE,
        &["roleoriginals"],
        &["list", "watch", "create", "patch", "delete"],
    ),
    (
        ROLES,
        &["organizationroletemplates"],
        &["list", "watch", "create", "patch"],
    ),
    (
        ROLES,
        &["projectroletemplates", "organizationroles", "projectroles"],
        &["list", "watch", "patch"],
    ),
    (
        ROLES,
        &[
            "organizationroletemplates/status",
            "projectroletemplates/status",
            "organizationroles/status",
            "projectroles/status",
        ],
        &["patch"],
    ),
    ("events.k8s.io", &["events"], &["create", "patch"]),
];

/// The same, in the controllers' own namespace: the lease.
const OWN_RULES: &[(&str, &[&str], &[&str])] = &[("coordination.k8s.io", &["leases"], &["get", "create", "update"])];

/// Appends account, roles and bindings.
pub(super) fn controllers(out: &mut String, options: &Options) {
    let namespace = &options.namespace;
    let account = format!("- kind: ServiceAccount\n  name: {ACCOUNT}\n  namespace: {namespace}\n");
    let head = format!(
        "---\n\
         apiVersion: v1\n\
         kind: ServiceAccount\n\
         metadata:\n\
         \x20 name: {ACCOUNT}\n\
         \x20 namespace: {namespace}\n\
         ---\n\
         # The controllers: Namespaces for Organizations and Projects, and members from RoleBindings.\n"
    );
    out.push_str(&head);
    role(out, "ClusterRole", "", "bulward:controller-manager", RULES);
    out.push_str("---\n");
    let name = "bulward:controller-manager";
    binding(out, "ClusterRoleBinding", "", name, ("ClusterRole", name), &account);
    out.push_str("---\n");
    let own = format!("  namespace: {namespace}\n");
    role(out, "Role", &own, "bulward:leader-election", OWN_RULES);
    out.push_str("---\n");
    let name = "bulward:leader-election";
    binding(out, "RoleBinding", &own, name, ("Role", name), &account);
}

fn role(out: &mut String, kind: &str, namespace: &str, name: &str, rules: &[(&str, &[&str], &[&str])]) {
    let head = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n{namespace}rules:\n"
    );
    out.push_str(&head);
    for (group, resources, verbs) in rules {
        let group = if group.is_empty() { "\"\"" } else { group };
        let (resources, verbs) = (resources.join(", "), verbs.join(", "));
        writeln!(
            out,
            "- apiGroups: [{group}]\n  resources: [{resources}]\n  verbs: [{verbs}]"
        )
        .expect("a string takes all text");
    }
}

//! Role, ClusterRole, and what binds them (k8s.io/kubernetes pkg/registry/rbac, pkg/apis/rbac).

mod rules;
mod schema;

use std::sync::Arc;

use serde_json::Value;

use super::{age_column, column, name_column};
use crate::rest::resource::{Cell, Column, Conventions, Edge, Kind};
use crate::wire::meta;
use crate::wire::subject::RBAC_GROUP;

use rules::{Binding, Role};

/// The API group.
pub const GROUP: &str = RBAC_GROUP;

/// The descriptors of all four.
pub fn kinds() -> [Kind; 4] {
    [
        Kind {
            schema: schema::binding(false),
            strategy: Arc::new(Binding { namespaced: false }),
            columns: binding_columns(),
            ..described(
                "ClusterRoleBinding",
                "ClusterRoleBinding references a ClusterRole, but not contain it. It grants permissions cluster-wide.",
                false,
            )
        },
        Kind {
            schema: schema::cluster_role(),
            strategy: Arc::new(Role { namespaced: false }),
            columns: role_columns(),
            ..described(
                "ClusterRole",
                "ClusterRole is a cluster level, logical grouping of PolicyRules that can be referenced as a unit by a \
                 RoleBinding or ClusterRoleBinding.",
                false,
            )
        },
        Kind {
            schema: schema::binding(true),
            strategy: Arc::new(Binding { namespaced: true }),
            columns: binding_columns(),
            ..described(
                "RoleBinding",
                "RoleBinding references a role, but does not contain it. It can reference a Role in the same namespace or a \
                 ClusterRole in the global namespace. It adds who information via Subjects and namespace information by which \
                 namespace it exists in.",
                true,
            )
        },
        Kind {
            schema: schema::role(),
            strategy: Arc::new(Role { namespaced: true }),
            columns: role_columns(),
            ..described(
                "Role",
                "Role is a namespaced, logical grouping of PolicyRules that can be referenced as a unit by a RoleBinding.",
                true,
            )
        },
    ]
}

fn described(kind: &str, description: &str, namespaced: bool) -> Kind {
    let singular = kind.to_lowercase();
    Kind {
        kind: kind.to_owned(),
        plural: format!("{singular}s"),
        singular,
        description: description.to_owned(),
        namespaced,
        schema: Value::Null,
        strategy: Arc::new(Role { namespaced }),
        selectable_fields: Vec::new(),
        columns: Vec::new(),
        edge: Edge::Unrestricted,
        conventions: Conventions::Typed,
    }
}

fn role_columns() -> Vec<Column> {
    let created = column("Created At", "When the role was created.", 0, Cell::Object(created));
    vec![
        name_column(),
        Column {
            kind: "date",
            ..created
        },
    ]
}

fn binding_columns() -> Vec<Column> {
    vec![
        name_column(),
        column("Role", "The role that is bound.", 0, Cell::Object(role)),
        age_column(),
        column(
            "Users",
            "Users in the binding",
            1,
            Cell::Object(|one| subjects(one, "User")),
        ),
        column(
            "Groups",
            "Groups in the binding",
            1,
            Cell::Object(|one| subjects(one, "Group")),
        ),
        column(
            "ServiceAccounts",
            "ServiceAccounts in the binding",
            1,
            Cell::Object(|one| subjects(one, "ServiceAccount")),
        ),
    ]
}

fn created(role: &Value) -> Value {
    meta::creation_timestamp(role).into()
}

fn role(binding: &Value) -> Value {
    let text = |name: &str| binding["roleRef"][name].as_str().unwrap_or_default();
    format!("{}/{}", text("kind"), text("name")).into()
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    let subjects = subjects.filter(|subject| subject["kind"] == kind).map(|subject| {
        let text = |name: &str| subject[name].as_str().unwrap_or_default();
        match kind {
            "ServiceAccount" => format!("{}/{}", text("namespace"), text("name")),
            _ => text("name").to_owned(),
        }
    });
    subjects.collect::<Vec<_>>().join(", ").into()
}

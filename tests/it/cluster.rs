//! What a server without a cluster serves itself, as `bulward dev` does: Namespaces, roles, reviews. kube-apiserver, which
//! serves the same, is the judge.

mod dev;
mod namespaces;
mod protobuf;
mod reviews;
mod roles;
mod same;

use serde_json::{Value, json};

use crate::harness::in_process::{InProcess, Opened, Settings, memory};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A server with these groups, which obeys its own roles; it has none yet.
async fn start() -> (InProcess, Opened) {
    let opened = memory().await;
    let settings = Settings {
        cluster: true,
        ..Settings::default()
    };
    let server = InProcess::with(opened.storage.clone(), settings).await;
    (server, opened)
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A Role or ClusterRole.
fn role(kind: &str, name: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "rules": rules,
    })
}

/// A RoleBinding or ClusterRoleBinding.
fn binding(kind: &str, name: &str, role: (&str, &str), subjects: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
        "subjects": subjects,
    })
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

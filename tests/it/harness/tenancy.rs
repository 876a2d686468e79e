//! Organizations and Projects for tests: paths, bodies, and an administrator who writes what controllers would.

use std::sync::Arc;

use bulward::storage::Storage;
use serde_json::{Value, json};

use super::in_process::{Caller, InProcess, Opened, Settings};

const FILTERED: &str = "/apis/apiserver.bulward.io/v1alpha1";
const STORED: &str = "/apis/storage.bulward.io/v1alpha1";

/// The filtered view's Organizations.
pub(crate) fn organizations() -> String {
    format!("{FILTERED}/organizations")
}

/// One Organization in the filtered view.
pub(crate) fn organization(name: &str) -> String {
    format!("{FILTERED}/organizations/{name}")
}

/// The filtered view's Projects of all namespaces.
pub(crate) fn all_projects() -> String {
    format!("{FILTERED}/projects")
}

/// The filtered view's Projects of one namespace.
pub(crate) fn projects(namespace: &str) -> String {
    format!("{FILTERED}/namespaces/{namespace}/projects")
}

/// One Project in the filtered view.
pub(crate) fn project(namespace: &str, name: &str) -> String {
    format!("{FILTERED}/namespaces/{namespace}/projects/{name}")
}

/// The same path in the storage view.
pub(crate) fn stored(path: &str) -> String {
    path.replacen(FILTERED, STORED, 1)
}

/// A User as subject.
pub(crate) fn user(name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
}

/// A Group as subject.
pub(crate) fn group(name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name})
}

/// A ServiceAccount as subject.
pub(crate) fn service_account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
}

/// An Organization's body for the filtered view.
pub(crate) fn an_organization(name: &str, owners: &[Value]) -> Value {
    body("Organization", json!({"name": name}), owners)
}

/// A Project's body for the filtered view.
pub(crate) fn a_project(name: &str, owners: &[Value]) -> Value {
    body("Project", json!({"name": name}), owners)
}

fn body(kind: &str, metadata: Value, owners: &[Value]) -> Value {
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"owners": owners},
    })
}

/// A body of the filtered view as one of the storage view.
pub(crate) fn as_stored(mut body: Value) -> Value {
    body["apiVersion"] = json!("storage.bulward.io/v1alpha1");
    body
}

/// A server, its administrator, and what the controllers would do.
pub(crate) struct World {
    pub(crate) server: InProcess,
    pub(crate) admin: Caller,
    opened: Opened,
}

impl World {
    pub(crate) async fn new(opened: Opened) -> Self {
        Self::with(opened, Settings::default()).await
    }

    pub(crate) async fn with(opened: Opened, settings: Settings) -> Self {
        let server = InProcess::with(opened.storage.clone(), settings).await;
        Self {
            admin: server.admin(),
            server,
            opened,
        }
    }

    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        self.server.storage()
    }

    /// A user without groups of its own.
    pub(crate) fn user(&self, name: &str) -> Caller {
        self.server.user(name, &[])
    }

    /// Creates an Organization as the administrator, who need not own it.
    pub(crate) async fn organization(&self, name: &str, owners: &[Value]) -> Value {
        let body = as_stored(an_organization(name, owners));
        self.admin.post(&stored(&organizations()), &body).await.expect(201)
    }

    /// Creates a Project as the administrator.
    pub(crate) async fn project(&self, namespace: &str, name: &str, owners: &[Value]) -> Value {
        let body = as_stored(a_project(name, owners));
        self.admin.post(&stored(&projects(namespace)), &body).await.expect(201)
    }

    /// Replaces `status.members` of the object at a path of either view.
    pub(crate) async fn members(&self, path: &str, members: &[Value]) -> Value {
        self.status(path, json!({"members": members})).await
    }

    /// Writes `status.namespace.name`; empty for none.
    pub(crate) async fn claim(&self, path: &str, namespace: &str) -> Value {
        self.status(path, json!({"namespace": {"name": namespace}})).await
    }

    /// Merges into the status of the object at a path of either view.
    pub(crate) async fn status(&self, path: &str, status: Value) -> Value {
        let path = format!("{}/status", stored(path));
        self.admin.merge(&path, &json!({"status": status})).await.expect(200)
    }

    /// Merges into the object, status excepted.
    pub(crate) async fn edit(&self, path: &str, change: Value) -> Value {
        self.admin.merge(&stored(path), &change).await.expect(200)
    }

    /// Deletes the object.
    pub(crate) async fn remove(&self, path: &str) -> Value {
        self.admin.delete(&stored(path)).await.expect(200)
    }
}

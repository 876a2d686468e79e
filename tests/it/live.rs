//! Our server as what it is for: behind a real kube-apiserver, used by kubectl, client-go and Kubernetes' own controllers.

mod admission;
mod cert_manager;
mod clients;
mod collector;
mod convergence;
mod foreign_authority;
mod identity;
mod install;
mod kubectl;
mod lifecycle;
mod migrate;
mod registration;
mod rotation;
mod survival;
mod verbs;
mod watching;

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Kubectl};

/// Generous: it matters only in a failure.
const SOON: Duration = Duration::from_secs(60);

/// Paths of the two views.
const FILTERED: &str = "/apis/apiserver.bulward.io/v1alpha1";
const STORAGE: &str = "/apis/storage.bulward.io/v1alpha1";

/// A subject: `alice` is a user, `group:devs` a group, `sa:ns/name` a service account.
fn subject(text: &str) -> Value {
    let rbac = "rbac.authorization.k8s.io";
    if let Some(group) = text.strip_prefix("group:") {
        json!({"kind": "Group", "apiGroup": rbac, "name": group})
    } else if let Some((namespace, name)) = text.strip_prefix("sa:").and_then(|rest| rest.split_once('/')) {
        json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
    } else {
        json!({"kind": "User", "apiGroup": rbac, "name": text})
    }
}

fn subjects(all: &[&str]) -> Vec<Value> {
    all.iter().map(|text| subject(text)).collect()
}

/// An Organization in the filtered view.
fn organization(name: &str, owners: &[&str]) -> Value {
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Organization",
        "metadata": {"name": name},
        "spec": {
            "metadata": {"displayName": format!("{name} Inc."), "description": "made by a test"},
            "owners": subjects(owners),
        },
    })
}

/// A Project in the filtered view.
fn project(namespace: &str, name: &str, owners: &[&str]) -> Value {
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Project",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"owners": subjects(owners)},
    })
}

/// Creates an object as a user.
async fn create(plane: &ControlPlane, user: &str, object: &Value) {
    let kubectl = plane.kubectl(user).stdin(&object.to_string());
    kubectl.run(["create", "-f", "-"]).await.ok();
}

/// Writes an Organization's status as a controller would.
async fn set_status(plane: &ControlPlane, name: &str, status: Value) {
    let patch = json!({ "status": status }).to_string();
    let admin = plane.kubectl("admin");
    let arguments = [
        "patch",
        "iorg",
        name,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    admin.run(arguments).await.ok();
}

/// An object as a user sees it.
async fn object(kubectl: &Kubectl, arguments: &[&str]) -> Value {
    let get = ["get", "-o", "json"].iter().chain(arguments);
    let text = kubectl.run(get).await.ok();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text}"))
}

/// Names of the objects that a user sees, as kubectl lists them.
async fn names(kubectl: &Kubectl, arguments: &[&str]) -> Vec<String> {
    let get = ["get", "-o", "jsonpath={.items[*].metadata.name}"]
        .iter()
        .chain(arguments);
    let text = kubectl.run(get).await.ok();
    text.split_whitespace().map(str::to_owned).collect()
}

/// A response, read to its end.
#[derive(Debug)]
struct Answer {
    code: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Of a Status.
    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Asks, whatever the answer; `Err` when there was none.
async fn ask(client: &kube::Client, request: http::request::Builder, body: &str) -> Result<Answer, String> {
    let request: Request<_> = request
        .body(body.as_bytes().to_vec().into())
        .map_err(|e| e.to_string())?;
    let response: Response<kube::client::Body> = client.send(request).await.map_err(|e| e.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok(Answer {
        code: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// GET.
async fn get(client: &kube::Client, path: &str) -> Answer {
    ask(client, Request::get(path), "")
        .await
        .unwrap_or_else(|why| panic!("GET {path}: {why}"))
}

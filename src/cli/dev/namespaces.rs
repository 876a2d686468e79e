//! What a cluster's namespace controller does: it empties namespaces that are being deleted, and lets them go
//! (k8s.io/kubernetes pkg/controller/namespace/deletion/namespaced_resources_deleter.go).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::client::call;
use crate::groups::kubernetes::namespace::FINALIZER;
use crate::rest::resource::{Access, Registry};

/// How long until content that waits for its finalizers is looked at again, and a failure is tried again.
const PAUSE: Duration = Duration::from_millis(250);

struct Context {
    client: Client,
    /// The group versions and plurals of everything that lives in namespaces.
    content: Vec<(String, String)>,
}

impl Context {
    async fn ask(&self, method: Method, path: &str) -> Result<Value, Error> {
        call(&self.client, method, path, None).await.map_err(Error)
    }
}

/// A failure, which is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Error(String);

/// Runs for ever.
pub(super) async fn run(client: Client, registry: &Registry) {
    // Each stored kind once, through the view that hides nothing.
    let mut kinds = Vec::new();
    let mut content = Vec::new();
    for resource in registry.resources() {
        let unfiltered = resource.access == Access::Unfiltered && resource.stored.namespaced;
        if unfiltered && !kinds.contains(&resource.stored.plural) {
            kinds.push(resource.stored.plural.clone());
            content.push((resource.group_version.path(), resource.stored.plural.clone()));
        }
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let context = Arc::new(Context { client, content });
    let on_error = |namespace: Arc<Namespace>, error: &Error, _| {
        tracing::warn!(%error, namespace = namespace.name_any(), "a namespace is not empty yet");
        Action::requeue(PAUSE)
    };
    let controller = Controller::new(namespaces, watcher::Config::default());
    let done = controller.run(reconcile, on_error, context);
    done.for_each(|_| std::future::ready(())).await;
}

async fn reconcile(namespace: Arc<Namespace>, context: Arc<Context>) -> Result<Action, Error> {
    let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
    let finalizers: Vec<&String> = finalizers.collect();
    let leaving = namespace.metadata.deletion_timestamp.is_some();
    if !leaving || !finalizers.iter().any(|finalizer| *finalizer == FINALIZER) {
        return Ok(Action::await_change());
    }
    let name = namespace.name_any();
    let mut left = 0;
    for (group_version, plural) in &context.content {
        let path = format!("{group_version}/namespaces/{name}/{plural}");
        context.ask(Method::DELETE, &path).await?;
        let rest = context.ask(Method::GET, &format!("{path}?limit=1")).await?;
        left += rest["items"].as_array().map_or(0, Vec::len);
    }
    if left > 0 {
        return Ok(Action::requeue(PAUSE));
    }
    let others: Vec<&String> = finalizers
        .into_iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .collect();
    let mut emptied: Value = serde_json::to_value(&*namespace).map_err(|error| Error(error.to_string()))?;
    emptied["spec"]["finalizers"] = json!(others);
    let path = format!("/api/v1/namespaces/{name}/finalize");
    call(&context.client, Method::PUT, &path, Some(&emptied))
        .await
        .map_err(Error)?;
    Ok(Action::await_change())
}

//! Takes the steps that [`super::plan`] plans.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource};
use serde_json::{Value, json};

use super::super::labels::EVERYONE;
use super::plan::Step;
use super::world::{Original, original_resource};
use crate::controllers::Error;
use crate::groups::tenancy::STORAGE;

/// Takes one step in a namespace.
///
/// # Errors
/// When the cluster refuses it. That somebody else was faster is one reason: the next look knows more.
pub async fn take(client: &Client, namespace: &str, step: Step) -> Result<(), Error> {
    match step_in(client, namespace, step).await {
        // The Role may be seen to go before its Namespace is: in what goes away nothing is to be made.
        Err(error) if is_terminating(&error) => Ok(()),
        other => other,
    }
}

/// Whether the namespace is going away (k8s.io/apiserver pkg/admission/plugin/namespace/lifecycle).
fn is_terminating(error: &Error) -> bool {
    let Error::Request { source, .. } = error else {
        return false;
    };
    let kube::Error::Api(status) = &**source else {
        return false;
    };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.any(|cause| cause.reason == "NamespaceTerminating")
}

async fn step_in(client: &Client, namespace: &str, step: Step) -> Result<(), Error> {
    let roles = || Api::<Role>::namespaced(client.clone(), namespace);
    let bindings = || Api::<RoleBinding>::namespaced(client.clone(), namespace);
    let originals = || Api::<Original>::namespaced_with(client.clone(), namespace, &original_resource());
    let post = PostParams::default();
    match step {
        Step::WriteOriginal { name, spec, exists } => {
            let spec = json!({"spec": spec});
            if exists {
                // The whole of it: lists are replaced.
                patch(&originals(), &name, &spec, "write original").await
            } else {
                let mut object = spec;
                object["apiVersion"] = json!(format!("{STORAGE}/v1alpha1"));
                object["kind"] = json!("RoleOriginal");
                object["metadata"] = json!({"name": name, "namespace": namespace});
                let object: Original =
                    serde_json::from_value(object).map_err(|error| Error::Panic(error.to_string()))?;
                let created = originals().create(&post, &object).await;
                created.map_err(Error::request("create original")).map(drop)
            }
        }
        Step::DeleteOriginal(name) => {
            let deleted = originals().delete(&name, &DeleteParams::default()).await;
            gone(deleted.map(drop).map_err(Error::request("delete original")))
        }
        Step::WriteRules(role, rules) => {
            let rules: Vec<PolicyRule> = rules.iter().map(PolicyRule::from).collect();
            let change = versioned(&role.metadata, json!({"rules": rules}));
            patch(&roles(), name(&role.metadata), &change, "write rules").await
        }
        Step::CreateRole(role) => {
            let created = roles().create(&post, &role).await;
            created.map_err(Error::request("create role")).map(drop)
        }
        Step::UpdateRole(role, wanted) => {
            let change = versioned(
                &role.metadata,
                with_marks(&wanted.metadata, json!({"rules": wanted.rules})),
            );
            patch(&roles(), name(&role.metadata), &change, "update role").await
        }
        Step::CreateBinding(binding) => {
            let created = bindings().create(&post, &binding).await;
            created.map_err(Error::request("create rolebinding")).map(drop)
        }
        Step::UpdateBinding(binding, wanted) => {
            let change = with_marks(&wanted.metadata, json!({"subjects": wanted.subjects}));
            let change = versioned(&binding.metadata, change);
            patch(&bindings(), name(&binding.metadata), &change, "update rolebinding").await
        }
        Step::ReplaceBinding(binding, wanted) => {
            let deleted = bindings()
                .delete(name(&binding.metadata), &only(&binding.metadata))
                .await;
            deleted.map_err(Error::request("delete rolebinding"))?;
            let created = bindings().create(&post, &wanted).await;
            created.map_err(Error::request("create rolebinding")).map(drop)
        }
        Step::DeleteBinding(binding) => {
            let deleted = bindings()
                .delete(name(&binding.metadata), &only(&binding.metadata))
                .await;
            gone(deleted.map(drop).map_err(Error::request("delete rolebinding")))
        }
        Step::DeleteRole(role) => {
            let deleted = roles().delete(name(&role.metadata), &only(&role.metadata)).await;
            gone(deleted.map(drop).map_err(Error::request("delete role")))
        }
    }
}

async fn patch<K>(api: &Api<K>, name: &str, change: &Value, what: &'static str) -> Result<(), Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
    patched.map_err(Error::request(what)).map(drop)
}

/// What is to be deleted may be gone.
fn gone(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(error) if error.code() == Some(404) => Ok(()),
        other => other,
    }
}

/// A change of exactly the object that was looked at.
fn versioned(metadata: &ObjectMeta, mut change: Value) -> Value {
    change["metadata"]["uid"] = json!(metadata.uid);
    change["metadata"]["resourceVersion"] = json!(metadata.resource_version);
    change
}

/// With the labels and annotations that say whose it is; a mark that does not hold any more is taken off.
fn with_marks(wanted: &ObjectMeta, mut change: Value) -> Value {
    let mut labels = json!(wanted.labels);
    if labels.get(EVERYONE).is_none() {
        labels[EVERYONE] = Value::Null;
    }
    change["metadata"] = json!({"labels": labels, "annotations": wanted.annotations});
    change
}

/// Deletes this object as it was looked at.
fn only(metadata: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// Deletes a Role or a RoleBinding that a maker which is going away made.
///
/// # Errors
/// When the cluster refuses it.
pub(super) async fn delete<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let deleted = api.delete(name(object.meta()), &only(object.meta())).await;
    gone(deleted.map(drop).map_err(Error::request("delete what was made")))
}

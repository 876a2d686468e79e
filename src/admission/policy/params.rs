//! Parameters: the objects of a policy's `paramKind`, and those of them that a binding names
//! (k8s.io/apiserver pkg/admission/plugin/policy/generic/policy_dispatcher.go CollectParams).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{ParamKind, ParamRef};
use kube::api::{ApiResource, DynamicObject};
use kube::core::{GroupVersionKind, Selector, SelectorExt};
use kube::discovery::Scope;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::follow::follow;

/// How long a request waits for the first list of a kind.
const FIRST_LIST: Duration = Duration::from_secs(1);

/// The objects of a kind, followed until this is dropped.
#[derive(Debug)]
pub(super) struct Params {
    kind: ParamKind,
    resource: ApiResource,
    namespaced: bool,
    store: Store<DynamicObject>,
    _stop: DropGuard,
}

/// `ParamKind`s by name and version.
pub(super) fn key(kind: &ParamKind) -> (String, String) {
    (
        kind.api_version.clone().unwrap_or_default(),
        kind.kind.clone().unwrap_or_default(),
    )
}

impl Params {
    /// Follows a kind, if the cluster serves it.
    pub(super) async fn follow(client: &Client, kind: &ParamKind) -> Result<Arc<Self>, String> {
        let (api_version, name) = key(kind);
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let gvk = GroupVersionKind::gvk(group, version, &name);
        let found = kube::discovery::pinned_kind(client, &gvk).await;
        let (resource, capabilities) = found.map_err(|_| {
            format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={name}'")
        })?;
        let stop = CancellationToken::new();
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        let store = follow(api, resource.clone(), stop.clone(), || ());
        Ok(Arc::new(Self {
            kind: kind.clone(),
            resource,
            namespaced: capabilities.scope == Scope::Namespaced,
            store,
            _stop: stop.drop_guard(),
        }))
    }

    fn get(&self, name: &str, namespace: Option<&str>) -> Option<Value> {
        let mut key = ObjectRef::new_with(name, self.resource.clone());
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key).map(|object| self.json(&object))
    }

    fn json(&self, object: &DynamicObject) -> Value {
        let mut json = serde_json::to_value(object).unwrap_or_default();
        let (api_version, kind) = key(&self.kind);
        json["apiVersion"] = json!(api_version);
        json["kind"] = json!(kind);
        json
    }
}

/// The parameters that a policy is to be asked with: `None` is a question without any.
pub(super) async fn collect(
    kind: Option<&ParamKind>,
    reference: Option<&ParamRef>,
    params: Option<&Arc<Params>>,
    namespace: &str,
) -> Result<Vec<Option<Value>>, String> {
    let (Some(kind), Some(reference)) = (kind, reference) else {
        return Ok(vec![None]);
    };
    let shown = || {
        let (api_version, kind) = key(kind);
        format!("&ParamKind{{APIVersion:{api_version},Kind:{kind},}}")
    };
    let Some(params) = params else {
        return Err(format!("paramKind kind `{}` not known", shown()));
    };
    let own = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let within = if params.namespaced {
        let within = own.unwrap_or(namespace);
        if within.is_empty() {
            let why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            return Err(why.to_owned());
        }
        Some(within)
    } else {
        None
    };
    let listed = tokio::time::timeout(FIRST_LIST, params.store.wait_until_ready()).await;
    if !matches!(listed, Ok(Ok(()))) {
        return Err(format!(
            "paramKind kind `{}` not yet synced to use for admission",
            shown()
        ));
    }
    if own.is_some() && !params.namespaced {
        return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
    }
    let found = match (
        reference.name.as_deref().filter(|name| !name.is_empty()),
        &reference.selector,
    ) {
        (Some(_), Some(_)) => return Err("paramRef.name and paramRef.selector are mutually exclusive".to_owned()),
        (Some(name), None) => params.get(name, within).into_iter().collect(),
        (None, Some(selector)) => {
            let selector = Selector::try_from(selector.clone()).map_err(|error| error.to_string())?;
            selected(params, &selector, within)
        }
        (None, None) => return Err("one of name or selector must be provided".to_owned()),
    };
    if found.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found.into_iter().map(Some).collect())
}

fn selected(params: &Params, selector: &Selector, within: Option<&str>) -> Vec<Value> {
    let none = BTreeMap::new();
    let mut found: Vec<Arc<DynamicObject>> = params.store.state();
    found.retain(|object| {
        let here = within.is_none() || object.metadata.namespace.as_deref() == within;
        here && selector.matches(object.metadata.labels.as_ref().unwrap_or(&none))
    });
    found.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    found.iter().map(|object| params.json(object)).collect()
}

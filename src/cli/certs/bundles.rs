//! Who has to be told which authorities to trust: what calls us, and etcd, which reads them when it starts.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::names::{ETCD, Installation};
use super::secrets::ATTEMPTS;
use crate::cluster::webhook::told;

/// Who wrote the fields, in `managedFields`.
const MANAGER: &str = "bulward-certs";
/// Which authorities the members of etcd were started with.
const AUTHORITIES: &str = "bulward.io/authorities";

/// Has kube-apiserver believe these authorities when it forwards the requests of an APIService to us.
pub(super) async fn api_service(
    client: &Client,
    installation: &Installation<'_>,
    name: &str,
    ca: &str,
) -> Result<(), String> {
    let decide = |found: &APIService| {
        let spec = found.spec.as_ref();
        let service = spec.and_then(|spec| spec.service.as_ref());
        let leads_to_us = service.is_some_and(|service| {
            installation.is(
                service.namespace.as_deref().unwrap_or_default(),
                service.name.as_deref().unwrap_or_default(),
            )
        });
        if !leads_to_us {
            return Err(left_alone(installation));
        }
        if spec.is_some_and(|spec| is(spec.ca_bundle.as_ref(), ca)) {
            return Ok(None);
        }
        Ok(Some(json!({"spec": {"caBundle": bytes(ca)}})))
    };
    change(&Api::all(client.clone()), "apiservice", name, decide).await
}

/// As [`api_service`], for the webhooks of a configuration that lead to us.
pub(super) async fn validating(
    client: &Client,
    installation: &Installation<'_>,
    name: &str,
    ca: &str,
) -> Result<(), String> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let decide = |found: &ValidatingWebhookConfiguration| {
        let mut webhooks = found.webhooks.clone().unwrap_or_default();
        let configs = webhooks.iter_mut().map(|webhook| &mut webhook.client_config);
        let changed = trusting(installation, configs.collect(), ca)?;
        Ok(changed.then(|| json!({"webhooks": webhooks})))
    };
    change(&api, "validatingwebhookconfiguration", name, decide).await
}

/// As [`validating`].
pub(super) async fn mutating(
    client: &Client,
    installation: &Installation<'_>,
    name: &str,
    ca: &str,
) -> Result<(), String> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let decide = |found: &MutatingWebhookConfiguration| {
        let mut webhooks = found.webhooks.clone().unwrap_or_default();
        let configs = webhooks.iter_mut().map(|webhook| &mut webhook.client_config);
        let changed = trusting(installation, configs.collect(), ca)?;
        Ok(changed.then(|| json!({"webhooks": webhooks})))
    };
    change(&api, "mutatingwebhookconfiguration", name, decide).await
}

/// Whether anything had to be changed in those that lead to us; an error when none does.
fn trusting(installation: &Installation<'_>, configs: Vec<&mut WebhookClientConfig>, ca: &str) -> Result<bool, String> {
    let ours = |config: &&mut WebhookClientConfig| {
        let service = config.service.as_ref();
        service.is_some_and(|service| installation.is(&service.namespace, &service.name))
    };
    let ours: Vec<_> = configs.into_iter().filter(ours).collect();
    if ours.is_empty() {
        return Err(left_alone(installation));
    }
    let mut changed = false;
    for config in ours {
        if !is(config.ca_bundle.as_ref(), ca) {
            config.ca_bundle = Some(bytes(ca));
            changed = true;
        }
    }
    Ok(changed)
}

/// Has our etcd start again, one member after the other, when others are to be trusted than at its last start; certificates it
/// reads by itself. Answers what is to be waited for. `first` says that there has never been another authority.
pub(super) async fn etcd(
    client: &Client,
    namespace: &str,
    fingerprint: &str,
    first: bool,
) -> Result<Option<String>, String> {
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let failed = |error: &kube::Error| format!("statefulset {namespace}/{ETCD}: {}", told(error));
    let Some(found) = api.get_opt(ETCD).await.map_err(|error| failed(&error))? else {
        return Ok(None);
    };
    let template = found.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    let started = annotations.and_then(|annotations| annotations.get(AUTHORITIES));
    if started.is_none() && first {
        return Ok(None);
    }
    let wait = |why: String| Ok(Some(format!("statefulset {namespace}/{ETCD}: {why}")));
    if started.is_none_or(|started| started != fingerprint) {
        let annotations = json!({"metadata": {"annotations": {AUTHORITIES: fingerprint}}});
        let patch = json!({"spec": {"template": annotations}});
        let patched = api.patch(ETCD, &params(), &Patch::Merge(patch)).await;
        patched.map_err(|error| failed(&error))?;
        tracing::info!(statefulset = ETCD, "its members start again, to trust the authorities");
        return wait("its members start again".to_owned());
    }
    let status = found.status.clone().unwrap_or_default();
    let wanted = found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = status.ready_replicas.unwrap_or(0);
    let seen = status.observed_generation >= found.metadata.generation;
    if !seen || status.current_revision != status.update_revision || ready < wanted {
        return wait(format!("{ready} of {wanted} members are ready with the authorities"));
    }
    Ok(None)
}

/// Patches an object as `decide` says, if it is still what was looked at.
async fn change<K>(
    api: &Api<K>,
    kind: &str,
    name: &str,
    decide: impl Fn(&K) -> Result<Option<Value>, String>,
) -> Result<(), String>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let named = |why: String| format!("{kind} {name}: {why}");
    for _ in 0..ATTEMPTS {
        let found = api.get(name).await.map_err(|error| named(told(&error)))?;
        let Some(mut patch) = decide(&found).map_err(named)? else {
            return Ok(());
        };
        patch["metadata"] = json!({"resourceVersion": found.meta().resource_version});
        match api.patch(name, &params(), &Patch::Merge(patch)).await {
            Ok(_) => {
                tracing::info!(kind, name, "authorities told");
                return Ok(());
            }
            // Another replica was faster, or kube-apiserver wrote the status.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(named(told(&error))),
        }
    }
    Err(named(format!("changed {ATTEMPTS} times meanwhile")))
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn is(bundle: Option<&ByteString>, ca: &str) -> bool {
    bundle.is_some_and(|bundle| bundle.0 == ca.as_bytes())
}

fn bytes(ca: &str) -> ByteString {
    ByteString(ca.as_bytes().to_vec())
}

fn left_alone(installation: &Installation<'_>) -> String {
    format!(
        "does not lead to service {} in {}: left alone",
        installation.service, installation.namespace
    )
}

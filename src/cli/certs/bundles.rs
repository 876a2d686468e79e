//! Who has to be told which authorities to trust: what calls us, and etcd, which reads them when it starts.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::names::{ETCD, ETCD_MEMBERS, Installation};
use super::secrets::ATTEMPTS;
use crate::cluster::webhook::told;

/// Who wrote the fields, in `managedFields`.
const MANAGER: &str = "bulward-certs";
/// Which authorities the members of etcd read at their last start: on the StatefulSet, and on its template, which has them start again.
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

/// Has our etcd start again when others are to be trusted than its members read at their last start; certificates it reads by itself.
/// Answers what is to be waited for. `first` says that there has never been another authority.
pub(super) async fn etcd(
    client: &Client,
    namespace: &str,
    fingerprints: &[String],
    first: bool,
) -> Result<Option<String>, String> {
    let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let failed = |error: &kube::Error| format!("statefulset {namespace}/{ETCD}: {}", told(error));
    let Some(found) = api.get_opt(ETCD).await.map_err(|error| failed(&error))? else {
        return Ok(None);
    };
    let wait = |why: String| Ok(Some(format!("statefulset {namespace}/{ETCD}: {why}")));
    let annotations = found.metadata.annotations.as_ref();
    let read = annotations.and_then(|annotations| annotations.get(AUTHORITIES));
    let wanted = fingerprints.join(",");
    if read != Some(&wanted) {
        let annotations = json!({"annotations": {AUTHORITIES: wanted}});
        let mut patch = json!({"metadata": annotations});
        // Members that find no other authority than the first in their Secret have read it.
        let starts = read.is_some() || !first;
        if starts {
            patch["spec"] = json!({"template": {"metadata": annotations}});
        }
        let strangers =
            read.is_some_and(|read| !read.split(',').any(|one| fingerprints.iter().any(|other| one == other)));
        if strangers {
            start_at_once(client, namespace).await?;
        }
        let patched = api.patch(ETCD, &params(), &Patch::Merge(patch)).await;
        patched.map_err(|error| failed(&error))?;
        if !starts {
            return Ok(None);
        }
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

/// Members that trust nobody in common do not talk to each other: the first that started again would wait for the others for ever. This
/// is done before it is written down that they did: who dies in between is continued.
async fn start_at_once(client: &Client, namespace: &str) -> Result<(), String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    tracing::warn!(
        statefulset = ETCD,
        "none of the authorities that its members know is left: they start again all at once, requests fail meanwhile"
    );
    for member in 0..ETCD_MEMBERS {
        let name = format!("{ETCD}-{member}");
        match pods.delete(&name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(format!("pod {namespace}/{name}: {}", told(&error))),
        }
    }
    Ok(())
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

//! Trust from the ConfigMap in which kube-apiserver publishes its own: read at start, then followed.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};

use super::{CaPool, HeaderNames, RequestHeader, Source, TrustBundle, TrustError};
use crate::cluster::webhook::{self, Backoff};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const ORIGIN: &str = "configmap kube-system/extension-apiserver-authentication";

/// Why the ConfigMap gave no trust at start; one line each.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The cluster denies access.
    #[error(
        "cannot read {ORIGIN}: {0}; bind the role extension-apiserver-authentication-reader in kube-system to this \
         server's identity"
    )]
    Forbidden(String),
    /// The cluster could not be asked.
    #[error("cannot read {ORIGIN}: {0}")]
    Request(String),
    /// The ConfigMap holds nonsense.
    #[error(transparent)]
    Content(#[from] TrustError),
}

/// Reads the data (k8s.io/apiserver pkg/server/options/authentication_dynamic_request_header.go).
pub(super) fn parse(data: &BTreeMap<String, String>, before: &Source) -> Result<Source, TrustError> {
    let pool = |key: &str, before: CaPool| match data.get(key) {
        Some(pem) if !pem.is_empty() => CaPool::from_pem(&format!("{ORIGIN} {key}"), pem.as_bytes()),
        _ => Ok(before),
    };
    let client_ca = pool("client-ca-file", before.client_ca.clone())?;
    let ca_before = before
        .request_header
        .as_ref()
        .map(|proxy| proxy.ca.clone())
        .unwrap_or_default();
    let ca = pool("requestheader-client-ca-file", ca_before)?;
    let request_header = RequestHeader {
        allowed_names: strings(data, "requestheader-allowed-names")?,
        headers: HeaderNames::parse(
            ORIGIN,
            &strings(data, "requestheader-username-headers")?,
            &strings(data, "requestheader-uid-headers")?,
            &strings(data, "requestheader-group-headers")?,
            &strings(data, "requestheader-extra-headers-prefix")?,
        )?,
        ca,
    };
    Ok(Source {
        client_ca,
        request_header: (!request_header.ca.is_empty()).then_some(request_header),
    })
}

/// A JSON array of strings; nothing is an empty one.
fn strings(data: &BTreeMap<String, String>, key: &str) -> Result<Vec<String>, TrustError> {
    match data.get(key) {
        Some(text) if !text.is_empty() => serde_json::from_str(text).map_err(|error| TrustError::Names {
            origin: format!("{ORIGIN} {key}"),
            reason: format!("not a JSON array of strings: {error}"),
        }),
        _ => Ok(Vec::new()),
    }
}

impl TrustBundle {
    /// Reads the ConfigMap once, retrying for some seconds when the cluster cannot be reached. A map that does not exist
    /// is no error: it is warned about, and [`TrustBundle::follow_config_map`] takes it up once it appears.
    pub async fn look_up_config_map(&self, client: &Client) -> Result<(), LookupError> {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let fetched = webhook::retry(&Backoff::default(), || async {
            api.get_opt(NAME).await.map_err(webhook::CallError::from)
        })
        .await;
        match fetched {
            Ok(Some(map)) => {
                self.apply_config_map(&map.data.unwrap_or_default())?;
                Ok(())
            }
            Ok(None) => {
                tracing::warn!("{ORIGIN} does not exist: neither front proxy nor cluster certificates are trusted yet");
                Ok(())
            }
            Err(error) if error.code() == Some(403) => Err(LookupError::Forbidden(error.to_string())),
            Err(error) => Err(LookupError::Request(error.to_string())),
        }
    }

    /// Follows the ConfigMap, for ever. Content that is bad, a map that is deleted and a cluster that is away leave in
    /// force what was read before.
    pub async fn follow_config_map(self: Arc<Self>, client: Client) {
        let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        // One name, since RBAC usually allows no more than that.
        let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = std::pin::pin!(watcher::watcher(api, only).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(map) | Event::InitApply(map)) => {
                    match self.apply_config_map(&map.data.unwrap_or_default()) {
                        Ok(true) => tracing::info!("certificate authorities and front proxy taken from {ORIGIN}"),
                        Ok(false) => {}
                        Err(error) => tracing::error!(%error, "keeping the authorities known before"),
                    }
                }
                Ok(Event::Delete(_)) => tracing::warn!("{ORIGIN} was deleted, keeping what it said"),
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => tracing::warn!(%error, "{ORIGIN} cannot be followed at the moment, trying again"),
            }
        }
    }
}

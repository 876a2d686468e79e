//! `bulward certs bootstrap`: what an installation needs before it can serve: an authority, the certificates that it signs, and
//! APIServices that trust it. It may run at any time, any number of times, and beside itself.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::names::{AUTHORITY, Installation};
use super::secrets::{ATTEMPTS, Kept, Secrets};
use crate::cli::{Failure, signals};
use crate::cluster::{self, webhook::told};
use crate::config::parse_duration;
use crate::groups;
use crate::http::shutdown::Shutdown;
use crate::rest::resource::Registry;

/// Who wrote the fields, in `managedFields`.
const MANAGER: &str = "bulward-certs";
/// The pause after a failure; each further one is twice as long, up to the interval.
const AGAIN: Duration = Duration::from_secs(1);

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig of the cluster; without it, the cluster of our own pod
    #[arg(long, value_name = "FILE", env = "BULWARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = "bulward-system")]
    namespace: String,
    /// Service of the API server
    #[arg(long, value_name = "NAME", default_value = "bulward-apiserver")]
    service: String,
    /// etcd is not ours: make no certificates for it
    #[arg(long)]
    external_etcd: bool,
    /// Go on: look again and again, and make anew what ends within thirty days
    #[arg(long)]
    keep: bool,
    /// With --keep: how often to look
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    interval: Duration,
}

/// Makes what is missing; with `--keep`, until a signal comes.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let client = cluster::client("--kubeconfig", arguments.kubeconfig.as_deref())
        .await
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    let installation = Installation {
        namespace: &arguments.namespace,
        service: &arguments.service,
        own_etcd: !arguments.external_etcd,
    };
    let registry = groups::registry(&groups::Options::default());
    if !arguments.keep {
        return bootstrap(&client, &installation, &registry)
            .await
            .map_err(Failure::Runtime);
    }
    let shutdown = Shutdown::new();
    signals::follow(shutdown.clone(), Duration::ZERO)?;
    let mut again = AGAIN;
    loop {
        let round = bootstrap(&client, &installation, &registry);
        let result = tokio::select! {
            result = round => result,
            () = shutdown.draining().cancelled() => return Ok(()),
        };
        let pause = match result {
            Ok(()) => {
                again = AGAIN;
                arguments.interval
            }
            Err(why) => {
                tracing::warn!(%why, "certificates are not complete, trying again");
                let pause = again.min(arguments.interval);
                again = again.saturating_mul(2);
                pause
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.draining().cancelled() => return Ok(()),
        }
    }
}

/// One round. What stands later is tried although something before it failed: etcd can start while there is no APIService.
async fn bootstrap(client: &Client, installation: &Installation<'_>, registry: &Registry) -> Result<(), String> {
    let secrets = Secrets::new(client.clone(), installation.namespace);
    let authority = secrets.authority(AUTHORITY).await?;
    let (mut failures, mut trusted) = (Vec::new(), None);
    for (name, leaf) in installation.leaves() {
        match secrets.leaf(&name, &leaf, &authority).await {
            Ok((kept, ca)) => {
                if kept == Kept::Made {
                    tracing::info!(secret = name, "certificate made");
                }
                if name == installation.serving() {
                    trusted = ca;
                }
            }
            Err(why) => failures.push(why),
        }
    }
    if let Some(ca) = trusted {
        for group in &registry.groups {
            for version in group.versions() {
                let name = format!("{version}.{}", group.name);
                if let Err(why) = trust(client, installation, &name, &ca).await {
                    failures.push(format!("apiservice {name}: {why}"));
                }
            }
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("; ")),
    }
}

/// Has kube-apiserver believe the authority of the serving certificate when it calls us.
async fn trust(client: &Client, installation: &Installation<'_>, name: &str, ca: &str) -> Result<(), String> {
    let api: Api<APIService> = Api::all(client.clone());
    for _ in 0..ATTEMPTS {
        let found = api.get(name).await.map_err(|error| told(&error))?;
        let service = found.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let leads_to_us = service.is_some_and(|service| {
            service.name.as_deref() == Some(installation.service)
                && service.namespace.as_deref() == Some(installation.namespace)
        });
        if !leads_to_us {
            return Err(format!(
                "does not lead to service {} in {}: left alone",
                installation.service, installation.namespace
            ));
        }
        let now = found.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref());
        if now.is_some_and(|bundle| bundle.0 == ca.as_bytes()) {
            return Ok(());
        }
        let patch = json!({
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "spec": {"caBundle": ByteString(ca.as_bytes().to_vec())},
        });
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(name, &params, &Patch::Merge(patch)).await {
            Ok(_) => {
                tracing::info!(apiservice = name, "authority told");
                return Ok(());
            }
            // Another replica was faster, or kube-apiserver wrote the status.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(told(&error)),
        }
    }
    Err(format!("changed {ATTEMPTS} times meanwhile"))
}

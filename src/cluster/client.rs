//! Clients of the cluster that we ask: from a kubeconfig, or from where we run.

use std::path::{Path, PathBuf};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::webhook::chain;

/// Why there is no client; one line each.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig is missing, unreadable or makes no sense.
    #[error("{flag} {}: {reason}", path.display())]
    Kubeconfig {
        /// The flag that names the file.
        flag: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No kubeconfig was named, and we do not run in a pod.
    #[error("{flag} is not set and this is no pod of a cluster: {reason}")]
    InCluster {
        /// The flag that could name a file.
        flag: String,
        /// What is missing.
        reason: String,
    },
}

/// Makes a client from the kubeconfig at `path` or, when there is none, from the pod's service account. Nothing is asked
/// of the cluster yet. `flag` (for example `--authentication-kubeconfig`) opens the errors. Requests are neither limited
/// in rate nor retried: whoever makes them knows better how often.
pub async fn client(flag: &str, path: Option<&Path>) -> Result<Client, ClusterError> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        return in_cluster(flag);
    };
    let bad = |reason: String| ClusterError::Kubeconfig {
        flag: flag.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let read = path.to_owned();
    let mut kubeconfig = tokio::task::spawn_blocking(move || Kubeconfig::read_from(read))
        .await
        .map_err(|error| bad(error.to_string()))?
        .map_err(|error| bad(chain(&error)))?;
    for named in &mut kubeconfig.clusters {
        let Some(cluster) = &mut named.cluster else { continue };
        if cluster.proxy_url.as_ref().is_some_and(|proxy| !proxy.is_empty()) {
            return Err(bad(format!("cluster {:?}: proxy-url is not supported", named.name)));
        }
        // Left empty, kube would look for a proxy in the environment; this one is taken out again below.
        cluster.proxy_url = Some("http://none.invalid".to_owned());
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| bad(chain(&error)))?;
    config.proxy_url = None;
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err(bad(
            "the cluster's certificate-authority holds no PEM certificate".to_owned()
        ));
    }
    build(config).map_err(|error| bad(chain(&error)))
}

fn in_cluster(flag: &str) -> Result<Client, ClusterError> {
    let bad = |error: &dyn std::error::Error| ClusterError::InCluster {
        flag: flag.to_owned(),
        reason: chain(error),
    };
    let config = Config::incluster().map_err(|error| bad(&error))?;
    build(config).map_err(|error| bad(&error))
}

fn build(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    Client::try_from(config)
}

#[cfg(test)]
mod tests;

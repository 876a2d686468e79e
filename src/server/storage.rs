//! Opens the store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::config;
use crate::storage::{self, Storage, embedded, etcd};

/// The first and the longest pause while etcd is away.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Opens the storage. An etcd that is away is waited for; one that refuses is an error.
pub(super) async fn open(config: &config::Storage) -> Result<Arc<dyn Storage>, Error> {
    match config {
        config::Storage::Embedded { folder } => {
            let opened = embedded::Embedded::open(folder, embedded::Options::default()).await;
            let embedded = opened.map_err(|error| Error::Storage(error.to_string()))?;
            Ok(Arc::new(embedded))
        }
        config::Storage::Etcd(etcd) => Ok(Arc::new(connect(etcd).await?)),
    }
}

async fn connect(config: &config::Etcd) -> Result<etcd::Etcd, Error> {
    let (cert_file, key_file) = config.client.clone().unzip();
    let (user, password_file) = config.user.clone().unzip();
    let password = match password_file {
        Some(path) => {
            let text = tokio::fs::read_to_string(&path).await;
            let text =
                text.map_err(|error| Error::Storage(format!("--etcd-password-file {}: {error}", path.display())))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => None,
    };
    let config = etcd::Config {
        endpoints: config.endpoints.clone(),
        prefix: config.prefix.clone(),
        ca_file: config.ca_file.clone(),
        cert_file,
        key_file,
        user,
        password,
    };
    let mut pause = BACKOFF.0;
    loop {
        match etcd::Etcd::connect(config.clone()).await {
            Ok(etcd) => return Ok(etcd),
            Err(storage::Error::Unavailable(why)) => {
                let endpoints = config.endpoints.join(",");
                tracing::warn!(%why, "etcd at {endpoints} cannot be reached, trying again in {pause:?}");
            }
            Err(error) => return Err(Error::Storage(format!("etcd: {error}"))),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

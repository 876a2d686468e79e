//! Opens the store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::config;
use crate::storage::encrypted::{Encrypted, Keys};
use crate::storage::{self, Storage, embedded, etcd};

/// The first and the longest pause while etcd is away.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Opens the storage, and has its values encrypted if so configured. An etcd that is away is waited for; one that refuses is an
/// error.
pub(super) async fn open(
    config: &config::Storage,
    encryption: Option<&config::Encryption>,
) -> Result<Arc<dyn Storage>, Error> {
    let storage = open_plain(config, Patience::Endless).await?;
    let Some(encryption) = encryption else {
        return Ok(storage);
    };
    let keys = Arc::new(keys(encryption)?);
    tracing::info!("new values are encrypted with {}", keys.ring().first());
    tokio::spawn(Keys::follow(
        Arc::downgrade(&keys),
        encryption.file.clone(),
        encryption.refresh,
    ));
    Ok(Arc::new(Encrypted::new(storage, keys)))
}

/// Reads the keys.
pub(crate) fn keys(encryption: &config::Encryption) -> Result<Keys, Error> {
    let keys = Keys::load(&encryption.file);
    keys.map_err(|why| Error::Storage(format!("--encryption-provider-config: {why}")))
}

/// What happens while etcd is away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is waited for.
    Endless,
    /// It is an error.
    None,
}

/// Opens the storage; values come and go as they are stored.
pub(crate) async fn open_plain(config: &config::Storage, patience: Patience) -> Result<Arc<dyn Storage>, Error> {
    match config {
        config::Storage::Embedded { folder } => {
            let opened = embedded::Embedded::open(folder, embedded::Options::default()).await;
            let embedded = opened.map_err(|error| Error::Storage(error.to_string()))?;
            Ok(Arc::new(embedded))
        }
        config::Storage::Etcd(etcd) => Ok(Arc::new(connect(etcd, patience).await?)),
    }
}

async fn connect(config: &config::Etcd, patience: Patience) -> Result<etcd::Etcd, Error> {
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
            Err(storage::Error::Unavailable(why)) if patience == Patience::Endless => {
                let endpoints = config.endpoints.join(",");
                tracing::warn!(%why, "etcd at {endpoints} cannot be reached, trying again in {pause:?}");
            }
            Err(error) => return Err(Error::Storage(format!("etcd: {error}"))),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

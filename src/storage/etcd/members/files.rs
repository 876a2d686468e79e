//! The certificates for etcd: read at the start, and again while we run, since they end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Certificate, Client, Identity, TlsOptions};
use tokio::time::timeout;

use super::{Members, SILENCE, Set};
use crate::storage::Error;
use crate::storage::etcd::Config;

/// How often the files are looked at.
const REFRESH: Duration = Duration::from_secs(5);

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    authorities: Vec<u8>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    pub(super) async fn read(config: &Config) -> Result<Self, Error> {
        let Some(ca_file) = &config.ca_file else {
            return Err(Error::Failed(
                "an https:// endpoint of etcd needs the file of its authority".to_owned(),
            ));
        };
        let authorities = read(ca_file).await?;
        let client = match (&config.cert_file, &config.key_file) {
            (Some(cert_file), Some(key_file)) => Some((read(cert_file).await?, read(key_file).await?)),
            (None, None) => None,
            _ => {
                return Err(Error::Failed(
                    "a client certificate for etcd needs both its file and its key's file".to_owned(),
                ));
            }
        };
        Ok(Self { authorities, client })
    }

    pub(super) fn options(&self) -> TlsOptions {
        let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(&self.authorities));
        match &self.client {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        }
    }
}

impl Members {
    /// Looks at the files again and again, until nobody needs the members any more. Running requests and watches stay on the
    /// connections that they have; others that the members accept are made first, so that nothing fails when the files do not
    /// do (a half-written one, a key of another certificate, an authority that etcd does not know yet).
    pub(in crate::storage::etcd) fn follow_files(self: &Arc<Self>, config: Config) {
        let Some(mut used) = self.started_with.clone() else {
            return;
        };
        let members = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut complained = None;
            loop {
                tokio::time::sleep(REFRESH).await;
                let Some(members) = members.upgrade() else { return };
                let files = match Files::read(&config).await {
                    Ok(files) => files,
                    Err(error) => {
                        complain(&mut complained, error.to_string());
                        continue;
                    }
                };
                if used == files {
                    continue;
                }
                let set = Set::new(&members.endpoints, members.plain.clone().with_tls(files.options()));
                match set.connects().await {
                    Ok(()) => {
                        members.current.store(Arc::new(set));
                        used = files;
                        tracing::info!("certificates for etcd replaced");
                        complained = None;
                    }
                    Err(why) => complain(&mut complained, why),
                }
            }
        });
    }
}

impl Set {
    /// Whether a member believes us and we believe it.
    async fn connects(&self) -> Result<(), String> {
        let mut why = String::new();
        for member in &self.members {
            let mut request = |client: Client| async move { client.maintenance_client().status().await };
            match timeout(SILENCE, member.request(&self.options, &mut request)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(failure)) => why = failure.error.to_string(),
                Err(_) => why = format!("no answer from {}", member.endpoint),
            }
        }
        Err(why)
    }
}

/// Says the same once.
fn complain(before: &mut Option<String>, why: String) {
    if before.as_ref() != Some(&why) {
        tracing::warn!(%why, "certificates for etcd not replaced, the old ones stay in use");
        *before = Some(why);
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Failed(format!("cannot read {} for etcd: {error}", path.display()));
    tokio::fs::read(path).await.map_err(failed)
}

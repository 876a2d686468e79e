//! The serving certificate, exchanged while connections last.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Error, provider};
use crate::certs::{self, Summary, Usage};

/// A certificate with its key, from a pair of files that may change: mounted Secrets do, without notice.
#[derive(Debug)]
pub struct ServingCertificate {
    certificate_path: PathBuf,
    key_path: PathBuf,
    /// What the certificate must stand for.
    names: Vec<String>,
    current: ArcSwap<Current>,
    /// Contents that could not be used when they were last looked at, so that they are complained about once.
    refused: Mutex<Option<[u8; 32]>>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    summary: Summary,
    /// The files' contents.
    hash: [u8; 32],
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl ServingCertificate {
    /// Reads a pair of PEM files, the certificate followed by its intermediates.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, the two do not belong together, or clients would refuse the certificate.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Arc<Self>, Error> {
        Self::load_for(certificate, key, Vec::new())
    }

    /// As [`ServingCertificate::load`], of a certificate that must stand for all of `names`.
    ///
    /// # Errors
    /// As well when it does not.
    pub fn load_for(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        names: Vec<String>,
    ) -> Result<Arc<Self>, Error> {
        let (certificate_path, key_path) = (certificate.into(), key.into());
        let contents = Contents::read(&certificate_path, &key_path)?;
        let current = contents.parse(&certificate_path, &key_path, &names)?;
        Ok(Arc::new(Self {
            certificate_path,
            key_path,
            names,
            current: ArcSwap::from_pointee(current),
            refused: Mutex::default(),
        }))
    }

    /// Looks at the files again. Answers whether a new pair is in use from now on.
    ///
    /// # Errors
    /// When the files have changed into something that cannot be used (perhaps just one of them has changed so far);
    /// the old pair stays in use. The same bad contents are reported once, and tried again: a certificate may be there before
    /// it is valid.
    pub fn reload(&self) -> Result<bool, Error> {
        let contents = Contents::read(&self.certificate_path, &self.key_path)?;
        let hash = contents.hash();
        let mut refused = self.refused.lock();
        if hash == self.current.load().hash {
            *refused = None;
            return Ok(false);
        }
        match contents.parse(&self.certificate_path, &self.key_path, &self.names) {
            Ok(fresh) => {
                *refused = None;
                self.current.store(Arc::new(fresh));
                Ok(true)
            }
            Err(_) if refused.replace(hash) == Some(hash) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reloads every `interval` until `shutdown`.
    pub async fn follow(self: Arc<Self>, interval: Duration, shutdown: CancellationToken) {
        let mut unreadable = false;
        while shutdown
            .run_until_cancelled(tokio::time::sleep(interval))
            .await
            .is_some()
        {
            let this = Arc::clone(&self);
            let path = self.certificate_path.display();
            match tokio::task::spawn_blocking(move || this.reload()).await {
                Ok(Ok(true)) => {
                    let until = self.not_after();
                    tracing::info!(%path, until, "serving certificate replaced");
                    unreadable = false;
                }
                Ok(Ok(false)) => unreadable = false,
                // Files that are not there have no contents by which to tell that it was said already.
                Ok(Err(Error::Read { .. })) if std::mem::replace(&mut unreadable, true) => {}
                Ok(Err(error)) => tracing::warn!(%error, "serving certificate not replaced, the old one stays in use"),
                Err(error) => tracing::error!(%error, "serving certificate not looked at"),
            }
        }
    }

    /// The chain in use, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.current.load().key.cert.clone()
    }

    /// Until when the certificate in use is valid, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.current.load().summary.not_after
    }

    /// Calls `each` with the names for which the certificate in use stands.
    pub(super) fn with_names<T>(&self, each: impl FnOnce(&[String]) -> T) -> T {
        each(&self.current.load().summary.names)
    }

    /// The pair in use.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.current.load().key.clone()
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }
}

// === impl Contents ===

impl Contents {
    fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| Error::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.certificate.len().to_le_bytes());
        hasher.update(&self.certificate);
        hasher.update(&self.key);
        hasher.finalize().into()
    }

    fn parse(&self, certificate_path: &Path, key_path: &Path, names: &[String]) -> Result<Current, Error> {
        let (certificate, key) = (certificate_path.display().to_string(), key_path.display().to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::NoCertificate {
                file: certificate.clone(),
                why: error.to_string(),
            })?;
        let Some(leaf) = chain.first() else {
            let why = String::new();
            return Err(Error::NoCertificate { file: certificate, why });
        };
        let summary = certs::examine(leaf, Usage::Server, names, SystemTime::now());
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| Error::NoKey {
            file: key.clone(),
            why: match error {
                rustls_pki_types::pem::Error::NoItemsFound => String::new(),
                other => other.to_string(),
            },
        })?;
        // Of a weak key rustls says less.
        let summary = summary.map_err(|why| Error::Refused {
            file: certificate.clone(),
            why,
        })?;
        let pair = CertifiedKey::from_der(chain, private, &provider());
        Ok(Current {
            key: Arc::new(pair.map_err(|why| Error::Pair { certificate, key, why })?),
            summary,
            hash: self.hash(),
        })
    }
}

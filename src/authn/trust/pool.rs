//! A set of certificate authorities that client certificates are verified against.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TrustError;
use super::verified::{Verified, Window};
use crate::authn::Rejection;
use crate::certs::{self, Usage};

/// Certificate authorities; cheap to clone.
#[derive(Clone, Default)]
pub struct CaPool {
    authorities: Vec<Arc<Authority>>,
    /// Of exactly these authorities: whoever changes them starts a new one.
    verified: Arc<Verified>,
}

/// One verifier for each authority, since the verifier itself has no regard for an authority's own expiry, which Go's
/// does have.
struct Authority {
    der: CertificateDer<'static>,
    window: Window,
    verifier: Arc<dyn ClientCertVerifier>,
}

// === impl CaPool ===

impl CaPool {
    /// Reads PEM blocks, of which those that are not certificates are skipped. No certificate, or one that cannot be
    /// read, is an error (as k8s.io/client-go util/cert ParseCertsPEM has it); `origin` opens its message.
    pub fn from_pem(origin: &str, pem: &[u8]) -> Result<Self, TrustError> {
        let bad = |reason: String| TrustError::Certificates {
            origin: origin.to_owned(),
            reason,
        };
        let mut pool = Self::default();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let der = certificate.map_err(|error| bad(format!("bad PEM: {error}")))?;
            let authority = Authority::new(der).map_err(bad)?;
            pool.push(Arc::new(authority));
        }
        if pool.is_empty() {
            return Err(bad("holds no PEM certificate".to_owned()));
        }
        Ok(pool)
    }

    /// Whether there is no authority, so that no certificate can be valid.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// All authorities of both.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for authority in &other.authorities {
            all.push(authority.clone());
        }
        all
    }

    /// Whether both hold the same authorities in the same order.
    pub fn same(&self, other: &Self) -> bool {
        let ders = |pool: &Self| pool.authorities.iter().map(|one| one.der.clone()).collect::<Vec<_>>();
        ders(self) == ders(other)
    }

    /// Verifies that `chain` (leaf first) leads to one of the authorities, that nothing in it is expired at `now`, and
    /// that the leaf may be used by clients. A chain that was verified before costs a look into a table, and is refused
    /// as soon as anything in it has expired.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(Rejection::Certificate("none presented".to_owned()));
        };
        let key = Verified::key(chain);
        if self.verified.holds(&key, now) {
            return Ok(());
        }
        // Says better than the verifier what is wrong and what to do; it also knows more reasons.
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        certs::examine(leaf, Usage::Client, &[], time)
            .map_err(|fault| Rejection::Certificate(format!("{}: {fault}", certs::whose(leaf))))?;
        let mut failure = None;
        for authority in &self.authorities {
            if !authority.window.contains(now) {
                continue;
            }
            match authority.verifier.verify_client_cert(leaf, intermediates, now) {
                Ok(_) => {
                    if let Some(window) = window(chain) {
                        self.verified.remember(key, window.and(authority.window));
                    }
                    return Ok(());
                }
                // An authority that did issue the certificate has the more telling objection.
                Err(error) if failure.is_none() || !is_unknown_issuer(&error) => failure = Some(error),
                Err(_) => {}
            }
        }
        let reason = failure.map_or_else(
            || "no authority to verify it with".to_owned(),
            |error| error.to_string(),
        );
        Err(Rejection::Certificate(format!("{}: {reason}", certs::whose(leaf))))
    }

    fn push(&mut self, authority: Arc<Authority>) {
        if !self.authorities.iter().any(|own| own.der == authority.der) {
            self.authorities.push(authority);
            self.verified = Arc::default();
        }
    }
}

impl fmt::Debug for CaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaPool({})", self.authorities.len())
    }
}

fn is_unknown_issuer(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)
    )
}

// === impl Authority ===

impl Authority {
    fn new(der: CertificateDer<'static>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| format!("bad certificate: {error}"))?;
        let window = window_of(&parsed);
        let mut roots = RootCertStore::empty();
        roots
            .add(der.clone())
            .map_err(|error| format!("bad certificate: {error}"))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| format!("bad certificate: {error}"))?;
        Ok(Self { der, window, verifier })
    }
}

/// When the whole chain is valid; `None` for one that cannot be read, which is verified anew each time.
fn window(chain: &[CertificateDer<'_>]) -> Option<Window> {
    let windows = chain.iter().map(|certificate| {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(window_of(&parsed))
    });
    windows.reduce(|one, other| Some(one?.and(other?))).flatten()
}

fn window_of(certificate: &X509Certificate<'_>) -> Window {
    let validity = certificate.validity();
    Window {
        not_before: at(validity.not_before.timestamp()),
        not_after: at(validity.not_after.timestamp()),
    }
}

/// Seconds since 1970; times before that count as 1970.
fn at(timestamp: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(timestamp).unwrap_or(0)))
}

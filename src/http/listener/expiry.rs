//! How long a client's certificate is still valid.

use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The end of a certificate's validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(i64);

impl Expiry {
    /// Reads it off; nothing for what is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self(parsed.validity().not_after.timestamp()))
    }

    /// Seconds from now on, negative when it has passed.
    pub fn remaining(self) -> f64 {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let seconds = i32::try_from(self.0.saturating_sub(now)).unwrap_or(i32::MAX);
        f64::from(seconds)
    }
}

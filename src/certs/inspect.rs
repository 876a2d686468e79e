//! What a certificate says, and whether an authority stands behind it.

use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, anchor_from_trusted_cert};

use super::Usage;

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// CN, empty without one.
    pub common_name: String,
    /// Every O.
    pub organizations: Vec<String>,
    /// The whole subject as encoded.
    pub subject: Vec<u8>,
    /// The whole issuer as encoded.
    pub issuer: Vec<u8>,
    /// SubjectPublicKeyInfo as encoded.
    pub public_key: Vec<u8>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
}

impl Facts {
    /// Reads the first certificate in a PEM text.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let der = first(pem)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|error| error.to_string())?;
        let common_name = certificate
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok());
        let organizations = certificate.subject().iter_organization();
        let organizations = organizations
            .filter_map(|name| name.as_str().ok().map(str::to_owned))
            .collect();
        let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = certificate.validity();
        Ok(Self {
            common_name: common_name.unwrap_or_default().to_owned(),
            organizations,
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            public_key: certificate.public_key().raw.to_vec(),
            is_authority: certificate.is_ca(),
            not_before: at(validity.not_before.timestamp()),
            not_after: at(validity.not_after.timestamp()),
        })
    }
}

/// Whether `certificate` is good for `usage` and all of `names` at `time` according to `authority`; else why not.
///
/// # Errors
/// With the reason, for the log.
pub fn covers(
    certificate: &str,
    authority: &str,
    usage: Usage,
    names: &[String],
    time: SystemTime,
) -> Result<(), String> {
    let (leaf, authority) = (first(certificate)?, first(authority)?);
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| error.to_string())?;
    let anchor = anchor_from_trusted_cert(&authority).map_err(|error| error.to_string())?;
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|error| error.to_string())?;
    let usages = match usage {
        Usage::Server => vec![webpki::KeyUsage::server_auth()],
        Usage::Client => vec![webpki::KeyUsage::client_auth()],
        Usage::Peer => vec![webpki::KeyUsage::server_auth(), webpki::KeyUsage::client_auth()],
    };
    let now = UnixTime::since_unix_epoch(since_epoch);
    let anchors = [anchor];
    for usage in usages {
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], now, usage, None, None)
            .map_err(|error| error.to_string())?;
    }
    for name in names {
        let server = ServerName::try_from(name.as_str()).map_err(|error| format!("{name}: {error}"))?;
        leaf.verify_is_valid_for_subject_name(&server)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn first(pem: &str) -> Result<CertificateDer<'static>, String> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => "no PEM certificate in it".to_owned(),
        other => other.to_string(),
    })
}

/// The certificates of a PEM text, each by itself.
pub fn blocks(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let whole = pem.split_inclusive(END).filter(|block| block.ends_with(END));
    whole.map(|block| format!("{}\n", block.trim())).collect()
}

//! What is said about TLS beside the one serving certificate.

use std::path::PathBuf;

use crate::http::tls::Options;

/// Versions, cipher suites, further certificates, and what a certificate from files must stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Versions and cipher suites.
    pub options: Options,
    /// Certificates for those who ask for certain names.
    pub named: Vec<NamedPair>,
    /// DNS names and IP addresses that a serving certificate from files must have.
    pub names: Vec<String>,
}

/// One entry of `--tls-sni-cert-key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPair {
    /// The certificate and its intermediates, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
    /// For whom: DNS names, `*.` for one label; those in the certificate when empty.
    pub names: Vec<String>,
}

impl NamedPair {
    /// Reads `certificate,key` or `certificate,key:name,name`.
    ///
    /// # Errors
    /// With the right form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not of the form <certificate>,<key> or <certificate>,<key>:<name>,<name>");
        let (files, names) = text.split_once(':').unwrap_or((text, ""));
        let (certificate, key) = files.split_once(',').ok_or_else(wrong)?;
        let (certificate, key) = (certificate.trim(), key.trim());
        if certificate.is_empty() || key.is_empty() || key.contains(',') {
            return Err(wrong());
        }
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(Self {
            certificate: certificate.into(),
            key: key.into(),
            names: names.map(str::to_owned).collect(),
        })
    }
}

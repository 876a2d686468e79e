//! Several serving certificates: which one a client gets depends on the name that it asks for (`--tls-sni-cert-key`).

use std::sync::Arc;

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::ServingCertificate;
use crate::certs::name_covers;

/// A certificate for everybody, and others for those who ask for certain names.
#[derive(Debug)]
pub struct NamedCertificates {
    everybody: Arc<ServingCertificate>,
    named: Vec<(Vec<String>, Arc<ServingCertificate>)>,
}

impl NamedCertificates {
    /// `named` are looked at in their order; one without names of its own goes by those in its certificate, as it is at the
    /// time (k8s.io/apiserver pkg/server/options/serving.go).
    pub fn new(everybody: Arc<ServingCertificate>, named: Vec<(Vec<String>, Arc<ServingCertificate>)>) -> Self {
        Self { everybody, named }
    }

    /// The pair for who asks for `name`.
    fn pair(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let fits = |(names, certificate): &&(Vec<String>, Arc<ServingCertificate>)| {
            name.is_some_and(|name| match names.is_empty() {
                true => certificate.is_for(name),
                false => names.iter().any(|own| name_covers(own, name)),
            })
        };
        let found = self.named.iter().find(fits).map(|(_, certificate)| certificate);
        found.unwrap_or(&self.everybody).certified()
    }
}

impl ResolvesServerCert for NamedCertificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair(client.server_name()))
    }
}

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
    /// One without names of its own goes by those in its certificate, as it is at the time
    /// (k8s.io/apiserver pkg/server/dynamiccertificates/named_certificates.go). Addresses select nothing: rustls does not say at which
    /// one a connection arrived.
    pub fn new(everybody: Arc<ServingCertificate>, named: Vec<(Vec<String>, Arc<ServingCertificate>)>) -> Self {
        Self { everybody, named }
    }

    /// The pair for who asks for `name`: the name itself before a wildcard, names that were given before those in
    /// certificates, then the first.
    fn pair(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let fits = |(names, certificate): &'_ (Vec<String>, Arc<ServingCertificate>)| match names.is_empty() {
                true => certificate
                    .with_names(|own| fit(own, name))
                    .map(|fit| (fit, Source::Certificate)),
                false => fit(names, name).map(|fit| (fit, Source::Given)),
            };
            let ranked = self.named.iter().filter_map(|own| Some((fits(own)?, &own.1)));
            ranked.min_by_key(|(rank, _)| *rank).map(|(_, certificate)| certificate)
        });
        found.unwrap_or(&self.everybody).certified()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Name,
    Wildcard,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Given,
    Certificate,
}

/// How the names stand for `name`, if they do.
fn fit(names: &[String], name: &str) -> Option<Fit> {
    if names.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Some(Fit::Name);
    }
    let covers = names.iter().any(|own| name_covers(own, name));
    covers.then_some(Fit::Wildcard)
}

impl ResolvesServerCert for NamedCertificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair(client.server_name()))
    }
}

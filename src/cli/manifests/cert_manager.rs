//! Certificates by cert-manager: the same Secrets, by an authority in the same namespace.

use super::Options;
use crate::certs::Usage;
use crate::cli::certs::names::{AUTHORITY, Installation};

/// Issuers and Certificates.
pub(super) fn certificates(options: &Options, installation: &Installation<'_>) -> String {
    let Options { namespace, .. } = options;
    let mut out = format!(
        "apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: bulward-selfsigned
  namespace: {namespace}
spec:
  selfSigned: {{}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {AUTHORITY}
  namespace: {namespace}
spec:
  isCA: true
  commonName: {AUTHORITY}
  secretName: {AUTHORITY}
  duration: 87600h
  privateKey:
    algorithm: ECDSA
    size: 256
    # What is made anew before its end has the same key: certificates by it stay good, whichever of the two is trusted.
    rotationPolicy: Never
  issuerRef:
    name: bulward-selfsigned
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: {AUTHORITY}
  namespace: {namespace}
spec:
  ca:
    secretName: {AUTHORITY}
"
    );
    for (secret, leaf) in installation.leaves() {
        let usages: &[&str] = match leaf.usage {
            Usage::Server => &["server auth"],
            Usage::Client => &["client auth"],
            Usage::Peer => &["server auth", "client auth"],
        };
        let (addresses, names): (Vec<&String>, Vec<&String>) = leaf
            .names
            .iter()
            .partition(|name| name.parse::<std::net::IpAddr>().is_ok());
        let common_name = &leaf.common_name;
        out.push_str(&format!(
            "---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {secret}
  namespace: {namespace}
spec:
  secretName: {secret}
  commonName: {common_name}
  duration: 8760h
  renewBefore: 720h
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  issuerRef:
    name: {AUTHORITY}
"
        ));
        let lists = [
            ("usages", usages.iter().map(|usage| (*usage).to_owned()).collect()),
            ("dnsNames", names.into_iter().cloned().collect::<Vec<String>>()),
            ("ipAddresses", addresses.into_iter().cloned().collect()),
        ];
        for (field, entries) in lists.into_iter().filter(|(_, entries)| !entries.is_empty()) {
            out.push_str(&format!("  {field}:\n"));
            for entry in entries {
                out.push_str(&format!("  - {entry}\n"));
            }
        }
    }
    out
}

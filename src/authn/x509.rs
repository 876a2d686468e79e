//! Client certificates: the subject says who is asking.
//!
//! k8s.io/apiserver pkg/authentication/request/x509/x509.go.

use std::{collections::BTreeMap, fmt::Write};

use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::{
    der_parser::asn1_rs::{Oid, oid},
    oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME},
    prelude::{FromDer, X509Certificate},
};

use super::{Rejection, trust::CaPool};
use crate::wire::user::UserInfo;

/// The extra that identifies the credential itself, for audit logs.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The subject attribute that carries a uid (k8s.io/apimachinery pkg/apis/asn1).
const UID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);

/// The caller that `chain` (leaf first) names. None when there is no certificate, or a valid one without a name.
pub fn authenticate(
    client_ca: &CaPool,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Option<UserInfo>, Rejection> {
    let Some(leaf) = chain.first() else {
        return Ok(None);
    };
    client_ca.verify(chain, now)?;
    user(leaf)
}

/// The last common name of a certificate's subject, as Go reads it; empty when there is none.
pub fn common_name(certificate: &CertificateDer<'_>) -> Result<String, Rejection> {
    let parsed = parse(certificate)?;
    Ok(last_common_name(&parsed))
}

fn user(leaf: &CertificateDer<'_>) -> Result<Option<UserInfo>, Rejection> {
    let parsed = parse(leaf)?;
    let name = last_common_name(&parsed);
    if name.is_empty() {
        return Ok(None);
    }
    let mut credential_id = "X509SHA256=".to_owned();
    for byte in Sha256::digest(leaf) {
        let _ = write!(credential_id, "{byte:02x}");
    }
    Ok(Some(UserInfo {
        groups: attributes(&parsed, OID_X509_ORGANIZATION_NAME).flatten().collect(),
        uid: uid(&parsed)?,
        extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![credential_id])]),
        name,
    }))
}

fn uid(parsed: &X509Certificate<'_>) -> Result<String, Rejection> {
    let bad = |reason: &str| Err(Rejection::Certificate(reason.to_owned()));
    let uids: Vec<_> = attributes(parsed, UID).collect();
    match uids.as_slice() {
        [] => Ok(String::new()),
        [Some(uid)] if !uid.is_empty() => Ok(uid.clone()),
        [_] => bad("its uid is empty or not a string"),
        _ => bad("it has several uids"),
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Rejection> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|error| Rejection::Certificate(error.to_string()))
}

fn last_common_name(parsed: &X509Certificate<'_>) -> String {
    attributes(parsed, OID_X509_COMMON_NAME)
        .flatten()
        .last()
        .unwrap_or_default()
}

/// The values of a subject attribute in order; None for values that are not strings.
fn attributes(parsed: &X509Certificate<'_>, oid: Oid<'static>) -> impl Iterator<Item = Option<String>> {
    parsed
        .subject()
        .iter_attributes()
        .filter(move |attribute| *attribute.attr_type() == oid)
        .map(|attribute| attribute.as_str().ok().map(str::to_owned))
}

#[cfg(test)]
mod tests;

//! Whether a certificate may be used at all, whoever signed it.

use std::time::{Duration, SystemTime};

use x509_parser::{
    oid_registry::Oid,
    prelude::{FromDer, GeneralName, X509Certificate},
    public_key::PublicKey,
};

use super::Usage;

const RSA: &str = "1.2.840.113549.1.1.1";
const ELLIPTIC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";
/// P-256, P-384, P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
/// The shortest RSA key.
const RSA_BITS: usize = 2048;
/// Signatures with MD2, MD5 and SHA-1, and DSA.
const WEAK: [(&str, &str); 6] = [
    ("1.2.840.113549.1.1.2", "MD2 with RSA"),
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.3.14.3.2.29", "SHA-1 with RSA"),
    ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
    ("1.2.840.10040.4.3", "SHA-1 with DSA"),
];

/// What is wrong with a certificate, and what to do about it; one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no certificate.
    #[error("it cannot be read ({0}): issue it again")]
    Unreadable(String),
    /// Its time has not come.
    #[error("it is not valid before {0}: set the clock right, or wait")]
    NotYetValid(String),
    /// Its time is over.
    #[error("it ended at {0}: issue a new one")]
    Ended(String),
    /// It is for something else.
    #[error("it may not be used by {0}s: issue one with the extended key usage {0} authentication")]
    Usage(&'static str),
    /// Its key can be guessed, or nobody knows the kind.
    #[error(
        "its key is weak or of an unknown kind ({0}): issue one with RSA of {RSA_BITS} bits or more, P-256, P-384, P-521 or Ed25519"
    )]
    Key(String),
    /// Its signature can be forged.
    #[error("its signature is weak ({0}): have it signed with SHA-256 or better")]
    Signature(&'static str),
    /// A server's certificate that names no server.
    #[error("it has no subject alternative names, and clients ignore the common name: issue one that has")]
    Nameless,
    /// It is another server's.
    #[error("it does not cover {0}: issue one that has it among its subject alternative names")]
    Name(String),
}

/// What a server needs to know of a certificate that is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// DNS names and IP addresses.
    pub names: Vec<String>,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
}

/// Looks at validity, usage, key, signature and names of a certificate. Who signed it is another question.
///
/// # Errors
/// With the first thing that is wrong.
pub fn examine(der: &[u8], usage: Usage, names: &[String], now: SystemTime) -> Result<Summary, Fault> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| Fault::Unreadable(error.to_string()))?;
    key(&certificate)?;
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    if let Some((_, name)) = WEAK.iter().find(|(weak, _)| *weak == signature) {
        return Err(Fault::Signature(name));
    }
    let validity = certificate.validity();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        return Err(Fault::NotYetValid(validity.not_before.to_string()));
    }
    if now > validity.not_after.timestamp() {
        return Err(Fault::Ended(validity.not_after.to_string()));
    }
    let extended = certificate
        .extended_key_usage()
        .map_err(|error| Fault::Unreadable(error.to_string()))?;
    if let Some(extended) = extended.filter(|extended| !extended.value.any) {
        let (server, client) = (extended.value.server_auth, extended.value.client_auth);
        if !server && usage != Usage::Client {
            return Err(Fault::Usage("server"));
        }
        if !client && usage != Usage::Server {
            return Err(Fault::Usage("client"));
        }
    }
    let own = alternative_names(&certificate)?;
    if usage != Usage::Client && own.is_empty() {
        return Err(Fault::Nameless);
    }
    match names.iter().find(|name| !own.iter().any(|own| covers(own, name))) {
        Some(missing) => Err(Fault::Name(missing.clone())),
        None => Ok(Summary {
            names: own,
            not_after: validity.not_after.timestamp(),
        }),
    }
}

/// Whose a certificate is, for a message: its common name, or what else its subject says.
pub fn whose(der: &[u8]) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return "unreadable".to_owned();
    };
    let common = certificate.subject().iter_common_name().last();
    let common = common.and_then(|name| name.as_str().ok()).map(str::to_owned);
    let name = common.unwrap_or_else(|| certificate.subject().to_string());
    format!("{name:?} (serial {})", certificate.raw_serial_as_string())
}

/// Whether a name in a certificate, which may begin with `*.` for one label, stands for this DNS name or IP address.
pub fn covers(own: &str, name: &str) -> bool {
    if own.eq_ignore_ascii_case(name) {
        return true;
    }
    let address = name.parse::<std::net::IpAddr>();
    match (own.strip_prefix("*."), name.split_once('.')) {
        (Some(domain), Some((label, rest))) if address.is_err() => {
            !label.is_empty() && domain.eq_ignore_ascii_case(rest)
        }
        _ => own
            .parse::<std::net::IpAddr>()
            .is_ok_and(|own| address.is_ok_and(|address| own == address)),
    }
}

fn key(certificate: &X509Certificate<'_>) -> Result<(), Fault> {
    let info = certificate.public_key();
    let algorithm = info.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        RSA => match info.parsed() {
            Ok(PublicKey::RSA(key)) if key.key_size() >= RSA_BITS => Ok(()),
            Ok(PublicKey::RSA(key)) => Err(Fault::Key(format!("RSA of {} bits", key.key_size()))),
            _ => Err(Fault::Key("RSA that cannot be read".to_owned())),
        },
        ELLIPTIC => {
            let curve = info.algorithm.parameters.as_ref();
            let curve: Option<Oid<'_>> = curve.and_then(|curve| curve.clone().try_into().ok());
            let curve = curve.map_or_else(|| "without a name".to_owned(), |curve| curve.to_id_string());
            match CURVES.contains(&curve.as_str()) {
                true => Ok(()),
                false => Err(Fault::Key(format!("elliptic curve {curve}"))),
            }
        }
        ED25519 => Ok(()),
        other => Err(Fault::Key(format!("algorithm {other}"))),
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, Fault> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| Fault::Unreadable(error.to_string()))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|it| std::net::IpAddr::from(it).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|it| std::net::IpAddr::from(it).to_string()),
            _ => None,
        },
        _ => None,
    };
    Ok(names.filter_map(text).collect())
}

//! An authority that is there already, also one that others made.

use std::path::Path;
use std::time::SystemTime;

use rcgen::string::{Ia5String, PrintableString, TeletexString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, Issuer, KeyIdMethod, KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::asn1_rs::Tag;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Name;

use super::{Error, Facts, Leaf, Pair, Usage, covers};

#[cfg(test)]
mod tests;

/// The key in a PEM text, in PKCS #8 or in one of the traditional forms.
pub(super) fn key(pem: &str) -> Result<KeyPair, String> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => {
            "no private key in it that can be read: put one there in PEM, without a password".to_owned()
        }
        other => other.to_string(),
    })?;
    KeyPair::try_from(&key).map_err(|_| {
        "this key cannot be used: take RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, in PKCS #8 if need be"
            .to_owned()
    })
}

/// What signs as this authority, once it has been seen that its signatures will be believed.
pub(super) fn issuer(pair: &Pair, certificate_path: &Path, key_path: &Path) -> Result<Issuer<'static, KeyPair>, Error> {
    let damaged = |path: &Path, why: String| Error::Damaged {
        path: path.to_owned(),
        why,
    };
    let unfit = |why: &str| damaged(certificate_path, why.to_owned());
    let facts = Facts::parse(&pair.certificate_pem).map_err(|why| damaged(certificate_path, why))?;
    let key = key(&pair.key_pem).map_err(|why| damaged(key_path, why))?;
    if !facts.is_authority {
        return Err(unfit(
            "not a certificate authority: put one there, with the basic constraint CA:TRUE",
        ));
    }
    if facts.public_key != key.subject_public_key_info() {
        let why = format!("not the key of {}", certificate_path.display());
        return Err(damaged(key_path, why));
    }
    let params = params(&pair.certificate_pem).map_err(|why| damaged(certificate_path, why))?;
    let issuer = Issuer::new(params, key);
    let signed = Leaf::client("probe", &[])
        .params()?
        .signed_by(issuer.key(), &issuer)
        .map_err(|error| damaged(key_path, error.to_string()))?
        .pem();
    let named = Facts::parse(&signed)
        .map_err(|why| damaged(certificate_path, why))?
        .issuer;
    if named != facts.subject {
        return Err(unfit(UNREPEATABLE));
    }
    covers(&signed, &pair.certificate_pem, Usage::Client, &[], SystemTime::now())
        .map_err(|why| damaged(certificate_path, format!("what it signs would not be believed: {why}")))?;
    Ok(issuer)
}

/// The library that signs writes a name anew, and keeps few attributes of a kind.
const UNREPEATABLE: &str = "its subject cannot be repeated as it stands there (an attribute of the same kind too often, several in one \
                            part, or an unusual form of text): put an authority there with a plainer subject, or certificates that it has signed";

/// What of an authority's certificate shows in what it signs: its subject, and how it calls its key.
fn params(pem: &str) -> Result<CertificateParams, String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|error| error.to_string())?;
    let usage = certificate.key_usage().map_err(|error| error.to_string())?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err("it may not sign certificates: put an authority there with the key usage keyCertSign".to_owned());
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name(certificate.subject()).ok_or(UNREPEATABLE)?;
    for extension in certificate.iter_extensions() {
        if let ParsedExtension::SubjectKeyIdentifier(identifier) = extension.parsed_extension() {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier.0.to_vec());
        }
    }
    Ok(params)
}

/// A name as the library has it, if it can say it; of a kind of attribute, two at most.
fn name(subject: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for part in subject.iter() {
        let mut attributes = part.iter();
        let (attribute, None) = (attributes.next()?, attributes.next()) else {
            return None;
        };
        let number: Vec<u64> = attribute.attr_type().iter()?.collect();
        let value = attribute.attr_value();
        let text = std::str::from_utf8(value.data).ok()?;
        let value = match value.tag() {
            Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
            Tag::PrintableString => DnValue::PrintableString(PrintableString::try_from(text).ok()?),
            Tag::Ia5String => DnValue::Ia5String(Ia5String::try_from(text).ok()?),
            Tag::T61String => DnValue::TeletexString(TeletexString::try_from(text).ok()?),
            _ => return None,
        };
        // The library keeps one of a kind; the second goes in under the attribute's number.
        let kind = match DnType::from_oid(&number) {
            known if name.get(&known).is_some() => DnType::CustomDnType(number),
            known => known,
        };
        name.push(kind, value);
    }
    Some(name)
}

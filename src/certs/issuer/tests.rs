//! Authorities as OpenSSL makes them.

use std::path::Path;
use std::time::SystemTime;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Name, X509NameBuilder, X509PurposeId};

use super::super::tests::openssl_verifies;
use super::super::{Authority, Leaf, Pair, RENEW_BEFORE, reusable};

/// The forms in which a key is written down.
#[derive(Clone, Copy, Debug)]
enum Form {
    Pkcs8,
    /// `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY`.
    Traditional,
    /// As `openssl ecparam -genkey` writes it: the curve stands before the key.
    AfterParameters,
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn elliptic(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn written(key: &PKey<Private>, form: Form) -> String {
    let bytes = match (form, key.rsa(), key.ec_key()) {
        (Form::Pkcs8, ..) => key.private_key_to_pem_pkcs8().unwrap(),
        (_, Ok(rsa), _) => rsa.private_key_to_pem().unwrap(),
        (_, _, Ok(elliptic)) => elliptic.private_key_to_pem().unwrap(),
        _ => panic!("{form:?}"),
    };
    let text = String::from_utf8(bytes).unwrap();
    match form {
        Form::AfterParameters => {
            // P-256 by its name.
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{text}")
        }
        _ => text,
    }
}

fn subject(attributes: &[(&str, &str)]) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    for (kind, value) in attributes {
        name.append_entry_by_text(kind, value).unwrap();
    }
    name.build()
}

/// An authority's certificate with this subject. Ed25519 signs without a digest of its own.
fn certificate(
    key: &PKey<Private>,
    attributes: &[(&str, &str)],
    usage: Option<&KeyUsage>,
    is_authority: bool,
) -> String {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    let name = subject(attributes);
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1_000).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if is_authority {
        constraints.ca();
    }
    builder.append_extension(constraints.build().unwrap()).unwrap();
    if let Some(usage) = usage {
        builder.append_extension(usage.build().unwrap()).unwrap();
    }
    let identifier = SubjectKeyIdentifier::new()
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(identifier).unwrap();
    let digest = if key.id() == Id::ED25519 {
        MessageDigest::null()
    } else {
        MessageDigest::sha256()
    };
    builder.sign(key, digest).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

fn signs() -> KeyUsage {
    let mut usage = KeyUsage::new();
    usage.critical().key_cert_sign().crl_sign();
    usage
}

fn taken_up(certificate_pem: &str, key_pem: &str) -> Result<Authority, String> {
    let pair = Pair {
        certificate_pem: certificate_pem.to_owned(),
        key_pem: key_pem.to_owned(),
    };
    Authority::from_pem(&pair, Path::new("ca.crt"), Path::new("ca.key")).map_err(|error| error.to_string())
}

/// As companies name theirs.
const COMPANY: [(&str, &str); 6] = [
    ("C", "DE"),
    ("ST", "Baden-Württemberg"),
    ("L", "Ulm"),
    ("O", "Example GmbH"),
    ("OU", "Platform"),
    ("CN", "Example Issuing CA 3"),
];

#[test]
fn authorities_that_others_made_sign_as_ours_do() {
    let keys = [
        (rsa(2048), &[Form::Pkcs8, Form::Traditional][..]),
        (rsa(3072), &[Form::Pkcs8]),
        (
            elliptic(Nid::X9_62_PRIME256V1),
            &[Form::Pkcs8, Form::Traditional, Form::AfterParameters],
        ),
        (elliptic(Nid::SECP384R1), &[Form::Pkcs8, Form::Traditional]),
        (elliptic(Nid::SECP521R1), &[Form::Pkcs8]),
        (PKey::generate_ed25519().unwrap(), &[Form::Pkcs8]),
    ];
    let subjects = [
        &COMPANY[..],
        &COMPANY[3..5],
        &COMPANY[5..],
        &[("DC", "example"), ("OU", "Platform"), ("OU", "Security"), ("CN", "a")],
    ];
    for (at, (key, forms)) in keys.iter().enumerate() {
        for (number, form) in forms.iter().enumerate() {
            let attributes = subjects[(at + number) % subjects.len()];
            let what = format!("{at} {form:?} {attributes:?}");
            // One says nothing of what its key is for.
            let usage = (key.id() != Id::ED25519).then(signs);
            let ca = certificate(key, attributes, usage.as_ref(), true);
            let authority = taken_up(&ca, &written(key, *form)).unwrap_or_else(|why| panic!("{what}: {why}"));
            let leaf = Leaf::server(["bulward-apiserver.bulward-system.svc", "127.0.0.1"]);
            let pair = authority.issue(&leaf).unwrap();
            for host in ["bulward-apiserver.bulward-system.svc", "127.0.0.1"] {
                let good = openssl_verifies(&pair.certificate_pem, &ca, X509PurposeId::SSL_SERVER, Some(host));
                assert!(good, "{what}: {host}");
            }
            // The issuer and its key are named as the authority names them.
            let (leaf_of_it, of_ca) = (
                X509::from_pem(pair.certificate_pem.as_bytes()).unwrap(),
                X509::from_pem(ca.as_bytes()).unwrap(),
            );
            assert_eq!(
                leaf_of_it.issuer_name().to_der().unwrap(),
                of_ca.subject_name().to_der().unwrap(),
                "{what}"
            );
            assert_eq!(
                leaf_of_it.authority_key_id().unwrap().as_slice(),
                of_ca.subject_key_id().unwrap().as_slice(),
                "{what}"
            );
            reusable(
                &pair,
                authority.certificate_pem(),
                &leaf,
                SystemTime::now() + RENEW_BEFORE,
            )
            .unwrap();
        }
    }
}

#[test]
fn what_cannot_sign_is_refused_with_the_remedy() {
    let key = elliptic(Nid::X9_62_PRIME256V1);
    let text = written(&key, Form::Pkcs8);
    let good = certificate(&key, &COMPANY, Some(&signs()), true);
    let thrice = [("OU", "Platform"), ("OU", "Security"), ("OU", "Third"), ("CN", "a")];
    let domain = [("DC", "com"), ("DC", "example"), ("CN", "a")];
    let mut encipherment = KeyUsage::new();
    encipherment.critical().key_encipherment();
    let weak = rsa(1024);
    let password = key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret")
        .unwrap();
    let cases = [
        (
            certificate(&key, &thrice, Some(&signs()), true),
            text.clone(),
            "ca.crt: its subject cannot be repeated",
        ),
        (
            certificate(&key, &domain, Some(&signs()), true),
            text.clone(),
            "or certificates that it has signed",
        ),
        (
            certificate(&key, &COMPANY, Some(&encipherment), true),
            text.clone(),
            "ca.crt: it may not sign certificates: put",
        ),
        (
            certificate(&key, &COMPANY, Some(&signs()), false),
            text.clone(),
            "ca.crt: not a certificate authority: put",
        ),
        (
            certificate(&weak, &COMPANY, Some(&signs()), true),
            written(&weak, Form::Pkcs8),
            "ca.key: this key cannot be used: take RSA of 2048",
        ),
        (
            good.clone(),
            String::from_utf8(password).unwrap(),
            "ca.key: no private key in it that can be read: put",
        ),
        (good.clone(), String::new(), "ca.key: no private key in it"),
        (
            good.clone(),
            written(&elliptic(Nid::X9_62_PRIME256V1), Form::Pkcs8),
            "ca.key: not the key of ca.crt",
        ),
        (String::new(), text.clone(), "ca.crt: no PEM certificate in it"),
    ];
    for (ca, key, expected) in cases {
        let why = taken_up(&ca, &key).unwrap_err();
        assert!(why.contains(expected), "{expected}: {why}");
        assert_eq!(why.lines().count(), 1, "{why}");
    }
    taken_up(&good, &text).unwrap();
}

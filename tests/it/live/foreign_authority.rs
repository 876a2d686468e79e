//! A Secret `bulward-ca` that somebody else made is used as it is: what lies in it signs, or it is said why it cannot.

use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509NameBuilder, X509PurposeId};
use serde_json::{Value, json};

use super::object;
use super::rotation::judge::{Leaf, Texts, judge};
use crate::harness::ControlPlane;

const NAMESPACE: &str = "foreign-authority";
const SERVING: Leaf = (
    "bulward-apiserver-tls",
    X509PurposeId::SSL_SERVER,
    Some("bulward-apiserver.foreign-authority.svc"),
);

/// An authority as OpenSSL makes one, with an RSA key in its traditional form.
fn authority(attributes: &[(&str, &str)]) -> (String, String) {
    let rsa = Rsa::generate(2048).unwrap();
    let text = String::from_utf8(rsa.private_key_to_pem().unwrap()).unwrap();
    let key = PKey::from_rsa(rsa).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    for (kind, value) in attributes {
        name.append_entry_by_text(kind, value).unwrap();
    }
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(77).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1_000).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let constraints = BasicConstraints::new().critical().ca().build().unwrap();
    builder.append_extension(constraints).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
    builder.append_extension(usage).unwrap();
    let identifier = SubjectKeyIdentifier::new();
    let identifier = identifier.build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(identifier).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (String::from_utf8(builder.build().to_pem().unwrap()).unwrap(), text)
}

async fn put(plane: &ControlPlane, (certificate, key): &(String, String)) {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bulward-ca", "namespace": NAMESPACE},
        "stringData": {"ca.crt": certificate, "ca.key": key},
    });
    plane.apply(&[secret]).await;
}

/// What is written of Secrets. That no APIService leads here is an error of its own.
async fn bootstrap(plane: &ControlPlane) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command
        .args(["certs", "bootstrap", "--external-etcd"])
        .arg(format!("--namespace={NAMESPACE}"))
        .arg("--kubeconfig")
        .arg(plane.kubeconfig("admin"));
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output { stderr, .. } = run.await.unwrap().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    eprintln!("{text}");
    let place = format!("secret {NAMESPACE}/");
    let told = text.lines().filter(|line| line.contains(&place));
    told.map(str::to_owned).collect()
}

async fn secret(plane: &ControlPlane, name: &str) -> Value {
    object(&plane.kubectl("admin"), &["secret", name, "-n", NAMESPACE]).await
}

fn texts(secret: &Value) -> Texts {
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    let data = secret["data"].as_object().into_iter().flatten();
    data.map(|(key, value)| (key.clone(), text(value))).collect()
}

#[tokio::test]
async fn somebody_elses_authority_signs_or_it_is_said_why_not() {
    let plane = ControlPlane::shared().await;
    let admin = plane.kubectl("admin");
    admin.run(["create", "namespace", NAMESPACE]).await.ok();

    let company = [
        ("C", "DE"),
        ("O", "Example GmbH"),
        ("OU", "Platform"),
        ("CN", "Example CA 3"),
    ];
    put(plane, &authority(&company)).await;
    let before = secret(plane, "bulward-ca").await;
    assert_eq!(bootstrap(plane).await, Vec::<String>::new());
    let serving = secret(plane, SERVING.0).await;
    let secrets = [("bulward-ca", &before), (SERVING.0, &serving)];
    let secrets = secrets.map(|(name, secret)| (name.to_owned(), texts(secret)));
    assert_eq!(judge(&secrets.into_iter().collect(), &[SERVING]), Ok(2));
    // What is good is kept, and the authority stays as it is in any case.
    assert_eq!(bootstrap(plane).await, Vec::<String>::new());
    assert_eq!(secret(plane, SERVING.0).await["data"], serving["data"]);
    assert_eq!(secret(plane, "bulward-ca").await, before);

    // Another one, which nobody here can sign for.
    put(
        plane,
        &authority(&[("DC", "com"), ("DC", "example"), ("CN", "Example CA 4")]),
    )
    .await;
    let told = bootstrap(plane).await;
    let line = "secret foreign-authority/bulward-ca: ca.crt: its subject cannot be repeated";
    assert!(told.iter().any(|told| told.contains(line)), "{told:?}");
    assert_eq!(secret(plane, SERVING.0).await["data"], serving["data"]);
    // It does not matter where nothing has to be signed.
    let label = [
        "label",
        "secret",
        SERVING.0,
        "-n",
        NAMESPACE,
        "app.kubernetes.io/managed-by-",
    ];
    admin.run(label).await.ok();
    assert_eq!(bootstrap(plane).await, Vec::<String>::new());
    assert_eq!(secret(plane, SERVING.0).await["data"], serving["data"]);
}

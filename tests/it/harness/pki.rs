//! The certificates of a test cluster, made in memory and written as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// kube's and our own TLS need one provider for the process; asking twice is fine.
pub(crate) fn install_tls_provider() {
    // An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    /// Writes `<name>.crt` and `<name>.key` and returns their paths.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        fs::write(&certificate, &self.certificate).expect("write a certificate");
        fs::write(&key, &self.key).expect("write a key");
        (certificate, key)
    }
}

fn distinguished(name: &str, groups: &[&str]) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    match groups {
        [] => {}
        [group] => distinguished.push(DnType::OrganizationName, *group),
        // rcgen keeps one value a type.
        _ => panic!("a certificate carries one group here; impersonate for more"),
    }
    distinguished
}

impl Authority {
    /// A self-signed authority called `name`.
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().expect("generate a key");
        Authority {
            issuer: CertifiedIssuer::self_signed(params, key).expect("sign an authority"),
        }
    }

    /// The authority's certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Pair {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("generate a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server's certificate for DNS names and IP addresses.
    pub(crate) fn serving(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names of a test certificate");
        params.distinguished_name = distinguished("serving", &[]);
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's certificate: the common name is the user, the organization its group.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(user, groups);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A client's certificate that ran out in 2020.
    pub(crate) fn expired_client(&self, user: &str, groups: &[&str]) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(user, groups);
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// The key pair that signs service account tokens: (private key, public key), PEM. kube-apiserver takes P-256 as well as RSA.
pub(crate) fn signing_keys() -> (String, String) {
    let key = KeyPair::generate().expect("generate a key");
    (key.serialize_pem(), key.public_key_pem())
}

/// Writes a kubeconfig for one server and one user. `user` is the content of the kubeconfig's user.
fn write_kubeconfig(path: &Path, server: &str, ca: &str, user: serde_json::Value) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server, "certificate-authority-data": encode(ca)}}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    // JSON is YAML.
    fs::write(path, config.to_string()).expect("write a kubeconfig");
}

/// A kubeconfig with a client certificate; with `acting_as` the user impersonates that name and those groups.
pub(crate) fn kubeconfig(path: &Path, server: &str, ca: &str, pair: &Pair, acting_as: Option<(&str, &[&str])>) {
    let mut user = json!({
        "client-certificate-data": encode(&pair.certificate),
        "client-key-data": encode(&pair.key),
    });
    if let Some((name, groups)) = acting_as {
        user["as"] = json!(name);
        user["as-groups"] = json!(groups);
    }
    write_kubeconfig(path, server, ca, user);
}

/// A kubeconfig with a bearer token, or with no credentials.
pub(crate) fn token_kubeconfig(path: &Path, server: &str, ca: &str, token: Option<&str>) {
    let user = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
    write_kubeconfig(path, server, ca, user);
}

/// Base64, as kubeconfigs and caBundles carry PEM.
pub(crate) fn encode(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

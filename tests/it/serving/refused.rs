//! Serving certificates that clients would refuse, or should: made by OpenSSL, refused with a line that says what to do.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulward::certs::{Usage, examine};
use bulward::http::tls::{MinVersion, NamedCertificates, Options, ServingCertificate};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// A certificate that signs itself; the default is one that does.
struct Made {
    key: PKey<Private>,
    digest: MessageDigest,
    names: Vec<&'static str>,
    server: bool,
    /// Valid from and until the first of January.
    years: (i32, i32),
    /// Instead of the first of these years: seconds from now.
    begins_in: Option<u32>,
}

fn curve(nid: Nid) -> PKey<Private> {
    let curve = EcGroup::from_curve_name(nid).unwrap();
    PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap()
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

impl Default for Made {
    fn default() -> Self {
        Self {
            key: curve(Nid::X9_62_PRIME256V1),
            digest: MessageDigest::sha256(),
            names: vec!["server.example"],
            server: true,
            years: (2020, 2090),
            begins_in: None,
        }
    }
}

impl Made {
    fn certificate(&self) -> X509 {
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", "server.example").unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = Asn1Integer::from_bn(&BigNum::from_u32(7).unwrap()).unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        let at = |year: i32| Asn1Time::from_str(&format!("{year}0101000000Z")).unwrap();
        let begins = match self.begins_in {
            None => at(self.years.0),
            Some(seconds) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                Asn1Time::from_unix(i64::try_from(now.as_secs()).unwrap() + i64::from(seconds)).unwrap()
            }
        };
        builder.set_not_before(&begins).unwrap();
        builder.set_not_after(&at(self.years.1)).unwrap();
        builder.set_pubkey(&self.key).unwrap();
        let mut usage = ExtendedKeyUsage::new();
        let usage = if self.server {
            usage.server_auth()
        } else {
            usage.client_auth()
        };
        builder.append_extension(usage.build().unwrap()).unwrap();
        if !self.names.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for name in &self.names {
                names.dns(name);
            }
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        builder.sign(&self.key, self.digest).unwrap();
        builder.build()
    }

    fn write(&self, folder: &Path) {
        let key = self.key.private_key_to_pem_pkcs8().unwrap();
        std::fs::write(folder.join("tls.crt"), self.certificate().to_pem().unwrap()).unwrap();
        std::fs::write(folder.join("tls.key"), key).unwrap();
    }
}

fn load(folder: &Path, names: &[&str]) -> Result<std::sync::Arc<ServingCertificate>, String> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    ServingCertificate::load_for(folder.join("tls.crt"), folder.join("tls.key"), names)
        .map_err(|error| error.to_string())
}

#[test]
fn what_clients_would_refuse_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for good in [
        Made::default(),
        Made {
            key: rsa(2048),
            ..Made::default()
        },
        Made {
            key: curve(Nid::SECP384R1),
            ..Made::default()
        },
        Made {
            key: PKey::generate_ed25519().unwrap(),
            digest: MessageDigest::null(),
            ..Made::default()
        },
    ] {
        good.write(folder.path());
        load(folder.path(), &["server.example"]).unwrap();
    }
    let default = Made::default;
    for (bad, what, remedy) in [
        (
            Made {
                years: (2020, 2021),
                ..default()
            },
            "ended at",
            "issue a new one",
        ),
        (
            Made {
                years: (2089, 2090),
                ..default()
            },
            "not valid before",
            "set the clock right",
        ),
        (
            Made {
                server: false,
                ..default()
            },
            "may not be used by servers",
            "server authentication",
        ),
        (
            Made {
                names: vec![],
                ..default()
            },
            "no subject alternative names",
            "issue one that has",
        ),
        (
            Made {
                names: vec!["other.example"],
                ..default()
            },
            "does not cover server.example",
            "subject alternative names",
        ),
        (
            Made {
                key: rsa(1024),
                ..default()
            },
            "RSA of 1024 bits",
            "2048 bits or more",
        ),
        (
            Made {
                key: curve(Nid::SECP256K1),
                ..default()
            },
            "elliptic curve 1.3.132.0.10",
            "P-256",
        ),
        (
            Made {
                digest: MessageDigest::sha1(),
                ..default()
            },
            "SHA-1 with ECDSA",
            "SHA-256",
        ),
        (
            Made {
                key: rsa(2048),
                digest: MessageDigest::sha1(),
                ..default()
            },
            "SHA-1 with RSA",
            "SHA-256",
        ),
    ] {
        bad.write(folder.path());
        let line = load(folder.path(), &["server.example"]).unwrap_err();
        assert!(line.contains("tls.crt") && !line.contains('\n'), "{line}");
        assert!(line.contains(what) && line.contains(remedy), "{what}: {line}");
    }
}

#[test]
fn clients_are_held_to_the_same() {
    let now = std::time::SystemTime::now();
    let judged = |made: &Made| {
        let der = made.certificate().to_der().unwrap();
        examine(&der, Usage::Client, &[], now)
            .map(|_| ())
            .map_err(|fault| fault.to_string())
    };
    let client = || Made {
        server: false,
        names: vec![],
        ..Made::default()
    };
    assert_eq!(judged(&client()), Ok(()));
    for (bad, what) in [
        (
            Made {
                server: true,
                ..client()
            },
            "may not be used by clients",
        ),
        (
            Made {
                key: rsa(1024),
                ..client()
            },
            "RSA of 1024 bits",
        ),
        (
            Made {
                digest: MessageDigest::sha1(),
                ..client()
            },
            "SHA-1",
        ),
        (
            Made {
                years: (2020, 2021),
                ..client()
            },
            "ended at",
        ),
        (
            Made {
                years: (2089, 2090),
                ..client()
            },
            "not valid before",
        ),
    ] {
        let line = judged(&bad).unwrap_err();
        assert!(line.contains(what), "{what}: {line}");
    }
}

#[test]
fn a_bad_successor_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    Made::default().write(folder.path());
    let certificate = load(folder.path(), &[]).unwrap();
    let before = certificate.chain();
    Made {
        years: (2020, 2021),
        ..Made::default()
    }
    .write(folder.path());
    let line = certificate.reload().unwrap_err().to_string();
    assert!(line.contains("ended at"), "{line}");
    assert!(!certificate.reload().unwrap(), "said once");
    assert_eq!(certificate.chain(), before);
}

/// An issuer's clock may be ahead of ours.
#[tokio::test]
async fn a_certificate_that_is_there_too_early_is_used_as_soon_as_it_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    Made::default().write(folder.path());
    let certificate = load(folder.path(), &[]).unwrap();
    let before = certificate.chain();
    Made {
        begins_in: Some(8),
        ..Made::default()
    }
    .write(folder.path());
    let line = certificate.reload().unwrap_err().to_string();
    assert!(line.contains("valid"), "{line}");
    let replaced = async || match certificate.reload() {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    crate::harness::eventually("the new certificate is in use", Duration::from_secs(120), replaced).await;
    assert_ne!(certificate.chain(), before);
}

/// The certificate's host as OpenSSL sees it, and the version, for a name that is asked for.
async fn presented(
    config: std::sync::Arc<rustls::ServerConfig>,
    name: &str,
    newest: openssl::ssl::SslVersion,
) -> Option<(String, String)> {
    use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accept = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        tokio_rustls::TlsAcceptor::from(config).accept(socket).await
    });
    let name = name.to_owned();
    let seen = tokio::task::spawn_blocking(move || {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_max_proto_version(Some(newest)).unwrap();
        let socket = std::net::TcpStream::connect(addr).unwrap();
        let stream = builder.build().connect(&name, socket).ok()?;
        let names = stream.ssl().peer_certificate()?.subject_alt_names()?;
        let host = names.iter().next()?.dnsname()?.to_owned();
        let cipher = stream.ssl().current_cipher()?.name().to_owned();
        Some((host, cipher))
    });
    let seen = super::within(seen).await.unwrap();
    // A refused client leaves the server with an error.
    let _ = super::within(accept).await.unwrap();
    seen
}

#[tokio::test]
async fn the_name_asked_for_the_version_and_the_suites_decide() {
    use openssl::ssl::SslVersion;
    bulward::http::tls::install_provider();
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let made = |at: usize, name: &'static str| {
        Made {
            names: vec![name],
            ..Made::default()
        }
        .write(folders[at].path());
        load(folders[at].path(), &[]).unwrap()
    };
    let (everybody, own, wild, exact) = (
        made(0, "server.example"),
        made(1, "own.example"),
        made(2, "wild.example"),
        made(3, "exact.wild.example"),
    );
    let wildcards = vec!["*.wild.example".to_owned()];
    let given = vec!["given.wild.example".to_owned(), "own.example".to_owned()];
    let named = vec![(vec![], own), (wildcards, wild.clone()), (vec![], exact), (given, wild)];
    let resolver = std::sync::Arc::new(NamedCertificates::new(everybody, named));
    let config = |options: &Options| bulward::http::tls::server_config_with(resolver.clone(), options);
    let any = Options::default();
    for (asked, shown) in [
        // Names that were given go before those in a certificate, and whole ones before wildcards.
        ("own.example", "wild.example"),
        ("a.wild.example", "wild.example"),
        ("exact.wild.example", "exact.wild.example"),
        ("a.b.wild.example", "server.example"),
        ("nobody.example", "server.example"),
    ] {
        let seen = presented(config(&any), asked, SslVersion::TLS1_3).await;
        assert_eq!(seen.map(|(host, _)| host).as_deref(), Some(shown), "{asked}");
    }
    let modern = Options {
        min_version: MinVersion::Tls13,
        ..Options::default()
    };
    assert_eq!(
        presented(config(&modern), "own.example", SslVersion::TLS1_2).await,
        None
    );
    assert!(
        presented(config(&modern), "own.example", SslVersion::TLS1_3)
            .await
            .is_some()
    );
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let one = Options {
        cipher_suites: vec![suite.to_owned()],
        ..Options::default()
    };
    one.check().unwrap();
    let seen = presented(config(&one), "own.example", SslVersion::TLS1_2)
        .await
        .unwrap();
    assert_eq!(seen.1, "ECDHE-ECDSA-AES256-GCM-SHA384");
    let weak = Options {
        cipher_suites: vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()],
        ..Options::default()
    };
    let line = weak.check().unwrap_err();
    assert!(line.contains("RC4") && line.contains(suite), "{line}");
    assert!(MinVersion::parse("VersionTLS10").is_err_and(|why| why.contains("VersionTLS12")));
}

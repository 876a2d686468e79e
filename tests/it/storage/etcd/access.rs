//! Certificates, passwords, and configurations that cannot work.

use std::fs;
use std::path::{Path, PathBuf};

use bulward::storage::etcd::{Config, Etcd};
use bulward::storage::{Error, ListRequest, Storage};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::config;
use crate::harness::EtcdCluster;
use crate::harness::etcd_cluster::Tls;
use crate::storage::conformance::{batch, next, within, write};

async fn fails(config: Config) -> String {
    match within(Etcd::connect(config)).await.map(drop) {
        Err(Error::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// An authority and its certificate in `folder`.
fn authority(folder: &Path, name: &str) -> (Issuer<'static, KeyPair>, PathBuf) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = folder.join(format!("{name}.crt"));
    fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    (Issuer::new(params, key), file)
}

/// A certificate for 127.0.0.1, and its key, in `folder`.
fn certificate(folder: &Path, name: &str, issuer: &Issuer<'static, KeyPair>) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let files = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    fs::write(&files.0, params.signed_by(&key, issuer).unwrap().pem()).unwrap();
    fs::write(&files.1, key.serialize_pem()).unwrap();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_certificates_open_the_door() {
    let folder = TempDir::new().unwrap();
    let (issuer, ca) = authority(folder.path(), "ca");
    let (cert, key) = certificate(folder.path(), "etcd", &issuer);
    let tls = Tls {
        ca: ca.clone(),
        cert,
        key,
    };
    let etcd = EtcdCluster::of("storage", 1, Some(tls)).await;
    let (cert, key) = certificate(folder.path(), "bulward", &issuer);
    let good = Config {
        ca_file: Some(ca.clone()),
        cert_file: Some(cert),
        key_file: Some(key),
        ..config(&etcd, "/tls")
    };
    let storage = Etcd::connect(good.clone()).await.unwrap();
    let first = write(&storage, "k", "1").await;
    let mut watch = storage.watch("", first).await.unwrap();
    let second = write(&storage, "k", "2").await;
    assert_eq!(within(next(&mut watch)).await, batch(second, &[("k", Some("2"))]));

    let without = Config {
        cert_file: None,
        key_file: None,
        ..good.clone()
    };
    let text = fails(without).await;
    assert!(text.contains("ertificate"), "{text}");
    let (_, other) = authority(folder.path(), "other");
    let wrong = Config {
        ca_file: Some(other),
        ..good.clone()
    };
    let text = fails(wrong).await;
    assert!(text.contains("invalid peer certificate"), "{text}");
    let half = Config {
        key_file: None,
        ..good.clone()
    };
    assert!(fails(half).await.contains("both its file and its key's file"));
    let missing = Config {
        ca_file: Some(folder.path().join("nowhere.crt")),
        ..good.clone()
    };
    assert!(fails(missing).await.contains("nowhere.crt"));
    let garbage = folder.path().join("garbage.crt");
    fs::write(&garbage, "no certificate").unwrap();
    let garbage = Config {
        ca_file: Some(garbage),
        ..good.clone()
    };
    fails(garbage).await;
    let unchecked = Config { ca_file: None, ..good };
    assert!(fails(unchecked).await.contains("needs the file of its authority"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_open_the_door() {
    let etcd = EtcdCluster::single("storage").await;
    for args in [
        "user add root:rootpw",
        "user grant-role root root",
        "role add ours",
        "role grant-permission ours --prefix=true readwrite /ours/",
        "user add bulward:secret",
        "user grant-role bulward ours",
        "auth enable",
    ] {
        etcd.ctl(&args.split(' ').collect::<Vec<_>>());
    }
    let user = |name: &str, password: &str, prefix: &str| Config {
        user: Some(name.to_owned()),
        password: Some(password.to_owned()),
        ..config(&etcd, prefix)
    };
    let text = fails(user("bulward", "wrong", "/ours")).await;
    assert!(text.contains("invalid user ID or password"), "{text}");
    let text = fails(user("bulward", "secret", "/theirs")).await;
    assert!(text.contains("permission denied"), "{text}");
    let text = fails(config(&etcd, "/ours")).await;
    assert!(text.contains("user name is empty"), "{text}");
    let nobody = Config {
        password: None,
        ..user("bulward", "secret", "/ours")
    };
    assert!(fails(nobody).await.contains("both a user and a password"));

    let storage = Etcd::connect(user("bulward", "secret", "/ours")).await.unwrap();
    let mut newest = write(&storage, "k", "0").await;
    for n in 1..4 {
        // The member forgets the tokens that it has given out.
        etcd.kill(0);
        etcd.restart(0).await;
        let mut watch = within(storage.watch("", newest)).await.unwrap();
        newest = write(&storage, "k", &n.to_string()).await;
        assert_eq!(
            within(next(&mut watch)).await,
            batch(newest, &[("k", Some(n.to_string().as_str()))])
        );
        let page = storage.list(ListRequest::default()).await.unwrap();
        assert_eq!(page.entries.len(), 1);
    }
}

#[tokio::test]
async fn nonsense_is_refused() {
    let of = |endpoints: &[&str]| Config {
        endpoints: endpoints.iter().map(|url| (*url).to_owned()).collect(),
        ..Config::default()
    };
    assert!(fails(of(&[])).await.contains("no etcd endpoint"));
    assert!(fails(of(&["127.0.0.1:2379"])).await.contains("http://"));
    assert!(
        fails(of(&["http://a:1", "https://b:1"]))
            .await
            .contains("all with https://")
    );
    fails(of(&["http://not a host"])).await;
    let idle = Config {
        ca_file: Some(PathBuf::from("/ca.crt")),
        ..of(&["http://127.0.0.1:1"])
    };
    assert!(fails(idle).await.contains("its endpoints are http://"));

    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = within(Etcd::connect(of(&[&format!("http://{dead}")]))).await.map(drop);
    let Err(Error::Unavailable(text)) = nobody else {
        panic!("{nobody:?}")
    };
    assert!(text.contains(&dead.to_string()) && text.contains("refused"), "{text}");
}

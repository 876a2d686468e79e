use std::{sync::Arc, time::Duration};

use bulward::http::{listener::Limits, tls};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{Server, client::Client, within};

fn leaf(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_new_certificate_is_served_and_open_connections_stay() {
    let server = Server::start(Limits::default()).await;
    let mut before = Client::h2().connect(&server).await;
    let mut before_h1 = Client::h1().connect(&server).await;
    assert!(!server.certificate.reload().unwrap(), "nothing has changed yet");

    let fresh = server.replace_certificate();
    let following =
        tokio::spawn(Arc::clone(&server.certificate).follow(Duration::from_millis(10), server.shutdown.clone()));
    within(async {
        while Client::h2().connect(&server).await.server_leaf != leaf(&fresh.certificate_pem) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_ne!(before.server_leaf, leaf(&fresh.certificate_pem));
    assert!(before.text("/still").await.starts_with("/still HTTP/2.0"));
    assert!(before_h1.text("/here").await.starts_with("/here HTTP/1.1"));

    drop((before, before_h1));
    assert_eq!(server.stop().await.aborted, 0);
    within(following).await.unwrap();
}

#[tokio::test]
async fn a_bad_pair_changes_nothing_and_is_reported_once() {
    let server = Server::start(Limits::default()).await;
    let (certificate, key) = (
        server.folder.path().join("bulward.crt"),
        server.folder.path().join("bulward.key"),
    );
    let old_key = std::fs::read(&key).unwrap();
    let old = Client::h1().connect(&server).await.server_leaf;

    let fresh = server.replace_certificate();
    std::fs::write(&key, &old_key).unwrap();
    let error = server.certificate.reload().unwrap_err();
    assert!(matches!(error, tls::Error::Pair { .. }), "{error}");
    assert!(!server.certificate.reload().unwrap(), "known already");
    assert_eq!(Client::h1().connect(&server).await.server_leaf, old);

    std::fs::write(&certificate, "").unwrap();
    assert!(matches!(
        server.certificate.reload().unwrap_err(),
        tls::Error::NoCertificate { .. }
    ));
    std::fs::remove_file(&certificate).unwrap();
    assert!(matches!(
        server.certificate.reload().unwrap_err(),
        tls::Error::Read { .. }
    ));
    assert_eq!(Client::h1().connect(&server).await.server_leaf, old);

    fresh.save(&certificate, &key).unwrap();
    assert!(server.certificate.reload().unwrap());
    assert_eq!(
        Client::h1().connect(&server).await.server_leaf,
        leaf(&fresh.certificate_pem)
    );
}

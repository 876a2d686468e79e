use std::time::{Duration, SystemTime};

use bulward::{
    certs::{Authority, Leaf},
    http::listener::{ConnectionEvent, Limits},
};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use tokio::io::AsyncReadExt;

use super::{Server, client::Client, within};

#[tokio::test]
async fn both_protocols_without_a_client_certificate() {
    let server = Server::start(Limits::default()).await;
    let h1 = Client::h1().connect(&server).await.text("/a").await;
    assert_eq!(h1, "/a HTTP/1.1 certificates=0 headers=1");
    let h2 = Client::h2().connect(&server).await.text("/b").await;
    assert!(h2.starts_with("/b HTTP/2.0 certificates=0"), "{h2}");
    // A client that does not negotiate gets HTTP/1.1, as from Go's server.
    let silent = Client::default().connect(&server).await.text("/c").await;
    assert_eq!(silent, "/c HTTP/1.1 certificates=0 headers=1");
}

#[tokio::test]
async fn any_client_certificate_reaches_the_handler() {
    let server = Server::start(Limits::default()).await;
    let authority = Authority::new("unknown to the server").unwrap();
    let now = SystemTime::now();
    let expired = Leaf {
        not_before: now - Duration::from_secs(7200),
        not_after: now - Duration::from_secs(3600),
        ..Leaf::client("alice", &[])
    };
    for leaf in [Leaf::client("alice", &["system:masters"]), expired] {
        let pair = authority.issue(&leaf).unwrap();
        for only in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut client = Client::h2().with(&pair);
            client.only = Some(only);
            let text = client.connect(&server).await.text("/").await;
            assert!(text.contains("certificates=1"), "{text}");
        }
    }
    // The chain arrives whole.
    let mut pair = authority.issue(&Leaf::client("alice", &[])).unwrap();
    pair.certificate_pem.push_str(authority.certificate_pem());
    let text = Client::h1().with(&pair).connect(&server).await.text("/").await;
    assert!(text.contains("certificates=2"), "{text}");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let server = Server::start(Limits::default()).await;
    let authority = Authority::new("any").unwrap();
    let alice = authority.issue(&Leaf::client("alice", &["system:masters"])).unwrap();
    let mallory = authority.issue(&Leaf::client("mallory", &[])).unwrap();
    for only in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = Client::h1();
        client.identity = Some((alice.certificate_pem.clone(), mallory.key_pem.clone()));
        client.only = Some(only);
        let refused = match client.handshake(&server).await {
            Err(_) => true,
            Ok(mut stream) => within(stream.read_u8()).await.is_err(),
        };
        assert!(refused, "{only:?}");
    }
    server.probe.observed(ConnectionEvent::HandshakeFailed, 2).await;
}

#[tokio::test]
async fn openssl_agrees_on_versions_and_chain() {
    let server = Server::start(Limits::default()).await;
    let (addr, authority) = (server.addr, server.folder.path().join("ca.crt"));
    let attempt = move |version: SslVersion, host: &str| {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_ca_file(&authority).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        builder.set_max_proto_version(Some(version)).unwrap();
        builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        let socket = std::net::TcpStream::connect(addr).unwrap();
        builder
            .build()
            .connect(host, socket)
            .map(|stream| stream.ssl().version_str().to_owned())
            .ok()
    };
    let results = tokio::task::spawn_blocking(move || {
        [
            attempt(SslVersion::TLS1_1, "localhost"),
            attempt(SslVersion::TLS1_2, "localhost"),
            attempt(SslVersion::TLS1_3, "localhost"),
            attempt(SslVersion::TLS1_3, "elsewhere"),
        ]
    });
    let expected = [None, Some("TLSv1.2".to_owned()), Some("TLSv1.3".to_owned()), None];
    assert_eq!(within(results).await.unwrap(), expected);
}

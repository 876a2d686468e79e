//! What an idle watch costs the server: HTTP/2 streams on few connections to `bulward dev`, a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::machine::{resident, row};

const WATCHES: usize = 10_000;
const PER_CONNECTION: usize = 250;
const PATH: &str = "/apis/apiserver.bulward.io/v1alpha1/organizations?watch=1&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=3600";

/// A server that ends with this.
struct Server {
    process: Child,
    port: u16,
}

pub(crate) fn run() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    let tls = connector(folder.path());
    runtime.block_on(async {
        // Connections first, each with a watch, so that what comes on top are streams alone.
        let mut kept: Vec<Incoming> = Vec::new();
        let mut connections = Vec::new();
        let bare = server.settled().await;
        for _ in 0..WATCHES / PER_CONNECTION {
            let mut sender = connect(&tls, server.port).await;
            kept.push(watch(&mut sender, server.port).await);
            connections.push(sender);
        }
        let before = server.settled().await;
        let each = (before - bare) / u64::try_from(connections.len()).expect("few");
        row("a connection with one watch", format!("{each} bytes"));
        for sender in &mut connections {
            for _ in 1..PER_CONNECTION {
                kept.push(watch(sender, server.port).await);
            }
        }
        let after = server.settled().await;
        let added = u64::try_from(kept.len() - connections.len()).expect("few");
        row(
            format!("an idle watch beyond its connection, of {}", kept.len()),
            format!("{} bytes", after.saturating_sub(before) / added),
        );
    });
}

async fn watch(sender: &mut SendRequest<Empty<Bytes>>, port: u16) -> Incoming {
    let request = Request::get(format!("https://localhost:{port}{PATH}"))
        .body(Empty::new())
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    response.into_body()
}

async fn connect(tls: &TlsConnector, port: u16) -> SendRequest<Empty<Bytes>> {
    let socket = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("the server listens");
    let stream = tls
        .connect("localhost".try_into().expect("a name"), socket)
        .await
        .expect("the TLS handshake");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.expect("the HTTP/2 handshake");
    tokio::spawn(connection);
    sender
}

fn connector(folder: &Path) -> TlsConnector {
    let file = |name: &str| folder.join("certificates").join(name);
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(file("ca.crt")).expect("the authority's certificate");
    roots.add(authority).expect("the authority's certificate");
    let chain = CertificateDer::pem_file_iter(file("alice.crt")).expect("alice's certificate");
    let chain = chain.collect::<Result<_, _>>().expect("alice's certificate");
    let key = PrivateKeyDer::from_pem_file(file("alice.key")).expect("alice's key");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key);
    let mut config = config.expect("alice's certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

impl Server {
    fn start(folder: &Path) -> Self {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        drop(socket);
        let mut process = Command::new(env!("CARGO_BIN_EXE_bulward"))
            .args(["dev", "--secure-port", &port.to_string(), "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("our server starts");
        // It greets when it is ready.
        let mut greeting = BufReader::new(process.stdout.take().expect("piped")).lines();
        greeting.next().expect("a greeting").expect("text");
        std::thread::spawn(move || greeting.for_each(drop));
        Self { process, port }
    }

    /// Resident bytes once they have stopped to grow.
    async fn settled(&self) -> u64 {
        let process = self.process.id().to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = resident(&process);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = resident(&process);
            if now.abs_diff(last) < 64 << 10 || Instant::now() > deadline {
                return now;
            }
            last = now;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

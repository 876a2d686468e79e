//! A client that shows every byte of an HTTP/1.1 connection.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ControlPlane;
use super::in_process::DEADLINE;

/// How an administrator reaches a server.
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) authority: String,
    /// None when empty.
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// Header lines that say who asks, each with its line break.
    pub(crate) identity: &'static str,
}

/// A connection.
pub(crate) struct Raw {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
    identity: &'static str,
}

impl Door {
    /// kube-apiserver's, as its own aggregator is let in.
    pub(crate) fn of_plane(plane: &ControlPlane) -> Self {
        let pair = plane.front_proxy_client();
        let port = plane.server().rsplit(':').next().and_then(|port| port.parse().ok());
        Self {
            port: port.expect("a port in the URL"),
            authority: plane.ca().pem(),
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
            identity: "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n",
        }
    }

    pub(crate) async fn open(&self) -> Raw {
        self.try_open().await.expect("connects and shakes hands")
    }

    /// As [`Door::open`], where the server may not want it.
    pub(crate) async fn try_open(&self) -> std::io::Result<Raw> {
        Ok(Raw {
            stream: self.dial(&[]).await?,
            unread: Vec::new(),
            identity: self.identity,
        })
    }

    /// A connection with nothing on it yet, for one of these protocols.
    pub(crate) async fn dial(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes()).expect("the authority is PEM");
        roots.add(authority).expect("an authority");
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = if self.certificate.is_empty() {
            config.with_no_client_auth()
        } else {
            let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
            let chain = chain.map(|one| one.expect("a certificate")).collect();
            let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
            let config = config.with_client_auth_cert(chain, key);
            config.expect("certificate and key belong together")
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = "localhost".try_into().expect("a name");
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        tokio::time::timeout(DEADLINE, connecting).await.expect("in time")
    }
}

impl Raw {
    /// Sends a request's head: its first line, and further header lines, each with its line break.
    pub(crate) async fn request(&mut self, line: &str, headers: &str) {
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{}{headers}\r\n", self.identity);
        self.send(head.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.expect("sends");
    }

    /// Sends what the other side may not take any more.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(DEADLINE, sending).await.expect("in time")
    }

    /// Reads some more; false at the end.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = tokio::time::timeout(DEADLINE, self.stream.read(&mut buffer)).await;
        let length = read.expect("in time").unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// So many bytes; fewer at the end.
    pub(crate) async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length && self.more().await {}
        self.unread.drain(..length.min(self.unread.len())).collect()
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    /// A response's head; empty at the end of the connection.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..at + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            if !self.more().await {
                return String::new();
            }
        }
    }

    /// A response of known length: its code and its body.
    pub(crate) async fn response(&mut self) -> (u16, Vec<u8>) {
        let head = self.head().await.to_ascii_lowercase();
        let code = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        (code, self.exactly(length).await)
    }
}

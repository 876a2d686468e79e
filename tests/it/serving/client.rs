//! A client that shows what happens on the wire: which protocol, which certificate, when the connection ends.

use std::sync::Arc;

use bulward::{certs::Pair, http::tls};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Server, within};

/// How a client behaves in the handshake.
#[derive(Default)]
pub(super) struct Client {
    /// The certificate to present and the key to sign with, which need not belong together.
    pub(super) identity: Option<(String, String)>,
    /// Protocols offered.
    pub(super) alpn: Vec<&'static str>,
    /// The name that is asked for; `localhost` without it.
    pub(super) name: Option<&'static str>,
    /// The user for whom a front proxy asks.
    pub(super) acting_for: Option<&'static str>,
    /// The only TLS version, if just one.
    pub(super) only: Option<&'static rustls::SupportedProtocolVersion>,
}

pub(super) enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// An open HTTP connection.
pub(super) struct Connection {
    pub(super) sender: Sender,
    /// Ends when the connection does.
    pub(super) ended: JoinHandle<Result<(), hyper::Error>>,
    /// What the server presented.
    pub(super) server_leaf: CertificateDer<'static>,
    acting_for: Option<&'static str>,
}

#[derive(Debug)]
struct Identity(Arc<CertifiedKey>);

impl ResolvesClientCert for Identity {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Client {
    pub(super) fn h1() -> Self {
        Self {
            alpn: vec!["http/1.1"],
            ..Self::default()
        }
    }

    pub(super) fn h2() -> Self {
        Self {
            alpn: vec!["h2", "http/1.1"],
            ..Self::default()
        }
    }

    pub(super) fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn acting_for(mut self, user: &'static str) -> Self {
        self.acting_for = Some(user);
        self
    }

    pub(super) fn with(mut self, pair: &Pair) -> Self {
        self.identity = Some((pair.certificate_pem.clone(), pair.key_pem.clone()));
        self
    }

    /// The TLS stream, once both sides are content: a TLS 1.3 client learns of a refusal with its first read.
    pub(super) async fn handshake(&self, server: &Server) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(server.authority_pem.as_bytes()).unwrap())
            .unwrap();
        let versions = self.only.map_or(rustls::DEFAULT_VERSIONS.to_vec(), |only| vec![only]);
        let builder = ClientConfig::builder_with_protocol_versions(&versions).with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
                    .map(Result::unwrap)
                    .collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let key = tls::provider().key_provider.load_private_key(key).unwrap();
                builder.with_client_cert_resolver(Arc::new(Identity(Arc::new(CertifiedKey::new(chain, key)))))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(server.addr).await?;
        let name = self.name.unwrap_or("localhost").try_into().unwrap();
        within(TlsConnector::from(Arc::new(config)).connect(name, socket)).await
    }

    pub(super) async fn connect(&self, server: &Server) -> Connection {
        let stream = self.handshake(server).await.unwrap();
        let session = stream.get_ref().1;
        let server_leaf = session.peer_certificates().unwrap()[0].clone();
        if session.alpn_protocol() == Some(b"h2") {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
            Connection {
                sender: Sender::Http2(sender),
                ended: tokio::spawn(connection),
                server_leaf,
                acting_for: self.acting_for,
            }
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            Connection {
                sender: Sender::Http1(sender),
                ended: tokio::spawn(connection),
                server_leaf,
                acting_for: self.acting_for,
            }
        }
    }
}

impl Connection {
    /// Sends a request at once; the future is the answer.
    pub(super) fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        match &mut self.sender {
            Sender::Http1(sender) => futures::future::Either::Left(sender.send_request(request)),
            Sender::Http2(sender) => futures::future::Either::Right(sender.send_request(request)),
        }
    }

    pub(super) fn get(&mut self, path: &str) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        let uri = format!("https://localhost{path}");
        let mut request = Request::get(uri).header("host", "localhost");
        if let Some(user) = self.acting_for {
            request = request.header("x-remote-user", user);
        }
        self.send(request.body(Empty::new()).unwrap())
    }

    pub(super) async fn text(&mut self, path: &str) -> String {
        let response = within(self.get(path)).await.unwrap();
        text(response).await
    }
}

pub(super) async fn text(response: Response<Incoming>) -> String {
    let body = within(response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

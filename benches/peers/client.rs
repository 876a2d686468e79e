//! The client of every measurement: one HTTP/2 connection over TLS, with the front proxy's certificate.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::pki::Pair;

/// Flow control windows as Go's HTTP/2 client has them (golang.org/x/net/http2 transport.go).
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// How to reach a server.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
    port: u16,
}

/// An open connection that speaks for one user.
pub(crate) struct Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    user: HeaderValue,
    group: HeaderValue,
    origin: String,
}

/// What is sent.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

impl Connector {
    /// Verifies the server with `ca` and shows it `pair`.
    pub(crate) fn new(port: u16, ca: &str, pair: &Pair) -> Connector {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("our own authority");
        roots.add(ca).expect("our own authority");
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("our own certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("our own key");
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        let mut config = config.expect("our own certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Connector {
            tls: TlsConnector::from(Arc::new(config)),
            port,
        }
    }

    /// Opens a connection on which `user` asks.
    pub(crate) async fn connect(&self, user: &str, group: &str) -> Connection {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.expect("connect");
        socket.set_nodelay(true).expect("set TCP_NODELAY");
        let name = "localhost".try_into().expect("a name");
        let stream = self.tls.connect(name, socket).await.expect("the TLS handshake");
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .expect("the HTTP/2 handshake");
        tokio::spawn(connection);
        Connection {
            sender,
            user: HeaderValue::from_str(user).expect("a user name"),
            group: HeaderValue::from_str(group).expect("a group"),
            origin: format!("https://localhost:{}", self.port),
        }
    }

    /// One connection for each of `count` clients.
    pub(crate) async fn connections(&self, count: usize, user: &str, group: &str) -> Vec<Connection> {
        futures::future::join_all((0..count).map(|_| self.connect(user, group))).await
    }
}

impl Connection {
    fn request(&self, ask: Ask) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(ask.body));
        *request.method_mut() = ask.method;
        *request.uri_mut() = format!("{}{}", self.origin, ask.path).parse().expect("a path");
        let headers = request.headers_mut();
        headers.insert("x-remote-user", self.user.clone());
        headers.insert("x-remote-group", self.group.clone());
        headers.insert("accept", HeaderValue::from_static("application/json"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static("peers"));
        request
    }

    /// Sends a request and reads the answer to its end, which it does not keep: its length in bytes.
    pub(crate) async fn measure(&mut self, ask: Ask) -> (StatusCode, usize) {
        let response = self.sender.send_request(self.request(ask)).await.expect("an answer");
        let (head, mut body) = response.into_parts();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.expect("the body").data_ref().map_or(0, Bytes::len);
        }
        (head.status, length)
    }

    /// Sends a request and returns the whole answer.
    pub(crate) async fn text(&mut self, ask: Ask) -> (StatusCode, String) {
        let response = self.sender.send_request(self.request(ask)).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("the body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }
}

impl Ask {
    /// GET of a path.
    pub(crate) fn get(path: String) -> Ask {
        Ask {
            method: Method::GET,
            path,
            body: Bytes::new(),
        }
    }

    /// POST of an object.
    pub(crate) fn post(path: String, body: Bytes) -> Ask {
        Ask {
            method: Method::POST,
            path,
            body,
        }
    }

    /// DELETE of a path.
    pub(crate) fn delete(path: String) -> Ask {
        Ask {
            method: Method::DELETE,
            path,
            body: Bytes::new(),
        }
    }
}

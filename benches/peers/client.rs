//! The client of every measurement: one HTTP/2 connection over TLS, with the front proxy's certificate.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
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

/// A watch that was granted.
pub(crate) struct Watch {
    body: Incoming,
    unread: BytesMut,
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
        let opened = self.try_connect(user, group).await;
        opened.unwrap_or_else(|error| panic!("port {}: {error}", self.port))
    }

    /// The same to a server that may not be there yet.
    pub(crate) async fn try_connect(&self, user: &str, group: &str) -> Result<Connection, io::Error> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
        socket.set_nodelay(true)?;
        let name = "localhost".try_into().expect("a name");
        let stream = self.tls.connect(name, socket).await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let handshake = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Connection {
            sender,
            user: HeaderValue::from_str(user).expect("a user name"),
            group: HeaderValue::from_str(group).expect("a group"),
            origin: format!("https://localhost:{}", self.port),
        })
    }

    /// The same client to another server.
    pub(crate) fn at(&self, port: u16) -> Connector {
        let tls = self.tls.clone();
        Connector { tls, port }
    }

    /// One connection for each of `count` clients.
    pub(crate) async fn connections(&self, count: usize, user: &str, group: &str) -> Vec<Connection> {
        futures::future::join_all((0..count).map(|_| self.connect(user, group))).await
    }
}

impl Connection {
    /// The same connection with another user.
    pub(crate) fn speaking_for(&self, user: &str) -> Connection {
        Connection {
            sender: self.sender.clone(),
            user: HeaderValue::from_str(user).expect("a user name"),
            group: self.group.clone(),
            origin: self.origin.clone(),
        }
    }

    /// Opens a watch; nothing of it is read until somebody asks for a line.
    pub(crate) async fn watch(&mut self, path: &str) -> Watch {
        let ask = Ask::get(path.to_owned());
        let response = self.sender.send_request(self.request(ask)).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Watch {
            body: response.into_body(),
            unread: BytesMut::new(),
        }
    }

    fn request(&self, ask: Ask) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(ask.body));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = format!("{}{}", self.origin, ask.path).parse().expect("a path");
        let headers = request.headers_mut();
        headers.insert("x-remote-user", self.user.clone());
        headers.insert("x-remote-group", self.group.clone());
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let content = match ask.method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        headers.insert("content-type", HeaderValue::from_static(content));
        headers.insert("user-agent", HeaderValue::from_static("peers"));
        request
    }

    /// Sends a request and reads the answer to its end, which it does not keep: its length in bytes.
    pub(crate) async fn measure(&mut self, ask: Ask) -> (StatusCode, usize) {
        self.try_measure(ask).await.expect("an answer")
    }

    /// The same of a server that may just be starting.
    pub(crate) async fn try_measure(&mut self, ask: Ask) -> Result<(StatusCode, usize), hyper::Error> {
        let response = self.sender.send_request(self.request(ask)).await?;
        let (head, mut body) = response.into_parts();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok((head.status, length))
    }

    /// Sends a request and returns the whole answer.
    pub(crate) async fn text(&mut self, ask: Ask) -> (StatusCode, String) {
        self.try_text(ask).await.expect("an answer")
    }

    /// The same of a server that may just be starting.
    pub(crate) async fn try_text(&mut self, ask: Ask) -> Result<(StatusCode, String), hyper::Error> {
        let response = self.sender.send_request(self.request(ask)).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).expect("text")))
    }
}

impl Watch {
    /// The next event's line.
    pub(crate) async fn line(&mut self) -> BytesMut {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                return self.unread.split_to(end + 1);
            }
            let frame = self.body.frame().await.expect("a watch that goes on");
            if let Ok(data) = frame.expect("a watch that goes on").into_data() {
                self.unread.extend_from_slice(&data);
            }
        }
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

    /// PATCH of an object by what is to be merged into it.
    pub(crate) fn merge(path: String, patch: String) -> Ask {
        Ask {
            method: Method::PATCH,
            path,
            body: Bytes::from(patch),
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

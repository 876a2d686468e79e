//! A whole server on a storage in memory, without a socket and without TLS: what a connection would carry goes through a pipe.
//!
//! Everything runs on one thread. Callers are named by a front proxy whose certificate the connection has shown.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bulward::audit::{Auditor, Backend, LogFile, Mode, Policy, Rotation};
use bulward::authn::delegating::DelegatingAuthenticator;
use bulward::authn::trust::{TrustBundle, TrustFlags};
use bulward::authz::{AlwaysAllowPaths, Authorizer, Local, Union};
use bulward::certs::{Authority, Leaf};
use bulward::endpoints::Router;
use bulward::endpoints::discovery::{Documents, Surroundings};
use bulward::groups::{self, tenancy};
use bulward::http::health::Health;
use bulward::http::impersonation::Impersonation;
use bulward::http::limits::{Allowance, Limits};
use bulward::http::listener::{Handler, Peer};
use bulward::http::pipeline::Pipeline;
use bulward::http::upgrade::Afterwards;
use bulward::rest::store::{self, Store};
use bulward::storage::memory::Memory;
use bulward::storage::{Change, Expect, Op, Storage};
use bulward::telemetry::metrics::Metrics;
use bulward::watchcache::log::Bounds;
use bulward::watchcache::{Cache, reflector};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::sync::CancellationToken;

/// Bytes that a pipe holds; more than any answer here has.
const PIPE: usize = 256 << 10;

/// The parts of a running server.
pub(crate) struct Server {
    pub(crate) storage: Arc<Memory>,
    pipeline: Arc<Pipeline>,
    peer: Arc<Peer>,
}

/// A connection to it.
pub(crate) struct Client {
    pipe: DuplexStream,
    unread: Vec<u8>,
}

impl Server {
    /// Starts it with what is in the storage, and waits until that is loaded.
    pub(crate) async fn start(storage: Arc<Memory>) -> Server {
        Self::recording(storage, None).await
    }

    /// As [`Server::start`], with requests recorded in a file: what they are about, at both stages.
    pub(crate) async fn audited(storage: Arc<Memory>, file: &Path) -> Server {
        Self::recording(storage, Some(file)).await
    }

    async fn recording(storage: Arc<Memory>, audit_log: Option<&Path>) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let front = Authority::new("front").expect("an authority");
        let proxy = front.issue(&Leaf::client("front-proxy", &[])).expect("a certificate");
        let file = folder.path().join("front.crt");
        std::fs::write(&file, front.certificate_pem()).expect("a temporary file");
        let header = bulward::config::RequestHeader::default();
        let trust = TrustBundle::from_files(TrustFlags {
            client_ca_file: None,
            request_header_ca_file: Some(file),
            allowed_names: header.allowed_names,
            username_headers: header.username_headers,
            uid_headers: header.uid_headers,
            group_headers: header.group_headers,
            extra_headers_prefix: header.extra_headers_prefix,
        });

        let registry = groups::registry(&groups::Options::default());
        let specs = store::specs(&registry).expect("our own kinds");
        let cache = Cache::new(specs, storage.clone(), Bounds::default());
        let store = Store::new(&registry, storage.clone(), cache.clone()).expect("our own kinds");
        tokio::spawn(reflector::run(cache.clone(), CancellationToken::new()));
        while !cache.is_ready() {
            tokio::task::yield_now().await;
        }
        let metrics = Arc::new(Metrics::new());
        let surroundings = Surroundings {
            paths: Vec::new(),
            server_address: String::new(),
        };
        let router = Router {
            documents: Documents::new(&registry, &surroundings),
            registry: Arc::new(registry),
            store: Arc::new(store),
            health: Arc::new(Health::new()),
            metrics: metrics.clone(),
            unfiltered_users: Vec::new(),
            min_watch: Allowance::default().min_request_timeout,
        };
        let authorizer: Arc<dyn Authorizer> =
            Arc::new(Union::local(AlwaysAllowPaths::default(), Local::new(tenancy::FILTERED)));
        let pipeline = Pipeline {
            audit: audit_log.map(|file| auditor(file, &metrics)),
            impersonation: Impersonation::new(authorizer.clone()),
            authenticator: Arc::new(DelegatingAuthenticator::new(trust.expect("our own authority"), None)),
            authorizer,
            route: Arc::new(router),
            limits: Limits::new(Allowance::default(), metrics.clone()),
            traces: None,
            metrics,
        };
        let shown = CertificateDer::from_pem_slice(proxy.certificate_pem.as_bytes());
        Server {
            storage,
            pipeline: Arc::new(pipeline),
            peer: Arc::new(Peer {
                remote_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                certificates: [shown.expect("our own certificate")].into(),
                expires: None,
                drain: CancellationToken::new(),
                afterwards: Afterwards::default(),
            }),
        }
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> Client {
        let (pipe, server) = tokio::io::duplex(PIPE);
        let (pipeline, peer) = (self.pipeline.clone(), self.peer.clone());
        let service = service_fn(move |request| {
            let (pipeline, peer) = (pipeline.clone(), peer.clone());
            async move { Ok::<_, Infallible>(pipeline.handle(request, &peer).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        Client {
            pipe,
            unread: Vec::with_capacity(PIPE),
        }
    }
}

impl Client {
    /// Sends a request and reads its answer, which has a Content-Length, to the end.
    pub(crate) async fn ask(&mut self, request: &str, code: &str) {
        self.pipe.write_all(request.as_bytes()).await.expect("the server reads");
        loop {
            if let Some(head) = find(&self.unread, b"\r\n\r\n") {
                let text = std::str::from_utf8(&self.unread[..head]).expect("headers are text");
                let length = text
                    .split("\r\n")
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
                if self.unread.len() >= head + 4 + length {
                    // The client's own work counts as well: as little as can be.
                    let right = text.get("HTTP/1.1 ".len()..).is_some_and(|rest| rest.starts_with(code));
                    assert!(right, "{}", String::from_utf8_lossy(&self.unread));
                    self.unread.clear();
                    return;
                }
            }
            self.read().await;
        }
    }

    /// Sends a request without waiting for anything.
    pub(crate) async fn send(&mut self, request: &str) {
        self.pipe.write_all(request.as_bytes()).await.expect("the server reads");
    }

    /// Reads until this has come, and forgets everything.
    pub(crate) async fn until(&mut self, text: &str) {
        while find(&self.unread, text.as_bytes()).is_none() {
            self.read().await;
        }
        self.unread.clear();
    }

    /// Reads one event of a watch, and forgets it.
    pub(crate) async fn event(&mut self) {
        // The line's end, and the end of the piece in which it was sent.
        while !self.unread.ends_with(b"}\n\r\n") {
            self.read().await;
        }
        self.unread.clear();
    }

    async fn read(&mut self) {
        let count = self.pipe.read_buf(&mut self.unread).await.expect("the server writes");
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&self.unread));
    }
}

fn auditor(file: &Path, metrics: &Metrics) -> Arc<Auditor> {
    let policy = file.with_extension("yaml");
    let text = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}";
    std::fs::write(&policy, text).expect("a temporary file");
    let rotation = Rotation {
        max_size: 0,
        max_age: 0,
        max_backups: 0,
        compress: false,
    };
    let log = Arc::new(LogFile::open(file, rotation).expect("a temporary file"));
    let backend = Backend::new(log, Mode::Blocking, None, metrics.audit().clone());
    let policy = Policy::load(&policy).expect("a policy");
    Auditor::new(policy, vec![backend], metrics.audit().clone())
}

/// A memory with `values` under their keys.
pub(crate) async fn filled(values: impl Iterator<Item = (String, Vec<u8>)>) -> Arc<Memory> {
    let storage = Arc::new(Memory::new());
    let mut values = values.peekable();
    while values.peek().is_some() {
        let ops = values.by_ref().take(128).map(|(key, value)| Op {
            key,
            expect: Expect::Absent,
            change: Change::Put(value.into()),
        });
        storage.commit(ops.collect()).await.expect("memory does not refuse");
    }
    storage
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

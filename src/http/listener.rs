//! Accepts connections, shakes hands, speaks HTTP/1.1 and HTTP/2, and ends all of it in good order.

mod activity;
mod addresses;
mod connection;
mod expiry;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::addresses::Addresses;
use super::body::Body;
use super::upgrade::Afterwards;

pub use expiry::Expiry;

/// How long what is cut may take to notice.
const CUT: Duration = Duration::from_secs(1);

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where the connection comes from.
    pub remote_addr: SocketAddr,
    /// The chain presented in the handshake, leaf first, empty when there was none. The peer has proven that it holds
    /// the leaf's key; whether the chain can be trusted is for the authenticators to say.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// When the leaf's validity ends.
    pub expires: Option<Expiry>,
    /// Cancelled when the server starts to drain: long-running responses end their bodies then.
    pub drain: CancellationToken,
    /// What goes on once the connection speaks HTTP no more.
    pub afterwards: Afterwards,
}

/// Answers requests.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropped at an await point when the client goes away.
    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<Body>;

    /// Learns what happens to connections; the default does nothing.
    fn observe(&self, event: ConnectionEvent) {
        let _ = event;
    }
}

/// In an answer's extensions: whoever got it is a stranger, whose HTTP/2 connection takes no further request, and is cut with
/// what still runs on it after [`Limits::write_timeout`].
#[derive(Clone, Copy, Debug)]
pub struct Dismissed;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The handshake is done.
    Opened,
    /// An opened connection is gone.
    Closed,
    /// The handshake failed or took too long; the connection is gone.
    HandshakeFailed,
    /// Its address has too many already; it was closed.
    Refused,
}

/// How much of everything one listener allows. The defaults are those of k8s.io/apiserver pkg/server/secure_serving.go
/// and config.go where they name one.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From accepting a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// From a request's first byte to the end of its headers (HTTP/1.1).
    pub header_timeout: Duration,
    /// How long a connection may stay without a running request.
    pub idle_timeout: Duration,
    /// How long running requests may take to finish once the shutdown began.
    pub drain_timeout: Duration,
    /// How long a client may take nothing of an answer (HTTP/1.1; an HTTP/2 client has to answer pings).
    pub write_timeout: Duration,
    /// After a connection was told to close and has no running request: how long until it is cut.
    pub close_grace: Duration,
    /// Open connections, those in their handshake included; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Open connections from one address; further ones are closed at once.
    pub max_connections_per_address: usize,
    /// A request's headers in bytes.
    pub max_header_bytes: u32,
    /// A request's header lines (HTTP/1.1); a front proxy sends one for every group of the user.
    pub max_headers: usize,
    /// Concurrent requests on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Streams that an HTTP/2 client has reset before they were looked at; with more of them the connection is cut.
    pub max_pending_resets: usize,
    /// Streams that the server has reset because of what the client sent; with more of them the connection is cut.
    pub max_faults: usize,
    /// The largest HTTP/2 frame accepted, in bytes.
    pub max_frame_size: u32,
    /// How often an HTTP/2 connection is asked for a sign of life; one that does not answer within `ping_timeout` is
    /// cut, and its watches with it.
    pub ping_interval: Duration,
    /// See `ping_interval`.
    pub ping_timeout: Duration,
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections and requests that were still running when the drain timeout had passed, and were cut.
    pub aborted: usize,
}

/// What the connections of one listener share.
struct Shared {
    acceptor: TlsAcceptor,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

/// Serves until `shutdown` is cancelled, then stops accepting, tells every connection (GOAWAY, `Connection: close`) and
/// every long-running response ([`Peer::drain`]), and returns once all are done or the drain timeout has passed.
/// When the future is dropped, everything is cut at once.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    handler: Arc<dyn Handler>,
    limits: Limits,
    shutdown: CancellationToken,
) -> Drained {
    let abort = CancellationToken::new();
    let _cut_when_dropped = abort.clone().drop_guard();
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let shared = Arc::new(Shared {
        acceptor: TlsAcceptor::from(tls),
        handler,
        limits,
        shutdown: shutdown.clone(),
        abort: abort.clone(),
        tasks: TaskTracker::new(),
    });

    let addresses = Addresses::default();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (socket, remote_addr)) = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            next = next => next,
        };
        let address = crate::flowcontrol::network(remote_addr.ip());
        let Some(counted) = addresses.count(address, shared.limits.max_connections_per_address) else {
            shared.handler.observe(ConnectionEvent::Refused);
            continue;
        };
        let connection = connection::drive(Arc::clone(&shared), socket, remote_addr);
        shared.tasks.spawn(async move {
            connection.await;
            drop((permit, counted));
        });
    }

    drop(listener);
    shared.tasks.close();
    if tokio::time::timeout(shared.limits.drain_timeout, shared.tasks.wait())
        .await
        .is_ok()
    {
        return Drained { aborted: 0 };
    }
    let aborted = shared.tasks.len();
    abort.cancel();
    // Who is cut is told so at once; what is to be said of them afterwards (audit) is only complete when they are gone.
    if tokio::time::timeout(CUT, shared.tasks.wait()).await.is_err() {
        tracing::warn!(count = shared.tasks.len(), "requests do not end");
    }
    Drained { aborted }
}

/// The next connection. Errors of the connection itself are skipped; when the process is out of file descriptors or
/// memory it waits a little longer each time, because accepting again at once would only spin.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(32),
            idle_timeout: Duration::from_secs(90),
            drain_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            close_grace: Duration::from_secs(5),
            max_connections: 10_000,
            max_connections_per_address: 2_500,
            max_header_bytes: 1 << 20,
            max_headers: 1_000,
            max_concurrent_streams: 1_000,
            // The defaults of h2, which no client comes near that means well.
            max_pending_resets: 20,
            max_faults: 1_024,
            max_frame_size: 256 << 10,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

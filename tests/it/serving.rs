//! From the socket to the handler: handshakes, protocols, limits, rotation, draining. Everything over real sockets.

mod client;
mod draining;
mod handshake;
mod limits;
mod process;
mod refused;
mod rotation;
mod under_load;

use std::{
    future::pending,
    sync::{Arc, Once},
    time::Duration,
};

use async_trait::async_trait;
use bulward::{
    certs::{Authority, Leaf, self_signed_serving},
    http::{
        body::{self, Body, BoxError},
        listener::{self, ConnectionEvent, Drained, Handler, Limits, Peer},
        tls::{self, NamedCertificates, ServingCertificate},
    },
};
use bytes::Bytes;
use futures::{SinkExt, channel::mpsc};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up; never reached when all is well.
const DEADLINE: Duration = Duration::from_secs(20);

/// The length of what `/large` answers, which no kernel keeps for a client.
const LARGE: usize = 64 << 20;

/// A name of the server with a certificate of its own.
const OTHER: &str = "other.example";

/// `/wait` answers when it is told to, `/stream` streams until the drain begins, `/never` does not end; all else is
/// answered with what is known of the peer.
struct Probe {
    go: Notify,
    waiting: watch::Sender<usize>,
    events: Mutex<Vec<ConnectionEvent>>,
}

struct Server {
    addr: std::net::SocketAddr,
    authority_pem: String,
    certificate: Arc<ServingCertificate>,
    /// For [`OTHER`].
    other: Arc<ServingCertificate>,
    probe: Arc<Probe>,
    shutdown: CancellationToken,
    served: JoinHandle<Drained>,
    folder: tempfile::TempDir,
}

#[async_trait]
impl Handler for Probe {
    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
        match request.uri().path() {
            "/wait" => {
                let told = self.go.notified();
                self.waiting.send_modify(|count| *count += 1);
                told.await;
                Response::new(body::full("waited"))
            }
            "/large" => Response::new(body::full(vec![b'x'; LARGE])),
            "/stream" => Response::new(until_drain(peer.drain.clone())),
            "/never" => {
                self.waiting.send_modify(|count| *count += 1);
                pending().await
            }
            path => {
                let version = request.version();
                let certificates = peer.certificates.len();
                let headers = request.headers().len();
                Response::new(body::full(format!(
                    "{path} {version:?} certificates={certificates} headers={headers}"
                )))
            }
        }
    }

    fn observe(&self, event: ConnectionEvent) {
        self.events.lock().push(event);
    }
}

fn until_drain(drain: CancellationToken) -> Body {
    let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, BoxError>>(1);
    tokio::spawn(async move {
        let frame = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        if sender.send(frame("first\n")).await.is_ok() {
            drain.cancelled().await;
            let _ = sender.send(frame("last\n")).await;
        }
    });
    StreamBody::new(receiver).boxed_unsync()
}

impl Probe {
    /// Until `count` requests are waiting.
    async fn waiting(&self, count: usize) {
        within(self.waiting.subscribe().wait_for(|waiting| *waiting >= count))
            .await
            .unwrap();
    }

    /// Until `event` has been seen `count` times.
    async fn observed(&self, event: ConnectionEvent, count: usize) {
        within(async {
            while self.events.lock().iter().filter(|seen| **seen == event).count() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let probe = Arc::new(Probe {
            go: Notify::new(),
            waiting: watch::channel(0).0,
            events: Mutex::default(),
        });
        Self::serving(Arc::clone(&probe) as Arc<dyn Handler>, probe, limits).await
    }

    /// With a handler that is not the probe.
    async fn with(handler: Arc<dyn Handler>, limits: Limits) -> Self {
        let probe = Arc::new(Probe {
            go: Notify::new(),
            waiting: watch::channel(0).0,
            events: Mutex::default(),
        });
        Self::serving(handler, probe, limits).await
    }

    async fn serving(handler: Arc<dyn Handler>, probe: Arc<Probe>, limits: Limits) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(tls::install_provider);
        let folder = tempfile::tempdir().unwrap();
        let files = self_signed_serving(folder.path(), &["localhost".to_owned()]).unwrap();
        let certificate = ServingCertificate::load(&files.certificate, &files.key).unwrap();
        // For who asks for it by name.
        let path = |name| folder.path().join(name);
        let authority = Authority::load_or_create(folder.path(), "bulward-ca").unwrap();
        let pair = authority.issue(&Leaf::server([OTHER])).unwrap();
        pair.save(&path("other.crt"), &path("other.key")).unwrap();
        let other = ServingCertificate::load(path("other.crt"), path("other.key")).unwrap();
        let named = vec![(Vec::new(), other.clone())];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            addr: listener.local_addr().unwrap(),
            authority_pem: std::fs::read_to_string(&files.authority).unwrap(),
            served: tokio::spawn(listener::serve(
                listener,
                tls::server_config(Arc::new(NamedCertificates::new(certificate.clone(), named))),
                handler,
                limits,
                shutdown.clone(),
            )),
            certificate,
            other,
            probe,
            shutdown,
            folder,
        }
    }

    /// Issues and installs another serving certificate by the same authority; the server has not looked yet.
    fn replace_certificate(&self) -> bulward::certs::Pair {
        self.replace("bulward", "localhost")
    }

    /// The same for the certificate in these files, for that name.
    fn replace(&self, file: &str, name: &str) -> bulward::certs::Pair {
        let authority = Authority::load_or_create(self.folder.path(), "bulward-ca").unwrap();
        let pair = authority.issue(&Leaf::server([name])).unwrap();
        let path = |ending| self.folder.path().join(format!("{file}.{ending}"));
        pair.save(&path("crt"), &path("key")).unwrap();
        pair
    }

    async fn stop(self) -> Drained {
        self.shutdown.cancel();
        within(self.served).await.unwrap()
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("took longer than any healthy run does")
}

//! Certificates and authorities change while clients ask: on connections that stay, on new ones, and in streams. Nothing is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bulward::authn::delegating::DelegatingAuthenticator;
use bulward::authn::trust::{TrustBundle, TrustFlags};
use bulward::authn::{Authenticator, Credentials};
use bulward::certs::{Authority, Leaf, Pair};
use bulward::http::body::{self, Body};
use bulward::http::listener::{Handler, Limits, Peer};
use bulward::wire::notes::Notes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::RwLock;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::task::JoinHandle;

use super::client::Client;
use super::{OTHER, Server, within};

const ROTATIONS: usize = 12;
/// Answers that every client has seen before the next exchange.
const BETWEEN: usize = 5;

/// Clients that ask for as long as they are let; each counts what it was answered.
struct Askers {
    stop: Arc<AtomicBool>,
    counts: Vec<Arc<AtomicUsize>>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Askers {
    fn new() -> Self {
        Self {
            stop: Arc::default(),
            counts: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Asks `server` in a loop; on a new connection each time, or on one. Whatever is not `wanted` is a failure.
    fn ask(
        &mut self,
        server: &Arc<Server>,
        client: impl Fn() -> Client + Send + 'static,
        keep: bool,
        wanted: &'static str,
    ) {
        let (server, stop, count) = (server.clone(), self.stop.clone(), Arc::new(AtomicUsize::new(0)));
        self.counts.push(count.clone());
        self.tasks.push(tokio::spawn(async move {
            let mut failures = Vec::new();
            let mut connection = client().connect(&server).await;
            while !stop.load(Ordering::Relaxed) {
                if !keep {
                    connection = client().connect(&server).await;
                }
                let text = connection.text("/").await;
                if !text.starts_with(wanted) {
                    failures.push(text);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            failures
        }));
    }

    /// Until each has had some more answers.
    async fn go_on(&self) {
        let before: Vec<usize> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        within(async {
            for (count, before) in self.counts.iter().zip(before) {
                while count.load(Ordering::Relaxed) < before + BETWEEN {
                    tokio::task::yield_now().await;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        })
        .await;
    }

    async fn end(self, what: &str, rotations: usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(within(task).await.unwrap());
        }
        let done: usize = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        eprintln!(
            "{what}: {rotations} exchanges, {done} requests, {} failed",
            failures.len()
        );
        assert!(failures.is_empty(), "{failures:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serving_certificates_change_and_no_request_is_lost() {
    let server = Arc::new(Server::start(Limits::default()).await);
    let mut askers = Askers::new();
    for keep in [true, false] {
        askers.ask(&server, Client::h1, keep, "/ HTTP/1.1");
        askers.ask(&server, Client::h2, keep, "/ HTTP/2.0");
    }
    let mut streams = Vec::new();
    for client in [Client::h1(), Client::h2()] {
        let mut connection = client.connect(&server).await;
        let mut stream = within(connection.get("/stream")).await.unwrap().into_body();
        assert_eq!(
            within(stream.frame()).await.unwrap().unwrap().into_data().unwrap(),
            "first\n"
        );
        streams.push((connection, stream));
    }
    let path = |name: &str| server.folder.path().join(name);
    for _ in 0..ROTATIONS {
        let fresh = server.replace_certificate();
        // Half of it arrives first, and a key that belongs to another.
        std::fs::write(
            path("bulward.crt"),
            &fresh.certificate_pem[..fresh.certificate_pem.len() / 2],
        )
        .unwrap();
        assert!(server.certificate.reload().is_err());
        askers.go_on().await;
        fresh.save(&path("bulward.crt"), &path("bulward.key")).unwrap();
        let other = Authority::new("x")
            .unwrap()
            .issue(&Leaf::server(["localhost"]))
            .unwrap();
        std::fs::write(path("bulward.key"), &other.key_pem).unwrap();
        assert!(server.certificate.reload().is_err());
        askers.go_on().await;
        std::fs::write(path("bulward.key"), &fresh.key_pem).unwrap();
        assert!(server.certificate.reload().unwrap());
        askers.go_on().await;
    }
    askers.end("serving certificate", ROTATIONS).await;
    server.shutdown.cancel();
    for (_connection, mut stream) in streams {
        assert_eq!(
            within(stream.frame()).await.unwrap().unwrap().into_data().unwrap(),
            "last\n"
        );
    }
}

/// Says who asks.
struct Gate(DelegatingAuthenticator);

#[async_trait]
impl Handler for Gate {
    async fn handle(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<Body> {
        let notes = Notes::default();
        let mut credentials = Credentials {
            headers: request.headers_mut(),
            certificates: &peer.certificates,
            address: peer.remote_addr.ip(),
            notes: &notes,
        };
        let text = match self.0.authenticate(&mut credentials).await {
            Ok(user) => user.name,
            Err(status) => format!("{} {}", status.code, status.internal.unwrap_or_default()),
        };
        Response::new(body::full(text))
    }
}

/// Where authorities come from.
#[derive(Clone, Copy, Debug)]
enum From {
    File,
    Map,
}

/// Whose they are.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Clients,
    FrontProxies,
}

impl Whose {
    /// What shows that alice asks.
    fn pair(self, authority: &Authority) -> Pair {
        let name = match self {
            Self::Clients => "alice",
            Self::FrontProxies => "front-proxy-client",
        };
        authority.issue(&Leaf::client(name, &[])).unwrap()
    }

    fn client(self, client: Client, pair: &Pair) -> Client {
        match self {
            Self::Clients => client.with(pair),
            Self::FrontProxies => client.with(pair).acting_for("alice"),
        }
    }

    fn flags(self, file: &Path) -> TrustFlags {
        match self {
            Self::Clients => TrustFlags {
                client_ca_file: Some(file.to_owned()),
                ..TrustFlags::default()
            },
            Self::FrontProxies => TrustFlags {
                request_header_ca_file: Some(file.to_owned()),
                ..TrustFlags::default()
            },
        }
    }

    fn map(self, pem: &str) -> BTreeMap<String, String> {
        let data: &[(&str, &str)] = match self {
            Self::Clients => &[("client-ca-file", pem)],
            Self::FrontProxies => &[
                ("requestheader-client-ca-file", pem),
                ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
                ("requestheader-username-headers", r#"["X-Remote-User"]"#),
                ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
                ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
            ],
        };
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        data.iter().map(owned).collect()
    }
}

/// An authority follows another: both are trusted while the clients move.
async fn authorities_change(whose: Whose, from: From) {
    let mut current = Authority::new("clients").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, current.certificate_pem()).unwrap();
    let flags = match from {
        From::File => whose.flags(&file),
        From::Map => TrustFlags::default(),
    };
    let trust = TrustBundle::from_files(flags).unwrap();
    let set = |pem: &str| match from {
        From::File => {
            std::fs::write(&file, pem).unwrap();
            trust.reload_files()
        }
        From::Map => trust.apply_config_map(&whose.map(pem)),
    };
    set(current.certificate_pem()).unwrap();
    let gate = Arc::new(Gate(DelegatingAuthenticator::new(trust.clone(), None)));
    let server = Arc::new(Server::with(gate, Limits::default()).await);
    let pair = Arc::new(RwLock::new(whose.pair(&current)));
    let mut askers = Askers::new();
    for client in [Client::h1, Client::h2] {
        let pair = pair.clone();
        askers.ask(&server, move || whose.client(client(), &pair.read()), false, "alice");
    }
    for _ in 0..ROTATIONS {
        let next = Authority::new("clients").unwrap();
        let both = [current.certificate_pem(), next.certificate_pem()].concat();
        assert!(set(&both[..both.len() - 60]).is_err(), "half of it is not taken");
        askers.go_on().await;
        assert!(set(&both).unwrap());
        askers.go_on().await;
        let mut kept = whose.client(Client::h2(), &whose.pair(&current)).connect(&server).await;
        *pair.write() = whose.pair(&next);
        // Whoever was asked with the old one has been answered.
        askers.go_on().await;
        assert_eq!(kept.text("/").await, "alice");
        assert!(set(next.certificate_pem()).unwrap());
        askers.go_on().await;
        // On a connection that has lasted since before: the same certificate, not trusted any more.
        let refused = kept.text("/").await;
        assert!(refused.starts_with("401"), "{refused}");
        if matches!(whose, Whose::Clients) {
            assert!(refused.contains("\"alice\""), "{refused}");
        }
        current = next;
    }
    askers.end(&format!("{whose:?} by {from:?}"), ROTATIONS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_authorities_in_a_file_change_and_no_request_is_lost() {
    authorities_change(Whose::Clients, From::File).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_authorities_in_a_config_map_change_and_no_request_is_lost() {
    authorities_change(Whose::Clients, From::Map).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn front_proxy_authorities_in_a_file_change_and_no_request_is_lost() {
    authorities_change(Whose::FrontProxies, From::File).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn front_proxy_authorities_in_a_config_map_change_and_no_request_is_lost() {
    authorities_change(Whose::FrontProxies, From::Map).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_for_names_change_and_no_request_is_lost() {
    let server = Arc::new(Server::start(Limits::default()).await);
    let mut askers = Askers::new();
    for (client, wanted) in [(Client::h1 as fn() -> Client, "/ HTTP/1.1"), (Client::h2, "/ HTTP/2.0")] {
        askers.ask(&server, client, false, wanted);
        for keep in [true, false] {
            askers.ask(&server, move || client().named(OTHER), keep, wanted);
        }
    }
    let shown = async |client: Client| client.connect(&server).await.server_leaf;
    let everybody = shown(Client::h1()).await;
    for _ in 0..ROTATIONS {
        let fresh = server.replace("other", OTHER);
        // Half of its key arrives first.
        std::fs::write(server.folder.path().join("other.key"), &fresh.key_pem[..40]).unwrap();
        assert!(server.other.reload().is_err());
        askers.go_on().await;
        std::fs::write(server.folder.path().join("other.key"), &fresh.key_pem).unwrap();
        assert!(server.other.reload().unwrap());
        askers.go_on().await;
        let der = CertificateDer::from_pem_slice(fresh.certificate_pem.as_bytes()).unwrap();
        assert_eq!(shown(Client::h2().named(OTHER)).await, der);
        assert_eq!(shown(Client::h1()).await, everybody, "the other one stays as it is");
    }
    askers.end("certificates for names", ROTATIONS).await;
}

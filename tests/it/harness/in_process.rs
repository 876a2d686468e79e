//! A whole server inside the test process: a real listener, real TLS, any storage; callers with client certificates.

mod answer;
mod caller;
mod stores;
mod watching;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use bulward::certs::{Authority, Leaf, Pair};
use bulward::config::{Apiserver, Authentication, Authorization, Certificate, Cluster, RequestHeader, Serving};
use bulward::groups;
use bulward::http::listener::Limits;
use bulward::http::shutdown::Shutdown;
use bulward::rest::resource::Registry;
use bulward::server;
use bulward::storage::Storage;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::guardian;
use super::pki::install_tls_provider;
use super::raw::Door;

pub(crate) use answer::{Answer, key, revision};
pub(crate) use caller::Caller;
pub(crate) use stores::{Opened, each_storage, embedded, etcd, etcd_alone, memory};
pub(crate) use watching::{Event, Watching};

/// How long an answer or an event may take before a test gives up; never reached when all is well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Who signs servers and users, and who signs the front proxy; one each for the whole test process.
static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("it").expect("make an authority"));
static FRONT: LazyLock<Authority> = LazyLock::new(|| Authority::new("it-front").expect("make an authority"));
static FRONT_PROXY: LazyLock<Pair> = LazyLock::new(|| {
    FRONT
        .issue(&Leaf::client("front-proxy", &[]))
        .expect("issue a certificate")
});

/// What a test may want to be different.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `--unfiltered-users`.
    pub(crate) unfiltered_users: Vec<String>,
    /// `--reserved-names`.
    pub(crate) reserved_names: Vec<String>,
    /// Whether it serves what a cluster brings along, and obeys the roles among that, as `bulward dev` does.
    pub(crate) cluster: bool,
    /// `--kubecarrier-templates`.
    pub(crate) kubecarrier_templates: bool,
    /// Who signs the front proxy, PEM: an aggregator's authority instead of our own.
    pub(crate) front_proxy_ca: Option<String>,
    /// `--kubeconfig`: the cluster whose admission it follows.
    pub(crate) cluster_kubeconfig: Option<std::path::PathBuf>,
    /// What is recorded of requests.
    pub(crate) audit: bulward::config::Audit,
    /// How much of the past it remembers.
    pub(crate) history: bulward::watchcache::log::Bounds,
    /// How much a caller may have at once.
    pub(crate) limits: bulward::http::limits::Allowance,
    /// What connections may do.
    pub(crate) connections: Limits,
    /// What TLS may be.
    pub(crate) tls: bulward::config::Tls,
}

/// A running server with fixed rules unless a test wants others: only `system:masters` use the storage view.
pub(crate) struct InProcess {
    port: u16,
    storage: Arc<dyn Storage>,
    shutdown: Shutdown,
    served: Option<JoinHandle<Result<(), server::Error>>>,
    _folder: TempDir,
}

impl InProcess {
    /// Starts a server on `storage` and waits until it is ready.
    pub(crate) async fn start(storage: Arc<dyn Storage>) -> Self {
        Self::with(storage, Settings::default()).await
    }

    /// As [`InProcess::start`], with settings.
    pub(crate) async fn with(storage: Arc<dyn Storage>, settings: Settings) -> Self {
        let registry = groups::registry(&groups::Options {
            reserved_names: settings.reserved_names.clone(),
            cluster: settings.cluster,
            kubecarrier_templates: settings.kubecarrier_templates,
        });
        Self::serving(storage, settings, registry).await
    }

    /// As [`InProcess::with`], for other API groups than the program's own.
    pub(crate) async fn serving(storage: Arc<dyn Storage>, settings: Settings, registry: Registry) -> Self {
        let server = Self::beginning(storage, settings, registry).await;
        server.ready().await;
        server
    }

    /// As [`InProcess::serving`], without waiting until it is ready.
    pub(crate) async fn beginning(storage: Arc<dyn Storage>, settings: Settings, registry: Registry) -> Self {
        install_tls_provider();
        let folder = guardian::temporary("server");
        let path = |name: &str| folder.path().join(name);
        let pair = AUTHORITY
            .issue(&Leaf::server(["localhost", "127.0.0.1"]))
            .expect("issue a certificate");
        pair.save(&path("tls.crt"), &path("tls.key")).expect("save it");
        std::fs::write(path("ca.crt"), AUTHORITY.certificate_pem()).expect("save the authority");
        let front = settings.front_proxy_ca.as_deref().unwrap_or(FRONT.certificate_pem());
        std::fs::write(path("front.crt"), front).expect("save the authority");

        let bind_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((bind_address, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let config = Apiserver {
            serving: Serving {
                bind_address,
                port,
                certificate: Certificate::Files {
                    certificate: path("tls.crt"),
                    key: path("tls.key"),
                },
                certificate_refresh: Duration::from_secs(60),
                limits: settings.connections,
                shutdown_delay: Duration::ZERO,
                livez_grace_period: Duration::ZERO,
            },
            tls: settings.tls,
            // Not opened: the storage is given.
            storage: bulward::config::Storage::Embedded { folder: path("unused") },
            encryption: None,
            history: settings.history,
            limits: settings.limits,
            cluster: settings.cluster_kubeconfig.map_or(Cluster::None, Cluster::Kubeconfig),
            authentication: Authentication {
                cluster: Cluster::None,
                skip_lookup: true,
                tolerate_lookup_failure: false,
                token_cache_ttl: Duration::from_secs(10),
                client_ca_file: Some(path("ca.crt")),
                request_header: RequestHeader {
                    client_ca_file: Some(path("front.crt")),
                    ..RequestHeader::default()
                },
            },
            authorization: match settings.cluster {
                true => Authorization::StoredRoles,
                false => Authorization::Development,
            },
            audit: settings.audit,
            admission: bulward::config::Admission::default(),
            unfiltered_users: settings.unfiltered_users,
            reserved_names: settings.reserved_names,
            kubecarrier_templates: settings.kubecarrier_templates,
        };
        let shutdown = Shutdown::new();
        let serving = server::serve(config, registry, storage.clone(), listener, shutdown.clone());
        Self {
            port,
            storage,
            shutdown,
            served: Some(tokio::spawn(serving)),
            _folder: folder,
        }
    }

    /// Where it listens, on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The storage below, for writing what no request could.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// A user with a client certificate; at most two groups fit into one.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> Caller {
        let pair = AUTHORITY
            .issue(&Leaf::client(name, groups))
            .expect("issue a certificate");
        self.presenting(&pair)
    }

    /// Whoever holds this certificate.
    pub(crate) fn presenting(&self, pair: &Pair) -> Caller {
        Caller::new(self.port, AUTHORITY.certificate_pem(), Some(pair), &[])
    }

    /// A user as a front proxy introduces it, with any number of groups.
    pub(crate) fn introduced(&self, name: &str, groups: &[&str]) -> Caller {
        Caller::new(self.port, AUTHORITY.certificate_pem(), Some(&FRONT_PROXY), &[]).introducing(name, groups)
    }

    /// An administrator, who may use the storage view.
    pub(crate) fn admin(&self) -> Caller {
        self.user("admin", &["system:masters"])
    }

    /// How an administrator reaches the server byte by byte.
    pub(crate) fn door(&self) -> Door {
        self.door_of("admin", &["system:masters"])
    }

    /// The same for any user.
    pub(crate) fn door_of(&self, user: &str, groups: &[&str]) -> Door {
        let pair = AUTHORITY.issue(&Leaf::client(user, groups));
        self.door_with(&pair.expect("issue a certificate"))
    }

    /// The same for the front proxy, which says by itself whom it brings.
    pub(crate) fn door_of_proxy(&self) -> Door {
        self.door_with(&FRONT_PROXY)
    }

    /// The same without any certificate.
    pub(crate) fn door_of_nobody(&self) -> Door {
        Door {
            certificate: String::new(),
            ..self.door_with(&FRONT_PROXY)
        }
    }

    fn door_with(&self, pair: &Pair) -> Door {
        Door {
            port: self.port,
            authority: AUTHORITY.certificate_pem().to_owned(),
            certificate: pair.certificate_pem.clone(),
            key: pair.key_pem.clone(),
            identity: "",
        }
    }

    /// How the front proxy reaches the server byte by byte, with these header lines in each request.
    pub(crate) fn front_door(&self, identity: &'static str) -> Door {
        Door {
            port: self.port,
            authority: AUTHORITY.certificate_pem().to_owned(),
            certificate: FRONT_PROXY.certificate_pem.clone(),
            key: FRONT_PROXY.key_pem.clone(),
            identity,
        }
    }

    /// Begins to end the server: it takes no new requests.
    pub(crate) fn drain(&self) {
        self.shutdown.draining().cancel();
    }

    /// Somebody without credentials.
    pub(crate) fn anonymous(&self) -> Caller {
        Caller::new(self.port, AUTHORITY.certificate_pem(), None, &[])
    }

    /// An anonymous connection with nothing of HTTP on it yet; HTTP/1.1 is what it may carry.
    pub(crate) async fn connection(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let root =
            CertificateDer::from_pem_slice(AUTHORITY.certificate_pem().as_bytes()).expect("the authority is PEM");
        roots.add(root).expect("add the authority");
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .expect("connect");
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
        connecting.await.expect("a handshake")
    }

    async fn ready(&self) {
        let anonymous = self.anonymous();
        super::eventually("the server in this process is ready", DEADLINE, async || {
            if self.served.as_ref().is_some_and(JoinHandle::is_finished) {
                panic!("the server ended before it was ready");
            }
            let answer = anonymous.get("/readyz").await;
            if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
        })
        .await;
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.shutdown.draining().cancel();
        if let Some(served) = &self.served {
            served.abort();
        }
    }
}

/// The authority that signs users.
pub(crate) fn authority() -> &'static Authority {
    &AUTHORITY
}

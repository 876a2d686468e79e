//! Wiring: a checked configuration and an open listener become a server.

mod admission;
mod identity;
mod roles;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::roles::StoredRoles;
use crate::certs;
use crate::config::{self, Authorization, Certificate};
use crate::endpoints::Router;
use crate::endpoints::discovery::{Documents, Surroundings};
use crate::groups;
use crate::http::health::{Endpoint, Health};
use crate::http::listener;
use crate::http::pipeline::Pipeline;
use crate::http::shutdown::Shutdown;
use crate::http::tls::{self, ServingCertificate};
use crate::rest::resource::Registry;
use crate::rest::store::{self, Store};
use crate::storage::Storage;
use crate::telemetry::metrics::Metrics;
use crate::watchcache::{Cache, reflector};

/// How long etcd may take to answer a health check.
const STORAGE_CHECK: Duration = Duration::from_secs(2);

/// Why a server could not start or go on; one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate given cannot be used.
    #[error("serving certificate: {0}")]
    Certificate(#[from] tls::Error),
    /// None could be made.
    #[error("serving certificate: {0}")]
    SelfSigned(#[from] certs::Error),
    /// The storage cannot be opened.
    #[error("{0}")]
    Storage(String),
    /// Callers cannot be told apart, or decisions not be had.
    #[error("{0}")]
    Identity(String),
    /// The descriptors contradict each other: a mistake in this program.
    #[error("resources: {0}")]
    Resources(String),
}

/// Serves on `listener` until `shutdown` has gone through its stages and running requests are done.
///
/// # Errors
/// When the server cannot start.
pub async fn run(config: config::Apiserver, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let opened = shutdown
        .draining()
        .run_until_cancelled(storage::open(&config.storage))
        .await;
    let Some(storage) = opened else { return Ok(()) };
    let registry = groups::registry(&groups::Options {
        reserved_names: config.reserved_names.clone(),
        cluster: config.authorization == Authorization::StoredRoles,
        kubecarrier_templates: config.kubecarrier_templates,
    });
    serve(config, registry, storage?, listener, shutdown).await
}

/// As [`run`], for the groups of `registry`, on a storage that is open already.
///
/// # Errors
/// When the server cannot start.
pub async fn serve(
    config: config::Apiserver,
    registry: Registry,
    storage: Arc<dyn Storage>,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let _stop_background = stop.clone().drop_guard();
    let certificate = certificate(&config.serving.certificate)?;
    let specs = store::specs(&registry).map_err(Error::Resources)?;
    let cache = Cache::new(specs, storage.clone(), config.history);
    let mut store = Store::new(&registry, storage.clone(), cache.clone()).map_err(Error::Resources)?;
    let metrics = Arc::new(Metrics::new());
    let admission = admission::Admissions::follow(&config, &registry, metrics.admission(), &stop).await?;
    let mut roles = None;
    if config.authorization == Authorization::StoredRoles {
        let stored = Arc::new(StoredRoles::new(&registry, cache.clone()).map_err(Error::Resources)?);
        store = store.with_admission(stored.clone());
        roles = Some(stored);
    }
    if let Some(admission) = &admission {
        store = store.with_admission(admission.plugins());
    }
    let identity = identity::Identity::establish(&config, roles, &stop).await?;

    tokio::spawn(reflector::run(cache.clone(), stop.clone()));
    tokio::spawn(
        certificate
            .clone()
            .follow(config.serving.certificate_refresh, stop.clone()),
    );

    let mut health = health(&cache, &storage);
    if let Some(admission) = admission {
        health = admission.checked(health);
    }
    let health = health.with_shutdown(&shutdown);
    let mut paths = health.paths();
    paths.push("/metrics".to_owned());
    let documents = Documents::new(
        &registry,
        &Surroundings {
            paths,
            server_address: format!(":{}", config.serving.port),
        },
    );
    let router = Router {
        registry: Arc::new(registry),
        store: Arc::new(store),
        documents,
        health: Arc::new(health),
        metrics: metrics.clone(),
        unfiltered_users: config.unfiltered_users,
    };
    let pipeline = Pipeline {
        authenticator: identity.authenticator,
        authorizer: identity.authorizer,
        route: Arc::new(router),
        metrics,
    };
    let tls = tls::server_config(certificate);
    tracing::info!(address = %config.serving.bind_address, port = config.serving.port, "serving");
    let limits = config.serving.limits;
    let drained = listener::serve(listener, tls, Arc::new(pipeline), limits, shutdown.draining().clone()).await;
    if drained.aborted > 0 {
        tracing::warn!(
            count = drained.aborted,
            "requests were cut because they did not finish in time"
        );
    }
    Ok(())
}

/// Reads or makes a serving certificate.
pub(crate) fn certificate(source: &Certificate) -> Result<Arc<ServingCertificate>, Error> {
    match source {
        Certificate::Files { certificate, key } => Ok(ServingCertificate::load(certificate, key)?),
        Certificate::SelfSigned { folder, names } => {
            let files = certs::self_signed_serving(folder, names)?;
            Ok(ServingCertificate::load(files.certificate, files.key)?)
        }
    }
}

fn health(cache: &Arc<Cache>, storage: &Arc<dyn Storage>) -> Health {
    let asked = storage.clone();
    let cache = cache.clone();
    Health::new()
        .with("etcd", &Endpoint::ALL, move || {
            let storage = asked.clone();
            async move {
                let answer = tokio::time::timeout(STORAGE_CHECK, storage.current_revision()).await;
                let answer = answer.map_err(|_| "no answer in time".to_owned())?;
                answer.map(|_| ()).map_err(|error| error.to_string())
            }
        })
        .with("watch-cache", &[Endpoint::Readyz], move || {
            let ready = cache.is_ready();
            async move { ready.then_some(()).ok_or_else(|| "not loaded yet".to_owned()) }
        })
}

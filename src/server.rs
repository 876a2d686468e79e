//! Wiring: a checked configuration and an open listener become a server.

mod admission;
mod audit;
mod certificates;
mod health;
mod identity;
mod measured;
mod roles;
pub(crate) mod storage;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use self::certificates::{certificate, follow as follow_certificate};
use self::measured::MeasuredStorage;
use self::roles::StoredRoles;
use crate::certs;
use crate::config::{self, Authorization};
use crate::endpoints::Router;
use crate::endpoints::discovery::{Documents, Surroundings};
use crate::groups;
use crate::http::impersonation::Impersonation;
use crate::http::limits;
use crate::http::listener;
use crate::http::pipeline::Pipeline;
use crate::http::shutdown::Shutdown;
use crate::http::tls;
use crate::rest::admission::{Admission, Chain};
use crate::rest::resource::Registry;
use crate::rest::store::{self, Store};
use crate::storage::Storage;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces;
use crate::watchcache::{Cache, reflector};

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
    /// Requests cannot be recorded as told.
    #[error("{0}")]
    Audit(String),
    /// What webhooks are to be shown cannot be read.
    #[error("{0}")]
    Admission(String),
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
        .run_until_cancelled(storage::open(&config.storage, config.encryption.as_ref()))
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
    let serving = certificates::establish(&config, &stop)?;
    let metrics = Arc::new(Metrics::new());
    let encrypting = storage.clone();
    metrics.encrypted_values(move || encrypting.encrypted_values());
    let storage: Arc<dyn Storage> = MeasuredStorage::new(storage, &registry, metrics.clone());
    let specs = store::specs(&registry).map_err(Error::Resources)?;
    let cache = Cache::new(specs, storage.clone(), config.history);
    let mut store = Store::new(&registry, storage.clone(), cache.clone()).map_err(Error::Resources)?;
    let mut roles = None;
    let mut asked: Vec<Arc<dyn Admission>> = Vec::new();
    if config.authorization == Authorization::StoredRoles {
        let stored = Arc::new(StoredRoles::new(&registry, cache.clone()).map_err(Error::Resources)?);
        asked.push(stored.clone());
        roles = Some(stored);
    }
    let identity = identity::Identity::establish(&config, roles, &metrics, &stop).await?;
    let admission = admission::Admissions::follow(&config, &registry, &identity.authorizer, &metrics, &stop).await?;
    if let Some(admission) = &admission {
        asked.push(admission.plugins());
    }
    if !asked.is_empty() {
        store = store.with_admission(Arc::new(Chain(asked)));
    }

    tokio::spawn(reflector::run(cache.clone(), stop.clone()));

    let everybody = serving.everybody;
    metrics.serving_certificate(move || everybody.not_after());
    let mut health = health::checks(&cache, &storage, config.serving.livez_grace_period);
    if let Some(admission) = admission {
        health = admission.checked(health);
    }
    let health = health.with_shutdown(&shutdown).with_metrics(metrics.clone());
    let mut paths = health.paths();
    paths.extend(["/metrics", "/metrics/slis"].map(str::to_owned));
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
        min_watch: config.limits.min_request_timeout,
    };
    let auditor = audit::auditor(&config.audit, metrics.audit()).await?;
    let request_timeout = config.limits.request_timeout;
    let pipeline = Pipeline {
        audit: auditor.clone(),
        impersonation: Impersonation::new(identity.authorizer.clone()),
        authenticator: identity.authenticator,
        authorizer: identity.authorizer,
        route: Arc::new(router),
        limits: limits::Limits::new(config.limits, metrics.clone()),
        traces: traces::started(),
        metrics,
    };
    let tls = tls::server_config_with(serving.presented, &config.tls.options);
    tracing::info!(address = %config.serving.bind_address, port = config.serving.port, "serving");
    let mut limits = config.serving.limits;
    // Who was let in may take their time to the end (k8s.io/apiserver pkg/server/genericapiserver.go ShutdownTimeout).
    limits.drain_timeout = limits.drain_timeout.max(request_timeout);
    let drained = listener::serve(listener, tls, Arc::new(pipeline), limits, shutdown.draining().clone()).await;
    audit::finish(auditor).await;
    if drained.aborted > 0 {
        tracing::warn!(
            count = drained.aborted,
            "requests were cut because they did not finish in time"
        );
    }
    Ok(())
}

//! Who tells callers apart, and who decides what they may do.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::measured::Measured;
use super::roles::StoredRoles;
use crate::authn::Authenticator;
use crate::authn::delegating::DelegatingAuthenticator;
use crate::authn::token::{self, ClusterTokenReviewer, TokenAuthenticator, TokenOptions};
use crate::authn::trust::{TrustBundle, TrustFlags};
use crate::authz::{
    AccessOptions, AlwaysAllowPaths, Authorizer, ClusterAccessReviewer, Local, Masters, SubjectAccessReviewAuthorizer,
    Union,
};
use crate::cluster;
use crate::cluster::webhook::Backoff;
use crate::config::{Apiserver, Authentication, Authorization, Cluster};
use crate::flowcontrol::Pool;
use crate::groups::tenancy;
use crate::telemetry::metrics::Metrics;

/// How often the files of certificate authorities are looked at.
const REFRESH: Duration = Duration::from_secs(5);

pub(super) struct Identity {
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) authorizer: Arc<dyn Authorizer>,
}

impl Identity {
    /// Reads what is needed once, and follows it until `stop`.
    pub(super) async fn establish(
        config: &Apiserver,
        roles: Option<Arc<StoredRoles>>,
        metrics: &Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        Ok(Self {
            authenticator: authenticator(&config.authentication, metrics, stop).await?,
            authorizer: authorizer(&config.authorization, roles, metrics).await?,
        })
    }
}

async fn authenticator(
    config: &Authentication,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<Arc<dyn Authenticator>, Error> {
    let header = &config.request_header;
    let flags = TrustFlags {
        client_ca_file: config.client_ca_file.clone(),
        request_header_ca_file: header.client_ca_file.clone(),
        allowed_names: header.allowed_names.clone(),
        username_headers: header.username_headers.clone(),
        uid_headers: header.uid_headers.clone(),
        group_headers: header.group_headers.clone(),
        extra_headers_prefix: header.extra_headers_prefix.clone(),
    };
    let trust = TrustBundle::from_files(flags).map_err(failed)?;
    follow(trust.clone().follow_files(REFRESH), stop);
    let client = client("--authentication-kubeconfig", &config.cluster).await?;
    let Some(client) = client else {
        return Ok(Arc::new(DelegatingAuthenticator::new(trust, None)));
    };
    if !config.skip_lookup {
        match trust.look_up_config_map(&client).await {
            Ok(()) => {}
            Err(error) if config.tolerate_lookup_failure => tracing::warn!(%error, "going on without it"),
            Err(error) => return Err(failed(error)),
        }
        follow(trust.clone().follow_config_map(client.clone()), stop);
    }
    let options = TokenOptions {
        ttl: config.token_cache_ttl,
        backoff: Backoff::default(),
    };
    let reviewer = Measured {
        reviewer: ClusterTokenReviewer::new(client),
        metrics: metrics.clone(),
    };
    let seats = Pool::new(token::REVIEWS, metrics.token_review_flow());
    let metrics = metrics.clone();
    let tokens = TokenAuthenticator::new(Arc::new(reviewer), options)
        .bounded(seats)
        .observed(move |known, elapsed| metrics.token_lookup(known, elapsed));
    Ok(Arc::new(DelegatingAuthenticator::new(trust, Some(tokens))))
}

async fn authorizer(
    config: &Authorization,
    roles: Option<Arc<StoredRoles>>,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn Authorizer>, Error> {
    match config {
        Authorization::StoredRoles => {
            let mut all: Vec<Arc<dyn Authorizer>> = vec![Arc::new(Masters), Arc::new(AlwaysAllowPaths::default())];
            all.extend(roles.map(|roles| -> Arc<dyn Authorizer> { roles }));
            Ok(Arc::new(Union::new(all)))
        }
        Authorization::Development => {
            let rules = Local::new(tenancy::FILTERED);
            Ok(Arc::new(Union::local(AlwaysAllowPaths::default(), rules)))
        }
        Authorization::Delegated {
            cluster,
            always_allow_paths,
            allow_ttl,
            deny_ttl,
        } => {
            let paths = AlwaysAllowPaths::new(always_allow_paths).map_err(failed)?;
            let client = client("--authorization-kubeconfig", cluster).await?;
            let client =
                client.ok_or_else(|| Error::Identity("--authorization-kubeconfig: no cluster to ask".to_owned()))?;
            let options = AccessOptions {
                allow_ttl: *allow_ttl,
                deny_ttl: *deny_ttl,
                backoff: Backoff::default(),
            };
            let reviewer = Measured {
                reviewer: ClusterAccessReviewer::new(client),
                metrics: metrics.clone(),
            };
            let reviews = SubjectAccessReviewAuthorizer::new(Arc::new(reviewer), options);
            Ok(Arc::new(Union::delegating(paths, reviews)))
        }
    }
}

pub(super) async fn client(flag: &str, cluster: &Cluster) -> Result<Option<Client>, Error> {
    let path = match cluster {
        Cluster::None => return Ok(None),
        Cluster::InCluster => None,
        Cluster::Kubeconfig(path) => Some(path.as_path()),
    };
    cluster::client(flag, path).await.map(Some).map_err(failed)
}

fn follow(task: impl Future<Output = ()> + Send + 'static, stop: &CancellationToken) {
    let stop = stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(task).await });
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Identity(error.to_string())
}

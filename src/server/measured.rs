//! What stands at the edges of the server and counts what goes over them: to the storage, and to the cluster.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use k8s_openapi::api::authorization::v1::{SubjectAccessReviewSpec, SubjectAccessReviewStatus};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::authn::token::{BearerToken, ClusterTokenReviewer, TokenReviewer};
use crate::authz::{ClusterAccessReviewer, SubjectAccessReviewer};
use crate::cluster::webhook::CallError;
use crate::rest::resource::{Access, Registry};
use crate::storage::{Change, Entry, Error, Expect, ListRequest, Op, Page, Revision, Storage, Watch};
use crate::telemetry::metrics::Metrics;

/// A storage whose answers are counted, by the resource that a key belongs to.
pub(super) struct MeasuredStorage {
    storage: Arc<dyn Storage>,
    metrics: Arc<Metrics>,
    /// First parts of keys, with the group of the resource.
    groups: Vec<(String, String)>,
}

/// A reviewer whose questions are counted.
pub(super) struct Measured<R> {
    pub(super) reviewer: R,
    pub(super) metrics: Arc<Metrics>,
}

impl MeasuredStorage {
    pub(super) fn new(storage: Arc<dyn Storage>, registry: &Registry, metrics: Arc<Metrics>) -> Arc<Self> {
        let mut groups: Vec<(String, String)> = Vec::new();
        // The storage view names a kind that several groups serve.
        let (unfiltered, others): (Vec<_>, Vec<_>) = registry
            .resources()
            .partition(|resource| resource.access == Access::Unfiltered);
        for resource in unfiltered.into_iter().chain(others) {
            let plural = &resource.stored.plural;
            if groups.iter().all(|(known, _)| known != plural) {
                groups.push((plural.clone(), resource.group_version.group.clone()));
            }
        }
        Arc::new(Self {
            storage,
            metrics,
            groups,
        })
    }

    /// Group and resource of a key; both are empty for what is none of a resource's.
    fn resource(&self, key: &str) -> (&str, &str) {
        let plural = key.split('/').next().unwrap_or_default();
        let found = self.groups.iter().find(|(known, _)| known == plural);
        found.map_or(("", ""), |(plural, group)| (group, plural))
    }

    fn count<T>(&self, operation: &'static str, key: &str, began: Instant, answer: &Result<T, Error>) {
        let (group, resource) = self.resource(key);
        let failed = matches!(answer, Err(Error::Unavailable(_) | Error::Failed(_)));
        self.metrics
            .storage_request(operation, group, resource, failed, began.elapsed());
    }
}

#[async_trait]
impl Storage for MeasuredStorage {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let began = Instant::now();
        let answer = self.storage.get(key).instrument(span("get")).await;
        self.count("get", key, began, &answer);
        answer
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        let began = Instant::now();
        let prefix = request.prefix.clone();
        let answer = self.storage.list(request).instrument(span("list")).await;
        self.count("list", &prefix, began, &answer);
        answer
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        let began = Instant::now();
        let Some(first) = ops.first() else {
            return self.storage.commit(ops).await;
        };
        let operation = match (&first.expect, &first.change) {
            (Expect::Absent, Change::Put(_)) => "create",
            (_, Change::Delete) => "delete",
            _ => "update",
        };
        let key = first.key.clone();
        let answer = self.storage.commit(ops).instrument(span(operation)).await;
        self.count(operation, &key, began, &answer);
        answer
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.storage.watch(prefix, after).await
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        let began = Instant::now();
        let answer = self
            .storage
            .current_revision()
            .instrument(span("current_revision"))
            .await;
        self.metrics.revision_probe(began.elapsed());
        answer
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.storage.compact(revision).await
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Revision, Error> {
        let began = Instant::now();
        let answer = self.storage.create(key, value).instrument(span("create")).await;
        self.count("create", key, began, &answer);
        answer
    }

    async fn compare_and_swap(&self, key: &str, expected: Revision, value: Bytes) -> Result<Revision, Error> {
        let began = Instant::now();
        let answer = self
            .storage
            .compare_and_swap(key, expected, value)
            .instrument(span("update"))
            .await;
        self.count("update", key, began, &answer);
        answer
    }

    async fn delete(&self, key: &str, expected: Revision) -> Result<Revision, Error> {
        let began = Instant::now();
        let answer = self.storage.delete(key, expected).instrument(span("delete")).await;
        self.count("delete", key, began, &answer);
        answer
    }
}

/// Below the span of the request that needs it, so that what is logged there carries the request's audit id; shown from
/// `--v=4` on, and free before.
fn span(operation: &'static str) -> Span {
    tracing::debug_span!("storage", operation)
}

/// The HTTP code of a question that creates a review, `<error>` where there was no answer
/// (k8s.io/client-go rest metrics).
fn code<T>(answer: &Result<T, CallError>) -> String {
    match answer {
        Ok(_) => "201".to_owned(),
        Err(error) => error.code().map_or("<error>".to_owned(), |code| code.to_string()),
    }
}

#[async_trait]
impl TokenReviewer for Measured<ClusterTokenReviewer> {
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError> {
        let began = Instant::now();
        let fetching = self.metrics.token_fetch();
        let answer = self
            .reviewer
            .review(token)
            .instrument(tracing::debug_span!("token_review"))
            .await;
        drop(fetching);
        self.metrics.token_review(&code(&answer), began.elapsed());
        let good = answer.as_ref().is_ok_and(|status| status.authenticated == Some(true));
        self.metrics.token_fetched(good);
        answer
    }
}

#[async_trait]
impl SubjectAccessReviewer for Measured<ClusterAccessReviewer> {
    async fn review(&self, spec: &SubjectAccessReviewSpec) -> Result<SubjectAccessReviewStatus, CallError> {
        let began = Instant::now();
        let answer = self
            .reviewer
            .review(spec)
            .instrument(tracing::debug_span!("access_review"))
            .await;
        self.metrics.access_review(&code(&answer), began.elapsed());
        answer
    }
}

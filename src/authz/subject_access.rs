//! The cluster decides: SubjectAccessReview, with the answers kept for some seconds.
//!
//! k8s.io/apiserver plugin/pkg/authorizer/webhook/webhook.go.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes as ReviewedResource,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldSelectorRequirement, LabelSelectorRequirement};
use moka::{Expiry, future::Cache, policy::EvictionPolicy};
use sha2::{Digest, Sha256};

use super::{Attributes, Authorizer, Decision};
use crate::{
    cluster::webhook::{self, Backoff, CallError},
    wire::selector::{FieldSelector, FieldTerm, LabelSelector, Operator, Requirement},
    wire::user::UserInfo,
};

mod review;

#[cfg(test)]
mod tests;

pub use review::ClusterAccessReviewer;

/// How many answers are kept; the least recently used one goes first.
const CAPACITY: u64 = 8192;

/// Bytes that callers may put into a question for its answer to be kept.
const MAX_CACHED: usize = 10_000;

/// Asks the cluster whether a caller may do something.
#[async_trait]
pub trait SubjectAccessReviewer: Send + Sync + 'static {
    /// One question, without retries. An error means that there is no answer.
    async fn review(&self, spec: &SubjectAccessReviewSpec) -> Result<SubjectAccessReviewStatus, CallError>;
}

/// How reviews are made and kept.
#[derive(Clone, Debug)]
pub struct AccessOptions {
    /// How long a permission is believed (`--authorization-webhook-cache-authorized-ttl`); zero asks each time.
    pub allow_ttl: Duration,
    /// How long a denial is believed (`--authorization-webhook-cache-unauthorized-ttl`); zero asks each time.
    pub deny_ttl: Duration,
    /// How often and for how long to ask.
    pub backoff: Backoff,
}

/// Has the cluster decide, asking once for many requests of the same kind.
pub struct SubjectAccessReviewAuthorizer {
    reviewer: Arc<dyn SubjectAccessReviewer>,
    options: AccessOptions,
    cache: Cache<Key, Decision>,
}

/// The digest of a question.
type Key = [u8; 32];

struct Ttl(AccessOptions);

// === impl AccessOptions ===

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            allow_ttl: Duration::from_secs(10),
            deny_ttl: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

// === impl SubjectAccessReviewAuthorizer ===

impl SubjectAccessReviewAuthorizer {
    /// Asks `reviewer`.
    pub fn new(reviewer: Arc<dyn SubjectAccessReviewer>, options: AccessOptions) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Ttl(options.clone()))
            .build();
        Self {
            reviewer,
            options,
            cache,
        }
    }

    async fn ask(&self, spec: &SubjectAccessReviewSpec) -> Result<Decision, CallError> {
        let status = webhook::retry(&self.options.backoff, || self.reviewer.review(spec)).await?;
        let reason = status.reason.unwrap_or_default();
        match (status.allowed, status.denied.unwrap_or_default()) {
            (true, true) => Err(CallError::lasting(
                "webhook subject access review returned both allow and deny response",
            )),
            (true, false) => Ok(Decision::Allow { reason }),
            (false, _) => Ok(Decision::Deny { reason }),
        }
    }
}

impl fmt::Debug for SubjectAccessReviewAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectAccessReviewAuthorizer")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authorizer for SubjectAccessReviewAuthorizer {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        let spec = spec(user, attributes);
        // Answers to huge questions would fill the memory.
        if size(attributes) >= MAX_CACHED {
            return self.ask(&spec).await.map_err(|error| error.to_string());
        }
        let json = serde_json::to_vec(&spec).map_err(|error| error.to_string())?;
        // Waiters share one question; when the one who asks goes away, the next asks. Errors are not kept.
        let decision = self.cache.try_get_with(Sha256::digest(json).into(), self.ask(&spec));
        decision.await.map_err(|error| error.to_string())
    }
}

fn spec(user: &UserInfo, attributes: &Attributes) -> SubjectAccessReviewSpec {
    let mut spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: text(&user.uid),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| BTreeMap::clone(&user.extra)),
        ..SubjectAccessReviewSpec::default()
    };
    match attributes {
        Attributes::Path { path, verb } => {
            spec.non_resource_attributes = Some(NonResourceAttributes {
                path: text(path),
                verb: text(verb),
            });
        }
        Attributes::Resource(resource) => {
            spec.resource_attributes = Some(ReviewedResource {
                verb: text(&resource.verb),
                group: text(&resource.group),
                version: text(&resource.version),
                resource: text(&resource.resource),
                subresource: text(&resource.subresource),
                namespace: text(&resource.namespace),
                name: text(&resource.name),
                field_selector: fields(&resource.field_selector),
                label_selector: labels(&resource.label_selector),
            });
        }
    }
    spec
}

fn fields(selector: &FieldSelector) -> Option<FieldSelectorAttributes> {
    let requirement = |term: &FieldTerm| FieldSelectorRequirement {
        key: term.field.clone(),
        operator: if term.equal { "In" } else { "NotIn" }.to_owned(),
        values: Some(vec![term.value.clone()]),
    };
    let requirements: Vec<_> = selector.terms().iter().map(requirement).collect();
    (!requirements.is_empty()).then_some(FieldSelectorAttributes {
        raw_selector: None,
        requirements: Some(requirements),
    })
}

/// What a review cannot say is left out: the question is then about more than is asked for, never about less.
fn labels(selector: &LabelSelector) -> Option<LabelSelectorAttributes> {
    let requirement = |one: &Requirement| {
        let operator = match one.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => "In",
            Operator::NotIn | Operator::NotEquals => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::GreaterThan | Operator::LessThan => return None,
        };
        Some(LabelSelectorRequirement {
            key: one.key.clone(),
            operator: operator.to_owned(),
            values: (!one.values.is_empty()).then(|| one.values.clone()),
        })
    };
    let requirements: Vec<_> = selector.requirements().iter().filter_map(requirement).collect();
    (!requirements.is_empty()).then_some(LabelSelectorAttributes {
        raw_selector: None,
        requirements: Some(requirements),
    })
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// The bytes that the caller chose.
fn size(attributes: &Attributes) -> usize {
    match attributes {
        Attributes::Path { path, verb } => path.len() + verb.len(),
        Attributes::Resource(resource) => [
            &resource.verb,
            &resource.group,
            &resource.version,
            &resource.resource,
            &resource.subresource,
            &resource.namespace,
            &resource.name,
        ]
        .iter()
        .map(|part| part.len())
        .sum(),
    }
}

// === impl Ttl ===

#[expect(clippy::disallowed_types, reason = "moka's trait names std's Instant")]
impl Expiry<Key, Decision> for Ttl {
    fn expire_after_create(&self, _: &Key, decision: &Decision, _: std::time::Instant) -> Option<Duration> {
        Some(match decision {
            Decision::Allow { .. } => self.0.allow_ttl,
            Decision::Deny { .. } => self.0.deny_ttl,
        })
    }
}

//! Bearer tokens, of which the cluster knows whose they are.
//!
//! k8s.io/apiserver pkg/authentication/request/bearertoken, pkg/authentication/token/cache and
//! plugin/pkg/authenticator/token/webhook.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use moka::{Expiry, future::Cache, policy::EvictionPolicy};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Rejection;
use crate::{
    cluster::webhook::{self, Backoff, CallError},
    wire::user::UserInfo,
};

mod review;

#[cfg(test)]
mod tests;

pub use review::ClusterTokenReviewer;

/// The text of the `Warning` header for [`Bearer::Spaced`].
pub const SPACED_WARNING: &str = "the provided Authorization header contains extra space before the bearer token, and is \
                                  ignored";

/// How many answers are kept; the least recently used one goes first.
const CAPACITY: u64 = 32_768;

/// A secret; shows itself to nobody but the reviewer.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

/// What the `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// No token: no header, another scheme, or a scheme alone.
    Absent,
    /// More than one space after the scheme: no token, but worth a warning.
    Spaced,
    /// A token.
    Token(BearerToken),
    /// A token that cannot be one.
    Malformed,
}

/// Asks the cluster whose a token is.
#[async_trait]
pub trait TokenReviewer: Send + Sync + 'static {
    /// One question, without retries. An error means that there is no answer.
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError>;
}

/// How token reviews are made and kept.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// How long an answer is believed, be it good or bad (`--authentication-token-webhook-cache-ttl`); zero asks each
    /// time.
    pub ttl: Duration,
    /// How often and for how long to ask.
    pub backoff: Backoff,
}

/// Tells callers by their tokens, asking once for many that come with the same.
pub struct TokenAuthenticator {
    reviewer: Arc<dyn TokenReviewer>,
    options: TokenOptions,
    cache: Cache<Key, Verdict>,
    secret: [u8; 32],
    observer: Option<Observer>,
}

/// Learns of each token that was looked up whether it was known, and how long that took.
type Observer = Box<dyn Fn(bool, Duration) + Send + Sync>;

/// Stands for a token in the cache. Keyed with a secret of this process, so that memory that leaks tells no tokens and
/// callers cannot choose colliding ones.
type Key = [u8; 32];

type Verdict = Result<Arc<UserInfo>, Rejection>;

struct Ttl(Duration);

// === impl BearerToken ===

impl BearerToken {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The secret itself, for the review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

// === impl Bearer ===

impl Bearer {
    /// Reads the first `Authorization` header as Go does.
    pub fn parse(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::Absent;
        };
        let mut parts = value.as_bytes().trim_ascii().splitn(3, |byte| *byte == b' ');
        let scheme = parts.next().unwrap_or_default();
        let (Some(token), true) = (parts.next(), scheme.eq_ignore_ascii_case(b"bearer")) else {
            return Self::Absent;
        };
        match std::str::from_utf8(token) {
            Ok("") => Self::Spaced,
            Ok(token) => Self::Token(BearerToken::new(token)),
            Err(_) => Self::Malformed,
        }
    }
}

// === impl TokenOptions ===

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

// === impl TokenAuthenticator ===

impl TokenAuthenticator {
    /// Asks `reviewer`.
    pub fn new(reviewer: Arc<dyn TokenReviewer>, options: TokenOptions) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Ttl(options.ttl))
            .build();
        Self {
            reviewer,
            options,
            cache,
            secret: rand::random(),
            observer: None,
        }
    }

    /// Tells `observer` of each token that is looked up whether it was known, and how long that took.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(bool, Duration) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The caller that the headers' bearer token belongs to; none when there is no token.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Option<UserInfo>, Rejection> {
        let token = match Bearer::parse(headers) {
            Bearer::Absent | Bearer::Spaced => return Ok(None),
            Bearer::Malformed => return Err(Rejection::Token("not UTF-8".to_owned())),
            Bearer::Token(token) => token,
        };
        let began = Instant::now();
        let (known, verdict) = if self.options.ttl.is_zero() {
            (false, self.ask(&token).await.map_err(Arc::new))
        } else {
            // Waiters share one question; when the one who asks goes away, the next asks.
            let entry = self
                .cache
                .entry(self.key(&token))
                .or_try_insert_with(self.ask(&token))
                .await;
            let known = entry.as_ref().is_ok_and(|entry| !entry.is_fresh());
            (known, entry.map(moka::Entry::into_value))
        };
        if let Some(observer) = &self.observer {
            observer(known, began.elapsed());
        }
        match verdict {
            Ok(verdict) => verdict.map(|user| Some(UserInfo::clone(&user))),
            Err(error) => Err(Rejection::Review(error.to_string())),
        }
    }

    /// An error, unlike a refusal, is not kept.
    async fn ask(&self, token: &BearerToken) -> Result<Verdict, CallError> {
        let status = webhook::retry(&self.options.backoff, || self.reviewer.review(token)).await?;
        Ok(verdict(status))
    }

    fn key(&self, token: &BearerToken) -> Key {
        let digest = Sha256::new().chain_update(self.secret).chain_update(token.expose());
        digest.finalize().into()
    }
}

impl fmt::Debug for TokenAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAuthenticator")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn verdict(status: TokenReviewStatus) -> Verdict {
    if let Some(error) = status.error.filter(|error| !error.is_empty()) {
        return Err(Rejection::Token(error));
    }
    if !status.authenticated.unwrap_or_default() {
        return Err(Rejection::Token("not authenticated".to_owned()));
    }
    let user = status.user.unwrap_or_default();
    match user.username {
        Some(name) if !name.is_empty() => Ok(Arc::new(UserInfo {
            name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        })),
        _ => Err(Rejection::Token("the review names no user".to_owned())),
    }
}

// === impl Ttl ===

#[expect(clippy::disallowed_types, reason = "moka's trait names std's Instant")]
impl Expiry<Key, Verdict> for Ttl {
    fn expire_after_create(&self, _: &Key, _: &Verdict, _: std::time::Instant) -> Option<Duration> {
        Some(self.0)
    }
}

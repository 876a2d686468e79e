//! Bearer tokens, of which the cluster knows whose they are.
//!
//! k8s.io/apiserver pkg/authentication/request/bearertoken, pkg/authentication/token/cache and
//! plugin/pkg/authenticator/token/webhook.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use moka::{future::Cache, policy::EvictionPolicy};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Rejection;
use crate::{
    cluster::webhook::{self, Backoff, CallError},
    flowcontrol::{Pool, Refused, network},
    wire::user::UserInfo,
};

mod review;

#[cfg(test)]
mod tests;

pub use review::ClusterTokenReviewer;

/// The text of the `Warning` header for [`Bearer::Spaced`].
pub const SPACED_WARNING: &str = "the provided Authorization header contains extra space before the bearer token, and is \
                                  ignored";

/// How many answers of each sort are kept; the least recently used one goes first.
const CAPACITY: u64 = 32_768;
/// How many tokens are looked up at once, those of one address half of it.
pub const REVIEWS: usize = 64;
/// How long a token may wait to be looked up. A cluster that answers at all has answered many by then.
const PATIENCE: Duration = Duration::from_secs(5);

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
    known: Cache<Key, Arc<UserInfo>>,
    /// Apart, so that whoever brings tokens that he made up drives out nobody's that is good.
    unknown: Cache<Key, Rejection>,
    reviews: Option<Arc<Pool>>,
    secret: [u8; 32],
    observer: Option<Observer>,
}

/// Learns of each token that was looked up whether it was known, and how long that took.
type Observer = Box<dyn Fn(bool, Duration) + Send + Sync>;

/// Stands for a token in the cache. Keyed with a secret of this process, so that memory that leaks tells no tokens and
/// callers cannot choose colliding ones.
type Key = [u8; 32];

/// What there is instead of a caller.
#[derive(Debug)]
enum Failure {
    /// The cluster does not know the token.
    Unknown(Rejection),
    /// It could not be asked.
    Call(CallError),
    Busy,
}

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

    /// The token, if there is one.
    ///
    /// # Errors
    /// It cannot be one.
    pub(super) fn token(self) -> Result<Option<BearerToken>, Rejection> {
        match self {
            Self::Absent | Self::Spaced => Ok(None),
            Self::Malformed => Err(Rejection::Token("not UTF-8".to_owned())),
            Self::Token(token) => Ok(Some(token)),
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
        let ttl = options.ttl;
        Self {
            reviewer,
            options,
            known: answers(ttl),
            unknown: answers(ttl),
            reviews: None,
            secret: rand::random(),
            observer: None,
        }
    }

    /// Has each question take a seat of `pool`, where the addresses that tokens come from take turns. Known tokens need none.
    #[must_use]
    pub fn bounded(mut self, pool: Arc<Pool>) -> Self {
        self.reviews = Some(pool);
        self
    }

    /// Tells `observer` of each token that is looked up whether it was known, and how long that took.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(bool, Duration) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The caller that a token belongs to, brought by a connection from `address`.
    ///
    /// # Errors
    /// Nobody knows the token, or nobody could be asked.
    pub async fn authenticate(&self, token: &BearerToken, address: IpAddr) -> Result<UserInfo, Rejection> {
        let began = Instant::now();
        let (known, answer) = self.look_up(token, address).await;
        if let Some(observer) = &self.observer {
            observer(known, began.elapsed());
        }
        answer.map(|user| UserInfo::clone(&user))
    }

    /// The answer, and whether it was there already.
    async fn look_up(&self, token: &BearerToken, address: IpAddr) -> (bool, Result<Arc<UserInfo>, Rejection>) {
        if self.options.ttl.is_zero() {
            let answer = self.ask(token, address).await;
            return (false, answer.map_err(|failure| failure.rejection()));
        }
        let key = self.key(token);
        if let Some(rejection) = self.unknown.get(&key).await {
            return (true, Err(rejection));
        }
        let ask = async {
            let answer = self.ask(token, address).await;
            if let Err(Failure::Unknown(rejection)) = &answer {
                self.unknown.insert(key, rejection.clone()).await;
            }
            answer
        };
        // Waiters share one question; when the one who asks goes away, the next asks.
        match self.known.entry(key).or_try_insert_with(ask).await {
            Ok(entry) => (!entry.is_fresh(), Ok(entry.into_value())),
            Err(failure) => (false, Err(failure.rejection())),
        }
    }

    async fn ask(&self, token: &BearerToken, address: IpAddr) -> Result<Arc<UserInfo>, Failure> {
        let _seat = match &self.reviews {
            Some(pool) => Some(pool.enter(&network(address), PATIENCE).await?),
            None => None,
        };
        let status = webhook::retry(&self.options.backoff, || self.reviewer.review(token)).await?;
        verdict(status).map_err(Failure::Unknown)
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

fn answers<V: Clone + Send + Sync + 'static>(ttl: Duration) -> Cache<Key, V> {
    Cache::builder()
        .max_capacity(CAPACITY)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(ttl)
        .build()
}

fn verdict(status: TokenReviewStatus) -> Result<Arc<UserInfo>, Rejection> {
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

// === impl Failure ===

impl Failure {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Unknown(rejection) => rejection.clone(),
            Self::Call(error) => Rejection::Review(error.to_string()),
            Self::Busy => Rejection::Busy,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Refused> for Failure {
    fn from(_: Refused) -> Self {
        Self::Busy
    }
}

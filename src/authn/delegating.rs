//! Front proxy, client certificate, token, a WebSocket's token, in this order; the first that succeeds wins.
//!
//! k8s.io/apiserver pkg/authentication/authenticatorfactory/delegating.go, pkg/endpoints/filters/authentication.go.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use rustls_pki_types::UnixTime;

use super::{
    Authenticator, Credentials, Rejection,
    complaints::Complaints,
    request_header, subprotocol,
    token::{Bearer, SPACED_WARNING, TokenAuthenticator},
    trust::{Trust, TrustBundle},
    x509,
};
use crate::wire::{
    status::Status,
    user::{ANONYMOUS, GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED, UserInfo},
};

/// When a token is to be brought again that could not be looked up, in seconds.
const RETRY_AFTER: u32 = 1;

/// Tells callers by certificates that we verify and by tokens that the cluster reviews.
pub struct DelegatingAuthenticator {
    trust: Arc<TrustBundle>,
    tokens: Option<TokenAuthenticator>,
    complaints: Complaints,
}

impl DelegatingAuthenticator {
    /// Without `tokens`, no token is valid.
    pub fn new(trust: Arc<TrustBundle>, tokens: Option<TokenAuthenticator>) -> Self {
        Self {
            trust,
            tokens,
            complaints: Complaints::default(),
        }
    }

    /// Stricter than Go's in one point: a credential that nothing here can judge (a certificate without any authority
    /// known, one that names nobody, a token without a cluster to review it) is not valid, where Go takes its bearer
    /// for anonymous.
    async fn identify(&self, trust: &Trust, credentials: &Credentials<'_>) -> Result<UserInfo, Vec<Rejection>> {
        let (headers, chain) = (&*credentials.headers, credentials.certificates);
        let now = UnixTime::now();
        let mut rejections = Vec::new();
        let mut attempt = |outcome: Result<Option<UserInfo>, Rejection>| match outcome {
            Ok(user) => user,
            Err(rejection) => {
                rejections.push(rejection);
                None
            }
        };
        if let Some(proxy) = &trust.request_header
            && let Some(user) = attempt(request_header::authenticate(proxy, headers, chain, now))
        {
            return Ok(user);
        }
        if let Some(user) = attempt(x509::authenticate(&trust.client_ca, chain, now)) {
            return Ok(user);
        }
        let bearer = Bearer::parse(headers);
        if bearer == Bearer::Spaced {
            credentials.notes.warn(SPACED_WARNING);
        }
        let mut tried = !chain.is_empty();
        for token in [bearer.token(), subprotocol::token(headers)] {
            tried |= !matches!(token, Ok(None));
            let outcome = match (token, &self.tokens) {
                (Ok(Some(token)), Some(tokens)) => tokens.authenticate(&token, credentials.address).await.map(Some),
                (token, _) => token.map(|_| None),
            };
            if let Some(user) = attempt(outcome) {
                return Ok(user);
            }
        }
        if tried {
            return Err(rejections);
        }
        Ok(UserInfo::anonymous())
    }
}

#[async_trait]
impl Authenticator for DelegatingAuthenticator {
    async fn authenticate(&self, credentials: &mut Credentials<'_>) -> Result<UserInfo, Status> {
        let trust = self.trust.current();
        let outcome = self.identify(&trust, credentials).await;
        credentials.headers.remove(AUTHORIZATION);
        subprotocol::remove(credentials.headers);
        let configured = trust.request_header.as_ref().map(|proxy| &proxy.headers);
        request_header::remove(credentials.headers, configured);
        match outcome {
            Ok(user) => Ok(authenticated(user)),
            Err(rejections) => {
                let reasons: Vec<String> = rejections.iter().map(ToString::to_string).collect();
                let busy = rejections.iter().any(|rejection| matches!(rejection, Rejection::Busy));
                let mut status = match busy {
                    true => Status::too_many_requests(RETRY_AFTER),
                    false => Status::unauthorized(),
                };
                let why = if reasons.is_empty() {
                    "nothing here can judge the credentials".to_owned()
                } else {
                    reasons.join("; ")
                };
                status.internal = self.complaints.say(why);
                Err(status)
            }
        }
    }
}

impl std::fmt::Debug for DelegatingAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegatingAuthenticator")
            .field("trust", &self.trust)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// Adds the group of everybody who is somebody (pkg/authentication/group/authenticated_group_adder.go).
fn authenticated(mut user: UserInfo) -> UserInfo {
    let known = user.name == ANONYMOUS || user.in_group(GROUP_AUTHENTICATED) || user.in_group(GROUP_UNAUTHENTICATED);
    if !known {
        user.groups.push(GROUP_AUTHENTICATED.to_owned());
    }
    user
}

#[cfg(test)]
mod tests;

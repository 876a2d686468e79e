//! Acting as somebody else: `Impersonate-*` headers, for those who may
//! (k8s.io/apiserver pkg/endpoints/filters/impersonation).

mod headers;
mod mode;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderMap;
use moka::future::Cache;

use super::request_info::RequestInfo;
use crate::authz::Authorizer;
use crate::wire::status::Status;
use crate::wire::user::UserInfo;

use mode::{Asking, MODES, Mode};

/// How many callers are remembered by the way in which they may act as others.
const REMEMBERED: u64 = 10_000;

/// Lets callers act as others, as far as they may.
pub struct Impersonation {
    authorizer: Arc<dyn Authorizer>,
    /// What let a caller act as somebody last, which is tried first the next time.
    last: Cache<String, Mode>,
}

/// Whom a request acts as.
#[derive(Clone, Debug, PartialEq)]
pub struct Impersonated {
    /// The identity that counts from now on.
    pub user: Arc<UserInfo>,
    /// The verb that allowed it, unless it is plain `impersonate`.
    pub constraint: &'static str,
}

impl Impersonation {
    /// Asks `authorizer` who may act as whom.
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self {
            authorizer,
            last: Cache::builder().max_capacity(REMEMBERED).build(),
        }
    }

    /// Whether [`Impersonation::impersonate`] has anything to do.
    pub fn is_asked_for(headers: &HeaderMap) -> bool {
        headers.keys().any(headers::is_own)
    }

    /// Whom `requestor` acts as, if as somebody else. The headers that say so are taken away: nothing below knows of it.
    ///
    /// # Errors
    /// 400 for headers that make no sense, 403 for somebody who may not act as that user.
    pub async fn impersonate(
        &self,
        headers: &mut HeaderMap,
        info: &RequestInfo,
        requestor: &Arc<UserInfo>,
    ) -> Result<Option<Impersonated>, Status> {
        let Some(wanted) = headers::take(headers)? else {
            return Ok(None);
        };
        let asking = Asking {
            authorizer: &*self.authorizer,
            requestor,
            wanted: &wanted,
            info,
        };
        let last = self.last.get(&requestor.name).await;
        let others = MODES.into_iter().filter(|mode| Some(*mode) != last);
        let mut refusal = None;
        for mode in last.into_iter().chain(others) {
            if !mode.applies(&wanted, requestor) {
                continue;
            }
            match asking.check(mode).await {
                Ok(user) => {
                    self.last.insert(requestor.name.clone(), mode).await;
                    tracing::debug!(by = requestor.name, user = user.name, "impersonating");
                    return Ok(Some(Impersonated {
                        user: Arc::new(user),
                        constraint: mode.constraint(),
                    }));
                }
                Err(status) => {
                    refusal.get_or_insert(status);
                }
            }
        }
        Err(refusal.unwrap_or_else(|| Status::internal("no way to impersonate applies")))
    }
}

//! Several authorizers as one: whoever allows first decides.
//!
//! k8s.io/apiserver pkg/authorization/union/union.go.

use std::sync::Arc;

use async_trait::async_trait;

use super::{AlwaysAllowPaths, Attributes, Authorizer, Decision, Local, Masters, Rules, SubjectAccessReviewAuthorizer};
use crate::wire::user::UserInfo;

/// Asks one after the other until one allows. A denial means no more than that the next is asked; when nobody allows,
/// the reasons of all are given, or, if anyone could not decide, its error.
#[derive(Clone)]
pub struct Union(Vec<Arc<dyn Authorizer>>);

impl Union {
    /// Asks in this order.
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Self(authorizers)
    }

    /// What an API server behind the aggregator uses: `system:masters`, the open paths, and the cluster's word on the
    /// rest.
    pub fn delegating(paths: AlwaysAllowPaths, reviews: SubjectAccessReviewAuthorizer) -> Self {
        Self::new(vec![Arc::new(Masters), Arc::new(paths), Arc::new(reviews)])
    }

    /// What a server without a cluster uses: `system:masters`, the open paths, and the few rules of [`Local`].
    pub fn local(paths: AlwaysAllowPaths, rules: Local) -> Self {
        Self::new(vec![Arc::new(Masters), Arc::new(paths), Arc::new(rules)])
    }
}

#[async_trait]
impl Authorizer for Union {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        let (mut reasons, mut errors) = (Vec::new(), Vec::new());
        for authorizer in &self.0 {
            match authorizer.authorize(user, attributes).await {
                Ok(Decision::Deny { reason }) if reason.is_empty() => {}
                Ok(Decision::Deny { reason }) => reasons.push(reason),
                Ok(allow) => return Ok(allow),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Decision::Deny {
                reason: reasons.join("\n"),
            })
        } else {
            Err(errors.join(", "))
        }
    }

    async fn rules(&self, user: &UserInfo, namespace: &str) -> Rules {
        let mut all = Rules::default();
        for authorizer in &self.0 {
            let own = authorizer.rules(user, namespace).await;
            all.resources.extend(own.resources);
            all.paths.extend(own.paths);
            all.incomplete |= own.incomplete;
            if !own.error.is_empty() {
                let comma = if all.error.is_empty() { "" } else { ", " };
                all.error.push_str(&format!("{comma}{}", own.error));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;

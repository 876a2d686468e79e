//! The rules of a server that has no cluster to ask.

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision};
use crate::wire::user::{GROUP_AUTHENTICATED, UserInfo};

/// What everybody with valid credentials may read, as the cluster role `system:discovery` lists it.
const DISCOVERY: [&str; 4] = ["/api", "/apis", "/openapi", "/version"];

/// Lets authenticated callers use one API group, in which the visibility filter then shows each just their own, and read
/// discovery. Nobody else may do anything.
#[derive(Clone, Debug)]
pub struct Local {
    group: String,
}

impl Local {
    /// Opens `group`, for example `apiserver.bulward.io`.
    pub fn new(group: impl Into<String>) -> Self {
        Self { group: group.into() }
    }

    fn allows(&self, attributes: &Attributes) -> bool {
        match attributes {
            Attributes::Resource(resource) => resource.group == self.group,
            Attributes::Path { path, verb } => verb == "get" && DISCOVERY.iter().any(|root| is_below(path, root)),
        }
    }
}

/// `/apis` and `/apis/…`, not `/apisomething`.
fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[async_trait]
impl Authorizer for Local {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        Ok(if user.in_group(GROUP_AUTHENTICATED) && self.allows(attributes) {
            Decision::allow()
        } else {
            Decision::deny()
        })
    }
}

#[cfg(test)]
mod tests;

//! Administrators of the cluster may do everything, without asking: the answer would be the same.

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision};
use crate::wire::user::{GROUP_MASTERS, UserInfo};

/// Allows everything to the group `system:masters` (k8s.io/apiserver pkg/authorization/authorizerfactory).
#[derive(Clone, Copy, Debug)]
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, user: &UserInfo, _: &Attributes) -> Result<Decision, String> {
        Ok(if user.in_group(GROUP_MASTERS) {
            Decision::allow()
        } else {
            Decision::deny()
        })
    }
}

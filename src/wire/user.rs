//! Who is asking: a caller as authenticated, or as impersonated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The user name of a caller without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of callers without credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of callers with valid credentials.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// The group that needs no authorization review.
pub const GROUP_MASTERS: &str = "system:masters";

/// A caller's identity (`authentication.k8s.io/v1` UserInfo).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The user name; service accounts are `system:serviceaccount:<namespace>:<name>`.
    #[serde(rename = "username")]
    pub name: String,
    /// The identity's uid, empty when the authenticator knows none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups, in the authenticator's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Whatever else the authenticator knows; passed on to reviews.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// The caller that has no credentials.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            groups: vec![GROUP_UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// Whether the caller carries `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

//! RBAC subjects, and the keys under which a caller is found.

use std::cmp::Ordering;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::user::UserInfo;

/// Subject names users, a group or a service account, as RBAC does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// API group of the subject: rbac.authorization.k8s.io for User and Group, empty for ServiceAccount. Defaulted from kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// Kind of the subject: User, Group or ServiceAccount.
    #[schemars(extend("enum" = ["Group", "ServiceAccount", "User"]))]
    pub kind: String,
    /// Name of the subject. Any characters are allowed.
    pub name: String,
    /// Namespace of a ServiceAccount; must be empty for User and Group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// The API group of users and groups.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// What a subject and a caller are matched by: `u:<user name>` or `g:<group>`. A service account is the user it authenticates as.
///
/// Equal keys often share their text (the visibility index sees to it), and then compare as two pointers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubjectKey(Arc<str>);

impl Ord for SubjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for SubjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl SubjectKey {
    /// The key of a user name.
    pub fn user(name: &str) -> Self {
        Self(format!("u:{name}").into())
    }

    /// The key of a group.
    pub fn group(name: &str) -> Self {
        Self(format!("g:{name}").into())
    }

    /// Every key that matches `caller`: the user first, then each group.
    pub fn of(caller: &UserInfo) -> Vec<Self> {
        let mut keys = Vec::with_capacity(1 + caller.groups.len());
        keys.push(Self::user(&caller.name));
        keys.extend(caller.groups.iter().map(|group| Self::group(group)));
        keys.sort();
        keys.dedup();
        keys
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Subject {
    /// The key that this subject is matched by; `None` for a subject that matches nobody.
    pub fn key(&self) -> Option<SubjectKey> {
        if self.name.is_empty() {
            return None;
        }
        match self.kind.as_str() {
            "User" => Some(SubjectKey::user(&self.name)),
            "Group" => Some(SubjectKey::group(&self.name)),
            "ServiceAccount" if !self.namespace.is_empty() => {
                let user = format!("system:serviceaccount:{}:{}", self.namespace, self.name);
                Some(SubjectKey::user(&user))
            }
            _ => None,
        }
    }
}

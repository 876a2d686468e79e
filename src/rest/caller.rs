//! Who writes or reads, and what.

use std::sync::Arc;

use super::resource::{Access, Resource};
use crate::visibility::{Key, KindId};
use crate::wire::notes::Notes;
use crate::wire::subject::SubjectKey;
use crate::wire::user::UserInfo;

/// A caller, with the keys under which the visibility index knows them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The identity.
    pub user: Arc<UserInfo>,
    /// Everything that matches the caller, sorted.
    pub subjects: Arc<[SubjectKey]>,
    /// Whether the caller reads and writes filtered views without filter (rule V16).
    pub unfiltered: bool,
    /// What is to be said of the request beside its answer.
    pub notes: Arc<Notes>,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The resource as served.
    pub resource: &'a Resource,
    /// Its stored kind.
    pub kind: KindId,
    /// Who asks.
    pub caller: &'a Caller,
    /// The namespace in the path; empty for cluster-scoped resources and for all namespaces.
    pub namespace: &'a str,
    /// The name in the path; empty for collections.
    pub name: &'a str,
}

impl Caller {
    /// A caller; `unfiltered_users` are exact user names.
    pub fn new(user: impl Into<Arc<UserInfo>>, unfiltered_users: &[String], notes: Arc<Notes>) -> Self {
        let user = user.into();
        Self {
            subjects: SubjectKey::of(&user).into(),
            unfiltered: unfiltered_users.contains(&user.name),
            user,
            notes,
        }
    }
}

impl Target<'_> {
    /// Whether only what the caller owns or belongs to exists for them here.
    pub fn filtered(&self) -> bool {
        self.resource.access == Access::Filtered && !self.caller.unfiltered
    }

    /// `name`, or `namespace/name`.
    pub fn key(&self) -> Key {
        self.key_of(self.name)
    }

    /// The key of another name in the same place.
    pub fn key_of(&self, name: &str) -> Key {
        if self.resource.stored.namespaced {
            format!("{}/{name}", self.namespace).into()
        } else {
            name.into()
        }
    }

    /// The same place with another name.
    pub fn named<'a>(&'a self, namespace: &'a str, name: &'a str) -> Target<'a> {
        Target {
            namespace,
            name,
            ..self.clone()
        }
    }
}

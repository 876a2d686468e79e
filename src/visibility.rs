//! Who sees which object, at which revision: a pure function of what the store holds.
//!
//! The rules are those of the product's visibility guarantees (V1–V17). [`Facts`] are what one object says;
//! [`Index`] is what all objects together say, kept up to date by the delta of each change.

pub mod audience;
pub mod index;
pub mod set;

use std::sync::Arc;

use crate::wire::subject::SubjectKey;

pub use audience::{Audience, Role, Through};
pub use index::{Index, Stored, Touched};

/// A stored object's key without its kind: `name`, or `namespace/name`.
pub type Key = Arc<str>;

/// A stored kind's place in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId(pub u16);

/// What a stored object says about who sees it. All lists are sorted and without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `spec.owners`.
    pub owners: Box<[SubjectKey]>,
    /// `status.members`.
    pub members: Box<[SubjectKey]>,
    /// Members by RoleBindings of the object's own namespace, not through a Project (V17); `None` when all members are.
    pub own_members: Option<Box<[SubjectKey]>>,
    /// The namespace that the object claims: `status.namespace.name`.
    pub namespace: Option<Arc<str>>,
}

/// The namespace and the name in a key.
pub fn split(key: &str) -> (Option<&str>, &str) {
    match key.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, key),
    }
}

// === impl Facts ===

impl Facts {
    /// Whether one of the caller's `subjects` owns the object.
    pub fn owned_by(&self, subjects: &[SubjectKey]) -> bool {
        intersects(&self.owners, subjects)
    }

    /// Whether one of the caller's `subjects` is an owner or a member.
    pub fn seen_by(&self, subjects: &[SubjectKey]) -> bool {
        self.owned_by(subjects) || intersects(&self.members, subjects)
    }

    /// Whether one of the caller's `subjects` is an owner, or a member other than through a Project.
    pub fn admits(&self, subjects: &[SubjectKey]) -> bool {
        self.owned_by(subjects) || intersects(self.own_members.as_ref().unwrap_or(&self.members), subjects)
    }

    /// Whether the object names a subject.
    pub fn names(&self, subject: &SubjectKey) -> bool {
        self.owners.binary_search(subject).is_ok() || self.members.binary_search(subject).is_ok()
    }
}

/// Whether two sorted lists share an element; looks each element of the shorter one up in the longer one.
fn intersects(one: &[SubjectKey], other: &[SubjectKey]) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    short.iter().any(|subject| long.binary_search(subject).is_ok())
}

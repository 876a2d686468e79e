//! Who sees which object, at which revision: a pure function of what the store holds.

use std::sync::Arc;

use crate::wire::subject::SubjectKey;

/// What a stored object says about who sees it. All lists are sorted and without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `spec.owners`.
    pub owners: Vec<SubjectKey>,
    /// `status.members`.
    pub members: Vec<SubjectKey>,
    /// Members by RoleBindings of the object's own namespace, not through a Project (visibility.md V17).
    pub own_members: Vec<SubjectKey>,
    /// The namespace that the object claims: `status.namespace.name`.
    pub namespace: Option<Arc<str>>,
}

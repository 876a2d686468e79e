//! Everybody who sees one object at one revision.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::Facts;
use crate::wire::subject::SubjectKey;

/// Subjects that see an object through others, and through which (names of Projects).
pub type Through = OrdMap<SubjectKey, OrdSet<Arc<str>>>;

/// Everybody who sees one object at one revision: what it says itself, and who sees it through a Project. Cheap to
/// clone and immutable, so that every recent revision stays readable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audience {
    /// What the object says itself.
    pub facts: Arc<Facts>,
    /// Who sees it through another object.
    pub through: Through,
}

/// How a caller is related to an object that they see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Named in `spec.owners`.
    Owner,
    /// Named in `status.members`.
    Member,
    /// Only a member of this Project, the first one by name.
    Via(Arc<str>),
}

impl Audience {
    /// Whether a caller with these (sorted) subjects sees the object.
    pub fn contains(&self, subjects: &[SubjectKey]) -> bool {
        self.facts.seen_by(subjects) || subjects.iter().any(|subject| self.through.contains_key(subject))
    }

    /// The caller's own relation to the object; `None` when they do not see it.
    pub fn role(&self, subjects: &[SubjectKey]) -> Option<Role> {
        if self.facts.owned_by(subjects) {
            return Some(Role::Owner);
        }
        if self.facts.seen_by(subjects) {
            return Some(Role::Member);
        }
        let through = subjects
            .iter()
            .filter_map(|subject| self.through.get(subject)?.get_min());
        through.min().map(|project| Role::Via(project.clone()))
    }

    /// Calls `each` for every subject that sees the object; a subject may come twice.
    pub fn for_each(&self, mut each: impl FnMut(&SubjectKey)) {
        self.facts.owners.iter().for_each(&mut each);
        self.facts.members.iter().for_each(&mut each);
        self.through.keys().for_each(&mut each);
    }

    /// How many subjects see the object; those that do so for two reasons count twice.
    pub fn len(&self) -> usize {
        self.facts.owners.len() + self.facts.members.len() + self.through.len()
    }

    /// Whether nobody sees it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a subject sees the object.
    pub fn includes(&self, subject: &SubjectKey) -> bool {
        self.facts.contains(subject) || self.through.contains_key(subject)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Member => f.write_str("member"),
            Self::Via(project) => write!(f, "via project {project}"),
        }
    }
}

//! Everybody who sees one object at one revision.

use std::sync::Arc;

use super::set::Set;
use super::{Facts, Key, split};
use crate::wire::subject::SubjectKey;

/// Subjects that see an object through others, and the keys of those others (Projects in the claimed namespace).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Through(pub(super) Set<(SubjectKey, Key)>);

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
    /// Only a member of this Project, the first one by name; its key.
    Via(Key),
}

// === impl Through ===

impl Through {
    /// Whether a subject sees the object through another one.
    pub fn contains(&self, subject: &SubjectKey) -> bool {
        self.first(subject).is_some()
    }

    /// Whether one of the subjects does.
    pub fn admits(&self, subjects: &[SubjectKey]) -> bool {
        !self.0.is_empty() && subjects.iter().any(|subject| self.contains(subject))
    }

    /// How many reasons there are: pairs of a subject and an object.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody sees the object through another one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first object through which a subject sees this one.
    fn first(&self, subject: &SubjectKey) -> Option<&Key> {
        let (first, key) = self.0.starting_at((subject.clone(), Key::default())).next()?;
        (first == subject).then_some(key)
    }
}

// === impl Audience ===

impl Audience {
    /// Whether a caller with these (sorted) subjects sees the object.
    pub fn contains(&self, subjects: &[SubjectKey]) -> bool {
        self.facts.seen_by(subjects) || self.through.admits(subjects)
    }

    /// The caller's own relation to the object; `None` when they do not see it.
    pub fn role(&self, subjects: &[SubjectKey]) -> Option<Role> {
        if self.facts.owned_by(subjects) {
            return Some(Role::Owner);
        }
        if self.facts.seen_by(subjects) {
            return Some(Role::Member);
        }
        let through = subjects.iter().filter_map(|subject| self.through.first(subject));
        through.min().map(|project| Role::Via(project.clone()))
    }

    /// As [`Audience::role`], with the subject that gives it.
    pub fn witness<'a>(&self, subjects: &'a [SubjectKey]) -> Option<(Role, &'a SubjectKey)> {
        let among = |list: &[SubjectKey]| subjects.iter().find(|subject| list.binary_search(subject).is_ok());
        if let Some(subject) = among(&self.facts.owners) {
            return Some((Role::Owner, subject));
        }
        if let Some(subject) = among(&self.facts.members) {
            return Some((Role::Member, subject));
        }
        let through = subjects
            .iter()
            .filter_map(|subject| Some((self.through.first(subject)?, subject)));
        through
            .min()
            .map(|(project, subject)| (Role::Via(project.clone()), subject))
    }

    /// Calls `each` for every subject that sees the object; a subject may come twice.
    pub fn for_each(&self, mut each: impl FnMut(&SubjectKey)) {
        self.facts.owners.iter().for_each(&mut each);
        self.facts.members.iter().for_each(&mut each);
        self.through.0.iter().for_each(|(subject, _)| each(subject));
    }

    /// How many subjects see the object; those that do so for several reasons count several times.
    pub fn len(&self) -> usize {
        self.facts.owners.len() + self.facts.members.len() + self.through.len()
    }

    /// Whether nobody sees it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a subject sees the object.
    pub fn includes(&self, subject: &SubjectKey) -> bool {
        self.facts.names(subject) || self.through.contains(subject)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Member => f.write_str("member"),
            Self::Via(project) => write!(f, "via project {}", split(project).1),
        }
    }
}

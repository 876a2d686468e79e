//! Subject → objects, kept up to date by the delta of each change.
//!
//! Everything is a persistent map: a clone is a few reference counts and stays readable while the single writer goes
//! on. A change of one object costs the subjects that it adds or removes, never the number of objects; a list costs
//! what the caller sees. What an object says itself is not held a second time: the index looks it up in [`Stored`].
//!
//! A worked example. Organization `acme` claims namespace `acme`; Project `acme/web` has member bob:
//! ```text
//! subjects  u:bob → {(organizations, acme), (projects, acme/web)}
//! through   (organizations, acme) → {(u:bob, acme/web)}
//! claims    nothing: a claim on the namespace of one's own name is found by that name
//! ```
//! Removing bob from the Project touches two objects, the Project and `acme`, at the same revision.
//!
//! The keys of `subjects` are the one place of each subject's text: facts are made to point there before they are kept,
//! so that equal subjects are equal pointers. A subject that sees nothing any more leaves the map, and its text goes with
//! the last object or event that still names it.

mod delta;
mod size;

use std::sync::Arc;

use imbl::HashMap;

use super::audience::Through;
use super::set::Set;
use super::{Audience, Facts, Key, KindId, split};
use crate::wire::subject::SubjectKey;

pub use size::Size;

/// One object whose content or audience a change touched.
#[derive(Clone, Debug)]
pub struct Touched {
    /// The object's kind.
    pub kind: KindId,
    /// The object's key.
    pub key: Key,
    /// Who saw it just before; `None` when it did not exist.
    pub before: Option<Audience>,
    /// Who sees it now; `None` when it no longer exists.
    pub after: Option<Audience>,
}

/// How the kinds see through each other: for each kind the one whose members in the claimed namespace see it, too.
pub type Throughs = Arc<[Option<KindId>]>;

/// The objects that the index is about, as they are after the change that it is told.
pub trait Stored {
    /// What an object says.
    fn facts(&self, kind: KindId, key: &str) -> Option<(&Key, &Arc<Facts>)>;

    /// The objects of a kind in a namespace, in key order.
    fn inside(&self, kind: KindId, namespace: &str) -> impl Iterator<Item = (&Key, &Arc<Facts>)>;
}

/// Who sees what.
#[derive(Clone, Debug)]
pub struct Index {
    throughs: Throughs,
    /// The objects that a subject sees.
    subjects: HashMap<SubjectKey, Set<(KindId, Key)>>,
    /// Who sees an object through others; only where anybody does.
    through: HashMap<(KindId, Key), Through>,
    /// The objects that claim a namespace which is not called as they are. More than one object claims a namespace only if
    /// the store was written by other hands.
    claims: HashMap<Arc<str>, Set<(KindId, Key)>>,
    size: Size,
}

impl Index {
    /// An empty index.
    pub fn new(throughs: Throughs) -> Self {
        Self {
            throughs,
            subjects: HashMap::new(),
            through: HashMap::new(),
            claims: HashMap::new(),
            size: Size::default(),
        }
    }

    /// Makes new facts share the texts of what is known: of `before`, which they replace, and of the index.
    pub fn share(&self, key: &Key, facts: &mut Facts, before: Option<&Facts>) {
        let known = |subject: &SubjectKey| Some(self.subjects.get_key_value(subject)?.0.clone());
        let Facts {
            owners,
            members,
            own_members,
            namespace,
        } = facts;
        delta::share(owners, before.map(|before| &*before.owners), known);
        // Somebody whom nobody knows yet may be both.
        let owner = |subject: &SubjectKey| Some(owners[owners.binary_search(subject).ok()?].clone());
        let either = |subject: &SubjectKey| known(subject).or_else(|| owner(subject));
        delta::share(members, before.map(|before| &*before.members), either);
        if let Some(own_members) = own_members {
            delta::share(own_members, Some(members), either);
        }
        if namespace.as_deref() == Some(key) {
            *namespace = Some(key.clone());
        }
    }

    /// Replaces what is known about one object (`None`: it does not exist). Answers every object whose content or
    /// audience that touches: the object itself first, then those that are seen through it.
    pub fn apply(
        &mut self,
        stored: &impl Stored,
        kind: KindId,
        key: &Key,
        before: Option<&Arc<Facts>>,
        after: Option<&Arc<Facts>>,
    ) -> Vec<Touched> {
        let place = (kind, key.clone());
        let old_namespace = before.and_then(|facts| facts.namespace.as_deref());
        let new_namespace = after.and_then(|facts| facts.namespace.as_ref());
        let old_through = self.through.get(&place).cloned().unwrap_or_default();
        let mut through = old_through.clone();
        let moved = old_namespace != new_namespace.map(AsRef::as_ref);
        if moved {
            self.claim(&place, old_namespace, new_namespace);
            through = self.collect(stored, kind, new_namespace.map(AsRef::as_ref));
        }
        let audience = |facts: &Arc<Facts>, through| Audience {
            facts: facts.clone(),
            through,
        };
        let before = before.map(|facts| audience(facts, old_through));
        let after = after.map(|facts| audience(facts, through));

        let seen = delta::between(before.as_ref(), after.as_ref(), moved);
        for subject in seen.lost {
            self.post(&place, &subject, false);
        }
        for subject in seen.gained {
            self.post(&place, &subject, true);
        }
        if moved || after.is_none() {
            let through = after.as_ref().map(|after| after.through.clone());
            self.keep_through(place, through.unwrap_or_default());
        }

        let mut touched = vec![Touched {
            kind,
            key: key.clone(),
            before,
            after,
        }];
        if self.throughs.contains(&Some(kind)) {
            self.apply_child(stored, &mut touched);
        }
        touched
    }

    /// Who sees an object through others.
    pub fn through(&self, kind: KindId, key: &Key) -> Through {
        self.through.get(&(kind, key.clone())).cloned().unwrap_or_default()
    }

    /// Keys of the objects that a caller with these subjects sees, in key order; only those in `namespace` if given.
    pub fn list(&self, kind: KindId, subjects: &[SubjectKey], namespace: Option<&str>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        let mut sources = 0;
        let lowest: Key = match namespace {
            Some(namespace) => format!("{namespace}/").into(),
            None => Key::default(),
        };
        let here = |one: &&(KindId, Key)| one.0 == kind && (namespace.is_none() || split(&one.1).0 == namespace);
        for subject in subjects {
            let Some(posting) = self.subjects.get(subject) else {
                continue;
            };
            sources += 1;
            let posting = posting.starting_at((kind, lowest.clone())).take_while(here);
            keys.extend(posting.map(|(_, key)| key.clone()));
        }
        if sources > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        keys
    }

    /// The objects of `kind` that claim `namespace`.
    pub fn claimants(&self, stored: &impl Stored, kind: KindId, namespace: &str) -> Vec<Key> {
        let claims = self.claims.get(namespace).into_iter().flat_map(Set::iter);
        let others = claims.filter(|(claimant, _)| *claimant == kind).map(|(_, key)| key);
        let own = stored.facts(kind, namespace);
        let own = own.filter(|(_, facts)| facts.namespace.as_deref() == Some(namespace));
        let mut keys: Vec<Key> = own.map(|(key, _)| key).into_iter().chain(others).cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// How much there is.
    pub fn size(&self) -> Size {
        Size {
            subjects: self.subjects.len(),
            seen_through: self.through.len(),
            claims: self.claims.len(),
            ..self.size
        }
    }

    /// Moves a claim from one namespace to another.
    fn claim(&mut self, place: &(KindId, Key), old: Option<&str>, new: Option<&Arc<str>>) {
        let other = |namespace: &&str| *namespace != &*place.1;
        if let Some(old) = old.filter(other)
            && let Some(claims) = self.claims.get_mut(old)
        {
            claims.remove(place);
            if claims.is_empty() {
                self.claims.remove(old);
            }
        }
        if let Some(new) = new.filter(|new| other(&&***new)) {
            self.claims.entry(new.clone()).or_default().insert(place.clone());
        }
    }

    /// Who sees an object of `kind` that claims `namespace` through the objects in it.
    fn collect(&self, stored: &impl Stored, kind: KindId, namespace: Option<&str>) -> Through {
        let (Some(namespace), Some(child)) = (namespace, self.throughs[usize::from(kind.0)]) else {
            return Through::default();
        };
        let mut pairs = Vec::new();
        for (key, facts) in stored.inside(child, namespace) {
            let subjects = facts.owners.iter().chain(&facts.members);
            pairs.extend(subjects.map(|subject| (subject.clone(), key.clone())));
        }
        pairs.sort_unstable();
        pairs.dedup();
        Through(pairs.into())
    }

    fn keep_through(&mut self, place: (KindId, Key), through: Through) {
        self.size.pairs += through.len();
        let old = if through.is_empty() {
            self.through.remove(&place)
        } else {
            self.through.insert(place, through)
        };
        self.size.pairs -= old.map_or(0, |old| old.len());
    }

    fn post(&mut self, place: &(KindId, Key), subject: &SubjectKey, sees: bool) {
        if sees {
            let posting = self.subjects.entry(subject.clone()).or_insert_with(|| {
                self.size.text += subject.as_str().len();
                Set::default()
            });
            self.size.postings += usize::from(posting.insert(place.clone()));
        } else if let Some(posting) = self.subjects.get_mut(subject) {
            self.size.postings -= usize::from(posting.remove(place));
            if posting.is_empty() {
                self.size.text -= subject.as_str().len();
                self.subjects.remove(subject);
            }
        }
    }

    /// Passes a change of an object's subjects (the first one of `touched`) on to the objects that are seen through it.
    fn apply_child(&mut self, stored: &impl Stored, touched: &mut Vec<Touched>) {
        let own = &touched[0];
        let (child, key) = (own.kind, own.key.clone());
        let seen = delta::named(own.before.as_ref(), own.after.as_ref());
        let Some(namespace) = split(&key).0 else { return };
        if seen.lost.is_empty() && seen.gained.is_empty() {
            return;
        }
        for (number, through) in self.throughs.clone().iter().enumerate() {
            let Some(parent) = u16::try_from(number)
                .ok()
                .map(KindId)
                .filter(|_| *through == Some(child))
            else {
                continue;
            };
            for parent_key in self.claimants(stored, parent, namespace) {
                let Some((_, facts)) = stored.facts(parent, &parent_key) else {
                    continue;
                };
                let place = (parent, parent_key);
                let before = Audience {
                    facts: facts.clone(),
                    through: self.through.get(&place).cloned().unwrap_or_default(),
                };
                let mut after = before.clone();
                for subject in &seen.lost {
                    after.through.0.remove(&(subject.clone(), key.clone()));
                }
                for subject in &seen.gained {
                    after.through.0.insert((subject.clone(), key.clone()));
                }
                // Only those whose sight may have changed are looked at: the whole audience can be large.
                for subject in seen.lost.iter().chain(&seen.gained) {
                    let (did, does) = (before.includes(subject), after.includes(subject));
                    if did != does {
                        self.post(&place, subject, does);
                    }
                }
                self.keep_through(place.clone(), after.through.clone());
                touched.push(Touched {
                    kind: parent,
                    key: place.1,
                    before: Some(before),
                    after: Some(after),
                });
            }
        }
    }
}

/// Keys of a namespace: from `ns/` up to, not including, `ns0` (`0` follows `/` in ASCII).
pub fn namespace_range(namespace: &str) -> (Key, Key) {
    (format!("{namespace}/").into(), format!("{namespace}0").into())
}

#[cfg(test)]
mod tests;

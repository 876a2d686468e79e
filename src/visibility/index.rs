//! Subject → objects, kept up to date by the delta of each change.
//!
//! Everything is a persistent map: a clone is a few reference counts and stays readable while the single writer goes
//! on. A change of one object costs the subjects that it adds or removes, never the number of objects; a list costs
//! what the caller sees.
//!
//! A worked example. Organization `acme` claims namespace `acme`; Project `acme/web` has member bob:
//! ```text
//! claims    acme → {(organizations, acme)}
//! children  acme/web → {members: [u:bob]}
//! audiences (organizations, acme) → through {u:bob → {web}}
//! postings  (projects, u:bob) → {acme/web}     (organizations, u:bob) → {acme}
//! ```
//! Removing bob from the Project touches two objects, the Project and `acme`, at the same revision.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::{Audience, Facts, Key, KindId, split};
use crate::wire::subject::SubjectKey;

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

/// Who sees what.
#[derive(Clone, Debug)]
pub struct Index {
    throughs: Throughs,
    /// The objects that a subject sees.
    postings: HashMap<(KindId, SubjectKey), OrdSet<Key>>,
    /// Who sees an object; only for kinds with an audience.
    audiences: HashMap<(KindId, Key), Audience>,
    /// The objects that claim a namespace. More than one only if the store was written by other hands.
    claims: HashMap<Arc<str>, OrdSet<(KindId, Key)>>,
    /// Facts of the objects through which others are seen, in key order.
    children: OrdMap<(KindId, Key), Arc<Facts>>,
}

impl Index {
    /// An empty index.
    pub fn new(throughs: Throughs) -> Self {
        Self {
            throughs,
            postings: HashMap::new(),
            audiences: HashMap::new(),
            claims: HashMap::new(),
            children: OrdMap::new(),
        }
    }

    /// Replaces what is known about one object (`None`: it does not exist). Answers every object whose content or
    /// audience that touches: the object itself first, then those that are seen through it.
    pub fn apply(&mut self, kind: KindId, key: &Key, facts: Option<Arc<Facts>>) -> Vec<Touched> {
        let before = self.audiences.get(&(kind, key.clone())).cloned();
        let old = before.as_ref().map(|audience| audience.facts.clone());
        let old_namespace = old.as_ref().and_then(|facts| facts.namespace.clone());
        let new_namespace = facts.as_ref().and_then(|facts| facts.namespace.clone());

        let mut through = before
            .as_ref()
            .map(|audience| audience.through.clone())
            .unwrap_or_default();
        if old_namespace != new_namespace {
            self.claim(kind, key, old_namespace.as_ref(), new_namespace.as_ref());
            through = self.through(kind, new_namespace.as_deref());
        }
        let after = facts.clone().map(|facts| Audience { facts, through });
        self.replace(kind, key, before.as_ref(), after.as_ref());

        let mut touched = vec![Touched {
            kind,
            key: key.clone(),
            before,
            after,
        }];
        if self.throughs.contains(&Some(kind)) {
            self.apply_child(kind, key, old.as_deref(), facts, &mut touched);
        }
        touched
    }

    /// Whether a caller with these (sorted) subjects sees the object.
    pub fn visible(&self, kind: KindId, key: &Key, subjects: &[SubjectKey]) -> bool {
        self.audience(kind, key)
            .is_some_and(|audience| audience.contains(subjects))
    }

    /// Who sees the object.
    pub fn audience(&self, kind: KindId, key: &Key) -> Option<&Audience> {
        self.audiences.get(&(kind, key.clone()))
    }

    /// Keys of the objects that a caller with these subjects sees, in key order; only those in `namespace` if given.
    pub fn list(&self, kind: KindId, subjects: &[SubjectKey], namespace: Option<&str>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        let mut sources = 0;
        for subject in subjects {
            let Some(posting) = self.postings.get(&(kind, subject.clone())) else {
                continue;
            };
            sources += 1;
            match namespace {
                None => keys.extend(posting.iter().cloned()),
                Some(namespace) => {
                    let (start, end) = namespace_range(namespace);
                    keys.extend(posting.range(start..end).cloned());
                }
            }
        }
        if sources > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        keys
    }

    /// The objects of `kind` that claim `namespace`.
    pub fn claimants(&self, kind: KindId, namespace: &str) -> Vec<Key> {
        let claims = self.claims.get(namespace).into_iter().flatten();
        claims
            .filter(|(claimant, _)| *claimant == kind)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// How many (subject, kind) pairs see anything, and how many objects have an audience.
    pub fn size(&self) -> (usize, usize) {
        (self.postings.len(), self.audiences.len())
    }

    /// Moves a claim from one namespace to another.
    fn claim(&mut self, kind: KindId, key: &Key, old: Option<&Arc<str>>, new: Option<&Arc<str>>) {
        if let Some(old) = old
            && let Some(claims) = self.claims.get_mut(old)
        {
            claims.remove(&(kind, key.clone()));
            if claims.is_empty() {
                self.claims.remove(old);
            }
        }
        if let Some(new) = new {
            self.claims.entry(new.clone()).or_default().insert((kind, key.clone()));
        }
    }

    /// Who sees an object of `kind` that claims `namespace` through the objects in it.
    fn through(&self, kind: KindId, namespace: Option<&str>) -> super::audience::Through {
        let mut through = super::audience::Through::new();
        let (Some(namespace), Some(child)) = (namespace, self.throughs[usize::from(kind.0)]) else {
            return through;
        };
        let (start, end) = namespace_range(namespace);
        for ((_, key), facts) in self.children.range((child, start)..(child, end)) {
            let name: Arc<str> = split(key).1.into();
            for subject in facts.subjects() {
                through.entry(subject).or_default().insert(name.clone());
            }
        }
        through
    }

    /// Stores an object's audience and mends the postings of those who came or went.
    fn replace(&mut self, kind: KindId, key: &Key, before: Option<&Audience>, after: Option<&Audience>) {
        let mut changed = Vec::new();
        let same = before.map(|audience| &audience.facts) == after.map(|audience| &audience.facts);
        if let Some(before) = before.filter(|_| !same) {
            before.for_each(|subject| {
                if !after.is_some_and(|after| after.includes(subject)) {
                    changed.push((subject.clone(), false));
                }
            });
        }
        if let Some(after) = after.filter(|_| !same) {
            after.for_each(|subject| {
                if !before.is_some_and(|before| before.includes(subject)) {
                    changed.push((subject.clone(), true));
                }
            });
        }
        for (subject, sees) in changed {
            self.post(kind, key, subject, sees);
        }
        match after {
            Some(after) => self.audiences.insert((kind, key.clone()), after.clone()),
            None => self.audiences.remove(&(kind, key.clone())),
        };
    }

    fn post(&mut self, kind: KindId, key: &Key, subject: SubjectKey, sees: bool) {
        let posting = (kind, subject);
        if sees {
            self.postings.entry(posting).or_default().insert(key.clone());
        } else if let Some(keys) = self.postings.get_mut(&posting) {
            keys.remove(key);
            if keys.is_empty() {
                self.postings.remove(&posting);
            }
        }
    }

    /// Passes a change of an object's subjects on to the objects that are seen through it.
    fn apply_child(
        &mut self,
        child: KindId,
        key: &Key,
        old: Option<&Facts>,
        new: Option<Arc<Facts>>,
        touched: &mut Vec<Touched>,
    ) {
        let (lost, gained) = difference(old, new.as_deref());
        match new {
            Some(facts) => self.children.insert((child, key.clone()), facts),
            None => self.children.remove(&(child, key.clone())),
        };
        let (Some(namespace), name) = split(key) else { return };
        if lost.is_empty() && gained.is_empty() {
            return;
        }
        let name: Arc<str> = name.into();
        let claims = self.claims.get(namespace).cloned().unwrap_or_default();
        for (parent, parent_key) in claims {
            if self.throughs[usize::from(parent.0)] != Some(child) {
                continue;
            }
            let Some(before) = self.audiences.get(&(parent, parent_key.clone())).cloned() else {
                continue;
            };
            let mut after = before.clone();
            for subject in &lost {
                if let Some(names) = after.through.get_mut(subject) {
                    names.remove(&name);
                    if names.is_empty() {
                        after.through.remove(subject);
                    }
                }
            }
            for subject in &gained {
                after.through.entry(subject.clone()).or_default().insert(name.clone());
            }
            // Only those whose sight may have changed are looked at: the whole audience can be large.
            for subject in lost.iter().chain(&gained) {
                let (did, does) = (before.includes(subject), after.includes(subject));
                if did != does {
                    self.post(parent, &parent_key, subject.clone(), does);
                }
            }
            self.audiences.insert((parent, parent_key.clone()), after.clone());
            touched.push(Touched {
                kind: parent,
                key: parent_key,
                before: Some(before),
                after: Some(after),
            });
        }
    }
}

/// The subjects that only the old, and only the new facts name.
fn difference(old: Option<&Facts>, new: Option<&Facts>) -> (Vec<SubjectKey>, Vec<SubjectKey>) {
    let old = old.map(Facts::subjects).unwrap_or_default();
    let new = new.map(Facts::subjects).unwrap_or_default();
    let only = |one: &[SubjectKey], other: &[SubjectKey]| -> Vec<SubjectKey> {
        let left = one.iter().filter(|subject| other.binary_search(subject).is_err());
        left.cloned().collect()
    };
    (only(&old, &new), only(&new, &old))
}

/// Keys of a namespace: from `ns/` up to, not including, `ns0` (`0` follows `/` in ASCII).
pub fn namespace_range(namespace: &str) -> (Key, Key) {
    (format!("{namespace}/").into(), format!("{namespace}0").into())
}

#[cfg(test)]
mod tests;

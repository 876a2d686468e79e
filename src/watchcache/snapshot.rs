//! Everything that the store held at one revision, and the history that led there.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use serde_json::Value;

use super::log::{Bounds, Change, Entry, Log, State};
use super::object::Object;
use super::written::Written;
use crate::storage::{Batch, Revision};
use crate::visibility::{Audience, Facts, Index, Key, KindId, Stored, index::namespace_range};
use crate::wire::subject::SubjectKey;

/// Who sees at least one object in so many is better served by a walk along all of them: looking one up costs as much as
/// some steps.
const DENSE: usize = 8;

/// What the cache needs to know of a stored kind.
#[derive(Clone, Debug)]
pub struct KindSpec {
    /// First part of the storage key.
    pub plural: String,
    /// Selectable fields beside name and namespace, as dotted paths.
    pub fields: Vec<String>,
    /// Reads what an object says about who sees it.
    pub facts: fn(&Value) -> Facts,
    /// The kind whose members in the claimed namespace see an object of this kind, too.
    pub through: Option<KindId>,
}

/// The objects of each kind.
#[derive(Clone, Debug)]
struct Kinds(Vec<OfKind>);

#[derive(Clone, Debug, Default)]
struct OfKind {
    objects: OrdMap<Key, Arc<Object>>,
    /// Length of what the objects are served as.
    bytes: usize,
}

/// The store at one revision. Immutable; a clone shares everything.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest revision that is contained.
    pub revision: Revision,
    kinds: Kinds,
    index: Index,
    log: Log,
}

impl Snapshot {
    /// What an empty store looks like at `revision`.
    pub fn empty(specs: &[KindSpec], revision: Revision) -> Self {
        Self {
            revision,
            kinds: Kinds(specs.iter().map(|_| OfKind::default()).collect()),
            index: Index::new(specs.iter().map(|spec| spec.through).collect()),
            log: Log::after(revision),
        }
    }

    /// One object.
    pub fn get(&self, kind: KindId, key: &Key) -> Option<&Arc<Object>> {
        self.kinds.of(kind).get(key)
    }

    /// All objects of a kind in key order; only those in `namespace` if given.
    pub fn list(&self, kind: KindId, namespace: Option<&str>) -> Vec<Arc<Object>> {
        match namespace {
            None => self.kinds.of(kind).values().cloned().collect(),
            Some(namespace) => self.kinds.within(kind, namespace).cloned().collect(),
        }
    }

    /// The objects of a kind that a caller with these subjects sees, in key order: costs what they see.
    pub fn list_visible(&self, kind: KindId, subjects: &[SubjectKey], namespace: Option<&str>) -> Vec<Arc<Object>> {
        let keys = self.index.list(kind, subjects, namespace);
        let all = self.kinds.of(kind);
        if keys.len() < all.len() / DENSE {
            return keys.iter().filter_map(|key| all.get(key).cloned()).collect();
        }
        // Both are in key order: walking along all is cheaper than looking most of them up.
        let mut wanted = keys.iter().peekable();
        let mut visible = Vec::with_capacity(keys.len());
        for (key, object) in all {
            // Keys are shared, so that most comparisons are of addresses.
            let order = |next: &Key| match Arc::ptr_eq(next, key) {
                true => Ordering::Equal,
                false => next.cmp(key),
            };
            while wanted.next_if(|next| order(next).is_lt()).is_some() {}
            match wanted.next_if(|next| order(next).is_eq()) {
                Some(_) => visible.push(object.clone()),
                None if wanted.peek().is_none() => break,
                None => {}
            }
        }
        visible
    }

    /// Number of objects of a kind.
    pub fn count(&self, kind: KindId) -> usize {
        self.kinds.of(kind).len()
    }

    /// Bytes that the objects of a kind are served as.
    pub fn bytes(&self, kind: KindId) -> usize {
        self.kinds.0[usize::from(kind.0)].bytes
    }

    /// Who sees what.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Whether an object exists for a caller with these subjects; `object` may be newer than the snapshot.
    pub fn sees(&self, kind: KindId, object: &Object, subjects: &[SubjectKey]) -> bool {
        object.facts.seen_by(subjects) || self.index.through(kind, &object.key).admits(subjects)
    }

    /// Who sees an object, which may be newer than the snapshot.
    pub fn audience(&self, kind: KindId, object: &Object) -> Audience {
        Audience {
            facts: object.facts.clone(),
            through: self.index.through(kind, &object.key),
        }
    }

    /// The objects of `kind` that claim `namespace`.
    pub fn claimants(&self, kind: KindId, namespace: &str) -> Vec<Key> {
        self.index.claimants(&self.kinds, kind, namespace)
    }

    /// What happened.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Adds an object while the cache is loaded: no history.
    pub fn load(&mut self, kind: KindId, mut object: Object) {
        let key = object.key.clone();
        self.share(&mut object, None);
        let object = Arc::new(object);
        self.kinds.put(kind, &key, Some(object.clone()));
        self.index.apply(&self.kinds, kind, &key, None, Some(&object.facts));
    }

    /// Makes a new object share the texts that are known.
    fn share(&self, object: &mut Object, old: Option<&Facts>) {
        let key = object.key.clone();
        self.index.share(&key, Arc::make_mut(&mut object.facts), old);
    }

    /// The next snapshot, and what happened in between. Keys of kinds that nobody serves only move the revision; what this
    /// process has `written` itself is not read again.
    pub fn apply(
        &self,
        specs: &[KindSpec],
        batch: &Batch,
        bounds: &Bounds,
        written: &Written,
    ) -> (Self, Option<Arc<Entry>>) {
        let mut next = self.clone();
        next.revision = batch.revision;
        let mut changes = Vec::new();
        let mut positions = HashMap::new();
        for event in &batch.events {
            let Some((kind, key)) = locate(specs, &event.key) else {
                continue;
            };
            let object = event.value.as_ref().and_then(|value| {
                if let Some(own) = written.take(&event.key, value) {
                    return Some(own.at(batch.revision));
                }
                let parsed = Object::parse(&specs[usize::from(kind.0)], key.clone(), batch.revision, value);
                parsed
                    .inspect_err(|error| tracing::error!(key = event.key, %error, "stored object is unreadable, treated as absent"))
                    .ok()
            });
            next.replace(kind, key, object, &mut changes, &mut positions);
        }
        if changes.is_empty() {
            return (next, None);
        }
        let entry = Arc::new(Entry::new(batch.revision, changes));
        next.log.push(entry.clone(), bounds);
        (next, Some(entry))
    }

    fn replace(
        &mut self,
        kind: KindId,
        key: Key,
        object: Option<Object>,
        changes: &mut Vec<Change>,
        positions: &mut HashMap<(KindId, Key), usize>,
    ) {
        let old = self.get(kind, &key).cloned();
        let key = old.as_ref().map_or(key, |old| old.key.clone());
        let old_facts = old.as_ref().map(|old| &old.facts);
        let object = object.map(|mut object| {
            object.key = key.clone();
            self.share(&mut object, old_facts.map(AsRef::as_ref));
            Arc::new(object)
        });
        self.kinds.put(kind, &key, object.clone());
        let facts = object.as_ref().map(|object| &object.facts);
        let touched = self.index.apply(&self.kinds, kind, &key, old_facts, facts);
        for (number, touched) in touched.into_iter().enumerate() {
            // The object itself comes first; the others changed their audience only.
            let (before, after) = if number == 0 {
                (old.clone(), object.clone())
            } else {
                let other = self.get(touched.kind, &touched.key).cloned();
                (other.clone(), other)
            };
            let state = |(object, audience)| State { object, audience };
            let before = before.zip(touched.before).map(state);
            let after = after.zip(touched.after).map(state);
            match positions.get(&(touched.kind, touched.key.clone())) {
                Some(&at) => {
                    let change: &mut Change = &mut changes[at];
                    change.after = after;
                }
                None => {
                    positions.insert((touched.kind, touched.key.clone()), changes.len());
                    changes.push(Change {
                        kind: touched.kind,
                        key: touched.key,
                        before,
                        after,
                    });
                }
            }
        }
    }
}

// === impl Kinds ===

impl Kinds {
    fn of(&self, kind: KindId) -> &OrdMap<Key, Arc<Object>> {
        &self.0[usize::from(kind.0)].objects
    }

    fn put(&mut self, kind: KindId, key: &Key, object: Option<Arc<Object>>) {
        let own = &mut self.0[usize::from(kind.0)];
        own.bytes += object.as_ref().map_or(0, |object| object.size());
        let old = match object {
            Some(object) => own.objects.insert(key.clone(), object),
            None => own.objects.remove(key),
        };
        own.bytes -= old.map_or(0, |old| old.size());
    }

    /// The objects in a namespace.
    fn within(&self, kind: KindId, namespace: &str) -> impl Iterator<Item = &Arc<Object>> {
        let (start, end) = namespace_range(namespace);
        self.of(kind).range(start..end).map(|(_, object)| object)
    }
}

impl Stored for Kinds {
    fn facts(&self, kind: KindId, key: &str) -> Option<(&Key, &Arc<Facts>)> {
        let object = self.of(kind).get(key)?;
        Some((&object.key, &object.facts))
    }

    fn inside(&self, kind: KindId, namespace: &str) -> impl Iterator<Item = (&Key, &Arc<Facts>)> {
        let objects = self.within(kind, namespace);
        objects.map(|object| (&object.key, &object.facts))
    }
}

/// The kind and the object key in a storage key.
pub fn locate(specs: &[KindSpec], key: &str) -> Option<(KindId, Key)> {
    let (plural, rest) = key.split_once('/')?;
    let at = specs.iter().position(|spec| spec.plural == plural)?;
    Some((KindId(u16::try_from(at).ok()?), rest.into()))
}

//! Everything that the store held at one revision, and the history that led there.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use serde_json::Value;

use super::log::{Bounds, Change, Entry, Log, State};
use super::object::Object;
use crate::storage::{Batch, Revision};
use crate::visibility::{Facts, Index, Key, KindId, index::namespace_range};
use crate::wire::subject::SubjectKey;

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

/// The store at one revision. Immutable; a clone shares everything.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest revision that is contained.
    pub revision: Revision,
    kinds: Vec<OrdMap<Key, Arc<Object>>>,
    index: Index,
    log: Log,
}

impl Snapshot {
    /// What an empty store looks like at `revision`.
    pub fn empty(specs: &[KindSpec], revision: Revision) -> Self {
        Self {
            revision,
            kinds: specs.iter().map(|_| OrdMap::new()).collect(),
            index: Index::new(specs.iter().map(|spec| spec.through).collect()),
            log: Log::after(revision),
        }
    }

    /// One object.
    pub fn get(&self, kind: KindId, key: &Key) -> Option<&Arc<Object>> {
        self.kinds[usize::from(kind.0)].get(key)
    }

    /// All objects of a kind in key order; only those in `namespace` if given.
    pub fn list(&self, kind: KindId, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = &self.kinds[usize::from(kind.0)];
        match namespace {
            None => objects.values().cloned().collect(),
            Some(namespace) => {
                let (start, end) = namespace_range(namespace);
                objects.range(start..end).map(|(_, object)| object.clone()).collect()
            }
        }
    }

    /// The objects of a kind that a caller with these subjects sees, in key order: costs what they see.
    pub fn list_visible(&self, kind: KindId, subjects: &[SubjectKey], namespace: Option<&str>) -> Vec<Arc<Object>> {
        let keys = self.index.list(kind, subjects, namespace);
        keys.iter().filter_map(|key| self.get(kind, key).cloned()).collect()
    }

    /// Number of objects of a kind.
    pub fn count(&self, kind: KindId) -> usize {
        self.kinds[usize::from(kind.0)].len()
    }

    /// Who sees what.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What happened.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Adds an object while the cache is loaded: no history.
    pub fn load(&mut self, kind: KindId, object: Object) {
        let key = object.key.clone();
        self.index.apply(kind, &key, Some(object.facts.clone()));
        self.kinds[usize::from(kind.0)].insert(key, Arc::new(object));
    }

    /// The next snapshot, and what happened in between. Keys of kinds that nobody serves only move the revision.
    pub fn apply(&self, specs: &[KindSpec], batch: &Batch, bounds: &Bounds) -> (Self, Option<Arc<Entry>>) {
        let mut next = self.clone();
        next.revision = batch.revision;
        let mut changes = Vec::new();
        let mut positions = HashMap::new();
        for event in &batch.events {
            let Some((kind, key)) = locate(specs, &event.key) else {
                continue;
            };
            let object = event.value.as_ref().and_then(|value| {
                let parsed = Object::parse(&specs[usize::from(kind.0)], key.clone(), batch.revision, value);
                parsed
                    .inspect_err(|error| tracing::error!(key = event.key, %error, "stored object is unreadable, treated as absent"))
                    .ok()
            });
            next.replace(kind, key, object.map(Arc::new), &mut changes, &mut positions);
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
        object: Option<Arc<Object>>,
        changes: &mut Vec<Change>,
        positions: &mut HashMap<(KindId, Key), usize>,
    ) {
        let facts = object.as_ref().map(|object| object.facts.clone());
        let objects = &mut self.kinds[usize::from(kind.0)];
        let old = match &object {
            Some(object) => objects.insert(key.clone(), object.clone()),
            None => objects.remove(&key),
        };
        for (number, touched) in self.index.apply(kind, &key, facts).into_iter().enumerate() {
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

/// The kind and the object key in a storage key.
pub fn locate(specs: &[KindSpec], key: &str) -> Option<(KindId, Key)> {
    let (plural, rest) = key.split_once('/')?;
    let at = specs.iter().position(|spec| spec.plural == plural)?;
    Some((KindId(u16::try_from(at).ok()?), rest.into()))
}

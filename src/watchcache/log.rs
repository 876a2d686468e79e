//! What happened, in revision order: enough to replay it for any caller.

use std::sync::Arc;
use std::time::Duration;

use imbl::Vector;
use tokio::time::Instant;

use super::Object;
use crate::storage::Revision;
use crate::visibility::{Audience, Key, KindId};

/// How much history is kept. The oldest entries go as soon as one of the bounds is exceeded.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long an entry stays.
    pub age: Duration,
    /// How many entries stay.
    pub entries: usize,
    /// How many bytes of object versions they may hold, roughly.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(300),
            entries: 100_000,
            bytes: 256 << 20,
        }
    }
}

/// An object that a revision changed, or whose audience it changed.
#[derive(Debug)]
pub struct Change {
    /// The object's kind.
    pub kind: KindId,
    /// The object's key.
    pub key: Key,
    /// The object and who saw it, just before the revision.
    pub before: Option<State>,
    /// The object and who sees it, from the revision on.
    pub after: Option<State>,
}

impl Change {
    /// Whether the object itself changed, not just its audience.
    pub fn is_of_object(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => !Arc::ptr_eq(&before.object, &after.object),
            _ => true,
        }
    }
}

/// An object and who sees it at one revision.
#[derive(Clone, Debug)]
pub struct State {
    /// The object.
    pub object: Arc<Object>,
    /// Who sees it in a filtered view.
    pub audience: Audience,
}

/// All changes of one revision.
#[derive(Debug)]
pub struct Entry {
    /// The revision.
    pub revision: Revision,
    /// When it was applied here.
    pub at: Instant,
    /// Every object at most once.
    pub changes: Vec<Change>,
    weight: usize,
}

/// The entries that are kept, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vector<Arc<Entry>>,
    /// The log is complete for every revision greater than this one.
    floor: Revision,
    weight: usize,
}

// === impl Entry ===

impl Entry {
    /// Collects the changes of a revision.
    pub fn new(revision: Revision, changes: Vec<Change>) -> Self {
        let states = changes
            .iter()
            .flat_map(|change| [&change.before, &change.after])
            .flatten();
        let weight = states.map(|state| state.object.weight()).sum();
        Self {
            revision,
            at: Instant::now(),
            changes,
            weight,
        }
    }

    /// Bytes of object versions that it holds, roughly.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

// === impl Log ===

impl Log {
    /// An empty log of what comes after `floor`.
    pub fn after(floor: Revision) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    /// The oldest revision from which a watch can be replayed.
    pub fn floor(&self) -> Revision {
        self.floor
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of object versions that the entries hold, roughly; many of them are in the snapshot, too.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends an entry and forgets what exceeds the bounds.
    pub fn push(&mut self, entry: Arc<Entry>, bounds: &Bounds) {
        self.weight += entry.weight;
        let now = entry.at;
        self.entries.push_back(entry);
        while self.entries.len() > bounds.entries
            || self.weight > bounds.bytes
            || self
                .entries
                .front()
                .is_some_and(|oldest| now.duration_since(oldest.at) > bounds.age)
        {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.weight -= oldest.weight;
            self.floor = oldest.revision;
        }
    }

    /// The entries after `revision`, oldest first; `None` when some of them are gone.
    pub fn since(&self, revision: Revision) -> Option<impl DoubleEndedIterator<Item = &Arc<Entry>>> {
        if revision < self.floor {
            return None;
        }
        let first = match self.entries.binary_search_by(|entry| entry.revision.cmp(&revision)) {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        Some(self.entries.focus().narrow(first..).into_iter())
    }
}

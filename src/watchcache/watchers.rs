//! Who waits for changes of which objects: an entry is offered to those whom the visibility index names, and to nobody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::log::Entry;
use super::snapshot::Snapshot;
use crate::storage::Revision;
use crate::visibility::KindId;
use crate::wire::subject::SubjectKey;

/// Entries that may wait for one watcher; one that lags further is cut off.
const QUEUE: usize = 1_000;

/// Which objects a watcher wants to hear of.
#[derive(Clone, Debug)]
pub enum Interest {
    /// Every object of a kind.
    Kind(KindId),
    /// Objects of a kind that a caller with these subjects sees.
    Subjects(KindId, Arc<[SubjectKey]>),
}

/// What a watcher receives.
#[derive(Clone, Debug)]
pub enum Offer {
    /// Something may have changed for this watcher.
    Entry(Arc<Entry>),
    /// The history has a gap; the watcher must list again.
    Gap,
}

/// A registered watcher; dropping it frees everything.
#[derive(Debug)]
pub struct Subscription {
    /// The offers; the channel closes when the watcher is too slow.
    pub offers: mpsc::Receiver<Offer>,
    /// The snapshot after which the offers begin.
    pub start: Arc<Snapshot>,
    id: u64,
    watchers: Arc<Mutex<Watchers>>,
}

/// All watchers of the server.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    next: u64,
    by_id: HashMap<u64, Watcher>,
    by_subject: HashMap<(KindId, SubjectKey), HashSet<u64>>,
    by_kind: HashMap<KindId, HashSet<u64>>,
}

#[derive(Debug)]
struct Watcher {
    sender: mpsc::Sender<Offer>,
    interest: Interest,
    /// An entry touches many objects, but is offered once.
    offered: Revision,
    /// Nothing that waits in the queue is older than this.
    waiting_since: Revision,
}

// === impl Watchers ===

impl Watchers {
    /// Registers a watcher. The caller holds the lock under which snapshots are published, so `start` is exact.
    pub(super) fn subscribe(
        watchers: &Arc<Mutex<Self>>,
        interest: Interest,
        start: impl FnOnce() -> Arc<Snapshot>,
    ) -> Subscription {
        let (sender, offers) = mpsc::channel(QUEUE);
        let mut own = watchers.lock();
        let start = start();
        let id = own.next;
        own.next += 1;
        match &interest {
            Interest::Kind(kind) => {
                own.by_kind.entry(*kind).or_default().insert(id);
            }
            Interest::Subjects(kind, subjects) => {
                for subject in subjects.iter() {
                    own.by_subject.entry((*kind, subject.clone())).or_default().insert(id);
                }
            }
        }
        let watcher = Watcher {
            sender,
            interest,
            offered: start.revision,
            waiting_since: start.revision,
        };
        own.by_id.insert(id, watcher);
        drop(own);
        Subscription {
            offers,
            start,
            id,
            watchers: watchers.clone(),
        }
    }

    /// Number of watchers.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Offers an entry to everyone who saw, or sees, an object that it touches. Whoever still waits to send what the log
    /// has forgotten (`floor`) is cut off: a watcher holds no history beyond the log's own bounds.
    pub(super) fn offer(&mut self, entry: &Arc<Entry>, floor: Revision) {
        if self.by_id.is_empty() {
            return;
        }
        let mut slow = Vec::new();
        for change in &entry.changes {
            let kind = change.kind;
            let by_id = &mut self.by_id;
            let mut offer = |ids: Option<&HashSet<u64>>| {
                for id in ids.into_iter().flatten() {
                    if let Some(watcher) = by_id.get_mut(id)
                        && !watcher.offer(entry, floor)
                    {
                        slow.push(*id);
                    }
                }
            };
            offer(self.by_kind.get(&kind));
            if self.by_subject.is_empty() {
                continue;
            }
            for state in [&change.before, &change.after].into_iter().flatten() {
                state
                    .audience
                    .for_each(|subject| offer(self.by_subject.get(&(kind, subject.clone()))));
            }
        }
        for id in slow {
            self.remove(id);
        }
    }

    /// Tells every watcher that history has a gap, and forgets them.
    pub(super) fn gap(&mut self) {
        for watcher in self.by_id.values() {
            // A full queue closes instead: the client reconnects and is told then.
            let _ = watcher.sender.try_send(Offer::Gap);
        }
        let next = self.next;
        *self = Self {
            next,
            ..Self::default()
        };
    }

    fn remove(&mut self, id: u64) {
        let Some(watcher) = self.by_id.remove(&id) else { return };
        match &watcher.interest {
            Interest::Kind(kind) => {
                if let Some(ids) = self.by_kind.get_mut(kind) {
                    ids.remove(&id);
                }
            }
            Interest::Subjects(kind, subjects) => {
                for subject in subjects.iter() {
                    let key = (*kind, subject.clone());
                    if let Some(ids) = self.by_subject.get_mut(&key) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            self.by_subject.remove(&key);
                        }
                    }
                }
            }
        }
    }
}

impl Watcher {
    /// Whether the watcher keeps up.
    fn offer(&mut self, entry: &Arc<Entry>, floor: Revision) -> bool {
        if self.offered >= entry.revision {
            return true;
        }
        self.offered = entry.revision;
        if self.sender.capacity() == self.sender.max_capacity() {
            self.waiting_since = entry.revision;
        }
        self.waiting_since > floor && self.sender.try_send(Offer::Entry(entry.clone())).is_ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watchers.lock().remove(self.id);
    }
}

//! Who waits for changes of which objects: an entry is offered to those whom the visibility index names, and to nobody else.

mod queue;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::encoded::Encoded;
use super::log::Entry;
use super::snapshot::Snapshot;
use crate::storage::Revision;
use crate::visibility::{Audience, Key, KindId, split};
use crate::wire::subject::SubjectKey;

use queue::Queue;

/// After so many entries it is looked whether somebody still has before them what the log has forgotten.
const SWEEP: u32 = 1_000;

/// Which objects a watcher wants to hear of.
#[derive(Clone, Debug)]
pub struct Interest {
    /// Their kind.
    pub kind: KindId,
    /// Only what a caller with these (sorted) subjects sees, or saw.
    pub subjects: Option<Arc<[SubjectKey]>>,
    /// Only those that are here.
    pub place: Place,
}

/// Where a watcher looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everywhere.
    All,
    /// In a namespace.
    Namespace(Arc<str>),
    /// At one object.
    Object(Key),
}

/// What a watcher receives.
#[derive(Clone, Debug)]
pub enum Offer {
    /// Something may have changed for this watcher.
    Entry(Arc<Offered>),
    /// The history has a gap; the watcher must list again.
    Gap,
}

/// An entry on its way to watchers, with its events as bytes.
#[derive(Debug)]
pub struct Offered {
    /// What happened.
    pub entry: Arc<Entry>,
    /// Shared by all watchers that are sent the same.
    pub encoded: Encoded,
}

/// A registered watcher; dropping it frees everything.
#[derive(Debug)]
pub struct Subscription {
    watcher: Arc<Watcher>,
    watchers: Arc<Mutex<Watchers>>,
}

/// All watchers of the server.
#[derive(Debug)]
pub(super) struct Watchers {
    /// The snapshot with the effect of all that has been offered.
    published: Arc<Snapshot>,
    next: u64,
    everybody: BTreeMap<u64, Arc<Watcher>>,
    kinds: HashMap<KindId, OfKind>,
    /// Entries since the last look for those who are late.
    unswept: u32,
}

/// The watchers of a kind, each under everything that may concern it.
#[derive(Debug, Default)]
struct OfKind {
    by_subject: HashMap<SubjectKey, Several>,
    all: Several,
    by_namespace: HashMap<Arc<str>, Several>,
    by_key: HashMap<Key, Several>,
}

/// Watchers in the order of their ids.
type Several = Vec<Arc<Watcher>>;

#[derive(Debug)]
struct Watcher {
    id: u64,
    interest: Interest,
    /// An entry touches many objects, but is offered once.
    offered: AtomicU64,
    queue: Queue,
}

// === impl Watchers ===

impl Watchers {
    pub(super) fn new(published: Arc<Snapshot>) -> Self {
        Self {
            published,
            next: 0,
            everybody: BTreeMap::new(),
            kinds: HashMap::new(),
            unswept: 0,
        }
    }

    /// Registers a watcher; what it is offered comes right after the snapshot.
    pub(super) fn subscribe(watchers: &Arc<Mutex<Self>>, mut interest: Interest) -> (Subscription, Arc<Snapshot>) {
        let mut own = watchers.lock();
        let start = own.published.clone();
        let id = own.next;
        own.next += 1;
        let of_kind = own.kinds.entry(interest.kind).or_default();
        if let Some(subjects) = &mut interest.subjects {
            of_kind.share(subjects);
        }
        let watcher = Arc::new(Watcher {
            id,
            interest,
            offered: AtomicU64::new(start.revision),
            queue: Queue::default(),
        });
        of_kind.insert(&watcher);
        own.everybody.insert(id, watcher.clone());
        drop(own);
        let watchers = watchers.clone();
        (Subscription { watcher, watchers }, start)
    }

    /// Number of watchers.
    pub(super) fn len(&self) -> usize {
        self.everybody.len()
    }

    /// Publishes the next snapshot and offers the entry that led to it to everyone who saw, or sees, an object that it
    /// touches. The lock is held to find them, not to tell them: whoever comes meanwhile begins with the snapshot. Whoever
    /// does not keep up is cut off.
    pub(super) fn offer(watchers: &Mutex<Self>, snapshot: &Arc<Snapshot>, entry: Option<&Arc<Entry>>) {
        let floor = snapshot.log().floor();
        let mut own = watchers.lock();
        own.published = snapshot.clone();
        let Some(entry) = entry.filter(|_| !own.everybody.is_empty()) else {
            return;
        };
        let concerned = own.concerned(entry);
        let swept = own.due();
        drop(own);

        let offered = Arc::new(Offered {
            entry: entry.clone(),
            encoded: Encoded::default(),
        });
        let lost = |watcher: &&Arc<Watcher>| !watcher.queue.push(&offered, floor);
        let mut slow: Several = concerned.iter().filter(lost).cloned().collect();
        slow.extend(swept.into_iter().filter(|watcher| !watcher.queue.forget(floor)));
        if !slow.is_empty() {
            let mut own = watchers.lock();
            slow.iter().for_each(|watcher| own.remove(watcher));
        }
    }

    /// Publishes a snapshot that nothing leads to: every watcher is told that history has a gap, and forgotten.
    pub(super) fn gap(watchers: &Mutex<Self>, snapshot: &Arc<Snapshot>) {
        let mut own = watchers.lock();
        own.published = snapshot.clone();
        own.kinds.clear();
        let everybody = std::mem::take(&mut own.everybody);
        drop(own);
        everybody.values().for_each(|watcher| watcher.queue.gap());
    }

    /// Everyone whom an entry concerns, once.
    fn concerned(&self, entry: &Entry) -> Several {
        let mut concerned = Several::new();
        for change in &entry.changes {
            let Some(of_kind) = self.kinds.get(&change.kind) else {
                continue;
            };
            let mut visit = |several: &Several| {
                let wanted = several
                    .iter()
                    .filter(|watcher| watcher.is_offered(&change.key, entry.revision));
                concerned.extend(wanted.cloned());
            };
            visit(&of_kind.all);
            if let Some(several) = of_kind.by_key.get(&change.key) {
                visit(several);
            }
            let namespace = split(&change.key).0;
            if let Some(several) = namespace.and_then(|namespace| of_kind.by_namespace.get(namespace)) {
                visit(several);
            }
            for state in [&change.before, &change.after].into_iter().flatten() {
                of_kind.seeing(&state.audience, &mut visit);
            }
        }
        concerned
    }

    /// Everybody, once in [`SWEEP`] entries: who is offered nothing would never be seen to hold old entries.
    fn due(&mut self) -> Several {
        self.unswept += 1;
        if self.unswept < SWEEP {
            return Several::new();
        }
        self.unswept = 0;
        self.everybody.values().cloned().collect()
    }

    fn remove(&mut self, watcher: &Watcher) {
        if self.everybody.remove(&watcher.id).is_some()
            && let Some(of_kind) = self.kinds.get_mut(&watcher.interest.kind)
        {
            of_kind.remove(watcher);
        }
    }
}

// === impl OfKind ===

impl OfKind {
    /// Watches of one caller share their subjects, those of different callers the texts that they have in common.
    fn share(&self, subjects: &mut Arc<[SubjectKey]>) {
        // The caller's own name comes after the groups; the others are many people's.
        let same = subjects.last().and_then(|last| self.by_subject.get(last)?.first());
        if let Some(known) = same.and_then(|watcher| watcher.interest.subjects.as_ref())
            && known == subjects
        {
            *subjects = known.clone();
            return;
        }
        let shared = |subject: &SubjectKey| match self.by_subject.get_key_value(subject) {
            Some((known, _)) => known.clone(),
            None => subject.clone(),
        };
        *subjects = subjects.iter().map(shared).collect();
    }

    fn insert(&mut self, watcher: &Arc<Watcher>) {
        let interest = &watcher.interest;
        let Some(subjects) = &interest.subjects else {
            let several = match &interest.place {
                Place::All => &mut self.all,
                Place::Namespace(namespace) => self.by_namespace.entry(namespace.clone()).or_default(),
                Place::Object(key) => self.by_key.entry(key.clone()).or_default(),
            };
            return several.push(watcher.clone());
        };
        for subject in subjects.iter() {
            self.by_subject
                .entry(subject.clone())
                .or_default()
                .push(watcher.clone());
        }
    }

    fn remove(&mut self, watcher: &Watcher) {
        fn take<K: std::borrow::Borrow<Q> + std::hash::Hash + Eq, Q: std::hash::Hash + Eq + ?Sized>(
            map: &mut HashMap<K, Several>,
            key: &Q,
            watcher: &Watcher,
        ) {
            let Some(several) = map.get_mut(key) else { return };
            leave(several, watcher);
            if several.is_empty() {
                map.remove(key);
            }
        }
        let interest = &watcher.interest;
        match (&interest.subjects, &interest.place) {
            (Some(subjects), _) => subjects.iter().for_each(|one| take(&mut self.by_subject, one, watcher)),
            (None, Place::All) => leave(&mut self.all, watcher),
            (None, Place::Namespace(namespace)) => take(&mut self.by_namespace, namespace, watcher),
            (None, Place::Object(key)) => take(&mut self.by_key, key, watcher),
        }
    }

    /// Visits the watchers of everybody in an audience; costs the smaller one of the two.
    fn seeing(&self, audience: &Audience, visit: &mut impl FnMut(&Several)) {
        if self.by_subject.len() < audience.len() {
            for (subject, several) in &self.by_subject {
                if audience.includes(subject) {
                    visit(several);
                }
            }
            return;
        }
        audience.for_each(|subject| {
            if let Some(several) = self.by_subject.get(subject) {
                visit(several);
            }
        });
    }
}

fn leave(several: &mut Several, watcher: &Watcher) {
    if let Ok(at) = several.binary_search_by_key(&watcher.id, |one| one.id) {
        several.remove(at);
    }
}

// === impl Watcher ===

impl Watcher {
    /// Whether a change of the object is to be offered; notes that the entry is. Only the one who publishes asks.
    fn is_offered(&self, key: &Key, revision: Revision) -> bool {
        let here = match &self.interest.place {
            Place::All => true,
            Place::Namespace(namespace) => split(key).0 == Some(namespace),
            Place::Object(own) => own == key,
        };
        here && self.offered.fetch_max(revision, Ordering::Relaxed) < revision
    }
}

// === impl Subscription ===

impl Subscription {
    /// The subjects whose objects it hears of, shared with other watchers; empty if it hears of everybody's.
    pub fn subjects(&self) -> Arc<[SubjectKey]> {
        self.watcher.interest.subjects.clone().unwrap_or_default()
    }

    /// A snapshot that has everything that has been offered, and what this watcher was begun with.
    pub fn published(&self) -> Arc<Snapshot> {
        self.watchers.lock().published.clone()
    }

    /// The next offer; `None` once the watcher was too slow.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Offer>> {
        self.watcher.queue.poll_next(context)
    }

    /// As [`Subscription::poll_next`].
    pub async fn next(&mut self) -> Option<Offer> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.watcher.queue.is_empty()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watchers.lock().remove(&self.watcher);
    }
}

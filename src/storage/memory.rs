//! A storage that forgets everything when it is dropped: for tests, and as the plainest reading of [`Storage`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::feed::{self, FIRST, History, Recent};
use super::{Batch, Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch, check};

/// Revisions kept after a compaction for watches that already run.
const GRACE: usize = 1024;

/// A multi-version storage in memory. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    newest: watch::Sender<Revision>,
}

#[derive(Debug)]
struct State {
    revision: Revision,
    compacted: Revision,
    /// For every key its values with the revisions that wrote them, oldest first; `None` is a deletion.
    keys: BTreeMap<String, Vec<(Revision, Option<Bytes>)>>,
    log: Recent,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty storage.
    pub fn new() -> Self {
        let state = State {
            revision: FIRST,
            compacted: 0,
            keys: BTreeMap::new(),
            log: Recent::default(),
        };
        Self {
            shared: Arc::new(Shared {
                state: RwLock::new(state),
                newest: watch::Sender::new(FIRST),
            }),
        }
    }
}

impl State {
    fn entry(&self, key: &str, revision: Revision) -> Option<Entry> {
        entry(key, self.keys.get(key)?, revision)
    }

    fn list(&self, request: &ListRequest, revision: Revision) -> Page {
        let start = match &request.after {
            Some(after) if *after >= request.prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(request.prefix.as_str()),
        };
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let mut entries = Vec::new();
        let mut more = false;
        for (key, versions) in self.keys.range::<str, _>((start, Bound::Unbounded)) {
            if !key.starts_with(&request.prefix) {
                break;
            }
            if let Some(entry) = entry(key, versions, revision) {
                if entries.len() == limit {
                    more = true;
                    break;
                }
                entries.push(entry);
            }
        }
        Page {
            entries,
            revision,
            more,
        }
    }

    /// Writes `batch`, which is the next revision.
    fn apply(&mut self, batch: Batch) {
        self.revision = batch.revision;
        for event in &batch.events {
            let versions = self.keys.entry(event.key.clone()).or_default();
            versions.push((batch.revision, event.value.clone()));
        }
        self.log.push(Arc::new(batch));
    }

    /// Drops what every change up to `revision` has replaced, and the deletions among these changes.
    fn forget(&mut self, revision: Revision) {
        let mut seen = self.compacted;
        while let Some(batch) = self.log.read(seen, revision, 1).and_then(|mut batches| batches.pop()) {
            seen = batch.revision;
            for event in &batch.events {
                let Some(versions) = self.keys.get_mut(&event.key) else {
                    continue;
                };
                let keep = |&(at, ref value): &(Revision, Option<Bytes>)| at > seen || (at == seen && value.is_some());
                versions.retain(keep);
                if versions.is_empty() {
                    self.keys.remove(&event.key);
                }
            }
        }
        self.compacted = revision;
        self.log.trim(revision, GRACE);
    }
}

fn entry(key: &str, versions: &[(Revision, Option<Bytes>)], revision: Revision) -> Option<Entry> {
    let upto = versions.partition_point(|(at, _)| *at <= revision);
    let (revision, value) = versions[..upto].last()?;
    Some(Entry {
        key: key.to_owned(),
        value: value.clone()?,
        revision: *revision,
    })
}

#[async_trait]
impl Storage for Memory {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let state = self.shared.state.read();
        Ok(state.entry(key, state.revision))
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        let state = self.shared.state.read();
        let revision = request.revision.unwrap_or(state.revision);
        check::readable(revision, state.compacted.max(FIRST), state.revision)?;
        Ok(state.list(&request, revision))
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        check::shape(&ops)?;
        check::size(&ops)?;
        let mut state = self.shared.state.write();
        for op in &ops {
            check::demand(op, state.entry(&op.key, state.revision))?;
        }
        let exists = |key: &str| state.entry(key, state.revision).is_some();
        let Some(batch) = feed::batch(&ops, state.revision + 1, exists) else {
            return Ok(state.revision);
        };
        state.apply(batch);
        // Under the lock, so that the numbers are published in order.
        self.shared.newest.send_replace(state.revision);
        Ok(state.revision)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        check::watchable(after, self.shared.state.read().compacted)?;
        let newest = self.shared.newest.subscribe();
        let history: Weak<Shared> = Arc::downgrade(&self.shared);
        Ok(feed::start(history, newest, prefix.to_owned(), after))
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        Ok(self.shared.state.read().revision)
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut state = self.shared.state.write();
        if revision > state.revision {
            let current = state.revision;
            return Err(Error::Future {
                requested: revision,
                current,
            });
        }
        if revision > state.compacted {
            state.forget(revision);
        }
        Ok(())
    }
}

#[async_trait]
impl History for Shared {
    async fn read_log(self: Arc<Self>, after: Revision, limit: usize) -> Result<Vec<Arc<Batch>>, Error> {
        let state = self.state.read();
        state.log.read(after, state.revision, limit).ok_or(Error::Compacted {
            requested: after,
            oldest: state.compacted,
        })
    }
}

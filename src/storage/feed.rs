//! How the storages inside this process feed their watches: every watch reads the one committed log at its own pace,
//! so it can neither miss a revision nor see one twice, whatever writers do meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::{Batch, Change, Error, Event, Op, Revision, Watch};

/// The revision of an empty storage; as in etcd, so that no first write has revision 1.
pub(super) const FIRST: Revision = 1;

/// Batches that wait in a watch's channel before its feed waits for the owner.
const CHANNEL: usize = 64;
/// Revisions that a feed reads in one go.
const CHUNK: usize = 256;

/// The committed log of a storage.
#[async_trait]
pub(super) trait History: Send + Sync + 'static {
    /// The batches after `after` in revision order without holes, at most `limit`; empty when `after` is the newest.
    /// [`Error::Compacted`] when some of them are gone.
    async fn read_log(self: Arc<Self>, after: Revision, limit: usize) -> Result<Vec<Arc<Batch>>, Error>;
}

/// The newest part of the log, in memory. Revisions have no holes, so a position follows from a revision.
#[derive(Debug, Default)]
pub(super) struct Recent {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
}

impl Recent {
    /// Appends the next revision.
    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        self.bytes += weight(&batch);
        self.batches.push_back(batch);
    }

    /// What comes after `after` and not after `newest`, at most `limit` batches; `None` when the first of them is no
    /// longer here.
    pub(super) fn read(&self, after: Revision, newest: Revision, limit: usize) -> Option<Vec<Arc<Batch>>> {
        let after = after.max(FIRST);
        if after >= newest {
            return Some(Vec::new());
        }
        let first = self.batches.front()?.revision;
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let wanted = self.batches.iter().skip(skip).take(limit);
        Some(wanted.take_while(|batch| batch.revision <= newest).cloned().collect())
    }

    /// Drops from the front what is neither needed for `revision` and later nor among the newest `count`.
    pub(super) fn trim(&mut self, revision: Revision, count: usize) {
        while self.batches.len() > count && self.batches.front().is_some_and(|batch| batch.revision <= revision) {
            self.pop();
        }
    }

    /// Drops from the front until at most `count` batches and `bytes` bytes remain; the newest batch always does.
    pub(super) fn limit(&mut self, count: usize, bytes: usize) {
        while self.batches.len() > 1 && (self.batches.len() > count || self.bytes > bytes) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.bytes -= weight(&batch);
        }
    }
}

fn weight(batch: &Batch) -> usize {
    let values = |event: &Event| event.key.len() + event.value.as_ref().map_or(0, bytes::Bytes::len);
    batch.events.iter().map(values).sum()
}

/// The batch of a transaction: `exists` tells whether a key is there to be deleted. `None` when nothing changes.
pub(super) fn batch(ops: &[Op], revision: Revision, mut exists: impl FnMut(&str) -> bool) -> Option<Batch> {
    let mut events: Vec<Event> = ops
        .iter()
        .filter_map(|op| match &op.change {
            Change::Put(value) => Some(Event {
                key: op.key.clone(),
                value: Some(value.clone()),
            }),
            Change::Delete => exists(&op.key).then(|| Event {
                key: op.key.clone(),
                value: None,
            }),
            Change::Keep => None,
        })
        .collect();
    events.sort_by(|a, b| a.key.cmp(&b.key));
    (!events.is_empty()).then_some(Batch { revision, events })
}

/// Starts a watch on `history`. It does not keep the storage alive: once the storage is dropped, or `newest` says so,
/// the watch ends with [`Error::Unavailable`].
pub(super) fn start(
    history: Weak<dyn History>,
    newest: watch::Receiver<Revision>,
    prefix: String,
    after: Revision,
) -> Watch {
    let (sender, batches) = mpsc::channel(CHANNEL);
    let (progress, asked) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut feed = Feed {
            history,
            newest,
            prefix,
            // Nothing happens at the first revision, so no batch would ever lead there.
            seen: after.max(FIRST),
            sender,
        };
        // The owner is gone when this cannot be sent; then nobody wants to know.
        if let Err(error) = feed.run(asked).await {
            let _ = feed.sender.send(Err(error)).await;
        }
    });
    Watch { batches, progress }
}

struct Feed {
    history: Weak<dyn History>,
    newest: watch::Receiver<Revision>,
    prefix: String,
    seen: Revision,
    sender: mpsc::Sender<Result<Batch, Error>>,
}

impl Feed {
    /// Runs until the owner is gone (`Ok`) or the watch has to end.
    async fn run(&mut self, mut asked: mpsc::Receiver<()>) -> Result<(), Error> {
        let mut target = None;
        let mut asking = true;
        loop {
            let newest = *self.newest.borrow_and_update();
            if target.is_none() && asked.try_recv().is_ok() {
                target = Some(newest);
            }
            if target.is_some_and(|target| target <= self.seen) {
                target = None;
                // A watch from the future has seen no more than there is.
                if !self.send(self.seen.min(newest), Vec::new()).await {
                    return Ok(());
                }
            }
            if self.seen < newest {
                if !self.advance().await? {
                    return Ok(());
                }
                continue;
            }
            tokio::select! {
                changed = self.newest.changed() => changed.map_err(|_| closed())?,
                request = asked.recv(), if asking && target.is_none() => match request {
                    Some(()) => target = Some(*self.newest.borrow()),
                    None => asking = false,
                },
                () = self.sender.closed() => return Ok(()),
            }
        }
    }

    /// Reads and sends the next part of the log; `false` when the owner is gone.
    async fn advance(&mut self) -> Result<bool, Error> {
        let history = self.history.upgrade().ok_or_else(closed)?;
        let chunk = history.read_log(self.seen, CHUNK).await?;
        for batch in chunk {
            self.seen = batch.revision;
            let wanted = |event: &&Event| event.key.starts_with(&self.prefix);
            let events: Vec<Event> = batch.events.iter().filter(wanted).cloned().collect();
            if !events.is_empty() && !self.send(batch.revision, events).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send(&self, revision: Revision, events: Vec<Event>) -> bool {
        self.sender.send(Ok(Batch { revision, events })).await.is_ok()
    }
}

fn closed() -> Error {
    Error::Unavailable("the storage was closed".to_owned())
}

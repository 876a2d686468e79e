//! The published snapshot, and the ways to wait for a newer one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::log::{Bounds, Entry};
use super::snapshot::{KindSpec, Snapshot};
use super::watchers::{Interest, Subscription, Watchers};
use super::written::Written;
use crate::storage::{Error, Revision, Storage};
use crate::visibility::KindId;

/// How long a read waits for the cache to reach the revision it needs.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the storage is asked for progress while somebody waits.
const PROGRESS: Duration = Duration::from_millis(100);

/// Why a read cannot be answered from the cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The cache has not been loaded yet.
    #[error("storage is (re)initializing")]
    Initializing,
    /// The storage cannot be asked for its newest revision.
    #[error(transparent)]
    Storage(#[from] Error),
    /// The cache did not get there in time.
    #[error("revision {wanted} was not reached, the cache is at {reached}")]
    Behind {
        /// What was needed.
        wanted: Revision,
        /// What there is.
        reached: Revision,
    },
}

/// The watch cache of all resources.
pub struct Cache {
    pub(super) specs: Arc<[KindSpec]>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) bounds: Bounds,
    current: ArcSwap<Snapshot>,
    ready: AtomicBool,
    watchers: Arc<Mutex<Watchers>>,
    revision: watch::Sender<Revision>,
    /// Asks the running storage watch for progress.
    progress: Mutex<Option<mpsc::Sender<()>>>,
    probe: Mutex<Probe>,
    written: Written,
    /// Changes that have come from the storage, by kind.
    received: Vec<AtomicU64>,
    loads: AtomicU64,
    /// The newest revision that the storage has told of.
    known: AtomicU64,
}

/// A question to the storage that several askers wait for; whoever of them is there drives it.
type Question = Shared<BoxFuture<'static, Result<Revision, Error>>>;

/// The newest question, and whether it has been put to the storage: until then it answers everybody who comes.
#[derive(Default)]
struct Probe {
    last: Option<(Question, Arc<AtomicBool>)>,
}

impl Cache {
    /// An empty cache; [`super::reflector::run`] fills it.
    pub fn new(specs: Vec<KindSpec>, storage: Arc<dyn Storage>, bounds: Bounds) -> Arc<Self> {
        let empty = Arc::new(Snapshot::empty(&specs, 0));
        let received = specs.iter().map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            watchers: Arc::new(Mutex::new(Watchers::new(empty.clone()))),
            current: ArcSwap::new(empty),
            specs: specs.into(),
            storage,
            bounds,
            ready: AtomicBool::new(false),
            revision: watch::Sender::new(0),
            progress: Mutex::new(None),
            probe: Mutex::default(),
            written: Written::default(),
            received,
            loads: AtomicU64::new(0),
            known: AtomicU64::new(0),
        })
    }

    /// What the cache knows of its kinds, by [`crate::visibility::KindId`].
    pub fn specs(&self) -> &[KindSpec] {
        &self.specs
    }

    /// What this process is writing.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Whether the cache has been loaded.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The newest snapshot, whatever its age.
    ///
    /// # Errors
    /// [`Stale::Initializing`] before the first load.
    pub fn any(&self) -> Result<Arc<Snapshot>, Stale> {
        if !self.is_ready() {
            return Err(Stale::Initializing);
        }
        Ok(self.current.load_full())
    }

    /// A snapshot that holds everything that was committed anywhere before the call (visibility rule V2).
    ///
    /// # Errors
    /// The storage does not answer, or the cache does not get there within three seconds.
    pub async fn fresh(&self) -> Result<Arc<Snapshot>, Stale> {
        if !self.is_ready() {
            return Err(Stale::Initializing);
        }
        let newest = self.newest_revision().await?;
        self.known.fetch_max(newest, Ordering::Relaxed);
        self.at_least(newest).await
    }

    /// A snapshot that holds everything up to `wanted`.
    ///
    /// # Errors
    /// The cache does not get there within three seconds.
    pub async fn at_least(&self, wanted: Revision) -> Result<Arc<Snapshot>, Stale> {
        let snapshot = self.any()?;
        if snapshot.revision >= wanted {
            return Ok(snapshot);
        }
        let deadline = Instant::now() + PATIENCE;
        let mut revision = self.revision.subscribe();
        loop {
            // Revisions of keys outside our prefix arrive only when asked for.
            if let Some(progress) = &*self.progress.lock() {
                let _ = progress.try_send(());
            }
            let pause = deadline.min(Instant::now() + PROGRESS);
            let reached = timeout_at(pause, revision.wait_for(|reached| *reached >= wanted)).await;
            if matches!(reached, Ok(Ok(_))) {
                return Ok(self.current.load_full());
            }
            if Instant::now() >= deadline {
                let reached = self.current.load().revision;
                return Err(Stale::Behind { wanted, reached });
            }
        }
    }

    /// Registers a watcher; its offers begin right after the snapshot that comes with it, which may be a moment newer than
    /// [`Cache::any`].
    ///
    /// # Errors
    /// [`Stale::Initializing`] before the first load.
    pub fn subscribe(&self, interest: Interest) -> Result<(Subscription, Arc<Snapshot>), Stale> {
        if !self.is_ready() {
            return Err(Stale::Initializing);
        }
        Ok(Watchers::subscribe(&self.watchers, interest))
    }

    /// Number of registered watchers.
    pub fn watchers(&self) -> usize {
        self.watchers.lock().len()
    }

    /// How many changes of objects of a kind have come from the storage.
    pub fn received(&self, kind: KindId) -> u64 {
        self.received[usize::from(kind.0)].load(Ordering::Relaxed)
    }

    /// How often everything has been read from the storage.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// The newest revision that the storage has told of.
    pub fn known_revision(&self) -> Revision {
        self.known.load(Ordering::Relaxed)
    }

    /// The storage's newest revision. Everybody who asks while a question is under way shares the next one. The asker drives
    /// the question itself: no task has to be woken in between.
    async fn newest_revision(&self) -> Result<Revision, Error> {
        let question = {
            let mut probe = self.probe.lock();
            match &probe.last {
                Some((question, put)) if !put.load(Ordering::SeqCst) => question.clone(),
                _ => {
                    let put = Arc::new(AtomicBool::new(false));
                    let before = probe.last.take().map(|(question, _)| question);
                    let question = ask(self.storage.clone(), before, put.clone()).boxed().shared();
                    probe.last = Some((question.clone(), put));
                    question
                }
            }
        };
        question.await
    }

    /// Replaces everything after a (re)load; watchers that were there have missed something.
    pub(super) fn reset(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        Watchers::gap(&self.watchers, &snapshot);
        self.show(snapshot);
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.ready.store(true, Ordering::Release);
    }

    /// Publishes the next snapshot: whoever subscribes sees either the offer or the snapshot with its effect, and whoever
    /// finds the snapshot here has been offered everything up to it.
    pub(super) fn publish(&self, snapshot: Snapshot, entry: Option<&Arc<Entry>>) {
        for change in entry.into_iter().flat_map(|entry| &entry.changes) {
            if change.is_of_object() {
                self.received[usize::from(change.kind.0)].fetch_add(1, Ordering::Relaxed);
            }
        }
        let snapshot = Arc::new(snapshot);
        Watchers::offer(&self.watchers, &snapshot, entry);
        self.show(snapshot);
    }

    fn show(&self, snapshot: Arc<Snapshot>) {
        let revision = snapshot.revision;
        self.current.store(snapshot);
        self.revision.send_replace(revision);
    }

    pub(super) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(super) fn set_progress(&self, progress: Option<mpsc::Sender<()>>) {
        *self.progress.lock() = progress;
    }
}

/// Asks as soon as the question `before` is answered.
async fn ask(storage: Arc<dyn Storage>, before: Option<Question>, put: Arc<AtomicBool>) -> Result<Revision, Error> {
    if let Some(before) = before {
        // What came of it is told to those who asked it.
        let _ = before.await;
    }
    put.store(true, Ordering::SeqCst);
    // A panic would be that of everybody who comes after, as each question waits for the one before.
    let asked = AssertUnwindSafe(storage.current_revision()).catch_unwind().await;
    asked.unwrap_or_else(|_| {
        Err(Error::Unavailable(
            "the question for the newest revision panicked".to_owned(),
        ))
    })
}

//! The storage inside the process, for `dev` and small installations: one redb file in a folder.
//!
//! Durable: a commit is answered once it is on the disk. Commits that arrive together share one flush, each with a
//! revision of its own. Readers and writers do not wait for each other. History is kept for [`Options::retention`]
//! and then deleted in small portions. The limits of a transaction are etcd's, see [`super::MAX_TRANSACTION_BYTES`]
//! and [`super::MAX_OPERATIONS`].

mod open;
mod tables;
mod trim;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use redb::Database;
use tokio::sync::{oneshot, watch};

use self::tables::Reader;
use self::writer::{Request, Writer};
use super::feed::{self, FIRST, History, Recent};
use super::{Batch, Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch, check};

/// How an embedded storage behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long old revisions stay readable; 5 minutes by default, forever when absent.
    pub retention: Option<Duration>,
    /// Memory for the file's pages, in bytes; 64 MiB by default.
    pub cache_bytes: usize,
    /// Whether to check the whole file when it is opened, so that damage shows at once; on by default. It takes as
    /// long as reading the file.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Some(Duration::from_secs(300)),
            cache_bytes: 64 << 20,
            verify: true,
        }
    }
}

/// A storage in a file. Dropping it ends its watches, waits for the commit under way and closes the file.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    /// Present until dropped; the writer ends when it is gone.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    database: Database,
    /// The newest batches, for watches that keep up.
    recent: RwLock<Recent>,
    /// The newest revision that is durable and in `recent`: what every read sees.
    newest: watch::Sender<Revision>,
    compacted: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the storage in the folder `path`; both are created if need be.
    ///
    /// # Errors
    /// [`Error::Failed`] when the folder cannot be written, or the file is damaged or open in another process.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        blocking(move || {
            let database = open::database(&path, &options)?;
            Self::start(database, &options)
        })
        .await
    }

    fn start(database: Database, options: &Options) -> Result<Self, Error> {
        let standing = tables::standing(&database)?;
        let shared = Arc::new(Shared {
            database,
            recent: RwLock::default(),
            newest: watch::Sender::new(standing.revision),
            compacted: AtomicU64::new(standing.compacted),
        });
        let (requests, receiver) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&shared), receiver, standing, options.retention);
        let writer = std::thread::Builder::new()
            .name("storage-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| Error::Failed(format!("cannot start the storage's writer: {error}")))?;
        Ok(Self {
            shared,
            requests: Some(requests),
            writer: Some(writer),
        })
    }

    /// Has the writer carry out a request.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request) -> Result<T, Error> {
        let stopped = || Error::Failed("the embedded storage's writer has stopped; see the log".to_owned());
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(request(reply)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.requests.take());
        // So that the file can be opened again as soon as this returns. It lasts one commit at most.
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn newest(&self) -> Revision {
        *self.newest.borrow()
    }

    /// Reads at `revision`, or at the newest one.
    fn read<T>(
        &self,
        revision: Option<Revision>,
        read: impl Fn(&Reader, Revision) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let newest = self.newest();
            let reader = Reader::new(&self.database)?;
            let compacted = reader.compacted()?;
            if revision.is_none() && newest < compacted {
                // Commits and a compaction between the two lines above.
                continue;
            }
            let revision = revision.unwrap_or(newest);
            check::readable(revision, compacted.max(FIRST), newest)?;
            return read(&reader, revision);
        }
    }
}

/// Runs what may wait for the disk where waiting harms nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => Err(Error::Unavailable("the process is ending".to_owned())),
        Err(_) => Err(Error::Failed(
            "the embedded storage's file is damaged; see the log".to_owned(),
        )),
    }
}

#[async_trait]
impl Storage for Embedded {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let (shared, key) = (Arc::clone(&self.shared), key.to_owned());
        blocking(move || shared.read(None, |reader, revision| reader.get(&key, revision))).await
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.read(request.revision, |reader, revision| reader.list(&request, revision))).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        check::shape(&ops)?;
        check::size(&ops)?;
        if ops.is_empty() {
            return Ok(self.shared.newest());
        }
        self.ask(|reply| Request::Commit { ops, reply }).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        check::watchable(after, self.shared.compacted.load(Ordering::Acquire))?;
        let newest = self.shared.newest.subscribe();
        let history: Weak<Shared> = Arc::downgrade(&self.shared);
        Ok(feed::start(history, newest, prefix.to_owned(), after))
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        Ok(self.shared.newest())
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.ask(|reply| Request::Compact { revision, reply }).await
    }
}

#[async_trait]
impl History for Shared {
    async fn read_log(self: Arc<Self>, after: Revision, limit: usize) -> Result<Vec<Arc<Batch>>, Error> {
        let newest = self.newest();
        let recent = self.recent.read().read(after, newest, limit);
        if let Some(batches) = recent {
            return Ok(batches);
        }
        blocking(move || Reader::new(&self.database)?.log(after, newest, limit)).await
    }
}

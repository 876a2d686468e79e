//! Keys, bytes and revisions: all that the rest of the server knows about where objects are kept.
//!
//! A revision is a number that grows with every committed transaction; all changes of one transaction share it.
//! Keys are relative (`organizations/acme`, `projects/acme/web`); an implementation adds its own prefix.

mod check;
pub mod embedded;
pub mod encrypted;
pub mod etcd;
mod feed;
pub mod memory;

pub use check::{MAX_OPERATIONS, MAX_TRANSACTION_BYTES};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

/// The store's one total order.
pub type Revision = u64;

/// A value as stored, with the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The relative key.
    pub key: String,
    /// The bytes as written.
    pub value: Bytes,
    /// The revision of the transaction that wrote this value.
    pub revision: Revision,
}

/// What a transaction demands of a key before it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key was last written at this revision.
    At(Revision),
    /// Anything.
    Any,
}

/// What a transaction does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes the value.
    Put(Bytes),
    /// Removes the key; a key that is absent under [`Expect::Any`] stays so, without an event.
    Delete,
    /// Nothing: the key is only compared.
    Keep,
}

/// One key's part in a transaction; a key occurs once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The relative key.
    pub key: String,
    /// The demand.
    pub expect: Expect,
    /// The change.
    pub change: Change,
}

/// A list request: keys that start with `prefix`, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Start of the keys wanted; empty for all.
    pub prefix: String,
    /// Only keys greater than this one.
    pub after: Option<String>,
    /// Read at exactly this revision; the newest one when absent.
    pub revision: Option<Revision>,
    /// At most this many entries; 0 for all.
    pub limit: usize,
}

/// A list's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries in key order.
    pub entries: Vec<Entry>,
    /// The revision at which they were read.
    pub revision: Revision,
    /// Whether more entries follow the last one.
    pub more: bool,
}

/// One change as a watcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The relative key.
    pub key: String,
    /// The new value; `None` for a deletion.
    pub value: Option<Bytes>,
}

/// All changes of one revision under the watched prefix, in key order; without events it only says that the
/// watcher has now seen everything up to `revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The revision that every event in `events` carries.
    pub revision: Revision,
    /// The changes.
    pub events: Vec<Event>,
}

/// A running watch. Batches arrive in revision order, each once. After an error the watch is over; the owner may
/// start a new one after the last revision that it has seen. Dropping it frees everything.
#[derive(Debug)]
pub struct Watch {
    /// Where the batches arrive; bounded, so a slow owner slows its own watch only.
    pub batches: mpsc::Receiver<Result<Batch, Error>>,
    /// Asks for a [`Batch`] without events as soon as the watch has caught up with the store.
    pub progress: mpsc::Sender<()>,
}

/// Why the storage did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A change expected [`Expect::At`] a key that does not exist.
    #[error("key {key} not found")]
    NotFound {
        /// The key.
        key: String,
    },
    /// A change expected [`Expect::Absent`] of a key that exists.
    #[error("key {} already exists", current.key)]
    Exists {
        /// What is stored there.
        current: Entry,
    },
    /// A change expected another revision than the stored one.
    #[error("key {} was changed at revision {}", current.key, current.revision)]
    Conflict {
        /// What is stored there.
        current: Entry,
    },
    /// The revision asked for has been compacted away.
    #[error("revision {requested} has been compacted, the oldest one is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision that can still be read; 0 when the storage does not tell.
        oldest: Revision,
    },
    /// The revision asked for has not happened yet.
    #[error("revision {requested} is in the future, the newest one is {current}")]
    Future {
        /// What was asked for.
        requested: Revision,
        /// The newest revision; 0 when the storage does not tell.
        current: Revision,
    },
    /// The storage cannot be reached or did not answer in time; whether a write happened is unknown.
    #[error("storage unavailable: {0}")]
    Unavailable(String),
    /// The storage refuses for good: bad credentials, a value that is too large, a damaged file.
    #[error("storage failed: {0}")]
    Failed(String),
}

/// A multi-version key-value store with transactions and watches.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Reads one key, never older than what was committed before the call.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// Reads a range; without a revision never older than what was committed before the call.
    async fn list(&self, request: ListRequest) -> Result<Page, Error>;

    /// Carries out all `ops` at one new revision, or none. When several demands fail, the error is about the first
    /// of them in the order given. A transaction that changes nothing answers the current revision.
    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error>;

    /// Streams every change under `prefix` with a revision greater than `after`. An `after` that is compacted away
    /// answers [`Error::Compacted`], here or as the stream's first item.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error>;

    /// The newest committed revision, never older than what was committed before the call.
    async fn current_revision(&self) -> Result<Revision, Error>;

    /// Forgets what is needed only to read at revisions before `revision` and to watch from before it. At
    /// `revision` itself reads still work.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;

    /// How many values each encryption key has encrypted since the process began; nothing where none are.
    fn encrypted_values(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// Writes a key that must not exist yet.
    async fn create(&self, key: &str, value: Bytes) -> Result<Revision, Error> {
        self.commit(vec![Op {
            key: key.to_owned(),
            expect: Expect::Absent,
            change: Change::Put(value),
        }])
        .await
    }

    /// Replaces a key that was last written at `expected`.
    async fn compare_and_swap(&self, key: &str, expected: Revision, value: Bytes) -> Result<Revision, Error> {
        self.commit(vec![Op {
            key: key.to_owned(),
            expect: Expect::At(expected),
            change: Change::Put(value),
        }])
        .await
    }

    /// Removes a key that was last written at `expected`.
    async fn delete(&self, key: &str, expected: Revision) -> Result<Revision, Error> {
        self.commit(vec![Op {
            key: key.to_owned(),
            expect: Expect::At(expected),
            change: Change::Delete,
        }])
        .await
    }
}

//! The storage for production: an etcd cluster, from 3.5.20 or 3.6 on (older ones may answer progress requests too
//! early, or lose a deletion when a watch starts just at the compacted revision).
//!
//! Limits are etcd's: 1.5 MiB for a transaction (`--max-request-bytes`) and 128 operations in one (`--max-txn-ops`);
//! beyond them a commit answers [`Error::Failed`]. One value per request counts, so objects should stay well below.
//! Compaction is etcd's own matter (`--auto-compaction-retention`); [`Storage::compact`] runs on demand only, and
//! for the whole cluster, beyond the prefix.

mod again;
mod answer;
mod keys;
mod members;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, GetOptions, ResponseHeader, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::{Instant, sleep, timeout};

use self::keys::Keys;
use self::members::{Members, Retry};
use super::{Change, Entry, Error, Expect, ListRequest, Op, Page, Revision, Storage, Watch, check};

/// Time between two attempts to connect.
const CONNECT_AGAIN: Duration = Duration::from_millis(100);

/// Entries asked of etcd in one request of a list without a limit. Every request makes etcd count all keys that follow,
/// so many small ones cost the square of what there is.
const PAGE: usize = 10_000;

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct Config {
    /// URLs of the members, `http://` or `https://`.
    pub endpoints: Vec<String>,
    /// What all keys start with; `/bulward` by default. Other keys of the cluster are neither read nor written.
    pub prefix: String,
    /// The authorities that may have signed the members' certificates, PEM; demanded for `https://`.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, PEM; together with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The client certificate's key, PEM.
    pub key_file: Option<PathBuf>,
    /// The user's name where etcd's authentication is on; together with `password`.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "/bulward".to_owned(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            user: None,
            password: None,
        }
    }
}

/// A storage in an etcd cluster. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<Members>,
    keys: Arc<Keys>,
    newest: Newest,
}

/// The newest revision that any answer has mentioned.
#[derive(Clone, Debug, Default)]
struct Newest(Arc<AtomicU64>);

impl Newest {
    fn get(&self) -> Revision {
        self.0.load(Ordering::Acquire)
    }

    /// Notes and returns an answer's revision.
    fn note(&self, header: Option<&ResponseHeader>) -> Revision {
        let revision = header.map_or(0, |header| unsigned(header.revision()));
        self.0.fetch_max(revision, Ordering::AcqRel);
        revision
    }
}

/// etcd's revisions are never negative.
fn unsigned(revision: i64) -> Revision {
    Revision::try_from(revision).unwrap_or(0)
}

/// A revision as etcd takes it; one that it cannot represent is as far in the future as the largest.
fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

impl Etcd {
    /// Connects, and reads once, so that wrong addresses and credentials show at once. Tries again for 5 seconds: etcd
    /// may be starting, too, and a member that refuses a certificate does not always get to say so.
    ///
    /// # Errors
    /// [`Error::Failed`] for a configuration, files or credentials that cannot work, [`Error::Unavailable`] when no
    /// member answers in time: calling again may then help.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let keys = Arc::new(Keys::new(&config.prefix));
        let members = Arc::new(Members::new(&config).await?);
        let storage = Self {
            members,
            keys,
            newest: Newest::default(),
        };
        let deadline = Instant::now() + members::REQUEST_TIMEOUT;
        loop {
            match storage.current_revision().await {
                Err(Error::Unavailable(_)) if Instant::now() < deadline => sleep(CONNECT_AGAIN).await,
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        storage.members.follow_files(config);
        Ok(storage)
    }

    fn compare(&self, op: &Op) -> Option<Compare> {
        let key = self.keys.absolute(&op.key);
        match op.expect {
            Expect::Any => None,
            Expect::Absent => Some(Compare::mod_revision(key, CompareOp::Equal, 0)),
            // No key has revision 0, but etcd would take it to mean an absent one; this can never hold.
            Expect::At(0) => Some(Compare::mod_revision(key, CompareOp::Less, 0)),
            Expect::At(revision) => Some(Compare::mod_revision(key, CompareOp::Equal, signed(revision))),
        }
    }

    fn change(&self, op: &Op) -> Option<TxnOp> {
        let key = self.keys.absolute(&op.key);
        match &op.change {
            Change::Put(value) => Some(TxnOp::put(key, value.clone(), None)),
            Change::Delete => Some(TxnOp::delete(key, None)),
            Change::Keep => None,
        }
    }

    async fn send(&self, txn: &Txn) -> Result<TxnResponse, Error> {
        let request = |client| {
            let txn = txn.clone();
            async move { members::kv(&client).txn(txn).await }
        };
        self.members.call(Retry::Unsent, request).await
    }

    /// What the keys of a transaction had when it was refused.
    fn found(&self, answer: &TxnResponse) -> Vec<Option<Entry>> {
        let entry = |answer| match answer {
            TxnOpResponse::Get(mut answer) => answer.take_kvs().pop().and_then(|kv| self.keys.entry(kv)),
            _ => None,
        };
        answer.op_responses().into_iter().map(entry).collect()
    }
}

/// Which demand failed, by what the keys had.
fn refusal(ops: &[Op], found: Vec<Option<Entry>>) -> Error {
    for (op, current) in ops.iter().zip(found) {
        if let Err(error) = check::demand(op, current) {
            return error;
        }
    }
    Error::Unavailable("etcd refused a transaction whose demands all hold".to_owned())
}

#[async_trait]
impl Storage for Etcd {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let key = self.keys.absolute(key);
        let mut answer = self
            .members
            .call(Retry::Promptly, |client| {
                let key = key.clone();
                async move { members::kv(&client).get(key, None).await }
            })
            .await?;
        self.newest.note(answer.header());
        Ok(answer.take_kvs().pop().and_then(|kv| self.keys.entry(kv)))
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        let asked = request.revision;
        if asked == Some(0) {
            // etcd would take 0 to mean the newest revision.
            return Err(Error::Compacted {
                requested: 0,
                oldest: 0,
            });
        }
        let (mut start, end) = self.keys.range(&request.prefix, request.after.as_deref());
        let mut page = Page {
            entries: Vec::new(),
            revision: asked.unwrap_or(0),
            more: true,
        };
        while page.more {
            let limit = match request.limit {
                0 => PAGE,
                limit => limit - page.entries.len(),
            };
            let options = GetOptions::new()
                .with_range(end.clone())
                .with_limit(i64::try_from(limit).unwrap_or(i64::MAX))
                .with_revision(signed(page.revision));
            let mut answer = self
                .members
                .call(Retry::Always, |client| {
                    let (start, options) = (start.clone(), options.clone());
                    async move { members::kv(&client).get(start, Some(options)).await }
                })
                .await
                .map_err(|error| answer::at(error, page.revision))?;
            let revision = self.newest.note(answer.header());
            if page.revision == 0 {
                page.revision = revision;
            }
            page.more = answer.more();
            let kvs = answer.take_kvs();
            if let Some(last) = kvs.last() {
                start = [last.key(), b"\0"].concat();
            }
            page.entries
                .extend(kvs.into_iter().filter_map(|kv| self.keys.entry(kv)));
            if request.limit != 0 && page.entries.len() >= request.limit {
                break;
            }
        }
        Ok(page)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        check::shape(&ops)?;
        let compares: Vec<Compare> = ops.iter().filter_map(|op| self.compare(op)).collect();
        let changes: Vec<TxnOp> = ops.iter().filter_map(|op| self.change(op)).collect();
        if compares.is_empty() && changes.is_empty() {
            return self.current_revision().await;
        }
        let mut txn = Txn::new().when(compares.as_slice()).and_then(changes);
        if !compares.is_empty() {
            let current = |op: &Op| TxnOp::get(self.keys.absolute(&op.key), None);
            txn = txn.or_else(ops.iter().map(current).collect::<Vec<_>>());
        }
        let begun = Instant::now();
        let mut unsaid = None;
        let answer = match self.send(&txn).await {
            Err(Error::Unavailable(why)) if again::harmless(&ops) => {
                // Another member knows. Within the same time: whoever waits has waited for it already.
                let left = members::REQUEST_TIMEOUT.saturating_sub(begun.elapsed());
                let unknown = Error::Unavailable(why);
                let answer = timeout(left, self.send(&txn)).await;
                let Ok(Ok(answer)) = answer else { return Err(unknown) };
                unsaid = Some(unknown);
                answer
            }
            sent => sent?,
        };
        let revision = self.newest.note(answer.header());
        if answer.succeeded() {
            return Ok(revision);
        }
        let found = self.found(&answer);
        match unsaid {
            None => Err(refusal(&ops, found)),
            Some(unknown) => again::carried_out(&ops, &found).ok_or(unknown),
        }
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        stream::start(self.clone(), prefix, after).await
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        let key = self.keys.absolute("");
        let options = GetOptions::new().with_count_only();
        let answer = self
            .members
            .call(Retry::Promptly, |client| {
                let (key, options) = (key.clone(), options.clone());
                async move { members::kv(&client).get(key, Some(options)).await }
            })
            .await?;
        Ok(self.newest.note(answer.header()))
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        let compacted = self
            .members
            .call(Retry::Always, |client| async move {
                members::kv(&client).compact(signed(revision), None).await
            })
            .await
            .map_err(|error| answer::at(error, revision));
        match compacted {
            // Already done, by somebody else or by a first attempt whose answer was lost.
            Ok(_) | Err(Error::Compacted { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

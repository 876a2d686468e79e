//! The file's tables and how they are read.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use redb::{AccessGuard, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use crate::storage::feed::FIRST;
use crate::storage::{Batch, Entry, Error, Event, ListRequest, Page, Revision};

/// Every value with its key and the revision that wrote it; without a value for a deletion.
pub(super) const VERSIONS: TableDefinition<(&str, u64), Option<&[u8]>> = TableDefinition::new("versions");
/// The keys that each revision changed, in key order; without holes from the oldest to the newest revision.
pub(super) const LOG: TableDefinition<u64, Vec<&str>> = TableDefinition::new("log");
/// The newest revision at a time, in milliseconds since 1970: by it history of a certain age is found.
pub(super) const TIMES: TableDefinition<u64, u64> = TableDefinition::new("times");
/// The file's own numbers.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// In [`META`]: which meaning the tables have.
const FORMAT: &str = "format";
/// In [`META`]: the newest revision.
pub(super) const REVISION: &str = "revision";
/// In [`META`]: the oldest revision that can be read.
pub(super) const COMPACTED: &str = "compacted";
/// The meaning that this code knows.
const FORMAT_VERSION: u64 = 1;

/// A row of [`VERSIONS`].
type Version = (
    AccessGuard<'static, (&'static str, u64)>,
    AccessGuard<'static, Option<&'static [u8]>>,
);

/// Where a file stands when it is opened.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    /// [`TIMES`], oldest first.
    pub(super) times: VecDeque<(u64, Revision)>,
}

/// redb's errors in the storage's words.
pub(super) fn failed(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        // The disk may be full or away; whether the last commit is on it shows when the file is opened again.
        error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => {
            Error::Unavailable(format!("the embedded storage's disk: {error}"))
        }
        error => Error::Failed(format!("the embedded storage: {error}")),
    }
}

/// Reads where the file stands; a new one is prepared.
pub(super) fn standing(database: &Database) -> Result<Standing, Error> {
    let transaction = database.begin_write().map_err(failed)?;
    let standing = {
        let mut meta = transaction.open_table(META).map_err(failed)?;
        transaction.open_table(VERSIONS).map_err(failed)?;
        transaction.open_table(LOG).map_err(failed)?;
        let times = transaction.open_table(TIMES).map_err(failed)?;
        match number(&meta, FORMAT)? {
            None => {
                meta.insert(FORMAT, FORMAT_VERSION).map_err(failed)?;
                meta.insert(REVISION, FIRST).map_err(failed)?;
                meta.insert(COMPACTED, 0).map_err(failed)?;
            }
            Some(FORMAT_VERSION) => {}
            Some(format) => {
                return Err(Error::Failed(format!(
                    "the storage has format {format}, this version knows {FORMAT_VERSION}"
                )));
            }
        }
        let mut standing = Standing {
            revision: number(&meta, REVISION)?.ok_or_else(incomplete)?,
            compacted: number(&meta, COMPACTED)?.ok_or_else(incomplete)?,
            times: VecDeque::new(),
        };
        for row in times.iter().map_err(failed)? {
            let (time, revision) = row.map_err(failed)?;
            standing.times.push_back((time.value(), revision.value()));
        }
        standing
    };
    transaction.commit().map_err(failed)?;
    Ok(standing)
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<Option<u64>, Error> {
    Ok(meta.get(name).map_err(failed)?.map(|number| number.value()))
}

fn incomplete() -> Error {
    Error::Failed("the embedded storage is damaged: parts of it are missing".to_owned())
}

/// What `key` had at `revision`; also within a transaction that is under way.
pub(super) fn version(
    versions: &impl ReadableTable<(&'static str, u64), Option<&'static [u8]>>,
    key: &str,
    revision: Revision,
) -> Result<Option<Entry>, Error> {
    let mut range = versions.range((key, 0)..=(key, revision)).map_err(failed)?;
    let Some(row) = range.next_back() else {
        return Ok(None);
    };
    let (at, value) = row.map_err(failed)?;
    Ok(value.value().map(|value| Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
        revision: at.value().1,
    }))
}

/// The file at one moment.
pub(super) struct Reader {
    versions: ReadOnlyTable<(&'static str, u64), Option<&'static [u8]>>,
    log: ReadOnlyTable<u64, Vec<&'static str>>,
    meta: ReadOnlyTable<&'static str, u64>,
}

impl Reader {
    pub(super) fn new(database: &Database) -> Result<Self, Error> {
        let transaction = database.begin_read().map_err(failed)?;
        Ok(Self {
            versions: transaction.open_table(VERSIONS).map_err(failed)?,
            log: transaction.open_table(LOG).map_err(failed)?,
            meta: transaction.open_table(META).map_err(failed)?,
        })
    }

    pub(super) fn compacted(&self) -> Result<Revision, Error> {
        number(&self.meta, COMPACTED)?.ok_or_else(incomplete)
    }

    pub(super) fn get(&self, key: &str, revision: Revision) -> Result<Option<Entry>, Error> {
        version(&self.versions, key, revision)
    }

    pub(super) fn list(&self, request: &ListRequest, revision: Revision) -> Result<Page, Error> {
        let start = match &request.after {
            Some(after) if *after >= request.prefix => Bound::Excluded((after.as_str(), u64::MAX)),
            _ => Bound::Included((request.prefix.as_str(), 0)),
        };
        let mut page = Page {
            entries: Vec::new(),
            revision,
            more: false,
        };
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        // The newest version so far of the key under way: it counts once another key follows.
        let mut last: Option<Version> = None;
        for row in self.versions.range((start, Bound::Unbounded)).map_err(failed)? {
            let (at, value) = row.map_err(failed)?;
            let (key, written) = at.value();
            if !key.starts_with(&request.prefix) {
                break;
            }
            if written > revision {
                continue;
            }
            if last.as_ref().is_some_and(|(last, _)| last.value().0 != key) {
                take(&mut page, limit, last.take());
                if page.more {
                    return Ok(page);
                }
            }
            last = Some((at, value));
        }
        take(&mut page, limit, last);
        Ok(page)
    }

    /// The batches after `after` up to `newest`, at most `limit`.
    pub(super) fn log(&self, after: Revision, newest: Revision, limit: usize) -> Result<Vec<Arc<Batch>>, Error> {
        let first = after.max(FIRST) + 1;
        let mut batches = Vec::new();
        for row in self.log.range(first..=newest).map_err(failed)?.take(limit) {
            let (revision, keys) = row.map_err(failed)?;
            let revision = revision.value();
            if batches.is_empty() && revision != first {
                break;
            }
            let mut events = Vec::new();
            for key in keys.value() {
                let value = self
                    .versions
                    .get((key, revision))
                    .map_err(failed)?
                    .ok_or_else(incomplete)?;
                events.push(Event {
                    key: key.to_owned(),
                    value: value.value().map(Bytes::copy_from_slice),
                });
            }
            batches.push(Arc::new(Batch { revision, events }));
        }
        if batches.is_empty() && first <= newest {
            return Err(Error::Compacted {
                requested: after,
                oldest: self.compacted()?,
            });
        }
        Ok(batches)
    }
}

/// Adds a key's version to the page, unless it is a deletion; notes when the page is full.
fn take(page: &mut Page, limit: usize, version: Option<Version>) {
    let Some((at, value)) = &version else { return };
    let Some(value) = value.value() else { return };
    if page.entries.len() == limit {
        page.more = true;
        return;
    }
    let (key, revision) = at.value();
    page.entries.push(Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
        revision,
    });
}

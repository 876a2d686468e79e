//! `bulward storage import`.
//!
//! A mark under a key of its own says that an import is under way and of which file, so that the same one can be begun
//! again after it was broken off, and no other one. It is the last thing to go.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use bytes::Bytes;
use futures::future::try_join_all;

use super::file::{self, Export, Values};
use super::findings::{Level, findings};
use super::{Failure, Place, failed, snapshot};
use crate::storage::{Change, Entry, Error, Expect, ListRequest, Op, Storage};

/// The key of the mark.
pub(super) const MARK: &str = "import/running";
/// Entries, and bytes of them, in one transaction: well below what a storage takes.
const BATCH: (usize, usize) = (64, 512 << 10);
/// Writes under way at once while the revision is moved on.
const AT_ONCE: u64 = 64;

/// Revisions by which an import moves a store on at most. Each is a write that etcd keeps until it is compacted, some 300 bytes: ten
/// times as many would fill its default quota.
const FURTHEST: u64 = 1_000_000;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// What export wrote; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Import although something is stored there: what the file has is written over it, all else stays
    #[arg(long)]
    overwrite: bool,
    /// Import although check would find faults in it
    #[arg(long)]
    faulty: bool,
    /// How many revisions the lost store may have seen after the export. The new one goes on beyond them, so that no client
    /// takes an old resourceVersion for a new one
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    revisions_since_export: u64,
}

/// Reads the file to its end, judges it, and stores it.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let at = |why: String| Failure::Runtime(format!("{}: {why}", arguments.file.display()));
    let export = match arguments.file.as_os_str() == "-" {
        true => file::read(io::stdin().lock()),
        false => File::open(&arguments.file)
            .map_err(|error| error.to_string())
            .and_then(|file| file::read(BufReader::new(file))),
    };
    let export = export.map_err(at)?;
    let opened = arguments.place.open().await?;
    let judged = export.entries.iter().map(|entry| {
        let value = match export.values {
            Values::Plain => Ok(entry.value.clone()),
            Values::AsStored => opened.open(entry),
        };
        (entry.key.clone(), value)
    });
    let faults = findings(judged.collect())
        .into_iter()
        .filter(|one| one.level == Level::Fault);
    let faults: Vec<_> = faults.inspect(|fault| eprintln!("{fault}")).collect();
    if !faults.is_empty() && !arguments.faulty {
        let why = format!("{} faults, nothing was imported; see --faulty", faults.len());
        return Err(at(why));
    }
    // Values as they were stored go in as they are; others as a server would write them.
    let storage = match export.values {
        Values::Plain => opened.plain(),
        Values::AsStored => opened.stored.clone(),
    };
    import(
        &*storage,
        &export,
        arguments.overwrite,
        arguments.revisions_since_export,
    )
    .await?;
    let (count, before) = (export.entries.len(), export.revision);
    let now = storage.current_revision().await?;
    eprintln!("imported {count} entries of revision {before}; the revision is {now} now");
    Ok(())
}

/// Stores the file's entries in a storage that is empty or told to be written over.
pub(super) async fn import(
    storage: &dyn Storage,
    export: &Export,
    overwrite: bool,
    margin: u64,
) -> Result<(), Failure> {
    let mark = Bytes::from(format!("{{\"sha256\":\"{}\"}}", export.digest));
    let target = export.revision.saturating_add(margin);
    let missing = target.saturating_sub(storage.current_revision().await?);
    if missing > FURTHEST {
        return Err(Failure::Runtime(format!(
            "the store has {missing} revisions less than its clients may have seen, and an import moves it on by {FURTHEST} at \
             most; prepare etcd with `etcdutl snapshot restore <an empty snapshot> --bump-revision={target} --mark-compacted`"
        )));
    }
    begin(storage, &mark, overwrite).await?;
    advance(storage, &mark, target).await?;
    let mut rest: VecDeque<&Entry> = export.entries.iter().collect();
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some(entry) = rest.front() {
            bytes += entry.key.len() + entry.value.len();
            if !batch.is_empty() && (batch.len() == BATCH.0 || bytes > BATCH.1) {
                break;
            }
            batch.extend(rest.pop_front());
        }
        store(storage, batch, overwrite).await?;
    }
    // Whatever came back is compared with the file before the mark goes.
    let mut wanted = export.entries.iter().peekable();
    snapshot(storage, |entry| {
        if let Some(next) = wanted.next_if(|next| next.key == entry.key)
            && next.value != entry.value
        {
            return Err(Failure::Runtime(format!(
                "key {}: it was changed during the import",
                entry.key
            )));
        }
        Ok(())
    })
    .await?;
    if let Some(missing) = wanted.next() {
        let why = format!(
            "key {}: it was removed during the import; stop the servers first",
            missing.key
        );
        return Err(Failure::Runtime(why));
    }
    storage.commit(vec![op(MARK, Expect::Any, Change::Delete)]).await?;
    Ok(())
}

/// Sets the mark, if nothing speaks against it.
async fn begin(storage: &dyn Storage, mark: &Bytes, overwrite: bool) -> Result<(), Failure> {
    match storage.get(MARK).await? {
        Some(entry) if entry.value == *mark => {
            eprintln!("an import of this file was broken off; going on");
            return Ok(());
        }
        Some(_) => {
            return Err(Failure::Runtime(
                "an import of another file was broken off here; begin that one again, or empty the storage".to_owned(),
            ));
        }
        None => {}
    }
    let first = ListRequest {
        limit: 1,
        ..ListRequest::default()
    };
    let something = storage.list(first).await?.entries.pop();
    if let Some(entry) = something.filter(|_| !overwrite) {
        let why = format!(
            "something is stored there already, such as {}; see --overwrite",
            entry.key
        );
        return Err(Failure::Runtime(why));
    }
    storage.create(MARK, mark.clone()).await?;
    Ok(())
}

/// Writes the mark again and again, until the store's revision has left `target` behind.
async fn advance(storage: &dyn Storage, mark: &Bytes, target: u64) -> Result<(), Failure> {
    let start = storage.current_revision().await?;
    let mut current = start;
    let mut told = start;
    while current <= target {
        let count = (target - current + 1).min(AT_ONCE);
        let write = |_| storage.commit(vec![op(MARK, Expect::Any, Change::Put(mark.clone()))]);
        let revisions = try_join_all((0..count).map(write)).await?;
        current = revisions.into_iter().max().unwrap_or(current);
        if current - told >= 100_000 {
            told = current;
            eprintln!("moving the revision on: {current} of {target}");
        }
    }
    Ok(())
}

/// Stores a batch. What is there already and is equal, of an import that was broken off, counts as done.
async fn store(storage: &dyn Storage, mut batch: Vec<&Entry>, overwrite: bool) -> Result<(), Failure> {
    let expect = if overwrite { Expect::Any } else { Expect::Absent };
    while !batch.is_empty() {
        let ops = batch
            .iter()
            .map(|entry| op(&entry.key, expect, Change::Put(entry.value.clone())));
        match storage.commit(ops.collect()).await {
            Ok(_) => return Ok(()),
            Err(Error::Exists { current }) => {
                let before = batch.len();
                batch.retain(|entry| entry.key != current.key || entry.value != current.value);
                if batch.len() == before {
                    let why = format!(
                        "key {}: somebody else wrote it meanwhile; stop the servers first",
                        current.key
                    );
                    return Err(Failure::Runtime(why));
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn op(key: &str, expect: Expect, change: Change) -> Op {
    Op {
        key: key.to_owned(),
        expect,
        change,
    }
}

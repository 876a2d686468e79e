//! Many writers and many watchers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use bulward::storage::{Batch, Change, Event, Expect, Op, Revision, Storage};
use bytes::Bytes;
use futures::future::{join, join_all};

use super::{Dice, delete, put, rest};

const WRITERS: u64 = 4;
const WRITES: u64 = 60;
const WATCHERS: u64 = 8;

/// Every watcher must see exactly the log, from wherever and whenever it starts.
pub(crate) async fn watchers_see_exactly_the_log(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let writing = AtomicUsize::new(0);
    let writers = join_all((0..WRITERS).map(|writer| write(storage, writer, &writing)));
    let watchers = join_all((0..WATCHERS).map(|seed| watch(storage, seed, start, &writing)));
    let (written, watched) = join(writers, watchers).await;

    let log = replay(written.into_iter().flatten().collect());
    assert_eq!(
        log.len() as u64,
        WRITERS * WRITES,
        "every write has a revision of its own"
    );
    let newest = storage.current_revision().await.unwrap();
    assert_eq!(log.last().map(|batch| batch.revision), Some(newest));
    for (after, mut watch) in watched.into_iter().flatten() {
        let expected: Vec<&Batch> = log.iter().filter(|batch| batch.revision > after).collect();
        let seen = rest(&mut watch, newest).await;
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "after {after}");
    }
}

async fn write(storage: &dyn Storage, writer: u64, writing: &AtomicUsize) -> Vec<(Revision, Vec<Op>)> {
    let mut dice = Dice(writer);
    let mut written = Vec::new();
    for n in 0..WRITES {
        // One key that surely changes, and some that others change as well.
        let mut ops = vec![put(&format!("own/{writer}/{}", n % 5), Expect::Any, &n.to_string())];
        let shared: BTreeSet<u64> = (0..dice.below(4)).map(|_| dice.below(6)).collect();
        for key in shared {
            ops.push(match dice.below(3) {
                0 => delete(&format!("shared/{key}"), Expect::Any),
                _ => put(&format!("shared/{key}"), Expect::Any, &format!("{writer}/{n}")),
            });
        }
        let revision = storage.commit(ops.clone()).await.unwrap();
        written.push((revision, ops));
    }
    writing.fetch_add(1, Ordering::SeqCst);
    written
}

/// Starts watches from random revisions until the writers are done.
async fn watch(
    storage: &dyn Storage,
    seed: u64,
    start: Revision,
    writing: &AtomicUsize,
) -> Vec<(Revision, bulward::storage::Watch)> {
    let mut dice = Dice(1_000 + seed);
    let mut watches = Vec::new();
    while writing.load(Ordering::SeqCst) < WRITERS as usize && watches.len() < 10 {
        let newest = storage.current_revision().await.unwrap();
        let after = start + dice.below(newest - start + 1);
        watches.push((after, storage.watch("", after).await.unwrap()));
        // Some writes later.
        let goal = newest + 1 + dice.below(10);
        while storage.current_revision().await.unwrap() < goal && writing.load(Ordering::SeqCst) < WRITERS as usize {
            tokio::task::yield_now().await;
        }
    }
    watches
}

/// The log that these transactions make in the order of their revisions.
fn replay(mut written: Vec<(Revision, Vec<Op>)>) -> Vec<Batch> {
    written.sort_by_key(|(revision, _)| *revision);
    let mut present: BTreeSet<String> = BTreeSet::new();
    let mut log = Vec::new();
    for (revision, ops) in written {
        let mut events: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
        for op in ops {
            match op.change {
                Change::Put(value) => {
                    present.insert(op.key.clone());
                    events.insert(op.key, Some(value));
                }
                Change::Delete if present.remove(&op.key) => {
                    events.insert(op.key, None);
                }
                Change::Delete | Change::Keep => {}
            }
        }
        let events = events.into_iter().map(|(key, value)| Event { key, value }).collect();
        log.push(Batch { revision, events });
    }
    log
}

//! What every storage has to do, as functions of a storage. `suite!` makes a test of each.

pub(crate) mod compaction;
pub(crate) mod concurrency;
pub(crate) mod reads;
pub(crate) mod transactions;
pub(crate) mod watches;

use std::future::Future;
use std::time::Duration;

use bulward::storage::{Batch, Change, Entry, Error, Event, Expect, Op, Revision, Storage, Watch};
use bytes::Bytes;

/// One test for every function of the suite, each on a storage of its own; `$open` yields it with what keeps it alive.
macro_rules! suite {
    ($open:expr) => {
        $crate::storage::conformance::tests! { $open,
            transactions: [
                create_needs_an_absent_key, swap_needs_the_current_revision, delete_needs_the_current_revision,
                anything_is_expected_of_a_key, a_transaction_is_atomic, the_first_failing_demand_is_reported,
                kept_keys_are_compared, nothing_to_do_answers_the_current_revision, malformed_transactions_fail,
                large_values_fail, concurrent_swaps_have_one_winner
            ],
            reads: [
                values_come_back_as_written, lists_are_in_key_order, lists_are_paged, lists_at_an_old_revision,
                pages_at_one_revision, long_lists_are_complete, the_future_cannot_be_read
            ],
            watches: [
                history_then_live, one_transaction_is_one_batch, only_the_prefix_is_seen, progress_is_answered,
                progress_without_events, an_empty_storage_can_be_watched, a_slow_owner_loses_nothing, deletions_have_no_value,
                a_watch_from_the_future_waits
            ],
            compaction: [
                compacted_revisions_cannot_be_read, compacted_history_cannot_be_watched, current_state_survives,
                compaction_is_checked, running_watches_survive
            ],
            concurrency: [watchers_see_exactly_the_log]
        }
    };
}

macro_rules! tests {
    ($open:expr, $($module:ident: [$($name:ident),*]),*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (storage, keep) = $open.await;
                let test = $crate::storage::conformance::$module::$name(&*storage);
                $crate::storage::conformance::within(test).await;
                drop(storage);
                let _keep = keep;
            }
        )*)*
    };
}

pub(crate) use {suite, tests};

/// Fails the test when `future` hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, future).await.expect("the test hangs")
}

/// A value of these bytes.
pub(crate) fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

/// An operation that writes.
pub(crate) fn put(key: &str, expect: Expect, value: &str) -> Op {
    Op {
        key: key.to_owned(),
        expect,
        change: Change::Put(bytes(value)),
    }
}

/// An operation that removes.
pub(crate) fn delete(key: &str, expect: Expect) -> Op {
    Op {
        key: key.to_owned(),
        expect,
        change: Change::Delete,
    }
}

/// An operation that only compares.
pub(crate) fn keep(key: &str, expect: Expect) -> Op {
    Op {
        key: key.to_owned(),
        expect,
        change: Change::Keep,
    }
}

/// Writes without a demand.
pub(crate) async fn write(storage: &dyn Storage, key: &str, value: &str) -> Revision {
    let ops = vec![put(key, Expect::Any, value)];
    storage.commit(ops).await.expect("a write without a demand")
}

/// Removes without a demand.
pub(crate) async fn remove(storage: &dyn Storage, key: &str) -> Revision {
    let ops = vec![delete(key, Expect::Any)];
    storage.commit(ops).await.expect("a deletion without a demand")
}

/// An entry.
pub(crate) fn entry(key: &str, value: &str, revision: Revision) -> Entry {
    Entry {
        key: key.to_owned(),
        value: bytes(value),
        revision,
    }
}

/// A batch of these events: key and value, without one for a deletion.
pub(crate) fn batch(revision: Revision, events: &[(&str, Option<&str>)]) -> Batch {
    let event = |(key, value): &(&str, Option<&str>)| Event {
        key: (*key).to_owned(),
        value: value.map(bytes),
    };
    Batch {
        revision,
        events: events.iter().map(event).collect(),
    }
}

/// The next batch of a watch that goes on.
pub(crate) async fn next(watch: &mut Watch) -> Batch {
    let next = watch.batches.recv().await.expect("the watch goes on");
    next.expect("the watch works")
}

/// Why the watch ended; batches before that are passed over.
pub(crate) async fn end(watch: &mut Watch) -> Error {
    loop {
        match watch.batches.recv().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("the watch ended without an error"),
        }
    }
}

/// Every batch with events, until the watch has seen everything that is in the storage now.
pub(crate) async fn rest(watch: &mut Watch, newest: Revision) -> Vec<Batch> {
    let mut batches = Vec::new();
    watch.progress.send(()).await.expect("the watch goes on");
    loop {
        let batch = next(watch).await;
        match batch.events.is_empty() {
            false => batches.push(batch),
            // An answer to an earlier request says less than is wanted here.
            true if batch.revision < newest => watch.progress.send(()).await.expect("the watch goes on"),
            true => return batches,
        }
    }
}

/// Numbers that look random, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

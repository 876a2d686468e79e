//! Commit: demands, atomicity, refusals.

use bulward::storage::{Error, Expect, ListRequest, MAX_OPERATIONS, MAX_TRANSACTION_BYTES, Storage};
use bytes::Bytes;
use futures::future::join_all;

use super::{bytes, delete, entry, keep, put, remove, write};

pub(crate) async fn create_needs_an_absent_key(storage: &dyn Storage) {
    let first = storage.create("a/b", bytes("1")).await.unwrap();
    assert_eq!(storage.get("a/b").await.unwrap(), Some(entry("a/b", "1", first)));
    let current = entry("a/b", "1", first);
    assert_eq!(storage.create("a/b", bytes("2")).await, Err(Error::Exists { current }));
    assert_eq!(storage.get("a/b").await.unwrap(), Some(entry("a/b", "1", first)));
    storage.delete("a/b", first).await.unwrap();
    let again = storage.create("a/b", bytes("3")).await.unwrap();
    assert!(again > first);
    assert_eq!(storage.get("a/b").await.unwrap(), Some(entry("a/b", "3", again)));
}

pub(crate) async fn swap_needs_the_current_revision(storage: &dyn Storage) {
    let key = "k".to_owned();
    let missing = storage.compare_and_swap("k", 7, bytes("1")).await;
    assert_eq!(missing, Err(Error::NotFound { key: key.clone() }));
    assert_eq!(
        storage.compare_and_swap("k", 0, bytes("1")).await,
        Err(Error::NotFound { key })
    );
    let first = storage.create("k", bytes("1")).await.unwrap();
    let second = storage.compare_and_swap("k", first, bytes("2")).await.unwrap();
    assert!(second > first);
    let current = entry("k", "2", second);
    for stale in [0, first, second + 1, u64::MAX] {
        let error = storage.compare_and_swap("k", stale, bytes("3")).await;
        assert_eq!(
            error,
            Err(Error::Conflict {
                current: current.clone()
            }),
            "at {stale}"
        );
    }
    assert_eq!(storage.get("k").await.unwrap(), Some(current));
}

pub(crate) async fn delete_needs_the_current_revision(storage: &dyn Storage) {
    let missing = storage.delete("k", 1).await;
    assert_eq!(missing, Err(Error::NotFound { key: "k".to_owned() }));
    let first = storage.create("k", bytes("1")).await.unwrap();
    let second = storage.compare_and_swap("k", first, bytes("2")).await.unwrap();
    let current = entry("k", "2", second);
    assert_eq!(storage.delete("k", first).await, Err(Error::Conflict { current }));
    let third = storage.delete("k", second).await.unwrap();
    assert!(third > second);
    assert_eq!(storage.get("k").await.unwrap(), None);
    assert_eq!(storage.current_revision().await.unwrap(), third);
}

pub(crate) async fn anything_is_expected_of_a_key(storage: &dyn Storage) {
    let first = write(storage, "k", "1").await;
    let second = write(storage, "k", "1").await;
    assert!(second > first, "the same value is a change as well");
    let third = remove(storage, "k").await;
    assert!(third > second);
    assert_eq!(remove(storage, "k").await, third, "nothing to remove");
    assert_eq!(storage.get("k").await.unwrap(), None);
    // Absent and removed: fulfilled, without a change.
    assert_eq!(storage.commit(vec![delete("k", Expect::Absent)]).await, Ok(third));
    let both = storage
        .commit(vec![delete("k", Expect::Any), put("l", Expect::Any, "2")])
        .await
        .unwrap();
    let mut watch = storage.watch("", third).await.unwrap();
    assert_eq!(super::next(&mut watch).await, super::batch(both, &[("l", Some("2"))]));
}

pub(crate) async fn a_transaction_is_atomic(storage: &dyn Storage) {
    let first = write(storage, "a", "1").await;
    let before = write(storage, "b", "1").await;
    let refused = storage
        .commit(vec![
            put("a", Expect::At(first), "2"),
            put("c", Expect::Absent, "2"),
            delete("b", Expect::At(first)),
        ])
        .await;
    let current = entry("b", "1", before);
    assert_eq!(refused, Err(Error::Conflict { current }));
    assert_eq!(storage.current_revision().await.unwrap(), before);
    let unchanged = storage.list(ListRequest::default()).await.unwrap();
    assert_eq!(unchanged.entries, [entry("a", "1", first), entry("b", "1", before)]);
    let after = storage
        .commit(vec![
            put("a", Expect::At(first), "2"),
            put("c", Expect::Absent, "2"),
            delete("b", Expect::At(before)),
        ])
        .await
        .unwrap();
    let changed = storage.list(ListRequest::default()).await.unwrap();
    assert_eq!(changed.entries, [entry("a", "2", after), entry("c", "2", after)]);
    assert_eq!(changed.revision, after);
}

pub(crate) async fn the_first_failing_demand_is_reported(storage: &dyn Storage) {
    let a = write(storage, "a", "1").await;
    let b = write(storage, "b", "2").await;
    let key = "x".to_owned();
    let failing = |order: [usize; 3]| {
        let ops = [
            put("b", Expect::Absent, "3"),
            keep("x", Expect::At(1)),
            delete("a", Expect::At(b)),
        ];
        let mut ops: Vec<_> = order.iter().map(|index| ops[*index].clone()).collect();
        ops.insert(0, put("new", Expect::Absent, "3"));
        ops
    };
    let exists = Error::Exists {
        current: entry("b", "2", b),
    };
    let conflict = Error::Conflict {
        current: entry("a", "1", a),
    };
    assert_eq!(storage.commit(failing([0, 1, 2])).await, Err(exists));
    assert_eq!(storage.commit(failing([1, 2, 0])).await, Err(Error::NotFound { key }));
    assert_eq!(storage.commit(failing([2, 0, 1])).await, Err(conflict));
    assert_eq!(storage.get("new").await.unwrap(), None);
}

pub(crate) async fn kept_keys_are_compared(storage: &dyn Storage) {
    let lock = write(storage, "lock", "mine").await;
    let ops = |at| {
        vec![
            keep("lock", Expect::At(at)),
            keep("none", Expect::Absent),
            put("k", Expect::Any, "1"),
        ]
    };
    let first = storage.commit(ops(lock)).await.unwrap();
    let mut watch = storage.watch("", lock).await.unwrap();
    assert_eq!(super::next(&mut watch).await, super::batch(first, &[("k", Some("1"))]));
    assert_eq!(
        storage.get("lock").await.unwrap(),
        Some(entry("lock", "mine", lock)),
        "kept as it was"
    );
    let taken = write(storage, "lock", "yours").await;
    let current = entry("lock", "yours", taken);
    assert_eq!(
        storage.commit(ops(lock)).await,
        Err(Error::Conflict {
            current: current.clone()
        })
    );
    assert_eq!(storage.get("k").await.unwrap(), Some(entry("k", "1", first)));
    let absent = storage.commit(vec![keep("lock", Expect::Absent)]).await;
    assert_eq!(absent, Err(Error::Exists { current }));
}

pub(crate) async fn nothing_to_do_answers_the_current_revision(storage: &dyn Storage) {
    let empty = storage.current_revision().await.unwrap();
    assert!(empty > 0);
    assert_eq!(storage.commit(Vec::new()).await, Ok(empty));
    let first = write(storage, "a", "1").await;
    assert!(first > empty);
    assert_eq!(storage.commit(Vec::new()).await, Ok(first));
    assert_eq!(storage.commit(vec![keep("a", Expect::Any)]).await, Ok(first));
    assert_eq!(storage.commit(vec![keep("a", Expect::At(first))]).await, Ok(first));
    assert_eq!(storage.current_revision().await, Ok(first));
}

pub(crate) async fn malformed_transactions_fail(storage: &dyn Storage) {
    let many = |count: usize| {
        (0..count)
            .map(|n| put(&format!("k{n:03}"), Expect::Absent, "1"))
            .collect()
    };
    for ops in [
        vec![put("a", Expect::Any, "1"), delete("a", Expect::Any)],
        vec![put("", Expect::Any, "1")],
        many(MAX_OPERATIONS + 1),
    ] {
        let refused = storage.commit(ops).await;
        assert!(matches!(refused, Err(Error::Failed(_))), "{refused:?}");
    }
    let revision = storage.commit(many(MAX_OPERATIONS)).await.unwrap();
    let page = storage.list(ListRequest::default()).await.unwrap();
    assert_eq!(page.entries.len(), MAX_OPERATIONS);
    assert!(page.entries.iter().all(|entry| entry.revision == revision));
}

pub(crate) async fn large_values_fail(storage: &dyn Storage) {
    let refused = storage
        .create("large", Bytes::from(vec![b'x'; MAX_TRANSACTION_BYTES + 1]))
        .await;
    let Err(Error::Failed(text)) = refused else {
        panic!("{refused:?}")
    };
    assert!(text.contains("too large") && text.contains("1.5 MiB"), "{text}");
    // Far beyond, where etcd's gRPC refuses before etcd does.
    let refused = storage
        .create("large", Bytes::from(vec![b'x'; 4 * MAX_TRANSACTION_BYTES]))
        .await;
    assert!(matches!(refused, Err(Error::Failed(_))), "{refused:?}");
    let value = Bytes::from(vec![b'x'; MAX_TRANSACTION_BYTES - 4096]);
    storage.create("large", value.clone()).await.unwrap();
    assert_eq!(
        storage.get("large").await.unwrap().map(|entry| entry.value),
        Some(value)
    );
}

pub(crate) async fn concurrent_swaps_have_one_winner(storage: &dyn Storage) {
    let mut revision = storage.create("counter", bytes("0")).await.unwrap();
    for _ in 0..10 {
        let swaps = (0..8).map(|n| storage.compare_and_swap("counter", revision, bytes(n.to_string())));
        let answers = join_all(swaps).await;
        let current = storage.get("counter").await.unwrap().unwrap();
        let winners: Vec<_> = answers.iter().filter(|answer| answer.is_ok()).collect();
        assert_eq!(winners, [&Ok(current.revision)]);
        for loser in answers.iter().filter(|answer| answer.is_err()) {
            assert_eq!(
                loser,
                &Err(Error::Conflict {
                    current: current.clone()
                })
            );
        }
        revision = current.revision;
    }
}

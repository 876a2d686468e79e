//! Get and list.

use bulward::storage::{Error, Expect, ListRequest, Page, Storage};
use bytes::Bytes;

use super::{bytes, entry, put, remove, write};

fn keys(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn prefix(prefix: &str) -> ListRequest {
    ListRequest {
        prefix: prefix.to_owned(),
        ..ListRequest::default()
    }
}

pub(crate) async fn values_come_back_as_written(storage: &dyn Storage) {
    assert_eq!(storage.get("absent").await, Ok(None));
    let every: Bytes = (0..=u8::MAX).collect();
    let values = [("empty", Bytes::new()), ("bytes", every), ("größe/名", bytes("{}"))];
    for (key, value) in values {
        let revision = storage.create(key, value.clone()).await.unwrap();
        let found = storage.get(key).await.unwrap().unwrap();
        assert_eq!(
            (found.key.as_str(), found.value, found.revision),
            (key, value, revision)
        );
    }
    assert_eq!(storage.get("empt").await, Ok(None), "a prefix is not a key");
}

pub(crate) async fn lists_are_in_key_order(storage: &dyn Storage) {
    for key in ["b", "a/2", "a/10", "a", "a!", "a0", "ä", "c/x"] {
        write(storage, key, key).await;
    }
    let newest = remove(storage, "c/x").await;
    let all = storage.list(ListRequest::default()).await.unwrap();
    assert_eq!(keys(&all), ["a", "a!", "a/10", "a/2", "a0", "b", "ä"], "in byte order");
    assert_eq!((all.revision, all.more), (newest, false));
    assert_eq!(keys(&storage.list(prefix("a/")).await.unwrap()), ["a/10", "a/2"]);
    assert_eq!(
        keys(&storage.list(prefix("a")).await.unwrap()),
        ["a", "a!", "a/10", "a/2", "a0"]
    );
    let none = storage.list(prefix("c/")).await.unwrap();
    assert_eq!((none.entries.len(), none.revision, none.more), (0, newest, false));
}

pub(crate) async fn lists_are_paged(storage: &dyn Storage) {
    for key in ["a", "p/1", "p/2", "p/3", "p/4", "q"] {
        write(storage, key, key).await;
    }
    let page = |after: Option<&str>, limit| ListRequest {
        prefix: "p/".to_owned(),
        after: after.map(str::to_owned),
        revision: None,
        limit,
    };
    let cases: [(Option<&str>, usize, &[&str], bool); 10] = [
        (None, 2, &["p/1", "p/2"], true),
        (None, 3, &["p/1", "p/2", "p/3"], true),
        (None, 4, &["p/1", "p/2", "p/3", "p/4"], false),
        (Some("p/2"), 2, &["p/3", "p/4"], false),
        (Some("p/2"), 1, &["p/3"], true),
        (Some("p/25"), 0, &["p/3", "p/4"], false),
        (Some("p/4"), 1, &[], false),
        (Some("a"), 1, &["p/1"], true),
        (Some("q"), 0, &[], false),
        (Some("p"), 9, &["p/1", "p/2", "p/3", "p/4"], false),
    ];
    for (after, limit, expected, more) in cases {
        let page = storage.list(page(after, limit)).await.unwrap();
        assert_eq!(
            (keys(&page).as_slice(), page.more),
            (expected, more),
            "after {after:?}, {limit}"
        );
    }
}

pub(crate) async fn lists_at_an_old_revision(storage: &dyn Storage) {
    let a1 = write(storage, "a", "1").await;
    let b1 = write(storage, "b", "1").await;
    let a2 = write(storage, "a", "2").await;
    let gone = remove(storage, "b").await;
    let c1 = write(storage, "c", "1").await;
    let b2 = write(storage, "b", "2").await;
    let expected = [
        (a1, vec![entry("a", "1", a1)]),
        (b1, vec![entry("a", "1", a1), entry("b", "1", b1)]),
        (a2, vec![entry("a", "2", a2), entry("b", "1", b1)]),
        (gone, vec![entry("a", "2", a2)]),
        (c1, vec![entry("a", "2", a2), entry("c", "1", c1)]),
        (b2, vec![entry("a", "2", a2), entry("b", "2", b2), entry("c", "1", c1)]),
    ];
    for (revision, entries) in expected {
        let request = ListRequest {
            revision: Some(revision),
            ..ListRequest::default()
        };
        let page = storage.list(request).await.unwrap();
        let (more, at) = (false, revision);
        assert_eq!(
            page,
            Page {
                entries,
                revision,
                more
            },
            "at {at}"
        );
    }
}

pub(crate) async fn pages_at_one_revision(storage: &dyn Storage) {
    for n in 0..10 {
        write(storage, &format!("k{n}"), "old").await;
    }
    let mut after = None;
    let mut revision = None;
    let mut found = Vec::new();
    loop {
        let request = ListRequest {
            after: after.clone(),
            revision,
            limit: 3,
            ..ListRequest::default()
        };
        let page = storage.list(request).await.unwrap();
        assert_eq!(*revision.get_or_insert(page.revision), page.revision);
        after = page.entries.last().map(|entry| entry.key.clone());
        found.extend(page.entries);
        // What happens between the pages does not show.
        write(storage, "k9", "new").await;
        write(storage, &format!("k{}5", found.len()), "new").await;
        remove(storage, "k8").await;
        if !page.more {
            break;
        }
    }
    let keys: Vec<&str> = found.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"]);
    assert!(found.iter().all(|entry| entry.value == "old"));
}

pub(crate) async fn long_lists_are_complete(storage: &dyn Storage) {
    // More than one of etcd's requests, and more bytes than gRPC takes in one message by default.
    let value = "x".repeat(2_000);
    let count = 4_100;
    for first in (0..count).step_by(100) {
        let ops = (first..first + 100).map(|n| put(&format!("long/{n:05}"), Expect::Absent, &value));
        storage.commit(ops.collect()).await.unwrap();
    }
    let page = storage.list(prefix("long/")).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (count, false));
    for (n, entry) in page.entries.iter().enumerate() {
        assert_eq!(entry.key, format!("long/{n:05}"));
        assert_eq!(entry.value.len(), 2_000);
    }
    let limited = ListRequest {
        limit: 4_099,
        ..prefix("long/")
    };
    let page = storage.list(limited).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (4_099, true));
}

pub(crate) async fn the_future_cannot_be_read(storage: &dyn Storage) {
    let newest = write(storage, "a", "1").await;
    for ahead in [1, 1_000_000] {
        let request = ListRequest {
            revision: Some(newest + ahead),
            ..ListRequest::default()
        };
        let refused = storage.list(request).await;
        let Err(Error::Future { requested, current }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(requested, newest + ahead);
        assert!(current == 0 || current == newest);
    }
    let request = ListRequest {
        revision: Some(0),
        ..ListRequest::default()
    };
    let never = storage.list(request).await;
    assert!(matches!(never, Err(Error::Compacted { requested: 0, .. })), "{never:?}");
}

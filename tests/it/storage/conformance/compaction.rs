//! What compaction forgets and what it keeps.

use bulward::storage::{Error, Expect, ListRequest, Storage};

use super::{batch, delete, end, entry, next, put, remove, rest, write};

fn at(revision: u64) -> ListRequest {
    ListRequest {
        revision: Some(revision),
        ..ListRequest::default()
    }
}

pub(crate) async fn compacted_revisions_cannot_be_read(storage: &dyn Storage) {
    let first = write(storage, "a", "1").await;
    let second = write(storage, "a", "2").await;
    let third = write(storage, "b", "1").await;
    let fourth = remove(storage, "a").await;
    storage.compact(third).await.unwrap();
    for requested in [first, second] {
        let refused = storage.list(at(requested)).await;
        let Err(Error::Compacted {
            requested: told,
            oldest,
        }) = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!(told, requested);
        assert!(oldest == 0 || oldest == third);
    }
    let page = storage.list(at(third)).await.unwrap();
    assert_eq!(page.entries, [entry("a", "2", second), entry("b", "1", third)]);
    assert_eq!(
        storage.list(at(fourth)).await.unwrap().entries,
        [entry("b", "1", third)]
    );
}

pub(crate) async fn compacted_history_cannot_be_watched(storage: &dyn Storage) {
    let first = write(storage, "a", "1").await;
    write(storage, "a", "2").await;
    let third = write(storage, "a", "3").await;
    let fourth = write(storage, "a", "4").await;
    storage.compact(third).await.unwrap();
    for after in [0, first] {
        let error = match storage.watch("", after).await {
            Ok(mut watch) => end(&mut watch).await,
            Err(error) => error,
        };
        let requested = after;
        assert_eq!(
            error,
            Error::Compacted {
                requested,
                oldest: third
            }
        );
    }
    let mut watch = storage.watch("", third).await.unwrap();
    assert_eq!(next(&mut watch).await, batch(fourth, &[("a", Some("4"))]));
}

pub(crate) async fn current_state_survives(storage: &dyn Storage) {
    let mut revisions = Vec::new();
    for n in 0..50 {
        let ops = vec![
            put("hot", Expect::Any, &n.to_string()),
            put(&format!("k{:02}", n % 20), Expect::Any, &n.to_string()),
            delete(&format!("k{:02}", (n + 7) % 20), Expect::Any),
        ];
        revisions.push(storage.commit(ops).await.unwrap());
    }
    let before: Vec<_> = {
        let mut pages = Vec::new();
        for revision in &revisions[40..] {
            pages.push(storage.list(at(*revision)).await.unwrap());
        }
        pages
    };
    for compacted in [revisions[10], revisions[25], revisions[40]] {
        storage.compact(compacted).await.unwrap();
        for page in &before {
            assert_eq!(
                &storage.list(at(page.revision)).await.unwrap(),
                page,
                "compacted at {compacted}"
            );
        }
    }
    let newest = storage.current_revision().await.unwrap();
    storage.compact(newest).await.unwrap();
    assert_eq!(&storage.list(ListRequest::default()).await.unwrap(), &before[9]);
    // Demands are judged by what is left.
    let hot = storage.get("hot").await.unwrap().unwrap();
    storage.delete("hot", hot.revision).await.unwrap();
    storage.create("hot", super::bytes("again")).await.unwrap();
}

pub(crate) async fn compaction_is_checked(storage: &dyn Storage) {
    let first = write(storage, "a", "1").await;
    let second = write(storage, "a", "2").await;
    let refused = storage.compact(second + 10).await;
    assert!(
        matches!(refused, Err(Error::Future { requested, .. }) if requested == second + 10),
        "{refused:?}"
    );
    storage.compact(second).await.unwrap();
    storage.compact(second).await.unwrap();
    storage.compact(first).await.unwrap();
    assert_eq!(
        storage.list(at(second)).await.unwrap().entries,
        [entry("a", "2", second)]
    );
    assert!(
        storage.list(at(first)).await.is_err(),
        "compacting further back restores nothing"
    );
}

pub(crate) async fn running_watches_survive(storage: &dyn Storage) {
    let start = write(storage, "a", "0").await;
    let mut watch = storage.watch("", start).await.unwrap();
    assert_eq!(rest(&mut watch, start).await, []);
    for n in 0..20 {
        let revision = write(storage, "a", &n.to_string()).await;
        storage.compact(revision).await.unwrap();
        assert_eq!(
            next(&mut watch).await,
            batch(revision, &[("a", Some(n.to_string().as_str()))])
        );
    }
}

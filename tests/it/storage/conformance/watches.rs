//! Watches, one at a time.

use bulward::storage::{Expect, Storage};

use super::{batch, delete, next, put, remove, rest, write};

pub(crate) async fn history_then_live(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let first = write(storage, "a", "1").await;
    let second = write(storage, "b", "1").await;
    let third = remove(storage, "a").await;
    let mut all = storage.watch("", start).await.unwrap();
    let mut some = storage.watch("", first).await.unwrap();
    let mut none = storage.watch("", third).await.unwrap();
    let history = [
        batch(first, &[("a", Some("1"))]),
        batch(second, &[("b", Some("1"))]),
        batch(third, &[("a", None)]),
    ];
    for expected in &history {
        assert_eq!(&next(&mut all).await, expected);
    }
    for expected in &history[1..] {
        assert_eq!(&next(&mut some).await, expected);
    }
    let fourth = write(storage, "a", "2").await;
    for watch in [&mut all, &mut some, &mut none] {
        assert_eq!(next(watch).await, batch(fourth, &[("a", Some("2"))]));
        assert_eq!(rest(watch, fourth).await, []);
    }
}

pub(crate) async fn one_transaction_is_one_batch(storage: &dyn Storage) {
    let start = write(storage, "b", "old").await;
    let mut live = storage.watch("", start).await.unwrap();
    let ops = vec![
        put("c", Expect::Absent, "1"),
        delete("b", Expect::At(start)),
        put("a", Expect::Any, "1"),
    ];
    let revision = storage.commit(ops).await.unwrap();
    let many = (0..100)
        .rev()
        .map(|n| put(&format!("many/{n:03}"), Expect::Absent, "1"));
    let large = storage.commit(many.collect()).await.unwrap();
    let mut later = storage.watch("", start).await.unwrap();
    for watch in [&mut live, &mut later] {
        let expected = batch(revision, &[("a", Some("1")), ("b", None), ("c", Some("1"))]);
        assert_eq!(next(watch).await, expected, "in key order");
        let got = next(watch).await;
        assert_eq!((got.revision, got.events.len()), (large, 100));
        assert!(got.events.is_sorted_by_key(|event| event.key.clone()));
        assert_eq!(rest(watch, large).await, []);
    }
}

pub(crate) async fn only_the_prefix_is_seen(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let mut live = storage.watch("p/", start).await.unwrap();
    write(storage, "p", "1").await;
    let first = write(storage, "p/a", "1").await;
    write(storage, "q/a", "1").await;
    let ops = vec![
        put("a", Expect::Any, "2"),
        put("p/b", Expect::Any, "2"),
        put("p0", Expect::Any, "2"),
    ];
    let second = storage.commit(ops).await.unwrap();
    let newest = write(storage, "p0", "3").await;
    let mut later = storage.watch("p/", start).await.unwrap();
    let expected = [
        batch(first, &[("p/a", Some("1"))]),
        batch(second, &[("p/b", Some("2"))]),
    ];
    for watch in [&mut live, &mut later] {
        assert_eq!(rest(watch, newest).await, expected);
    }
}

pub(crate) async fn progress_is_answered(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let mut watch = storage.watch("p/", start).await.unwrap();
    for n in 0..50 {
        write(storage, &format!("p/{n:02}"), "1").await;
    }
    let newest = write(storage, "elsewhere", "1").await;
    watch.progress.send(()).await.unwrap();
    for n in 0..50 {
        assert_eq!(next(&mut watch).await.events[0].key, format!("p/{n:02}"));
    }
    assert_eq!(next(&mut watch).await, batch(newest, &[]), "behind all events");
    let later = write(storage, "p/x", "1").await;
    assert_eq!(next(&mut watch).await, batch(later, &[("p/x", Some("1"))]));
}

pub(crate) async fn progress_without_events(storage: &dyn Storage) {
    let newest = write(storage, "elsewhere", "1").await;
    let mut watch = storage.watch("p/", newest).await.unwrap();
    for _ in 0..3 {
        watch.progress.send(()).await.unwrap();
        assert_eq!(
            next(&mut watch).await,
            batch(newest, &[]),
            "nothing has happened at all"
        );
    }
    let newest = write(storage, "elsewhere", "2").await;
    watch.progress.send(()).await.unwrap();
    assert_eq!(next(&mut watch).await, batch(newest, &[]));
    // Nobody will ask any more, the watch goes on.
    let (progress, _) = tokio::sync::mpsc::channel(1);
    drop(std::mem::replace(&mut watch.progress, progress));
    let newest = write(storage, "p/a", "1").await;
    assert_eq!(next(&mut watch).await, batch(newest, &[("p/a", Some("1"))]));
}

pub(crate) async fn an_empty_storage_can_be_watched(storage: &dyn Storage) {
    let mut watch = storage.watch("", 0).await.unwrap();
    let empty = storage.current_revision().await.unwrap();
    watch.progress.send(()).await.unwrap();
    assert_eq!(next(&mut watch).await, batch(empty, &[]));
    let first = write(storage, "k", "1").await;
    assert_eq!(next(&mut watch).await, batch(first, &[("k", Some("1"))]));
}

pub(crate) async fn a_slow_owner_loses_nothing(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let mut slow = storage.watch("", start).await.unwrap();
    let mut quick = storage.watch("", start).await.unwrap();
    let mut expected = Vec::new();
    // Far more than a watch's channel holds.
    for n in 0..1_000 {
        expected.push((
            write(storage, &format!("k{}", n % 7), &n.to_string()).await,
            n.to_string(),
        ));
        assert_eq!(next(&mut quick).await.revision, expected[n].0, "others are not held up");
    }
    let newest = storage.current_revision().await.unwrap();
    let got = rest(&mut slow, newest).await;
    assert_eq!(got.len(), expected.len());
    for (batch, (revision, value)) in got.iter().zip(&expected) {
        assert_eq!(batch.revision, *revision);
        assert_eq!(batch.events[0].value.as_deref(), Some(value.as_bytes()));
    }
}

pub(crate) async fn deletions_have_no_value(storage: &dyn Storage) {
    let start = storage.current_revision().await.unwrap();
    let first = storage.create("k", super::bytes("")).await.unwrap();
    let second = storage.delete("k", first).await.unwrap();
    let third = storage.create("k", super::bytes("1")).await.unwrap();
    let mut watch = storage.watch("k", start).await.unwrap();
    let expected = [
        batch(first, &[("k", Some(""))]),
        batch(second, &[("k", None)]),
        batch(third, &[("k", Some("1"))]),
    ];
    assert_eq!(rest(&mut watch, third).await, expected);
}

pub(crate) async fn a_watch_from_the_future_waits(storage: &dyn Storage) {
    let newest = storage.current_revision().await.unwrap();
    let mut watch = storage.watch("", newest + 2).await.unwrap();
    for n in 1..=3 {
        assert_eq!(write(storage, "k", &n.to_string()).await, newest + n);
    }
    assert_eq!(next(&mut watch).await, batch(newest + 3, &[("k", Some("3"))]));
}

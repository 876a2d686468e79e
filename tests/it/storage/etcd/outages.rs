//! Members that die, come back, or say nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bulward::storage::etcd::Etcd;
use bulward::storage::{Batch, Error, Expect, ListRequest, Revision, Storage};
use tokio::time::sleep;

use super::{config, connect};
use crate::harness::EtcdCluster;
use crate::storage::conformance::{end, next, put, rest, within, write};

/// Writes until it succeeds.
async fn insist(storage: &Etcd, key: &str, value: &str) -> Revision {
    loop {
        match storage.commit(vec![put(key, Expect::Any, value)]).await {
            Ok(revision) => return revision,
            Err(Error::Unavailable(_)) => sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_survives_a_restart() {
    let etcd = EtcdCluster::single("storage").await;
    let storage = connect(&etcd, "/restart").await;
    let start = storage.current_revision().await.unwrap();
    let mut written: BTreeMap<Revision, String> = BTreeMap::new();
    let mut seen: Vec<Batch> = Vec::new();
    for round in 0..3 {
        let after = seen.last().map_or(start, |batch| batch.revision);
        let mut watch = within(storage.watch("", after)).await.unwrap();
        for n in 0..20 {
            let value = format!("{round}/{n}");
            written.insert(within(insist(&storage, "k", &value)).await, value);
        }
        // Some of it before the end, some of it after.
        for _ in 0..10 {
            seen.push(within(next(&mut watch)).await);
        }
        etcd.kill(0);
        let broken = loop {
            match within(watch.batches.recv()).await {
                Some(Ok(batch)) => seen.push(batch),
                Some(Err(error)) => break error,
                None => panic!("the watch ended without an error"),
            }
        };
        assert!(matches!(broken, Error::Unavailable(_)), "{broken:?}");
        for _ in 0..3 {
            let down = within(storage.get("k")).await;
            let Err(Error::Unavailable(text)) = &down else {
                panic!("{down:?}")
            };
            assert!(text.contains(&etcd.endpoints()[0]), "{text}");
            let down = within(storage.create(&format!("new/{round}"), "1".into())).await;
            assert!(matches!(down, Err(Error::Unavailable(_))), "{down:?}");
        }
        etcd.restart(0).await;
    }
    let newest = within(insist(&storage, "k", "last")).await;
    written.insert(newest, "last".to_owned());
    let after = seen.last().map_or(start, |batch| batch.revision);
    let mut watch = within(storage.watch("", after)).await.unwrap();
    seen.extend(within(rest(&mut watch, newest)).await);
    let seen: BTreeMap<Revision, String> = seen
        .iter()
        .map(|batch| (batch.revision, batch.events[0].value.as_ref().unwrap()))
        .map(|(revision, value)| (revision, String::from_utf8(value.to_vec()).unwrap()))
        .collect();
    assert_eq!(seen, written);
    let all = storage.list(ListRequest::default()).await.unwrap().entries;
    assert_eq!(all.len(), 1, "writes to a member that was down never happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_takes_over() {
    let etcd = EtcdCluster::start("storage").await;
    let storage = connect(&etcd, "/cluster").await;
    let mut last = within(insist(&storage, "k", "0")).await;
    for member in 0..3 {
        let mut watch = within(storage.watch("", last)).await.unwrap();
        etcd.kill(member);
        for n in 0..20 {
            let revision = within(insist(&storage, "k", &n.to_string())).await;
            assert!(revision > last);
            last = revision;
            let read = loop {
                match within(storage.get("k")).await {
                    Ok(read) => break read.unwrap(),
                    // While a new leader is elected.
                    Err(Error::Unavailable(_)) => sleep(Duration::from_millis(20)).await,
                    Err(error) => panic!("{error}"),
                }
            };
            // A write whose answer was lost may have happened, so that `insist` wrote it twice.
            assert_eq!((read.revision, read.value), (last, n.to_string().into()));
        }
        // The watch was the dead member's and ended, or another one's and goes on.
        let error = within(async {
            loop {
                match watch.batches.recv().await {
                    Some(Ok(batch)) if batch.revision == last => break None,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Some(error),
                    None => panic!("the watch ended without an error"),
                }
            }
        });
        assert!(matches!(error.await, None | Some(Error::Unavailable(_))));
        etcd.restart(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_does_not_hinder_connecting() {
    let etcd = EtcdCluster::single("storage").await;
    let mut config = config(&etcd, "/dead");
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    config.endpoints.insert(0, format!("http://{dead}"));
    let storage = Etcd::connect(config).await.unwrap();
    for n in 0..20 {
        write(&storage, "k", &n.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_member_is_noticed() {
    let etcd = EtcdCluster::single("storage").await;
    let storage = connect(&etcd, "/silent").await;
    let newest = write(&storage, "k", "1").await;
    let mut watch = storage.watch("", newest).await.unwrap();
    etcd.signal(0, "STOP");
    let silent = within(storage.get("k")).await;
    let Err(Error::Unavailable(text)) = silent else {
        panic!("{silent:?}")
    };
    assert!(text.contains("no answer") && text.contains("within 5 s"), "{text}");
    let error = within(end(&mut watch)).await;
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    etcd.signal(0, "CONT");
    assert!(within(insist(&storage, "k", "2")).await > newest);
}

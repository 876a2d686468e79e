mod access;
mod outages;

use std::sync::Arc;

use bulward::storage::etcd::{Config, Etcd};
use bulward::storage::{ListRequest, Storage};

use super::conformance::{batch, next, rest, within, write};
use crate::harness::EtcdCluster;

fn config(etcd: &EtcdCluster, prefix: &str) -> Config {
    Config {
        endpoints: etcd.endpoints(),
        prefix: prefix.to_owned(),
        ..Config::default()
    }
}

async fn connect(etcd: &EtcdCluster, prefix: &str) -> Etcd {
    Etcd::connect(config(etcd, prefix)).await.expect("etcd serves")
}

async fn open() -> (Arc<dyn Storage>, EtcdCluster) {
    let etcd = EtcdCluster::single("storage").await;
    let storage = connect(&etcd, "/suite").await;
    (Arc::new(storage), etcd)
}

super::conformance::suite!(open());

#[tokio::test]
async fn prefixes_keep_to_themselves() {
    let etcd = EtcdCluster::single("storage").await;
    let (team, teams) = (connect(&etcd, "/team").await, connect(&etcd, "teams/").await);
    let start = team.current_revision().await.unwrap();
    let mut watch = team.watch("", start).await.unwrap();
    let first = write(&team, "a", "1").await;
    let second = write(&teams, "a", "2").await;
    assert!(second > first, "one order for all");
    etcd.ctl(&["put", "/team", "foreign"]);
    etcd.ctl(&["put", "/team0", "foreign"]);
    let newest = team.current_revision().await.unwrap();
    assert_eq!(newest, second + 2);

    let list = async |storage: &Etcd| storage.list(ListRequest::default()).await.unwrap().entries;
    assert_eq!(list(&team).await, [super::conformance::entry("a", "1", first)]);
    assert_eq!(list(&teams).await, [super::conformance::entry("a", "2", second)]);
    assert_eq!(
        within(rest(&mut watch, newest)).await,
        [batch(first, &[("a", Some("1"))])]
    );
    assert_eq!(etcd.ctl(&["get", "/teams/a", "--print-value-only"]), "2\n");
}

#[tokio::test]
async fn progress_counts_foreign_keys() {
    let etcd = EtcdCluster::single("storage").await;
    let storage = connect(&etcd, "/ours").await;
    let foreign = connect(&etcd, "/theirs").await;
    let start = storage.current_revision().await.unwrap();
    let mut watch = storage.watch("", start).await.unwrap();
    for n in 0..5 {
        // The client of the watch has not heard of this revision.
        let newest = write(&foreign, "k", &n.to_string()).await;
        watch.progress.send(()).await.unwrap();
        assert_eq!(within(next(&mut watch)).await, batch(newest, &[]));
    }
    let newest = storage.current_revision().await.unwrap();
    let mut late = storage.watch("", start).await.unwrap();
    late.progress.send(()).await.unwrap();
    assert_eq!(within(next(&mut late)).await, batch(newest, &[]));
}

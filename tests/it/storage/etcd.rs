use std::sync::Arc;

use bulward::storage::Storage;
use bulward::storage::etcd::{Config, Etcd};

use super::etcd_process::EtcdProcess;

fn config(etcd: &EtcdProcess, prefix: &str) -> Config {
    Config {
        endpoints: etcd.endpoints(),
        prefix: prefix.to_owned(),
        ..Config::default()
    }
}

async fn open() -> (Arc<dyn Storage>, EtcdProcess) {
    let etcd = EtcdProcess::start().await;
    let storage = Etcd::connect(config(&etcd, "/suite")).await.expect("etcd serves");
    (Arc::new(storage), etcd)
}

super::conformance::suite!(open());

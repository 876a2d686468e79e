//! Storages for servers in this process: each test has its own; those on etcd share one etcd under different prefixes.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bulward::storage::Storage;
use bulward::storage::embedded::{Embedded, Options};
use bulward::storage::etcd::{Config, Etcd as EtcdStorage};
use bulward::storage::memory::Memory;
use tokio::sync::OnceCell;

use super::super::{Etcd, guardian, started_once};

/// An open storage with what has to outlive it.
pub(crate) struct Opened {
    pub(crate) storage: Arc<dyn Storage>,
    etcd: Option<Config>,
    _kept: Option<Box<dyn Any + Send + Sync>>,
}

impl Opened {
    /// A second way to the same keys, as another replica would have it.
    pub(crate) async fn again(&self) -> Arc<dyn Storage> {
        match &self.etcd {
            Some(config) => connect(config.clone()).await,
            None => self.storage.clone(),
        }
    }

    /// How to reach the same etcd under a foreign prefix.
    pub(crate) async fn foreign(&self) -> Arc<dyn Storage> {
        let config = self.etcd.clone().expect("only etcd has foreign keys");
        let prefix = format!("{}-foreign", config.prefix);
        connect(Config { prefix, ..config }).await
    }
}

pub(crate) async fn memory() -> Opened {
    Opened {
        storage: Arc::new(Memory::new()),
        etcd: None,
        _kept: None,
    }
}

pub(crate) async fn embedded() -> Opened {
    let folder = guardian::temporary("embedded");
    let opened = Embedded::open(folder.path(), Options::default()).await;
    Opened {
        storage: Arc::new(opened.expect("a fresh folder can be opened")),
        etcd: None,
        _kept: Some(Box::new(folder)),
    }
}

pub(crate) async fn etcd() -> Opened {
    static SHARED: OnceCell<Result<Etcd, String>> = OnceCell::const_new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let etcd = started_once("etcd", &SHARED, async || Etcd::start("in-process").await).await;
    let config = Config {
        endpoints: vec![etcd.endpoint()],
        prefix: format!("/it/{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        ..Config::default()
    };
    Opened {
        storage: connect(config.clone()).await,
        etcd: Some(config),
        _kept: None,
    }
}

/// On an etcd of its own, which may be compacted.
pub(crate) async fn etcd_alone() -> Opened {
    let etcd = Etcd::start("alone").await.expect("etcd starts");
    let config = Config {
        endpoints: vec![etcd.endpoint()],
        prefix: "/it".to_owned(),
        ..Config::default()
    };
    Opened {
        storage: connect(config.clone()).await,
        etcd: Some(config),
        _kept: Some(Box::new(etcd)),
    }
}

async fn connect(config: Config) -> Arc<dyn Storage> {
    Arc::new(EtcdStorage::connect(config).await.expect("etcd serves"))
}

/// Makes a test for each storage from an `async fn(Opened)`; all three unless told otherwise.
macro_rules! each_storage {
    ($name:ident) => {
        $crate::harness::in_process::each_storage!($name, memory, embedded, etcd);
    };
    ($name:ident, $($storage:ident),+) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $storage() {
                    super::$name($crate::harness::in_process::$storage().await).await;
                }
            )+
        }
    };
}
pub(crate) use each_storage;

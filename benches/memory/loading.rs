//! How long the cache needs until it is ready, from a storage in the same process.

use std::sync::Arc;
use tokio::time::Instant;

use bulward::storage::memory::Memory;
use bulward::storage::{Change, Expect, Op, Storage};
use bulward::watchcache::log::Bounds;
use bulward::watchcache::{Cache, reflector};
use tokio_util::sync::CancellationToken;

use crate::machine::{resident, row};
use crate::objects::{COUNT, name, organization, owners, specs};

pub(crate) fn run() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        for first in (0..COUNT).step_by(100) {
            let put = |number: usize| Op {
                key: format!("organizations/{}", name(number)),
                expect: Expect::Absent,
                change: Change::Put(organization(number, &owners(number), &[]).into()),
            };
            storage
                .commit((first..first + 100).map(put).collect())
                .await
                .expect("written");
        }
        let before = resident("self");
        let cache = Cache::new(specs(), storage, Bounds::default());
        let stop = CancellationToken::new();
        let started = Instant::now();
        tokio::spawn(reflector::run(cache.clone(), stop.clone()));
        while !cache.is_ready() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        row(
            format!("loading {COUNT} objects"),
            format!("{} ms", started.elapsed().as_millis()),
        );
        let grown = (resident("self") - before) / u64::try_from(COUNT).expect("a count");
        row("an object after loading", format!("{grown} bytes"));
        stop.cancel();
    });
}

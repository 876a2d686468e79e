//! What a watcher costs in the cache, and what a change costs that few of many see.

use std::sync::Arc;
use tokio::time::Instant;

use bulward::storage::Storage;
use bulward::storage::memory::Memory;
use bulward::watchcache::log::Bounds;
use bulward::watchcache::watchers::Place;
use bulward::watchcache::{Cache, Interest, reflector};
use bulward::wire::subject::SubjectKey;
use tokio_util::sync::CancellationToken;

use crate::edits::micros;
use crate::machine::{growth, row};
use crate::objects::{ORGANIZATIONS, organization, specs};

const WATCHERS: usize = 10_000;

pub(crate) fn run() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let cache = Cache::new(specs(), storage.clone(), Bounds::default());
        let stop = CancellationToken::new();
        tokio::spawn(reflector::run(cache.clone(), stop.clone()));
        while !cache.is_ready() {
            tokio::task::yield_now().await;
        }
        let subscribe = |number: usize| {
            let subjects = vec![
                SubjectKey::group("system:authenticated"),
                SubjectKey::user(&format!("user-{number}")),
            ];
            cache
                .subscribe(Interest {
                    kind: ORGANIZATIONS,
                    subjects: Some(subjects.into()),
                    place: Place::All,
                })
                .expect("ready")
        };
        let ten: Vec<_> = (0..10).map(subscribe).collect();
        let few = write(&*storage, &cache, 0).await;
        let (_many, bytes) = growth(WATCHERS - 10, || (10..WATCHERS).map(subscribe).collect::<Vec<_>>());
        row("a watcher in the cache, two subjects", format!("{bytes} bytes"));
        let many = write(&*storage, &cache, 1).await;
        row(
            "a change until it is published, 10 watchers, all of whom see it",
            format!("{few:.1} µs"),
        );
        row(
            format!("the same with {WATCHERS} watchers in all"),
            format!("{many:.1} µs"),
        );
        drop(ten);
        stop.cancel();
    });
}

/// The time for a write and its way to the snapshot, in microseconds, of many.
async fn write(storage: &dyn Storage, cache: &Cache, number: usize) -> f64 {
    const WRITES: usize = 300;
    let names: Vec<String> = (0..10).map(|one| format!("user-{one}")).collect();
    let stored: bytes::Bytes = organization(number, &names, &[]).into();
    let key = format!("organizations/{}", crate::objects::name(number));
    let mut revision = storage.create(&key, stored.clone()).await.expect("written");
    let started = Instant::now();
    for _ in 0..WRITES {
        revision = storage
            .compare_and_swap(&key, revision, stored.clone())
            .await
            .expect("written");
        cache.at_least(revision).await.expect("it comes");
    }
    micros(started.elapsed()) / f64::from(u16::try_from(WRITES).expect("few"))
}

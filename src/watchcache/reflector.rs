//! The single writer: loads the cache, then follows the storage's watch, across every kind of trouble.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::object::Object;
use super::snapshot::{Snapshot, locate};
use crate::storage::{Error, ListRequest, Revision};

/// Entries of one read while loading.
const PAGE: usize = 5_000;
/// The first and the longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Keeps `cache` up to date until `stop`. A storage that is away is retried for ever, watchers stay; if history is lost
/// meanwhile, everything is read again and watchers are told to list again.
pub async fn run(cache: Arc<Cache>, stop: CancellationToken) {
    stop.run_until_cancelled(follow_forever(&cache)).await;
    cache.set_progress(None);
}

async fn follow_forever(cache: &Arc<Cache>) {
    let mut pause = BACKOFF.0;
    loop {
        let result = async {
            if !cache.is_ready() {
                cache.reset(load(cache).await?);
            }
            follow(cache, &mut pause).await
        };
        match result.await {
            Err(Error::Compacted { .. }) => {
                tracing::warn!(
                    "history was compacted away while the storage could not be followed; reading everything again"
                );
                match load(cache).await {
                    Ok(snapshot) => cache.reset(snapshot),
                    Err(error) => tracing::warn!(%error, "reading everything failed"),
                }
            }
            Err(error) => tracing::warn!(%error, "following the storage failed; trying again in {pause:?}"),
            Ok(()) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

/// Reads everything at one revision.
async fn load(cache: &Cache) -> Result<Snapshot, Error> {
    let mut request = ListRequest {
        limit: PAGE,
        ..ListRequest::default()
    };
    let mut page = cache.storage.list(request.clone()).await?;
    let mut snapshot = Snapshot::empty(&cache.specs, page.revision);
    loop {
        for entry in &page.entries {
            let Some((kind, key)) = locate(&cache.specs, &entry.key) else {
                continue;
            };
            match Object::parse(&cache.specs[usize::from(kind.0)], key, entry.revision, &entry.value) {
                Ok(object) => snapshot.load(kind, object),
                Err(error) => {
                    tracing::error!(key = entry.key, %error, "stored object is unreadable, treated as absent")
                }
            }
        }
        let Some(last) = page.entries.last().filter(|_| page.more) else {
            return Ok(snapshot);
        };
        request.after = Some(last.key.clone());
        request.revision = Some(snapshot.revision);
        page = cache.storage.list(request.clone()).await?;
    }
}

/// Applies batches until the watch ends.
async fn follow(cache: &Cache, pause: &mut Duration) -> Result<(), Error> {
    let start: Revision = cache.current().revision;
    let mut watch = cache.storage.watch("", start).await?;
    cache.set_progress(Some(watch.progress.clone()));
    while let Some(batch) = watch.batches.recv().await {
        let batch = batch?;
        *pause = BACKOFF.0;
        let current = cache.current();
        if batch.revision <= current.revision {
            continue;
        }
        let (next, entry) = current.apply(&cache.specs, &batch, &cache.bounds);
        cache.publish(next, entry.as_ref());
    }
    Ok(())
}

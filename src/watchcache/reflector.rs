//! The single writer: loads the cache, then follows the storage's watch, across every kind of trouble.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::object::Object;
use super::page::PageSize;
use super::snapshot::{KindSpec, Snapshot, locate};
use crate::storage::{Entry, Error, ListRequest, Page, Revision, Storage, encrypted};
use crate::visibility::KindId;

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

/// Reads everything at one revision: the next page is on its way while one is made into objects.
async fn load(cache: &Cache) -> Result<Snapshot, Error> {
    let (sender, mut pages) = mpsc::channel(1);
    tokio::spawn(read(cache.storage.clone(), sender));
    let mut snapshot = None;
    while let Some(page) = pages.recv().await {
        let mut page: Page = page?;
        readable(page.entries.iter().map(|entry| (&entry.key, &entry.value)))?;
        let second = page.entries.split_off(page.entries.len() / 2);
        let halves = [page.entries, second].map(|entries| {
            let specs = cache.specs.clone();
            tokio::task::spawn_blocking(move || parse(&specs, &entries))
        });
        let specs = cache.specs.clone();
        let mut next = snapshot
            .take()
            .unwrap_or_else(|| Snapshot::empty(&specs, page.revision));
        for half in halves {
            let objects = half.await.map_err(broken)?;
            let load = move || {
                objects.into_iter().for_each(|(kind, object)| next.load(kind, object));
                next
            };
            next = tokio::task::spawn_blocking(load).await.map_err(broken)?;
        }
        if !page.more {
            return Ok(next);
        }
        snapshot = Some(next);
    }
    Err(broken("the pages ended too early"))
}

/// Sends every page, at the revision of the first one, until nobody wants more.
async fn read(storage: Arc<dyn Storage>, pages: mpsc::Sender<Result<Page, Error>>) {
    let mut size = PageSize::default();
    let mut request = ListRequest::default();
    loop {
        request.limit = size.entries();
        let page = storage.list(request.clone()).await;
        match &page {
            Ok(page) => size.read(&page.entries),
            Err(_) if size.shrink() => continue,
            Err(_) => {}
        }
        let next = page.as_ref().ok().filter(|page| page.more);
        let next = next.and_then(|page| Some((page.entries.last()?.key.clone(), page.revision)));
        if pages.send(page).await.is_err() {
            return;
        }
        let Some((last, revision)) = next else { return };
        request.after = Some(last);
        request.revision = Some(revision);
    }
}

fn parse(specs: &[KindSpec], entries: &[Entry]) -> Vec<(KindId, Object)> {
    let parse = |entry: &Entry| {
        let (kind, key) = locate(specs, &entry.key)?;
        match Object::parse(&specs[usize::from(kind.0)], key, entry.revision, &entry.value) {
            Ok(object) => Some((kind, object)),
            Err(error) => {
                tracing::error!(key = entry.key, %error, "stored object is unreadable, treated as absent");
                None
            }
        }
    };
    entries.iter().filter_map(parse).collect()
}

/// Refuses encrypted values, which a storage without keys hands out as they are: taken for absent, they would be gone to every
/// controller. With the next attempt, or the next start with keys, nothing was missed.
fn readable<'a>(mut values: impl Iterator<Item = (&'a String, &'a Bytes)>) -> Result<(), Error> {
    match values.find(|(_, value)| encrypted::is_encrypted(value)) {
        Some((key, _)) => Err(Error::Failed(format!(
            "key {key}: its value is encrypted, and this server has no --encryption-provider-config"
        ))),
        None => Ok(()),
    }
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("loading was broken off: {why}"))
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
        readable(
            batch
                .events
                .iter()
                .filter_map(|event| Some((&event.key, event.value.as_ref()?))),
        )?;
        let (next, entry) = current.apply(&cache.specs, &batch, &cache.bounds, cache.written());
        cache.publish(next, entry.as_ref());
    }
    Ok(())
}

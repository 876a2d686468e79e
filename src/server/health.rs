//! What this server looks at when it is asked how it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::health::{Endpoint, Health};
use crate::storage::Storage;
use crate::watchcache::Cache;

/// What has to be done once after the start (k8s.io/apiserver pkg/server/hooks.go, storage_readiness_hook.go).
const STORAGE_READINESS: &str = "poststarthook/storage-readiness";
/// How long etcd may take to answer a health check.
const STORAGE_CHECK: Duration = Duration::from_secs(2);

/// `etcd`: the storage answers. `watch-cache`: everything has been read from it once, so that there is something to serve. A
/// server whose storage is away fails the one, one that still loads fails the other. With a grace period the latter is part of
/// being alive as well, once that is over, by the name that Go has for it.
pub(super) fn checks(cache: &Arc<Cache>, storage: &Arc<dyn Storage>, grace: Duration) -> Health {
    let asked = storage.clone();
    let (cache, loaded) = (cache.clone(), cache.clone());
    let health = Health::new()
        .with("etcd", &Endpoint::ALL, move || {
            let storage = asked.clone();
            async move {
                let answer = tokio::time::timeout(STORAGE_CHECK, storage.current_revision()).await;
                let answer = answer.map_err(|_| "no answer in time".to_owned())?;
                answer.map(|_| ()).map_err(|error| error.to_string())
            }
        })
        .with("watch-cache", &[Endpoint::Readyz], move || {
            let ready = cache.is_ready();
            async move { ready.then_some(()).ok_or_else(|| "not loaded yet".to_owned()) }
        });
    if grace.is_zero() {
        return health;
    }
    let until = Instant::now() + grace;
    health.with(STORAGE_READINESS, &[Endpoint::Livez], move || {
        let alive = loaded.is_ready() || Instant::now() < until;
        async move {
            alive
                .then_some(())
                .ok_or_else(|| format!("not loaded within {grace:?}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::storage::memory::Memory;
    use crate::watchcache::log::Bounds;
    use crate::watchcache::reflector;

    async fn readyz(health: &Health) -> (u16, String) {
        verbose(health, "/readyz").await
    }

    async fn verbose(health: &Health, path: &str) -> (u16, String) {
        let response = health.respond(path, Some("verbose")).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_cache_that_is_not_loaded_is_told_from_a_storage_that_is_away() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let cache = Cache::new(Vec::new(), storage.clone(), Bounds::default());
        let health = checks(&cache, &storage, Duration::ZERO);
        let (code, text) = readyz(&health).await;
        assert_eq!(code, 500);
        assert!(
            text.contains("[+]etcd ok\n[-]watch-cache failed: reason withheld\n"),
            "{text}"
        );
        let stop = CancellationToken::new();
        let following = tokio::spawn(reflector::run(cache.clone(), stop.clone()));
        while !cache.is_ready() {
            tokio::task::yield_now().await;
        }
        let (code, text) = readyz(&health).await;
        assert_eq!(code, 200);
        assert!(text.contains("[+]etcd ok\n[+]watch-cache ok\n"), "{text}");
        stop.cancel();
        following.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_loads_is_not_alive_after_its_grace_period() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let cache = Cache::new(Vec::new(), storage.clone(), Bounds::default());
        let patient = checks(&cache, &storage, Duration::ZERO);
        let health = checks(&cache, &storage, Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(29)).await;
        let (code, text) = verbose(&health, "/livez").await;
        assert!(
            code == 200 && text.contains("[+]poststarthook/storage-readiness ok\n"),
            "{text}"
        );
        tokio::time::advance(Duration::from_secs(2)).await;
        let (code, text) = verbose(&health, "/livez").await;
        assert_eq!(code, 500);
        assert!(
            text.contains("[-]poststarthook/storage-readiness failed: reason withheld\n"),
            "{text}"
        );
        assert_eq!(verbose(&patient, "/livez").await.0, 200);
        let stop = CancellationToken::new();
        let following = tokio::spawn(reflector::run(cache.clone(), stop.clone()));
        while !cache.is_ready() {
            tokio::task::yield_now().await;
        }
        assert_eq!(verbose(&health, "/livez").await.0, 200);
        stop.cancel();
        following.await.unwrap();
    }
}

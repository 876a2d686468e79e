//! What this server looks at when it is asked how it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::http::health::{Endpoint, Health};
use crate::storage::{Error, Storage};
use crate::watchcache::Cache;

/// What has to be done once after the start (k8s.io/apiserver pkg/server/hooks.go, storage_readiness_hook.go).
const STORAGE_READINESS: &str = "poststarthook/storage-readiness";
/// How long etcd may take to answer a health check.
const STORAGE_CHECK: Duration = Duration::from_secs(2);
/// How long its answer holds: whoever asks for health needs no right to, and must not ask etcd as often as they like
/// (k8s.io/apiserver pkg/storage/storagebackend/factory/etcd3.go newETCD3Check).
const STORAGE_CHECKED: Duration = Duration::from_secs(1);

/// `etcd`: the storage answers. `watch-cache`: everything has been read from it once, so that there is something to serve. A
/// server whose storage is away fails the one, one that still loads fails the other. With a grace period the latter is part of
/// being alive as well, once that is over, by the name that Go has for it.
pub(super) fn checks(cache: &Arc<Cache>, storage: &Arc<dyn Storage>, grace: Duration) -> Health {
    let probe = Arc::new(Probe::new(storage.clone()));
    let (cache, loaded) = (cache.clone(), cache.clone());
    let health = Health::new()
        .with("etcd", &Endpoint::ALL, move || {
            let probe = probe.clone();
            async move { probe.ask().await }
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

/// Asks the storage for a sign of life, for all who want to know at a time.
struct Probe {
    storage: Arc<dyn Storage>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Probe {
    fn new(storage: Arc<dyn Storage>) -> Self {
        let last = Mutex::default();
        Self { storage, last }
    }

    async fn ask(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < STORAGE_CHECKED
        {
            return answer.clone();
        }
        let answer = tokio::time::timeout(STORAGE_CHECK, self.storage.current_revision()).await;
        let answer = answer.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".to_owned())));
        let answer = answer.map(|_| ()).map_err(|error| error.to_string());
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;

    use super::super::measured::MeasuredStorage;
    use super::*;
    use crate::groups;
    use crate::storage::memory::Memory;
    use crate::telemetry::metrics::Metrics;
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

    /// Health is anybody's to ask, and the storage is not asked as often as they like.
    #[tokio::test(start_paused = true)]
    async fn the_storage_is_asked_once_for_all_who_ask_within_a_second() {
        let metrics = Arc::new(Metrics::new());
        let registry = groups::registry(&groups::Options::default());
        let storage: Arc<dyn Storage> = MeasuredStorage::new(Arc::new(Memory::new()), &registry, metrics.clone());
        let cache = Cache::new(Vec::new(), storage.clone(), Bounds::default());
        let health = checks(&cache, &storage, Duration::ZERO);
        let asked = || {
            let text = String::from_utf8(metrics.render()).unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("bulward_revision_probe_duration_seconds_count"));
            line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        };
        let before = asked();
        futures::future::join_all((0..50).map(|_| verbose(&health, "/livez"))).await;
        assert_eq!(asked() - before, 1.0);
        tokio::time::advance(STORAGE_CHECKED).await;
        assert_eq!(verbose(&health, "/livez").await.0, 200);
        assert_eq!(asked() - before, 2.0);
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

//! Keeps a store up to date, whatever happens to the connection.

use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use super::store::Store;

/// Pauses between attempts: short at first, since a server that restarts is back soon.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// After this time without an attempt, the next pause is the first one again.
const CALM: Duration = Duration::from_secs(20);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        // Replicas that lost the same server come back one after the other.
        Some(pause.mul_f64(rand::random_range(0.75..1.25)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// Follows `api` until `stop`.
pub(super) async fn follow<K>(api: Api<K>, config: watcher::Config, store: Arc<Store<K>>, stop: CancellationToken)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let url = api.resource_url().to_owned();
    let pauses = ResetTimerBackoff::new(Pauses { next: FIRST }, CALM);
    let events = watcher(api, config)
        .backoff(pauses)
        // Nobody here asks who wrote a field, and it is the larger part of most objects.
        .map_ok(|event| event.modify(|object| object.meta_mut().managed_fields = None));
    tokio::select! {
        () = stop.cancelled() => {}
        () = take(events, &store, &url) => {}
    }
}

async fn take<K: Resource>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    store: &Store<K>,
    url: &str,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => store.take(event),
            Err(error) => tracing::warn!(url, %error, "watch broken, trying again"),
        }
    }
}

//! Objects of the main cluster, kept up to date.

use std::fmt::Debug;
use std::hash::Hash;

use futures::StreamExt;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// Follows `api` until `stop`. `changed` is called after every change, when the store knows it.
pub(super) fn follow<K>(
    api: Api<K>,
    of: K::DynamicType,
    stop: CancellationToken,
    changed: impl Fn() + Send + Sync + 'static,
) -> Store<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Debug + Unpin + Send + Sync,
{
    let url = api.resource_url().to_owned();
    let writer = Writer::<K>::new(of);
    let reader = writer.as_reader();
    tokio::spawn(async move {
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .reflect(writer);
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(_)) => changed(),
                Some(Err(error)) => tracing::warn!(url, %error, "watch broken, trying again"),
                None => return,
            }
        }
    });
    reader
}

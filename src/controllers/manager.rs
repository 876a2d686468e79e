//! Runs controllers: the stores at once, the workers as long as this replica leads.

use std::any::Any;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::election::{Candidate, Election, Lost};
use super::events::Events;
use super::queue::Queue;
use super::store::Store;
use super::{Error, Next, Reconcile, watch};
use crate::telemetry::metrics::controllers::ControllerMetrics;

/// How long a worker stays with a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// Controllers and what they follow, before they run.
pub struct Manager {
    client: Client,
    metrics: Arc<ControllerMetrics>,
    events: Events,
    stop: CancellationToken,
    /// What keeps the stores up to date.
    sources: Vec<BoxFuture<'static, ()>>,
    /// Each ends when a store has its first list.
    synced: Vec<BoxFuture<'static, ()>>,
    /// Each tells of everything in a store.
    tell_all: Vec<Box<dyn Fn() + Send + Sync>>,
    controllers: Vec<Controller>,
}

struct Controller {
    queue: Arc<Queue>,
    workers: usize,
    reconciler: Arc<dyn Reconcile>,
}

impl Manager {
    /// No controllers yet. `instance` tells replicas apart in events; everything ends when `stop` is cancelled.
    pub fn new(client: Client, metrics: Arc<ControllerMetrics>, instance: &str, stop: CancellationToken) -> Self {
        Self {
            events: Events::new(client.clone(), "bulward-controller-manager", instance),
            client,
            metrics,
            stop,
            sources: Vec::new(),
            synced: Vec::new(),
            tell_all: Vec::new(),
            controllers: Vec::new(),
        }
    }

    /// A client of the cluster.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where controllers write events.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// What controllers count.
    pub fn metrics(&self) -> Arc<ControllerMetrics> {
        self.metrics.clone()
    }

    /// A store that follows `api`. Share it: each store is a watch and a copy of the objects.
    pub fn store<K>(&mut self, api: Api<K>, config: watcher::Config) -> Arc<Store<K>>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let store = Arc::new(Store::default());
        let followed = watch::follow(api, config, store.clone(), self.stop.clone());
        self.sources.push(followed.boxed());
        let (waited, told) = (store.clone(), store.clone());
        self.tell_all.push(Box::new(move || told.tell_all()));
        self.synced.push(async move { waited.synced().await }.boxed());
        store
    }

    /// An empty queue, named in the metrics. It takes keys in from when its workers begin; every object is told of then.
    pub fn queue(&self, name: &'static str) -> Arc<Queue> {
        let queue = Queue::new(name, &self.metrics);
        queue.close();
        queue
    }

    /// Reconciles the keys of `queue` by so many workers.
    pub fn controller(&mut self, queue: Arc<Queue>, workers: usize, reconciler: Arc<dyn Reconcile>) {
        self.controllers.push(Controller {
            queue,
            workers,
            reconciler,
        });
    }

    /// Runs until the `stop` given to [`Manager::new`] is cancelled. The stores follow the cluster all the time, so that a
    /// replica that begins to lead need not read everything first; without an election, this replica leads.
    ///
    /// # Errors
    /// When the lease is lost. The process must end then, as another replica may act.
    pub async fn run(self, election: Option<Election>) -> Result<(), Lost> {
        let Self {
            client,
            metrics,
            stop,
            sources,
            synced,
            tell_all,
            controllers,
            ..
        } = self;
        let tasks = TaskTracker::new();
        for source in sources {
            tasks.spawn(source);
        }
        let workers = TaskTracker::new();
        let work = async {
            join_all(synced).await;
            tracing::info!("everything is listed, reconciling");
            for controller in &controllers {
                controller.queue.open();
            }
            for tell in &tell_all {
                tell();
            }
            for Controller {
                queue,
                workers: count,
                reconciler,
            } in &controllers
            {
                for _ in 0..*count {
                    workers.spawn(worker(queue.clone(), reconciler.clone(), stop.clone()));
                }
            }
            stop.cancelled().await;
        };
        let outcome = match election {
            None => {
                let _ = stop.run_until_cancelled(work).await;
                Ok(())
            }
            Some(election) => lead(client, election, &metrics, &stop, work, &workers).await,
        };
        workers.close();
        if outcome.is_ok() {
            workers.wait().await;
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        outcome
    }
}

/// Does `work` while this replica holds the lease, and releases the lease once all `workers` have stopped.
async fn lead(
    client: Client,
    election: Election,
    metrics: &ControllerMetrics,
    stop: &CancellationToken,
    work: impl Future<Output = ()>,
    workers: &TaskTracker,
) -> Result<(), Lost> {
    let lease = election.name.clone();
    metrics.leading(&lease, false);
    tracing::info!(lease, identity = election.identity, "waiting for the lease");
    let mut candidate = Candidate::new(client, election);
    if stop.run_until_cancelled(candidate.acquire()).await.is_none() {
        return Ok(());
    }
    tracing::info!(lease, "leading");
    metrics.leading(&lease, true);
    let lost = tokio::select! {
        lost = candidate.keep() => Some(lost),
        () = work => None,
        () = stop.cancelled() => None,
    };
    if let Some(lost) = lost {
        // Workers that are in the middle of something are cut when the process ends, which is now.
        return Err(lost);
    }
    workers.close();
    // Still the leader while they finish: nobody else may act before.
    tokio::select! {
        lost = candidate.keep() => return Err(lost),
        () = workers.wait() => {}
    }
    metrics.leading(&lease, false);
    candidate.release().await;
    Ok(())
}

/// Reconciles one key after the other until `stop`; a key that it is at is finished.
async fn worker(queue: Arc<Queue>, reconciler: Arc<dyn Reconcile>, stop: CancellationToken) {
    while let Some(item) = stop.run_until_cancelled(queue.next()).await {
        let (key, controller, began) = (&item.key, queue.name(), Instant::now());
        // A request that is never answered must not keep the worker; what was begun is looked at again.
        let patient = timeout(PATIENCE, reconciler.reconcile(key));
        let patient = patient.map(|in_time| in_time.unwrap_or(Err(Error::Timeout(PATIENCE))));
        let outcome = AssertUnwindSafe(patient).catch_unwind().await;
        match outcome.unwrap_or_else(|panic| Err(Error::Panic(text(&*panic)))) {
            Ok(next) => {
                queue.forget(key);
                if let Next::After(pause) = next {
                    queue.add_after(key.clone(), pause);
                }
                tracing::trace!(controller, %key, took = ?began.elapsed(), "reconciled");
            }
            Err(error) => {
                let pause = queue.add_rate_limited(key.clone());
                if error.is_stale() {
                    tracing::debug!(controller, %key, %error, ?pause, "known too little, trying again");
                } else {
                    tracing::warn!(controller, %key, %error, ?pause, "not reconciled, trying again");
                }
            }
        }
        queue.done(key);
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("of an unknown kind").to_owned()
}

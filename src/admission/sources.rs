//! What the main cluster says about admission, followed as it changes: compiled once a change, read without a lock.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::{self, Lookup, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::READY;
use super::equivalents::Equivalents;
use super::namespaces::Namespaces;
use super::webhook::client::Clients;
use super::webhook::configuration::Identities;
use super::webhook::{Compiler, Configuration, Hook};

/// What a request is told that has waited in vain.
const NOT_READY: &str = "not yet ready to handle request";

/// Something that follows the cluster.
pub struct Source<T> {
    current: ArcSwap<T>,
    ready: watch::Sender<bool>,
}

impl<T: Default> Default for Source<T> {
    fn default() -> Self {
        Self {
            current: ArcSwap::default(),
            ready: watch::Sender::new(false),
        }
    }
}

impl<T> Source<T> {
    /// What is known.
    pub fn load(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Takes in what is known now.
    pub fn put(&self, value: T) {
        self.current.store(Arc::new(value));
        self.ready.send_replace(true);
    }

    /// Whether everything has been read once.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until everything has been read once.
    ///
    /// # Errors
    /// It takes too long: the reason of a refusal.
    pub async fn ready(&self) -> Result<(), &'static str> {
        if self.is_ready() {
            return Ok(());
        }
        let mut ready = self.ready.subscribe();
        let waited = tokio::time::timeout(READY, ready.wait_for(|ready| *ready)).await;
        waited.ok().and_then(Result::ok).map(|_| ()).ok_or(NOT_READY)
    }
}

/// Webhooks of one sort, in their order.
pub type Hooks = Source<Vec<Arc<Hook>>>;

/// Everything that is followed.
pub struct Sources {
    namespaces: Namespaces,
    namespaces_read: Source<()>,
    mutating: Hooks,
    validating: Hooks,
    resources: Arc<Equivalents>,
}

impl Sources {
    /// Follows a cluster until `stop`. Webhooks are shown what is configured.
    pub fn follow(
        client: &Client,
        resources: Arc<Equivalents>,
        shown: Identities,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let (known, writer) = reflector::store();
        let namespaces = Namespaces::new(known, Arc::new(Api::<Namespace>::all(client.clone())));
        let sources = Arc::new(Self::new(namespaces, resources.clone()));

        let read = sources.clone();
        let changed = move || {
            if !read.namespaces_read.is_ready() {
                read.namespaces_read.put(());
            }
        };
        let namespaces = Api::<Namespace>::all(client.clone());
        tokio::spawn(follow(namespaces, writer, changed, stop.clone()));

        let clients = |credentials| Arc::new(Clients::new(Some(client.clone()), credentials));
        let (mutating, validating) = (clients(shown.mutating), clients(shown.validating));
        sources.follow_hooks::<MutatingWebhookConfiguration>(client, &mutating, Self::mutating, stop);
        sources.follow_hooks::<ValidatingWebhookConfiguration>(client, &validating, Self::validating, stop);
        sources
    }

    /// Follows the configurations of webhooks of one sort, in the order of their names.
    fn follow_hooks<K>(
        self: &Arc<Self>,
        client: &Client,
        clients: &Arc<Clients>,
        hooks: fn(&Self) -> &Hooks,
        stop: &CancellationToken,
    ) where
        K: Configuration
            + Resource<DynamicType = (), Scope = ClusterResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let (store, writer) = reflector::store::<K>();
        let changed = Arc::new(Notify::new());
        let told = changed.clone();
        let api = Api::<K>::all(client.clone());
        tokio::spawn(follow(api, writer, move || told.notify_one(), stop.clone()));
        let mut compiler = Compiler::new(clients.clone(), self.resources.clone());
        let (sources, stop) = (self.clone(), stop.clone());
        tokio::spawn(async move {
            while stop.run_until_cancelled(changed.notified()).await.is_some() {
                let mut all = store.state();
                all.sort_by(|a, b| a.meta().name.cmp(&b.meta().name));
                let compiled = compiler.compile(&all).await;
                tracing::info!(kind = %K::kind(&()), relevant = compiled.len(), "webhooks have been read");
                hooks(&sources).put(compiled);
            }
        });
    }

    /// Sources that follow nothing yet.
    pub fn new(namespaces: Namespaces, resources: Arc<Equivalents>) -> Self {
        Self {
            namespaces,
            namespaces_read: Source::default(),
            mutating: Source::default(),
            validating: Source::default(),
            resources,
        }
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Which resources show the same objects.
    pub fn resources(&self) -> &Arc<Equivalents> {
        &self.resources
    }

    /// The webhooks that change.
    pub fn mutating(&self) -> &Hooks {
        &self.mutating
    }

    /// The webhooks that judge.
    pub fn validating(&self) -> &Hooks {
        &self.validating
    }

    /// Waits until all namespaces have been read once.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn namespaces_ready(&self) -> Result<(), &'static str> {
        self.namespaces_read.ready().await
    }

    /// Whether webhooks of one sort may be about writes of a resource; while they have not been read, nobody knows.
    pub fn concern(&self, hooks: &Hooks, resource: &crate::rest::resource::Resource) -> bool {
        let about = |hook: &Arc<Hook>| hook.matcher.concerns(resource, &self.resources);
        !hooks.is_ready() || hooks.load().iter().any(about)
    }

    /// Waits until everything that webhooks of one sort depend on has been read once.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn ready(&self, hooks: &Hooks) -> Result<(), &'static str> {
        hooks.ready().await?;
        self.namespaces_ready().await
    }

    /// What has not been read yet.
    pub fn missing(&self) -> Option<&'static str> {
        let all = [
            ("namespaces", self.namespaces_read.is_ready()),
            ("mutatingwebhookconfigurations", self.mutating.is_ready()),
            ("validatingwebhookconfigurations", self.validating.is_ready()),
        ];
        all.into_iter().find_map(|(name, ready)| (!ready).then_some(name))
    }
}

/// Keeps a store up to date until `stop`, and says so after every change; not while the first list is being read.
pub async fn follow<K, F>(api: Api<K>, mut writer: Writer<K>, mut changed: F, stop: CancellationToken)
where
    K: Resource + Lookup + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
    F: FnMut() + Send,
{
    let url = api.resource_url().to_owned();
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .map_ok(|event| event.modify(|object| object.meta_mut().managed_fields = None));
    let mut events = std::pin::pin!(events);
    while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
        match event {
            Ok(event) => {
                writer.apply_watcher_event(&event);
                if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                    changed();
                }
            }
            Err(error) => tracing::warn!(url, %error, "watch broken, trying again"),
        }
    }
}

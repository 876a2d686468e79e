//! kube-rs: a reflector behind a watcher with either way to a first list, of whole objects and of metadata alone.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::GroupVersionKind;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::picture::{Follower, Key, Known, Listed, Picture, compare};

/// Followers of one user. Dropping it ends them.
pub(super) struct Reflectors {
    client: Client,
    user: &'static str,
    tasks: Vec<JoinHandle<()>>,
    pub(super) followers: Vec<Follower>,
}

impl Reflectors {
    /// With kube-rs' own defaults, also for retries.
    pub(super) async fn new(user: &'static str, kubeconfig: &Path) -> Reflectors {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
        Reflectors {
            client: Client::try_from(config.unwrap()).unwrap(),
            user,
            tasks: Vec::new(),
            followers: Vec::new(),
        }
    }

    /// Follows a kind of `group_version` in all four ways.
    pub(super) fn follow(&mut self, group_version: &str, kind: &str, path: &'static str) {
        let (group, version) = group_version.split_once('/').unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let ways = [
            ("ListWatch", watcher::Config::default().page_size(7)),
            ("StreamingList", watcher::Config::default().streaming_lists()),
        ];
        for (way, config) in ways {
            let objects = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
            self.start(
                format!("kube-rs, {way} of {kind}"),
                path,
                objects,
                &resource,
                config.clone(),
            );
            let metadata = Api::<PartialObjectMeta<DynamicObject>>::all_with(self.client.clone(), &resource);
            self.start(
                format!("kube-rs, {way} of {kind} metadata"),
                path,
                metadata,
                &resource,
                config,
            );
        }
    }

    fn start<K>(
        &mut self,
        name: String,
        path: &'static str,
        api: Api<K>,
        resource: &ApiResource,
        config: watcher::Config,
    ) where
        K: Resource<DynamicType = ApiResource> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let writer = reflector::store::Writer::<K>::new(resource.clone());
        let store = writer.as_reader();
        // What a controller would be told: every object that was there, or has changed.
        let applied = Arc::<Mutex<Picture>>::default();
        let told = applied.clone();
        let stream = watcher(api, config).default_backoff().reflect(writer).applied_objects();
        self.tasks.push(tokio::spawn(stream.for_each(move |item| {
            if let Ok(object) = item {
                let (key, known) = known(&object);
                told.lock().insert(key, known);
            }
            std::future::ready(())
        })));
        self.followers.push(Follower {
            name,
            user: self.user,
            path,
            check: Box::new(move |listed| check(&store, &applied, listed)),
        });
    }
}

impl Drop for Reflectors {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn check<K>(store: &Store<K>, applied: &Mutex<Picture>, listed: &Listed) -> Result<(), String>
where
    K: Resource<DynamicType = ApiResource> + Clone + 'static,
{
    let picture = store.state().iter().map(|object| known(&**object)).collect();
    compare(&picture, &listed.picture)?;
    let mut applied = applied.lock().clone();
    applied.retain(|key, _| listed.picture.contains_key(key));
    compare(&applied, &listed.picture).map_err(|why| format!("applied_objects: {why}"))
}

fn known<K: Resource>(object: &K) -> (Key, Known) {
    let known = Known {
        uid: object.uid().unwrap_or_default(),
        version: object.resource_version().unwrap_or_default(),
        labels: object.labels().clone(),
    };
    ((object.namespace().unwrap_or_default(), object.name_any()), known)
}

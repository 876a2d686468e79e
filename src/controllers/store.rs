//! What a controller knows of the cluster: the objects of one kind, kept up to date by a watch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::Key;
use super::queue::Queue;

/// The objects of one kind, in the order of their keys.
pub struct Store<K> {
    objects: RwLock<BTreeMap<Key, Arc<K>>>,
    subscribers: RwLock<Vec<Subscriber<K>>>,
    /// Keys seen since a new list began.
    listing: Mutex<Option<BTreeSet<Key>>>,
    synced: watch::Sender<bool>,
}

type Subscriber<K> = Box<dyn Fn(&Change<'_, K>) + Send + Sync>;

/// An object before and after; one of the two is there.
#[derive(Debug)]
pub struct Change<'a, K> {
    /// Nothing for an object that is new.
    pub old: Option<&'a Arc<K>>,
    /// Nothing for an object that is gone.
    pub new: Option<&'a Arc<K>>,
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("objects", &self.objects.read().len())
            .finish_non_exhaustive()
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
            subscribers: RwLock::default(),
            listing: Mutex::default(),
            synced: watch::Sender::new(false),
        }
    }
}

impl<K> Store<K> {
    /// The object of a key.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.read().get(key).cloned()
    }

    /// The objects of a namespace.
    pub fn within(&self, namespace: &str) -> Vec<Arc<K>> {
        let objects = self.objects.read();
        let from = objects.range(Key::new(namespace, "")..);
        from.take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.objects.read().values().cloned().collect()
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        // The sender lives as long as the store.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }
}

impl<K: Send + Sync + 'static> Store<K> {
    /// Puts keys into a queue at every change. It is called with the store as it is after the change, and must not block.
    pub fn notify(&self, queue: &Arc<Queue>, keys: impl Fn(&Change<'_, K>) -> Vec<Key> + Send + Sync + 'static) {
        let queue = queue.clone();
        self.subscribers.write().push(Box::new(move |change| {
            for key in keys(change) {
                queue.add(key);
            }
        }));
    }
}

impl<K: Resource> Store<K> {
    /// Takes in one event of a watch.
    pub fn take(&self, event: Event<K>) {
        match event {
            Event::Init => *self.listing.lock() = Some(BTreeSet::new()),
            Event::InitApply(object) => {
                if let Some(seen) = &mut *self.listing.lock() {
                    seen.insert(Key::of(&object));
                }
                self.put(object);
            }
            Event::Apply(object) => self.put(object),
            Event::Delete(object) => self.remove(&Key::of(&object)),
            Event::InitDone => {
                // What was deleted while nobody watched has no event of its own.
                let seen = self.listing.lock().take().unwrap_or_default();
                let gone: Vec<Key> = {
                    let objects = self.objects.read();
                    objects.keys().filter(|key| !seen.contains(*key)).cloned().collect()
                };
                for key in &gone {
                    self.remove(key);
                }
                self.synced.send_replace(true);
            }
        }
    }

    /// Tells everybody of every object, as if each were new.
    pub fn tell_all(&self) {
        let all: Vec<Arc<K>> = self.objects.read().values().cloned().collect();
        for object in &all {
            self.tell(&Change {
                old: None,
                new: Some(object),
            });
        }
    }

    fn put(&self, object: K) {
        let (key, object) = (Key::of(&object), Arc::new(object));
        let old = self.objects.write().insert(key, object.clone());
        let same = |old: &Arc<K>| {
            let (old, new) = (old.meta(), object.meta());
            old.resource_version.is_some() && (&old.uid, &old.resource_version) == (&new.uid, &new.resource_version)
        };
        if !old.as_ref().is_some_and(same) {
            self.tell(&Change {
                old: old.as_ref(),
                new: Some(&object),
            });
        }
    }

    fn remove(&self, key: &Key) {
        let old = self.objects.write().remove(key);
        if let Some(old) = &old {
            self.tell(&Change {
                old: Some(old),
                new: None,
            });
        }
    }

    fn tell(&self, change: &Change<'_, K>) {
        for subscriber in &*self.subscribers.read() {
            subscriber(change);
        }
    }
}

impl<K: Resource> Change<'_, K> {
    /// The object as it is now or, if it is gone, as it was.
    ///
    /// # Panics
    /// Never: one of the two is there.
    pub fn object(&self) -> &K {
        self.new.or(self.old).expect("one of the two is there")
    }

    /// Its key.
    pub fn key(&self) -> Key {
        Key::of(self.object())
    }
}

#[cfg(test)]
mod tests;

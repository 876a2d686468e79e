//! Which resources show the same objects (k8s.io/apimachinery pkg/runtime/mapper.go EquivalentResourceRegistry).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::rest::resource::{Registry, Resource};

/// Everything that is served.
pub struct Equivalents(Vec<Arc<Resource>>);

impl Equivalents {
    /// The resources of a registry, in its order.
    pub fn new(registry: &Registry) -> Self {
        Self(registry.resources().cloned().collect())
    }

    /// Every resource that can be written.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.0.iter()
    }

    /// The other resources of the same stored objects.
    pub fn others<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = &'a Arc<Resource>> {
        let same = move |one: &&Arc<Resource>| {
            Arc::ptr_eq(&one.stored, &resource.stored) && one.group_version != resource.group_version
        };
        self.0.iter().filter(same)
    }
}

/// An object of one resource as another of the same objects shows it.
pub fn converted<'a>(object: &'a Value, from: &Resource, to: &Resource) -> Cow<'a, Value> {
    if object.is_null() || from.group_version == to.group_version {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    from.store(&mut object);
    to.serve(&mut object);
    Cow::Owned(to.complete(object))
}

//! What the tenancy controllers know of the cluster.

use std::ops::Deref;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ApiResource, GroupVersionKind, Object};
use kube::runtime::watcher::Config;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::STORAGE;
use super::super::organization::Status;
use super::namespace::{owner_uid, splits};
use crate::controllers::Key;
use crate::controllers::manager::Manager;
use crate::controllers::store::Store;
use crate::wire::subject::Subject;

/// An Organization or a Project, as far as controllers look at it.
pub type Tenant = Object<Lenient<Owned>, Lenient<Status>>;

/// What controllers read of a spec.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Owned {
    /// Who owns it.
    #[serde(deserialize_with = "readable")]
    pub owners: Vec<Subject>,
}

/// A part of an object that is taken as empty where it cannot be read: one odd object must not stop a watch.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lenient<T>(pub T);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Cluster-scoped.
    Organization,
    /// In an Organization's namespace.
    Project,
}

/// Stores of everything that more than one controller looks at.
#[derive(Debug)]
pub struct World {
    /// All Organizations, by name.
    pub organizations: Arc<Store<Tenant>>,
    /// All Projects.
    pub projects: Arc<Store<Tenant>>,
    /// All Namespaces of the cluster.
    pub namespaces: Arc<Store<Namespace>>,
    /// All RoleBindings of the cluster.
    pub bindings: Arc<Store<RoleBinding>>,
}

// === impl World ===

impl World {
    /// Begins to follow the cluster.
    pub fn follow(manager: &mut Manager) -> Self {
        let client = manager.client();
        let mut tenants = |kind: Kind| {
            let api = Api::all_with(client.clone(), &kind.resource());
            manager.store(api, Config::default())
        };
        Self {
            organizations: tenants(Kind::Organization),
            projects: tenants(Kind::Project),
            namespaces: manager.store(Api::all(client.clone()), Config::default()),
            bindings: manager.store(Api::all(client.clone()), Config::default()),
        }
    }

    /// The Organization of that name, if there is one; its namespace is called the same.
    pub fn organization_called(&self, name: &str) -> Vec<Key> {
        let key = Key::cluster(name);
        let found = self.organizations.get(&key).map(|_| key);
        found.into_iter().collect()
    }

    /// The Projects whose namespace is called so, by name alone: `a-b` is that of Project `b` in `a`.
    pub fn projects_called(&self, namespace: &str) -> Vec<Key> {
        let there = |key: &Key| self.projects.get(key).is_some();
        splits(namespace).filter(there).collect()
    }

    /// Whether an Organization or a Project that exists owns a Namespace.
    pub fn holds(&self, namespace: Option<&Namespace>) -> bool {
        let Some(uid) = namespace.and_then(owner_uid) else {
            return false;
        };
        let mut all = self.organizations.all().into_iter().chain(self.projects.all());
        all.any(|tenant| tenant.metadata.uid.as_deref() == Some(uid))
    }
}

// === impl Kind ===

impl Kind {
    /// As kube-rs names it: the unfiltered view.
    pub fn resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(STORAGE, "v1alpha1", self.name());
        ApiResource::from_gvk_with_plural(&gvk, self.plural())
    }

    /// `Organization`
    pub fn name(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::Project => "Project",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Organization => "organizations",
            Self::Project => "projects",
        }
    }
}

// === impl Lenient ===

impl<T> Deref for Lenient<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).unwrap_or_default()))
    }
}

/// The subjects that can be read, whatever the others are.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Subject>, D::Error> {
    let all = Vec::<Lenient<Option<Subject>>>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|subject| subject.0).collect())
}

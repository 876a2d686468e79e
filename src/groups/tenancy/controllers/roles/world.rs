//! What is known of roles and of what makes them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, ApiResource, GroupVersionKind, Object};
use kube::runtime::watcher::Config;
use tokio::sync::RwLock;

use super::super::world::{Lenient, World};
use super::maker::{Maker, MakerKind, MakerObject};
use super::memory::Memory;
use super::plan::Facts;
use super::target::Target;
use crate::controllers::Key;
use crate::controllers::manager::Manager;
use crate::controllers::store::Store;
use crate::groups::tenancy::STORAGE;
use crate::groups::tenancy::rbac::Groups;
use crate::groups::tenancy::role_original::RoleOriginalSpec;

/// What is kept of a Role.
pub(super) type Original = Object<Lenient<RoleOriginalSpec>, ()>;

/// Stores of all that has to do with roles.
pub(super) struct RoleWorld {
    /// What all controllers know.
    pub(super) base: Arc<World>,
    /// All Roles of the cluster.
    pub(super) roles: Arc<Store<Role>>,
    /// What is kept of some.
    pub(super) originals: Arc<Store<Original>>,
    /// What makes roles, by kind.
    makers: [(MakerKind, Arc<Store<MakerObject>>); 4],
    /// The cluster's API groups, once they are known.
    pub(super) groups: ArcSwapOption<Groups>,
    /// Who made what.
    pub(super) made: Arc<Memory>,
    /// Held for reading by whoever makes roles, from the look until it is done.
    pub(super) making: RwLock<()>,
}

impl RoleWorld {
    /// Begins to follow the cluster.
    pub(super) fn follow(manager: &mut Manager, base: &Arc<World>) -> Self {
        let client = manager.client();
        let roles: Arc<Store<Role>> = manager.store(Api::all(client.clone()), Config::default());
        let originals = manager.store(Api::all_with(client.clone(), &original_resource()), Config::default());
        let mut store = |kind: MakerKind| {
            let api = Api::all_with(client.clone(), &kind.resource());
            (kind, manager.store(api, Config::default()))
        };
        let makers = MakerKind::ALL.map(&mut store);
        Self {
            base: base.clone(),
            roles,
            originals,
            makers,
            groups: ArcSwapOption::empty(),
            made: Arc::default(),
            making: RwLock::new(()),
        }
    }

    /// The store of one kind of makers.
    pub(super) fn makers(&self, kind: MakerKind) -> &Arc<Store<MakerObject>> {
        let found = self.makers.iter().find(|(of, _)| *of == kind);
        &found.unwrap_or(&self.makers[0]).1
    }

    /// What a namespace needs depends on this; nothing if no role may be made there, or not enough is known yet.
    pub(super) fn facts(&self, namespace: &str) -> Option<Facts> {
        let target = Target::of(&self.base, namespace)?;
        self.facts_of(target)
    }

    /// The same of a target.
    pub(super) fn facts_of(&self, target: Target) -> Option<Facts> {
        let groups = self.groups.load_full()?;
        let makers = self.makers.iter().flat_map(|(kind, store)| {
            let objects = if kind.namespaced() {
                store.within(&target.home)
            } else {
                store.all()
            };
            objects.into_iter().map(|object| Maker::new(*kind, object))
        });
        let originals = self.originals.within(&target.namespace).into_iter().map(|original| {
            let name = original.metadata.name.clone().unwrap_or_default();
            (name, original.spec.0.clone())
        });
        Some(Facts {
            makers: makers.collect(),
            roles: self.roles.within(&target.namespace),
            bindings: self.base.bindings.within(&target.namespace),
            originals: originals.collect(),
            groups,
            made: self.made.clone(),
            target,
        })
    }

    /// The namespaces of an Organization and of the Projects in it.
    pub(super) fn namespaces_of(&self, home: &str) -> Vec<String> {
        let projects = self.base.projects.within(home);
        let names = projects
            .iter()
            .map(|project| Key::of(&**project))
            .map(|key| format!("{home}-{}", key.name));
        std::iter::once(home.to_owned()).chain(names).collect()
    }

    /// The namespaces of all Organizations and Projects.
    pub(super) fn all_namespaces(&self) -> Vec<String> {
        let organizations = self.base.organizations.all();
        let organizations = organizations.iter().map(|it| Key::of(&**it).name);
        let projects = self.base.projects.all();
        let projects = projects
            .iter()
            .map(|it| Key::of(&**it))
            .map(|key| format!("{}-{}", key.namespace, key.name));
        organizations.chain(projects).collect()
    }

    /// The namespaces that a maker may be about.
    pub(super) fn namespaces_near(&self, kind: MakerKind, key: &Key) -> Vec<String> {
        match kind {
            MakerKind::OrganizationRoleTemplate => self.all_namespaces(),
            MakerKind::OrganizationRole => vec![key.namespace.clone()],
            MakerKind::ProjectRoleTemplate | MakerKind::ProjectRole => self.namespaces_of(&key.namespace),
        }
    }
}

/// RoleOriginals, as kube-rs names them.
pub(super) fn original_resource() -> ApiResource {
    let gvk = GroupVersionKind::gvk(STORAGE, "v1alpha1", "RoleOriginal");
    ApiResource::from_gvk_with_plural(&gvk, "roleoriginals")
}

//! Where roles are made: the Namespace of an Organization or a Project that is ready.

use std::collections::BTreeMap;

use super::super::namespace::{is_terminating, owner_uid, splits};
use super::super::status::is_ready;
use super::super::world::{Tenant, World};
use crate::controllers::Key;
use crate::groups::tenancy::makers::Level;
use crate::wire::subject::Subject;

/// The Namespace of a ready Organization or Project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which of the two.
    pub level: Level,
    /// Key of the Organization or Project.
    pub key: Key,
    /// Its uid, which the Namespace carries.
    pub uid: String,
    /// Name of the Namespace.
    pub namespace: String,
    /// The namespace of the Organization: its own, or the one that the Project lies in.
    pub home: String,
    /// Whether it is an Organization or belongs to one.
    pub in_organization: bool,
    /// Labels of the Organization or Project.
    pub labels: BTreeMap<String, String>,
    /// Who owns the Organization.
    pub organization_owners: Vec<Subject>,
    /// Who owns the Organization or Project itself.
    pub owners: Vec<Subject>,
    /// Members by RoleBindings of this very namespace.
    pub members: Vec<Subject>,
}

impl Target {
    /// Whose Namespace it is, if roles may be made in it now: neither in what goes away nor in what is somebody else's.
    pub fn of(world: &World, namespace: &str) -> Option<Self> {
        let found = world.namespaces.get(&Key::cluster(namespace))?;
        let uid = owner_uid(&found).filter(|_| !is_terminating(&found))?;
        let owns = |tenant: &Tenant| tenant.metadata.uid.as_deref() == Some(uid) && may_have_roles(tenant);
        if let Some(tenant) = world.organizations.get(&Key::cluster(namespace)).filter(|it| owns(it)) {
            let own = tenant.status.as_deref().and_then(|status| status.own_members.clone());
            return Some(Self {
                home: namespace.to_owned(),
                in_organization: true,
                organization_owners: tenant.spec.owners.clone(),
                ..Self::new(Level::Organization, namespace, &tenant, own)
            });
        }
        let (key, tenant) = splits(namespace).find_map(|key| {
            let tenant = world.projects.get(&key).filter(|it| owns(it))?;
            Some((key, tenant))
        })?;
        let organization = world.organizations.get(&Key::cluster(&key.namespace));
        let around = world.namespaces.get(&Key::cluster(&key.namespace))?;
        let organization = organization.filter(|it| {
            let uid = it.metadata.uid.as_deref();
            uid.is_some() && uid == owner_uid(&around)
        });
        if is_terminating(&around)
            || organization
                .as_ref()
                .is_some_and(|it| it.metadata.deletion_timestamp.is_some())
        {
            return None;
        }
        Some(Self {
            home: key.namespace,
            in_organization: organization.is_some(),
            organization_owners: organization.map(|it| it.spec.owners.clone()).unwrap_or_default(),
            ..Self::new(Level::Project, namespace, &tenant, None)
        })
    }

    fn new(level: Level, namespace: &str, tenant: &Tenant, own_members: Option<Vec<Subject>>) -> Self {
        let members = || tenant.status.as_deref().map(|status| status.members.clone());
        Self {
            level,
            key: Key::of(tenant),
            uid: tenant.metadata.uid.clone().unwrap_or_default(),
            namespace: namespace.to_owned(),
            home: String::new(),
            in_organization: false,
            labels: tenant.metadata.labels.clone().unwrap_or_default(),
            organization_owners: Vec::new(),
            owners: tenant.spec.owners.clone(),
            members: own_members.or_else(members).unwrap_or_default(),
        }
    }
}

/// Ready, and to stay.
fn may_have_roles(tenant: &Tenant) -> bool {
    tenant.metadata.deletion_timestamp.is_none() && tenant.status.as_deref().is_some_and(is_ready)
}

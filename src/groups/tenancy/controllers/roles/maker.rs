//! What makes roles, in one form: the four kinds differ in where they apply and whom they bind.

use std::sync::Arc;

use kube::Resource;
use kube::api::{ApiResource, GroupVersionKind, Object};
use serde::{Deserialize, Serialize};

use super::super::world::Lenient;
use super::target::Target;
use crate::controllers::Key;
use crate::groups::tenancy::ROLES;
use crate::groups::tenancy::makers::{BindTo, Level, RoleStatus};
use crate::groups::tenancy::rbac::Rule;
use crate::groups::tenancy::selector::ProjectSelector;
use crate::wire::subject::Subject;

/// An object of one of the four kinds, as far as controllers look at it.
pub type MakerObject = Object<Lenient<Spec>, Lenient<RoleStatus>>;

/// What controllers read of a spec: the fields of all four kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Of an OrganizationRoleTemplate: where it applies.
    pub scopes: Vec<Level>,
    /// Of the templates: whom they bind.
    pub bind_to: Vec<BindTo>,
    /// Which Projects it applies to.
    pub project_selector: Option<ProjectSelector>,
    /// Of the roles: whom they bind.
    pub subjects: Vec<Subject>,
    /// What is asked for.
    pub rules: Vec<Rule>,
}

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MakerKind {
    /// The administrator's, for all Organizations.
    OrganizationRoleTemplate,
    /// An Organization's, for its Projects.
    ProjectRoleTemplate,
    /// An Organization's, for itself.
    OrganizationRole,
    /// An Organization's, for its Projects.
    ProjectRole,
}

/// One maker.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Which of the four kinds.
    pub kind: MakerKind,
    /// Its key.
    pub key: Key,
    /// The object.
    pub object: Arc<MakerObject>,
}

// === impl MakerKind ===

impl MakerKind {
    /// All of them; who is first gets a name that two want.
    pub const ALL: [Self; 4] = [
        Self::OrganizationRoleTemplate,
        Self::ProjectRoleTemplate,
        Self::OrganizationRole,
        Self::ProjectRole,
    ];

    /// `OrganizationRoleTemplate`
    pub fn name(self) -> &'static str {
        match self {
            Self::OrganizationRoleTemplate => "OrganizationRoleTemplate",
            Self::ProjectRoleTemplate => "ProjectRoleTemplate",
            Self::OrganizationRole => "OrganizationRole",
            Self::ProjectRole => "ProjectRole",
        }
    }

    /// `organizationroletemplate`; also the name of the controller.
    pub fn singular(self) -> &'static str {
        match self {
            Self::OrganizationRoleTemplate => "organizationroletemplate",
            Self::ProjectRoleTemplate => "projectroletemplate",
            Self::OrganizationRole => "organizationrole",
            Self::ProjectRole => "projectrole",
        }
    }

    /// The finalizer that is ours.
    pub fn finalizer(self) -> String {
        format!("{}.bulward.io/controller", self.singular())
    }

    /// Whether it lies in an Organization's namespace.
    pub fn namespaced(self) -> bool {
        self != Self::OrganizationRoleTemplate
    }

    /// Whether its status shows rules: that of templates does not.
    pub fn shows_rules(self) -> bool {
        matches!(self, Self::OrganizationRole | Self::ProjectRole)
    }

    /// As kube-rs names it.
    pub fn resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(ROLES, "v1alpha1", self.name());
        ApiResource::from_gvk_with_plural(&gvk, &format!("{}s", self.singular()))
    }
}

// === impl Maker ===

impl Maker {
    /// A maker of this kind.
    pub fn new(kind: MakerKind, object: Arc<MakerObject>) -> Self {
        Self {
            kind,
            key: Key::of(&*object),
            object,
        }
    }

    /// Its uid.
    pub fn uid(&self) -> &str {
        self.object.meta().uid.as_deref().unwrap_or_default()
    }

    /// What it asks for.
    pub fn spec(&self) -> &Spec {
        &self.object.spec.0
    }

    /// Whether it is going away.
    pub fn is_deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    /// Whether our finalizer is on it; nothing is made before.
    pub fn has_finalizer(&self) -> bool {
        let ours = self.kind.finalizer();
        self.object.meta().finalizers.iter().flatten().any(|one| *one == ours)
    }

    /// The name of its Roles and RoleBindings.
    pub fn role_name(&self) -> String {
        match self.kind.shows_rules() {
            true => format!("{}:{}", self.kind.singular(), self.key.name),
            false => self.key.name.clone(),
        }
    }

    /// Whether it is about this target, whatever its own state is.
    pub fn selects(&self, target: &Target) -> bool {
        let spec = self.spec();
        let selected = || {
            spec.project_selector
                .as_ref()
                .map(|selector| selector.matches(&target.labels))
        };
        let of_home = self.key.namespace == target.home && target.level == Level::Project;
        match self.kind {
            MakerKind::OrganizationRoleTemplate => {
                target.in_organization
                    && spec.scopes.contains(&target.level)
                    && (target.level == Level::Organization || selected().unwrap_or(true))
            }
            MakerKind::OrganizationRole => {
                target.level == Level::Organization && self.key.namespace == target.namespace
            }
            MakerKind::ProjectRoleTemplate | MakerKind::ProjectRole => of_home && selected().unwrap_or(false),
        }
    }

    /// Whether a role is to be in the target.
    pub fn applies(&self, target: &Target) -> bool {
        !self.is_deleting() && self.has_finalizer() && self.selects(target)
    }

    /// Whom it binds there; nothing for no RoleBinding.
    pub fn subjects(&self, target: &Target) -> Option<Vec<Subject>> {
        let bind_to = &self.spec().bind_to;
        let mut subjects = match self.kind {
            MakerKind::OrganizationRole | MakerKind::ProjectRole => self.spec().subjects.clone(),
            MakerKind::OrganizationRoleTemplate if bind_to.is_empty() => return None,
            MakerKind::OrganizationRoleTemplate | MakerKind::ProjectRoleTemplate => {
                let of_projects = self.kind == MakerKind::ProjectRoleTemplate;
                let owners = if of_projects {
                    &target.owners
                } else {
                    &target.organization_owners
                };
                let everyone = bind_to.contains(&BindTo::Everyone);
                let rest = [&target.owners, &target.members].into_iter().flatten();
                let owners = owners.iter().filter(|_| !bind_to.is_empty());
                owners.chain(rest.filter(|_| everyone)).cloned().collect()
            }
        };
        subjects.retain(|subject| subject.key().is_some());
        subjects.sort_unstable();
        subjects.dedup();
        Some(subjects)
    }

    /// Whether its RoleBindings make nobody a member, since they follow from who is one.
    pub fn binds_everyone(&self) -> bool {
        self.spec().bind_to.contains(&BindTo::Everyone)
    }
}

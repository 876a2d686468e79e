//! What a namespace needs so that its roles are as they should be: a pure function of what is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::ObjectMeta;

use super::grant::{Grant, binding_is, maximum, role_is};
use super::maker::Maker;
use super::memory::Memory;
use super::own::{self, Keep};
use super::target::Target;
use crate::groups::tenancy::rbac::{Groups, Rule};
use crate::groups::tenancy::role_original::RoleOriginalSpec;

/// Everything that decides what a namespace needs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whose namespace it is.
    pub target: Target,
    /// Everything that may apply: the administrator's templates, and what lies in the Organization's namespace.
    pub makers: Vec<Maker>,
    /// The Roles in the namespace.
    pub roles: Vec<Arc<Role>>,
    /// The RoleBindings in the namespace.
    pub bindings: Vec<Arc<RoleBinding>>,
    /// What is kept of Roles, by their names.
    pub originals: Vec<(String, RoleOriginalSpec)>,
    /// The cluster's API groups.
    pub groups: Arc<Groups>,
    /// Who made what.
    pub made: Arc<Memory>,
}

/// One thing to do. They are done in order, and each says which version of an object it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Keep what a Role said.
    WriteOriginal {
        /// The Role's name.
        name: String,
        /// What is kept.
        spec: RoleOriginalSpec,
        /// Whether there is one under that name.
        exists: bool,
    },
    /// Nothing needs to be kept of a Role any more.
    DeleteOriginal(String),
    /// Write the rules of a user's Role.
    WriteRules(Arc<Role>, Vec<Rule>),
    /// Make a Role.
    CreateRole(Role),
    /// Make a Role of ours what it should be.
    UpdateRole(Arc<Role>, Role),
    /// Make a RoleBinding.
    CreateBinding(RoleBinding),
    /// Make a RoleBinding of ours what it should be.
    UpdateBinding(Arc<RoleBinding>, RoleBinding),
    /// Its roleRef cannot be changed.
    ReplaceBinding(Arc<RoleBinding>, RoleBinding),
    /// Delete a RoleBinding of ours.
    DeleteBinding(Arc<RoleBinding>),
    /// Delete a Role of ours.
    DeleteRole(Arc<Role>),
}

/// How far a maker has come in a target.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Role and RoleBinding are in place.
    InPlace,
    /// They will be.
    Waiting,
    /// An object of that name is somebody else's: `Role` or `RoleBinding`.
    Conflict(&'static str),
}

impl Step {
    /// Its name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::WriteOriginal { .. } => "write_original",
            Self::DeleteOriginal(_) => "delete_original",
            Self::WriteRules(..) => "write_rules",
            Self::CreateRole(_) => "create_role",
            Self::UpdateRole(..) => "update_role",
            Self::CreateBinding(_) => "create_binding",
            Self::UpdateBinding(..) => "update_binding",
            Self::ReplaceBinding(..) => "replace_binding",
            Self::DeleteBinding(_) => "delete_binding",
            Self::DeleteRole(_) => "delete_role",
        }
    }
}

impl Facts {
    /// What the Organization may do at most here.
    pub fn maximum(&self) -> Vec<Rule> {
        maximum(&self.makers, &self.target)
    }

    /// What a maker grants here.
    pub fn grant(&self, maker: &Maker, maximum: &[Rule]) -> Grant {
        Grant::new(maker, &self.target, maximum, &self.groups)
    }

    /// Everything that has to be done, what takes away first.
    pub fn steps(&self) -> Vec<Step> {
        let maximum = self.maximum();
        let (mut cuts, mut makes, mut removals) = (Vec::new(), Vec::new(), Vec::new());
        // Roles that are a maker's; all others are their users' own.
        let mut made: BTreeSet<&str> = BTreeSet::new();
        for maker in &self.makers {
            let name = maker.role_name();
            let role = self.role(&name).filter(|role| self.is_by(&role.metadata, maker));
            let binding = self
                .binding(&name)
                .filter(|binding| self.is_by(&binding.metadata, maker));
            made.extend(role.and_then(|role| role.metadata.name.as_deref()));
            if maker.applies(&self.target) {
                let grant = self.grant(maker, &maximum);
                let blocked = matches!(self.state(maker, &grant), State::Conflict(_)) || self.is_taken(maker);
                self.make(grant, role, binding, blocked, &mut makes, &mut removals);
            } else {
                removals.extend(binding.cloned().map(Step::DeleteBinding));
                removals.extend(role.cloned().map(Step::DeleteRole));
            }
        }
        for role in &self.roles {
            let name = role.metadata.name.as_deref().unwrap_or_default();
            if !made.contains(name) {
                self.cut(role, name, &maximum, &mut cuts);
            }
        }
        for (name, _) in &self.originals {
            if self.role(name).is_none() || made.contains(name.as_str()) {
                removals.push(Step::DeleteOriginal(name.clone()));
            }
        }
        cuts.extend(makes);
        cuts.extend(removals);
        cuts
    }

    fn make(
        &self,
        grant: Grant,
        role: Option<&Arc<Role>>,
        binding: Option<&Arc<RoleBinding>>,
        blocked: bool,
        makes: &mut Vec<Step>,
        removals: &mut Vec<Step>,
    ) {
        match role {
            Some(role) if role_is(role, &grant.role) => {}
            Some(role) => makes.push(Step::UpdateRole(role.clone(), grant.role)),
            None if blocked => {}
            None => makes.push(Step::CreateRole(grant.role)),
        }
        match (binding, grant.binding) {
            (Some(binding), Some(wanted)) if binding_is(binding, &wanted) => {}
            (Some(binding), Some(wanted)) if binding.role_ref == wanted.role_ref => {
                makes.push(Step::UpdateBinding(binding.clone(), wanted));
            }
            (Some(binding), Some(wanted)) => makes.push(Step::ReplaceBinding(binding.clone(), wanted)),
            (Some(binding), None) => removals.push(Step::DeleteBinding(binding.clone())),
            (None, Some(wanted)) if !blocked => makes.push(Step::CreateBinding(wanted)),
            (None, _) => {}
        }
    }

    fn cut(&self, role: &Arc<Role>, name: &str, maximum: &[Rule], steps: &mut Vec<Step>) {
        let original = self.originals.iter().find(|(of, _)| of == name).map(|(_, spec)| spec);
        let change = own::change(role, original, maximum, &self.groups);
        match change.original {
            Keep::AsItIs => {}
            Keep::Write(spec) => steps.push(Step::WriteOriginal {
                name: name.to_owned(),
                spec,
                exists: original.is_some(),
            }),
            Keep::Delete => steps.push(Step::DeleteOriginal(name.to_owned())),
        }
        steps.extend(change.rules.map(|rules| Step::WriteRules(role.clone(), rules)));
    }

    /// How far a maker that applies has come.
    pub fn state(&self, maker: &Maker, grant: &Grant) -> State {
        let name = maker.role_name();
        let (role, binding) = (self.role(&name), self.binding(&name));
        if role.is_some_and(|role| !self.is_by(&role.metadata, maker)) {
            return State::Conflict("Role");
        }
        if grant.binding.is_some() && binding.is_some_and(|binding| !self.is_by(&binding.metadata, maker)) {
            return State::Conflict("RoleBinding");
        }
        let bound = match (&grant.binding, binding) {
            (Some(wanted), Some(binding)) => binding_is(binding, wanted),
            (None, Some(binding)) => !self.is_by(&binding.metadata, maker),
            (wanted, None) => wanted.is_none(),
        };
        match role.is_some_and(|role| role_is(role, &grant.role)) && bound {
            true => State::InPlace,
            false if self.is_taken(maker) => State::Conflict("Role"),
            false => State::Waiting,
        }
    }

    /// Whether a maker before this one wants the same name here.
    fn is_taken(&self, maker: &Maker) -> bool {
        let name = maker.role_name();
        let before = self.makers.iter().take_while(|other| other.uid() != maker.uid());
        let mut wanting = before.filter(|other| other.role_name() == name && other.applies(&self.target));
        wanting.any(|_| self.role(&name).is_none_or(|role| !self.is_by(&role.metadata, maker)))
    }

    fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles
            .iter()
            .find(|role| role.metadata.name.as_deref() == Some(name))
    }

    fn binding(&self, name: &str) -> Option<&Arc<RoleBinding>> {
        self.bindings
            .iter()
            .find(|binding| binding.metadata.name.as_deref() == Some(name))
    }

    fn is_by(&self, metadata: &ObjectMeta, maker: &Maker) -> bool {
        self.made.maker(metadata).as_deref() == Some(maker.uid())
    }
}

#[cfg(test)]
mod tests;

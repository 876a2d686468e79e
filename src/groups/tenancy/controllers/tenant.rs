//! What an Organization or a Project needs next: a pure function of what is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;

use super::super::organization::Status;
use super::labels::{ADOPT, ORGANIZATION_FINALIZER, PROJECT_FINALIZER};
use super::members::{self, Bound};
use super::namespace::{self, Claim};
use super::status::{Findings, Reason, Verdict, status};
use super::world::{Kind, Tenant};
use crate::controllers::Key;

/// Everything that decides what an object needs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Which of the two it is.
    pub kind: Kind,
    /// Its key.
    pub key: Key,
    /// The object.
    pub tenant: Arc<Tenant>,
    /// The Namespace of its Namespace's name.
    pub namespace: Option<Arc<Namespace>>,
    /// Whether another object that exists owns that Namespace.
    pub held: bool,
    /// The members that the RoleBindings in it make.
    pub bound: Bound,
    /// Of an Organization: the Projects in it.
    pub projects: Vec<Arc<Tenant>>,
    /// Of a Project: why nothing may be made for it now.
    pub blocked: Option<String>,
    /// Of a Project: the Organization whose namespace it lies in.
    pub organization: Option<String>,
}

/// What to do next; a look takes one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All is as it should be, or something has to happen first.
    Nothing,
    /// Put our finalizer on the object.
    AddFinalizer,
    /// Make the Namespace.
    CreateNamespace(BTreeMap<String, String>),
    /// Put labels onto the Namespace: repaired, or taken over by an administrator's order.
    LabelNamespace(BTreeMap<String, String>),
    /// Delete these Projects.
    DeleteProjects(Vec<Key>),
    /// Delete the Namespace.
    DeleteNamespace,
    /// Take our finalizer off, if the Namespace is gone indeed.
    RemoveFinalizer,
    /// Write the status; `paced` if nothing but members changes, which may wait a little.
    WriteStatus {
        /// What to write.
        status: Box<Status>,
        /// Whether it may wait.
        paced: bool,
    },
}

impl Step {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::AddFinalizer => "add_finalizer",
            Self::CreateNamespace(_) => "create_namespace",
            Self::LabelNamespace(_) => "label_namespace",
            Self::DeleteProjects(_) => "delete_projects",
            Self::DeleteNamespace => "delete_namespace",
            Self::RemoveFinalizer => "remove_finalizer",
            Self::WriteStatus { .. } => "write_status",
        }
    }
}

impl Facts {
    /// The next step. `now` is the time of a condition that changes.
    pub fn next(&self, now: &str) -> Step {
        if self.tenant.metadata.deletion_timestamp.is_some() {
            self.deleting(now)
        } else {
            self.living(now)
        }
    }

    fn living(&self, now: &str) -> Step {
        let claim = self.claim();
        let terminating = self.namespace.as_deref().is_some_and(namespace::is_terminating);
        let wanted = || namespace::labels(self.kind, &self.key, self.uid(), self.organization.as_deref());
        let (reason, message) = match claim {
            // A finalizer on an object whose own namespace goes away would only be in the way.
            Claim::Absent if self.blocked.is_some() => {
                (Reason::ParentUnavailable, self.blocked.clone().unwrap_or_default())
            }
            _ if !self.has_finalizer() => return Step::AddFinalizer,
            Claim::Absent => return Step::CreateNamespace(wanted()),
            _ if terminating => {
                let message = format!(
                    "namespace {:?} is being deleted and will be made again",
                    self.namespace_name()
                );
                (Reason::NamespaceTerminating, message)
            }
            Claim::Offered if !self.held => return Step::LabelNamespace(wanted()),
            Claim::Offered | Claim::Foreign => (Reason::NamespaceConflict, self.conflict()),
            Claim::Ours => {
                let carried = self
                    .namespace
                    .as_deref()
                    .is_some_and(|it| namespace::carries(it, &wanted()));
                if !carried {
                    return Step::LabelNamespace(wanted());
                }
                (
                    Reason::SetupComplete,
                    "the namespace is ready and the members are known".to_owned(),
                )
            }
        };
        self.told(reason, message, now).unwrap_or(Step::Nothing)
    }

    /// First it is said, then the Projects go, then the Namespace, then the object.
    fn deleting(&self, now: &str) -> Step {
        if !self.has_finalizer() {
            return Step::Nothing;
        }
        let message = "the object and everything in it is being deleted".to_owned();
        if let Some(step) = self.told(Reason::Deleting, message, now) {
            return step;
        }
        match self.claim() {
            // Never ours: neither it nor what lies in it is touched.
            Claim::Foreign | Claim::Offered => Step::RemoveFinalizer,
            Claim::Absent | Claim::Ours if !self.projects.is_empty() => {
                let left = self
                    .projects
                    .iter()
                    .filter(|project| project.metadata.deletion_timestamp.is_none());
                let left: Vec<Key> = left.map(|project| Key::of(&**project)).collect();
                match left.is_empty() {
                    true => Step::Nothing,
                    false => Step::DeleteProjects(left),
                }
            }
            Claim::Absent => Step::RemoveFinalizer,
            Claim::Ours if self.namespace.as_deref().is_some_and(namespace::is_terminating) => Step::Nothing,
            Claim::Ours => Step::DeleteNamespace,
        }
    }

    /// The write that says why the Namespace could not be made, unless it has been said.
    pub fn refused(&self, why: &str, now: &str) -> Option<Step> {
        let namespace = self.namespace_name();
        let message = format!("namespace {namespace:?} cannot be made: {why}");
        self.told(Reason::NamespaceRefused, message, now)
    }

    /// The write that says so, unless it has been said.
    fn told(&self, reason: Reason, message: String, now: &str) -> Option<Step> {
        let old = self.tenant.status.as_deref().cloned().unwrap_or_default();
        let (namespace, own_members) = match self.claim() {
            Claim::Ours => (self.namespace_name(), self.bound.members.clone()),
            // Between two Namespaces of ours; what it was is nobody else's.
            Claim::Absent => (old.namespace.name.clone(), Vec::new()),
            Claim::Foreign | Claim::Offered => (String::new(), Vec::new()),
        };
        let members = match self.claim() {
            Claim::Ours => members::with_projects(&own_members, &self.projects),
            _ => Vec::new(),
        };
        let findings = Findings {
            verdict: Verdict { reason, message },
            namespace,
            members,
            own_members,
            generation: self.tenant.metadata.generation.unwrap_or_default(),
        };
        let new = status(&old, findings, now);
        if new == old {
            return None;
        }
        let but_for_members = Status {
            members: old.members.clone(),
            own_members: old.own_members.clone(),
            ..new.clone()
        };
        Some(Step::WriteStatus {
            paced: but_for_members == old,
            status: Box::new(new),
        })
    }

    /// What the Namespace is to the object.
    pub fn claim(&self) -> Claim {
        namespace::claim(self.namespace.as_deref(), self.kind, &self.key, self.uid())
    }

    /// The name of its Namespace.
    pub fn namespace_name(&self) -> String {
        namespace::name(self.kind, &self.key)
    }

    /// The object's uid.
    pub fn uid(&self) -> &str {
        self.tenant.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The finalizer that is ours.
    pub fn finalizer(&self) -> &'static str {
        match self.kind {
            Kind::Organization => ORGANIZATION_FINALIZER,
            Kind::Project => PROJECT_FINALIZER,
        }
    }

    fn has_finalizer(&self) -> bool {
        let mut finalizers = self.tenant.metadata.finalizers.iter().flatten();
        finalizers.any(|finalizer| finalizer == self.finalizer())
    }

    fn conflict(&self) -> String {
        let namespace = self.namespace_name();
        let order = namespace::order(self.kind, &self.key);
        if self.held {
            return format!("namespace {namespace:?} belongs to another Organization or Project");
        }
        format!(
            "namespace {namespace:?} exists and was not made for this object; an administrator can hand it over with the \
             annotation {ADOPT}={order}"
        )
    }
}

#[cfg(test)]
mod tests;

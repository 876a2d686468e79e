//! What grants a role, and to whom.

use serde_json::Value;

use crate::wire::subject::Subject;
use crate::wire::user::UserInfo;

/// A RoleBinding or ClusterRoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// Its namespace; empty for a ClusterRoleBinding.
    pub namespace: String,
    /// What is granted.
    pub role: RoleRef,
    /// To whom.
    pub subjects: Vec<Subject>,
}

/// A reference to a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl RoleRef {
    /// Reads the reference of a binding.
    pub fn parse(binding: &Value) -> Self {
        let text = |name: &str| binding["roleRef"][name].as_str().unwrap_or_default().to_owned();
        Self {
            kind: text("kind"),
            name: text("name"),
        }
    }
}

impl Binding {
    /// Reads a stored binding.
    pub fn parse(name: &str, namespace: &str, binding: &Value) -> Self {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let subjects = subjects.map(|subject| {
            let text = |name: &str| subject[name].as_str().unwrap_or_default().to_owned();
            Subject {
                api_group: text("apiGroup"),
                kind: text("kind"),
                name: text("name"),
                namespace: text("namespace"),
            }
        });
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            role: RoleRef::parse(binding),
            subjects: subjects.collect(),
        }
    }

    /// The first subject that a caller is.
    pub(super) fn subject(&self, user: &UserInfo) -> Option<&Subject> {
        self.subjects.iter().find(|subject| self.names(subject, user))
    }

    fn names(&self, subject: &Subject, user: &UserInfo) -> bool {
        match subject.kind.as_str() {
            "User" => user.name == subject.name,
            "Group" => user.in_group(&subject.name),
            // one without a namespace is of the binding's own
            "ServiceAccount" => {
                let namespace = self.namespace_of(subject);
                let account = user.name.strip_prefix("system:serviceaccount:");
                !namespace.is_empty()
                    && account.and_then(|account| account.split_once(':')) == Some((namespace, &subject.name))
            }
            _ => false,
        }
    }

    fn namespace_of<'a>(&'a self, subject: &'a Subject) -> &'a str {
        if subject.namespace.is_empty() {
            &self.namespace
        } else {
            &subject.namespace
        }
    }

    /// What a decision tells of the binding that made it.
    pub(super) fn describe(&self, subject: &Subject) -> String {
        let (kind, own) = match self.namespace.as_str() {
            "" => ("ClusterRoleBinding", self.name.clone()),
            namespace => ("RoleBinding", format!("{}/{namespace}", self.name)),
        };
        let whom = match subject.kind.as_str() {
            "ServiceAccount" => format!("{}/{}", subject.name, self.namespace_of(subject)),
            _ => subject.name.clone(),
        };
        let RoleRef { kind: role, name } = &self.role;
        format!("{kind} {own:?} of {role} {name:?} to {} {whom:?}", subject.kind)
    }
}

//! All roles and bindings, and what follows from them for a caller.

use std::sync::Arc;

use imbl::OrdMap;
use serde_json::Value;

use super::binding::{Binding, RoleRef};
use super::rule::compact;
use crate::authz::{Attributes, Decision};
use crate::wire::rbac::{Rule, uncovered};
use crate::wire::user::UserInfo;

/// The four kinds of which a policy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// ClusterRoles.
    ClusterRole,
    /// ClusterRoleBindings.
    ClusterRoleBinding,
    /// Roles.
    Role,
    /// RoleBindings.
    RoleBinding,
}

type Roles = OrdMap<Arc<str>, Arc<[Rule]>>;
type Bindings = OrdMap<Arc<str>, Arc<Binding>>;

/// All roles and bindings at one moment. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    cluster_roles: Roles,
    /// By `namespace/name`, as those of bindings.
    roles: Roles,
    cluster_bindings: Bindings,
    bindings: Bindings,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::Role,
        Self::RoleBinding,
    ];

    /// The kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::ClusterRole => "ClusterRole",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
        }
    }
}

impl Policy {
    /// Takes over an object as it is now; `None` for one that is gone. The key is its name, or `namespace/name`.
    pub fn put(&mut self, part: Part, key: &str, object: Option<&Value>) {
        match part {
            Part::ClusterRole => put_role(&mut self.cluster_roles, key, object),
            Part::Role => put_role(&mut self.roles, key, object),
            Part::ClusterRoleBinding => put_binding(&mut self.cluster_bindings, key, object),
            Part::RoleBinding => put_binding(&mut self.bindings, key, object),
        }
    }

    /// Whether a caller may do something.
    pub fn decide(&self, user: &UserInfo, attributes: &Attributes) -> Decision {
        let namespace = match attributes {
            Attributes::Resource(resource) => &resource.namespace,
            Attributes::Path { .. } => "",
        };
        let mut faults = Vec::new();
        for binding in self.bindings_of(namespace) {
            let Some(subject) = binding.subject(user) else { continue };
            match self.role(&binding.role, &binding.namespace) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    let reason = format!("RBAC: allowed by {}", binding.describe(subject));
                    return Decision::Allow { reason };
                }
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
        }
        match aggregate(faults) {
            Some(faults) => Decision::Deny {
                reason: format!("RBAC: {faults}"),
            },
            None => Decision::deny(),
        }
    }

    /// The rules that apply to a caller in a namespace (in none, for an empty one), and what could not be found of them.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Option<String>) {
        let (mut rules, mut faults) = (Vec::new(), Vec::new());
        for binding in self.bindings_of(namespace) {
            if binding.subject(user).is_some() {
                match self.role(&binding.role, &binding.namespace) {
                    Ok(found) => rules.extend(found.iter().cloned()),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        (rules, aggregate(faults))
    }

    /// The rules of a role that a binding in `namespace` refers to.
    ///
    /// # Errors
    /// There is no such role.
    pub fn role(&self, role: &RoleRef, namespace: &str) -> Result<Arc<[Rule]>, String> {
        let name = &role.name;
        let found = match role.kind.as_str() {
            "ClusterRole" => self.cluster_roles.get(name.as_str()).cloned(),
            "Role" => self.roles.get(format!("{namespace}/{name}").as_str()).cloned(),
            kind => return Err(format!("unsupported role reference kind: {kind:?}")),
        };
        let resource = role.kind.to_lowercase();
        found.ok_or_else(|| format!("{resource}.rbac.authorization.k8s.io {name:?} not found"))
    }

    /// Whether a caller who grants `rules` in a namespace holds all of them.
    ///
    /// # Errors
    /// What the caller is told (pkg/registry/rbac/validation/rule.go ConfirmNoEscalation).
    pub fn confirm_no_escalation(&self, user: &UserInfo, namespace: &str, rules: &[Rule]) -> Result<(), String> {
        let (own, faults) = self.rules_for(user, namespace);
        let missing = uncovered(&own, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let mut lines: Vec<String> = compact(missing).iter().map(Rule::compact).collect();
        lines.sort();
        lines.dedup();
        let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
        let mut text = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            groups.join(" "),
            lines.join("\n")
        );
        if let Some(faults) = faults {
            text.push_str(&format!("; resolution errors: [{faults}]"));
        }
        Err(text)
    }

    /// Those that count in a namespace: those of the cluster first.
    fn bindings_of(&self, namespace: &str) -> impl Iterator<Item = &Arc<Binding>> {
        // what follows `namespace/…` begins with the character after the slash
        let range = (!namespace.is_empty()).then(|| {
            let (start, end): (Arc<str>, Arc<str>) = (format!("{namespace}/").into(), format!("{namespace}0").into());
            self.bindings.range(start..end)
        });
        let own = range.into_iter().flatten().map(|(_, binding)| binding);
        self.cluster_bindings.values().chain(own)
    }
}

fn put_role(roles: &mut Roles, key: &str, object: Option<&Value>) {
    match object {
        Some(object) => roles.insert(key.into(), Rule::list(&object["rules"]).into()),
        None => roles.remove(key),
    };
}

fn put_binding(bindings: &mut Bindings, key: &str, object: Option<&Value>) {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    match object {
        Some(object) => bindings.insert(key.into(), Binding::parse(name, namespace, object).into()),
        None => bindings.remove(key),
    };
}

/// Each once, as Go's errors.NewAggregate tells them.
fn aggregate(mut faults: Vec<String>) -> Option<String> {
    let mut told = std::collections::HashSet::new();
    faults.retain(|fault| told.insert(fault.clone()));
    match faults.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

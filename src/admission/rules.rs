//! Which requests a rule is about (k8s.io/apiserver pkg/admission/plugin/webhook/predicates/rules/rules.go).

use k8s_openapi::api::admissionregistration::v1::{NamedRuleWithOperations, RuleWithOperations};

use crate::rest::admission::Operation;
use crate::wire::names::GroupVersion;

/// A rule of a webhook or of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `CREATE`, `*` ..
    pub operations: Vec<String>,
    /// Groups, or `*`.
    pub groups: Vec<String>,
    /// Versions, or `*`.
    pub versions: Vec<String>,
    /// `organizations`, `organizations/status`, `*/status`, `*`, `*/*` ..
    pub resources: Vec<String>,
    /// `Namespaced`, `Cluster`, `*`; empty for `*`.
    pub scope: String,
    /// Names of objects; none for all.
    pub names: Vec<String>,
}

/// What a rule is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is done.
    pub operation: Operation,
    /// Group and version of the resource.
    pub group_version: &'a GroupVersion,
    /// Its plural.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// Whether it is about something in a namespace; a namespace is in none.
    pub namespaced: bool,
    /// The name of the object; empty while it is still to be generated.
    pub name: &'a str,
}

impl From<&RuleWithOperations> for Rule {
    fn from(given: &RuleWithOperations) -> Self {
        Self {
            operations: given.operations.clone().unwrap_or_default(),
            groups: given.api_groups.clone().unwrap_or_default(),
            versions: given.api_versions.clone().unwrap_or_default(),
            resources: given.resources.clone().unwrap_or_default(),
            scope: given.scope.clone().unwrap_or_default(),
            names: Vec::new(),
        }
    }
}

impl From<&NamedRuleWithOperations> for Rule {
    fn from(given: &NamedRuleWithOperations) -> Self {
        Self {
            operations: given.operations.clone().unwrap_or_default(),
            groups: given.api_groups.clone().unwrap_or_default(),
            versions: given.api_versions.clone().unwrap_or_default(),
            resources: given.resources.clone().unwrap_or_default(),
            scope: given.scope.clone().unwrap_or_default(),
            names: given.resource_names.clone().unwrap_or_default(),
        }
    }
}

impl Rule {
    /// Whether a request is meant.
    pub fn matches(&self, request: &Request<'_>) -> bool {
        let scope = match self.scope.as_str() {
            "" | "*" => true,
            "Namespaced" => request.namespaced,
            "Cluster" => !request.namespaced,
            _ => false,
        };
        scope
            && (self.names.is_empty() || self.names.iter().any(|name| name == request.name))
            && listed(&self.operations, request.operation.name())
            && self.names(request.group_version, request.resource, Some(request.subresource))
    }

    /// Whether a resource, or one of its subresources, is ever meant.
    pub fn may_match(&self, group_version: &GroupVersion, resource: &str) -> bool {
        self.names(group_version, resource, None)
    }

    fn names(&self, group_version: &GroupVersion, resource: &str, subresource: Option<&str>) -> bool {
        let named = |entry: &String| {
            let (own, sub) = entry.split_once('/').unwrap_or((entry, ""));
            let sub = subresource.is_none_or(|wanted| sub == "*" || sub == wanted);
            sub && (own == "*" || own == resource)
        };
        listed(&self.groups, &group_version.group)
            && listed(&self.versions, &group_version.version)
            && self.resources.iter().any(named)
    }
}

fn listed(entries: &[String], wanted: &str) -> bool {
    entries.iter().any(|entry| entry == "*" || entry == wanted)
}

#[cfg(test)]
mod tests;

//! Which requests a rule is about (k8s.io/apiserver pkg/admission/plugin/webhook/predicates/rules/rules.go).

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
}

impl Rule {
    /// From the parts of the API.
    pub fn new(
        operations: Option<&Vec<String>>,
        groups: Option<&Vec<String>>,
        versions: Option<&Vec<String>>,
        resources: Option<&Vec<String>>,
        scope: Option<&String>,
    ) -> Self {
        let list = |given: Option<&Vec<String>>| given.cloned().unwrap_or_default();
        Self {
            operations: list(operations),
            groups: list(groups),
            versions: list(versions),
            resources: list(resources),
            scope: scope.cloned().unwrap_or_default(),
        }
    }

    /// Whether a request is meant.
    pub fn matches(&self, request: &Request<'_>) -> bool {
        let scope = match self.scope.as_str() {
            "" | "*" => true,
            "Namespaced" => request.namespaced,
            "Cluster" => !request.namespaced,
            _ => false,
        };
        scope
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

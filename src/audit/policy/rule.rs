//! One rule, and whether it matches a request (k8s.io/apiserver pkg/audit/policy/checker.go).

use super::{Request, Verdict};

/// Every list that is empty matches everything.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) verdict: Verdict,
    pub(super) users: Vec<String>,
    pub(super) user_groups: Vec<String>,
    pub(super) verbs: Vec<String>,
    pub(super) resources: Vec<Resources>,
    pub(super) namespaces: Vec<String>,
    pub(super) paths: Vec<String>,
}

/// Resources of one API group.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) group: String,
    pub(super) resources: Vec<String>,
    pub(super) names: Vec<String>,
}

impl Rule {
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        let among = |list: &[String], one: &str| list.iter().any(|own| own == one);
        let names = |list: &[String], one: &str| list.is_empty() || among(list, one);
        let user = request.user;
        if !self.users.is_empty() && !user.is_some_and(|user| among(&self.users, &user.name)) {
            return false;
        }
        let grouped = || user.is_some_and(|user| user.groups.iter().any(|group| among(&self.user_groups, group)));
        if !self.user_groups.is_empty() && !grouped() {
            return false;
        }
        if !names(&self.verbs, request.verb) {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            let listed = || self.resources.iter().any(|one| one.matches(request));
            return request.is_resource
                && names(&self.namespaces, request.namespace)
                && (self.resources.is_empty() || listed());
        }
        if !self.paths.is_empty() {
            return !request.is_resource && self.paths.iter().any(|path| path_matches(path, request.path));
        }
        true
    }
}

impl Resources {
    fn matches(&self, request: &Request<'_>) -> bool {
        if self.group != "*" && self.group != request.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        if !self.names.is_empty() && !self.names.iter().any(|name| name == request.name) {
            return false;
        }
        self.resources.iter().any(|pattern| resource_matches(pattern, request))
    }
}

/// `*`, `pods`, `pods/log`, `pods/*` (with pods themselves) and `*/log`.
fn resource_matches(pattern: &str, request: &Request<'_>) -> bool {
    let (resource, subresource) = (request.resource, request.subresource);
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => pattern == resource && subresource.is_empty(),
        Some(("*", part)) if !subresource.is_empty() && part == subresource => true,
        Some((own, "*")) if own == resource => true,
        Some((own, part)) => own == resource && part == subresource && !subresource.is_empty(),
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

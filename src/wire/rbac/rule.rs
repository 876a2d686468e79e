//! One rule, as RBAC writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What matches everything in RBAC: every verb, every API group, every resource.
pub const ALL: &str = "*";

/// Verbs on resources, as in a Role of RBAC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// API groups of the resources; the empty text is the core group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub api_groups: Vec<String>,
    /// Not allowed: what is not a resource lies in no namespace.
    #[serde(default, rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub non_resource_urls: Vec<String>,
    /// Names of the objects that the rule is about; without any it is about all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub resource_names: Vec<String>,
    /// Resources by their plural names, and subresources as pods/log; * is all of both, */scale a subresource of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub resources: Vec<String>,
    /// What may be done, for example get or create; * is everything.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub verbs: Vec<String>,
}

impl Rule {
    /// A rule about all objects of some resources of one group.
    pub fn on(group: &str, resources: &[&str], verbs: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Self {
            api_groups: vec![group.to_owned()],
            resources: owned(resources),
            verbs: owned(verbs),
            ..Self::default()
        }
    }
}

/// Whether a list names this.
pub(crate) fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == wanted)
}

/// Whether a list names this, or everything.
pub(crate) fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == ALL || one == wanted)
}

/// Whether a path of a rule, which may end with a wildcard, is or begins another one.
pub(crate) fn covers_path(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.ends_with(ALL) && path.starts_with(pattern.trim_end_matches(ALL))
}

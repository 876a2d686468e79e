//! One rule, as RBAC writes it.

use k8s_openapi::api::rbac::v1::PolicyRule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::covers::size;
use crate::wire::validation::FieldError;

/// What matches everything in RBAC: every verb, every API group, every resource.
pub(super) const ALL: &str = "*";

/// How many single permissions (a verb on a resource of a group, with a name or without) the rules of one object may be:
/// they are looked at one by one.
pub(super) const MOST: usize = 20_000;

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

impl From<&PolicyRule> for Rule {
    fn from(rule: &PolicyRule) -> Self {
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        Self {
            api_groups: list(&rule.api_groups),
            non_resource_urls: list(&rule.non_resource_urls),
            resource_names: list(&rule.resource_names),
            resources: list(&rule.resources),
            verbs: rule.verbs.clone(),
        }
    }
}

impl From<&Rule> for PolicyRule {
    fn from(rule: &Rule) -> Self {
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        Self {
            api_groups: list(&rule.api_groups),
            non_resource_urls: list(&rule.non_resource_urls),
            resource_names: list(&rule.resource_names),
            resources: list(&rule.resources),
            verbs: rule.verbs.clone(),
        }
    }
}

/// What is wrong with the rules at `path`, in RBAC's words (k8s.io/kubernetes pkg/apis/rbac/validation/validation.go,
/// `ValidatePolicyRule` of a namespaced role); their shape has been checked against the schema.
pub fn validate(path: &str, rules: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let typed: Vec<Rule> = Vec::deserialize(rules).unwrap_or_default();
    if size(&typed) > MOST {
        let detail = format!("together the rules are more than {MOST} single permissions: use wildcards");
        errors.push(FieldError::forbidden(path, &detail));
    }
    for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
        let at = |name: &str| format!("{path}[{index}].{name}");
        let empty = |name: &str| rule[name].as_array().is_none_or(Vec::is_empty);
        if empty("verbs") && rule.get("verbs").is_some() {
            errors.push(FieldError::required(
                at("verbs"),
                "verbs must contain at least one value",
            ));
        }
        if !empty("nonResourceURLs") {
            let urls = &rule["nonResourceURLs"];
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(at("nonResourceURLs"), urls, detail));
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|name| !empty(name))
            {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(at("nonResourceURLs"), urls, detail));
            }
            continue;
        }
        if empty("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            errors.push(FieldError::required(at("apiGroups"), detail));
        }
        if empty("resources") {
            let detail = "resource rules must supply at least one resource";
            errors.push(FieldError::required(at("resources"), detail));
        }
    }
    errors
}

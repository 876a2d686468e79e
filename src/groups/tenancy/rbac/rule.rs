//! The rules of a maker: as they are written into Roles, and what may not be asked for.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Deserialize;
use serde_json::Value;

use crate::wire::rbac::{Rule, size};
use crate::wire::validation::FieldError;
use crate::wire::validation::rbac::policy_rule;

/// How many single permissions (a verb on a resource of a group, with a name or without) the rules of one object may be:
/// they are looked at one by one.
pub(super) const MOST: usize = 20_000;

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

/// What is wrong with the rules at `path`, in RBAC's words; their shape has been checked against the schema.
pub fn validate(path: &str, rules: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let typed: Vec<Rule> = Vec::deserialize(rules).unwrap_or_default();
    if size(&typed) > MOST {
        let detail = format!("together the rules are more than {MOST} single permissions: use wildcards");
        errors.push(FieldError::forbidden(path, &detail));
    }
    for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
        errors.extend(policy_rule(rule, true, &format!("{path}[{index}]")));
    }
    errors
}

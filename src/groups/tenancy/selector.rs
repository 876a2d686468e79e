//! Which Projects a template is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::selector::{Operator, Requirement};

/// Selects objects by their labels: all conditions hold. The empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectSelector {
    /// Labels that a Project must have, with their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions on labels, all of which must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<Expression>,
}

/// One condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Expression {
    /// The label that the condition is about.
    pub key: String,
    /// In or NotIn (the values), Exists or DoesNotExist (the label).
    #[schemars(extend("enum" = ["DoesNotExist", "Exists", "In", "NotIn"]))]
    pub operator: String,
    /// Values for In and NotIn; must be empty for Exists and DoesNotExist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

impl ProjectSelector {
    /// Whether an object with these labels is selected. A condition that is none selects nothing.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let holds = |expression: &Expression| {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return false,
            };
            let requirement = Requirement {
                key: String::new(),
                operator,
                values: expression.values.clone(),
            };
            requirement.matches(labels.get(&expression.key).map(String::as_str))
        };
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_conditions_hold() {
        let selector = |value| serde_json::from_value::<ProjectSelector>(value).expect("a selector");
        let labels = BTreeMap::from([("role".to_owned(), "tenant".to_owned())]);
        let expression = |key: &str, operator: &str, values: &[&str]| {
            selector(json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
        };
        assert!(selector(json!({})).matches(&labels));
        assert!(selector(json!({"matchLabels": {"role": "tenant"}})).matches(&labels));
        assert!(!selector(json!({"matchLabels": {"role": "tenant", "x": ""}})).matches(&labels));
        assert!(expression("role", "In", &["a", "tenant"]).matches(&labels));
        assert!(!expression("role", "NotIn", &["a", "tenant"]).matches(&labels));
        assert!(expression("x", "NotIn", &["a"]).matches(&labels));
        assert!(!expression("x", "Exists", &[]).matches(&labels));
        assert!(expression("x", "DoesNotExist", &[]).matches(&labels));
        assert!(!expression("role", "Like", &["tenant"]).matches(&labels));
    }
}

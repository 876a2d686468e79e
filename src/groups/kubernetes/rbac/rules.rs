//! Defaults and validation (k8s.io/kubernetes pkg/apis/rbac/v1/defaults.go, pkg/apis/rbac/validation/validation.go). Who may
//! grant what is decided elsewhere: it depends on the caller.

use serde_json::{Map, Value, json};

use super::GROUP;
use crate::rest::resource::Strategy;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_subdomain, name_is_path_segment, path_segment};
use crate::wire::validation::rbac::policy_rule;
use crate::wire::validation::selector::label_selector;

/// The strategy of roles.
pub(super) struct Role {
    pub(super) namespaced: bool,
}

/// The strategy of bindings.
pub(super) struct Binding {
    pub(super) namespaced: bool,
}

impl Strategy for Role {
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }

    fn default(&self, role: &mut Value) {
        // Go's types leave out what is empty
        for rule in role["rules"].as_array_mut().into_iter().flatten() {
            if let Value::Object(rule) = rule {
                rule.retain(|field, value| field == "verbs" || value.as_array().is_none_or(|list| !list.is_empty()));
            }
        }
        if role["rules"].is_null() {
            role.as_object_mut().map(|role| role.remove("rules"));
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        true
    }

    fn validate(&self, role: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (index, rule) in role["rules"].as_array().into_iter().flatten().enumerate() {
            errors.extend(policy_rule(rule, self.namespaced, &format!("rules[{index}]")));
        }
        if let Some(aggregation) = role.get("aggregationRule").filter(|one| !one.is_null()) {
            errors.extend(self::aggregation(aggregation));
        }
        errors
    }
}

impl Strategy for Binding {
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }

    fn default(&self, binding: &mut Value) {
        if let Value::Object(reference) = &mut binding["roleRef"]
            && is_empty(reference, "apiGroup")
        {
            reference.insert("apiGroup".to_owned(), json!(GROUP));
        }
        for subject in binding["subjects"].as_array_mut().into_iter().flatten() {
            let Value::Object(subject) = subject else { continue };
            let kind = subject.get("kind").and_then(Value::as_str).unwrap_or_default();
            if matches!(kind, "User" | "Group") && is_empty(subject, "apiGroup") {
                subject.insert("apiGroup".to_owned(), json!(GROUP));
            }
            subject.retain(|field, value| matches!(field.as_str(), "kind" | "name") || *value != "");
        }
        // asking for what is not there has made it null
        if let Some(binding) = binding.as_object_mut() {
            binding.retain(|_, value| !value.is_null());
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        true
    }

    fn validate(&self, binding: &Value) -> Vec<FieldError> {
        let reference = &binding["roleRef"];
        let text = |name: &str| reference[name].as_str().unwrap_or_default();
        let mut errors = Vec::new();
        if text("apiGroup") != GROUP {
            errors.push(FieldError::not_supported(
                "roleRef.apiGroup",
                text("apiGroup"),
                &[GROUP],
            ));
        }
        let kinds: &[&str] = match self.namespaced {
            true => &["Role", "ClusterRole"],
            false => &["ClusterRole"],
        };
        if !kinds.contains(&text("kind")) {
            errors.push(FieldError::not_supported("roleRef.kind", text("kind"), kinds));
        }
        if text("name").is_empty() {
            errors.push(FieldError::required("roleRef.name", ""));
        } else {
            let faults = path_segment(text("name")).into_iter();
            errors.extend(faults.map(|fault| FieldError::invalid("roleRef.name", text("name"), &fault)));
        }
        for (index, subject) in binding["subjects"].as_array().into_iter().flatten().enumerate() {
            errors.extend(self::subject(subject, self.namespaced, &format!("subjects[{index}]")));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        if new["roleRef"] == old["roleRef"] {
            return Vec::new();
        }
        // as the type without a version spells it
        let text = |name: &str| new["roleRef"][name].as_str().unwrap_or_default();
        let reference = json!({"APIGroup": text("apiGroup"), "Kind": text("kind"), "Name": text("name")});
        vec![FieldError::invalid("roleRef", reference, "cannot change roleRef")]
    }
}

fn is_empty(object: &Map<String, Value>, field: &str) -> bool {
    object.get(field).and_then(Value::as_str).is_none_or(str::is_empty)
}

fn subject(subject: &Value, namespaced: bool, path: &str) -> Vec<FieldError> {
    let text = |name: &str| subject[name].as_str().unwrap_or_default();
    let at = |field: &str| format!("{path}.{field}");
    let (name, group) = (text("name"), text("apiGroup"));
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push(FieldError::required(at("name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let faults = name_is_dns_subdomain(name, false).into_iter();
                errors.extend(faults.map(|fault| FieldError::invalid(at("name"), name, &fault)));
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(at("apiGroup"), group, &[""]));
            }
            if !namespaced && text("namespace").is_empty() {
                errors.push(FieldError::required(at("namespace"), ""));
            }
        }
        "User" | "Group" if group == GROUP => {}
        "User" | "Group" => errors.push(FieldError::not_supported(at("apiGroup"), group, &[GROUP])),
        kind => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::not_supported(at("kind"), kind, &kinds));
        }
    }
    errors
}

/// k8s.io/apimachinery pkg/apis/meta/v1/validation ValidateLabelSelector.
fn aggregation(aggregation: &Value) -> Vec<FieldError> {
    const PATH: &str = "aggregationRule.clusterRoleSelectors";
    let selectors = aggregation["clusterRoleSelectors"].as_array();
    let selectors = selectors.filter(|selectors| !selectors.is_empty());
    let Some(selectors) = selectors else {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        return vec![FieldError::required(PATH, detail)];
    };
    let mut errors = Vec::new();
    for (index, selector) in selectors.iter().enumerate() {
        let field = format!("{PATH}[{index}]");
        let faults = label_selector(selector, &field);
        let valid = faults.is_empty();
        errors.extend(faults);
        if !valid {
            errors.push(FieldError::invalid(field, Value::Null, "invalid label selector."));
        }
    }
    errors
}

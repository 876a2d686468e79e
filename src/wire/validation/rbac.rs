//! The rules of roles (k8s.io/kubernetes pkg/apis/rbac/validation/validation.go).

use serde_json::Value;

use super::{FieldError, texts};

/// What is wrong with a rule at `path` (`ValidatePolicyRule`).
pub fn policy_rule(rule: &Value, namespaced: bool, path: &str) -> Vec<FieldError> {
    let at = |field: &str| format!("{path}.{field}");
    let mut errors = Vec::new();
    if texts(rule, "verbs").is_empty() {
        errors.push(FieldError::required(
            at("verbs"),
            "verbs must contain at least one value",
        ));
    }
    let urls = texts(rule, "nonResourceURLs");
    let resource_fields = ["apiGroups", "resources", "resourceNames"];
    if !urls.is_empty() {
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(at("nonResourceURLs"), urls.clone(), detail));
        }
        if resource_fields.iter().any(|field| !texts(rule, field).is_empty()) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(at("nonResourceURLs"), urls, detail));
        }
        return errors;
    }
    if texts(rule, "apiGroups").is_empty() {
        let detail = "resource rules must supply at least one api group";
        errors.push(FieldError::required(at("apiGroups"), detail));
    }
    if texts(rule, "resources").is_empty() {
        let detail = "resource rules must supply at least one resource";
        errors.push(FieldError::required(at("resources"), detail));
    }
    errors
}

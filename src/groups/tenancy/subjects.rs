//! Defaults and rules for lists of subjects (visibility rule V13).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::wire::subject::RBAC_GROUP;
use crate::wire::validation::FieldError;

/// Fills an absent or empty `apiGroup` as RBAC does.
pub fn default(subjects: &mut Value) {
    for subject in subjects.as_array_mut().into_iter().flatten() {
        let Some(subject) = subject.as_object_mut() else {
            continue;
        };
        let empty = subject
            .get("apiGroup")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty);
        match subject.get("kind").and_then(Value::as_str) {
            Some("User" | "Group") if empty => {
                subject.insert("apiGroup".to_owned(), json!(RBAC_GROUP));
            }
            Some("ServiceAccount") if empty => {
                subject.remove("apiGroup");
            }
            _ => {}
        }
    }
}

/// What is wrong with the subjects at `path`; their shape and kinds have been checked against the schema.
pub fn validate(path: &str, subjects: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, subject) in subjects.as_array().into_iter().flatten().enumerate() {
        let text = |name: &str| subject.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = |name: &str| format!("{path}[{index}].{name}");
        let (kind, group) = (text("kind"), text("apiGroup"));
        match kind {
            "User" | "Group" => {
                if group != RBAC_GROUP {
                    errors.push(FieldError::not_supported(at("apiGroup"), group, &[RBAC_GROUP]));
                }
                if !text("namespace").is_empty() {
                    let detail = "must be empty for a User or a Group";
                    errors.push(FieldError::invalid(at("namespace"), text("namespace"), detail));
                }
            }
            "ServiceAccount" => {
                if !group.is_empty() {
                    errors.push(FieldError::not_supported(at("apiGroup"), group, &[""]));
                }
                if text("namespace").is_empty() {
                    errors.push(FieldError::required(
                        at("namespace"),
                        "a ServiceAccount lives in a namespace",
                    ));
                }
            }
            other => errors.push(FieldError::not_supported(
                at("kind"),
                other,
                &["Group", "ServiceAccount", "User"],
            )),
        }
        if text("name").is_empty() {
            errors.push(FieldError::required(at("name"), ""));
        }
        if !seen.insert((kind, text("namespace"), text("name"))) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), subject));
        }
    }
    errors
}

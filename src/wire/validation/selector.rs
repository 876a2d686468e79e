//! Label selectors as objects hold them (k8s.io/apimachinery pkg/apis/meta/v1/validation/validation.go,
//! `ValidateLabelSelector`).

use serde_json::Value;

use super::names::{label_value, qualified_name};
use super::{FieldError, texts};

/// What is wrong with the selector at `path`.
pub fn label_selector(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    for (key, value) in labels {
        let field = format!("{path}.matchLabels");
        let value = value.as_str().unwrap_or_default();
        errors.extend(faults(&field, key, qualified_name(key)));
        errors.extend(faults(&field, value, label_value(value)));
    }
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    for (index, expression) in expressions.enumerate() {
        let at = |field: &str| format!("{path}.matchExpressions[{index}].{field}");
        let text = |name: &str| expression[name].as_str().unwrap_or_default();
        let values = texts(expression, "values");
        match text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(at("values"), detail));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at("values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid(at("operator"), other, detail));
            }
        }
        errors.extend(faults(&at("key"), text("key"), qualified_name(text("key"))));
        for (place, value) in values.iter().enumerate() {
            errors.extend(faults(&format!("{}[{place}]", at("values")), value, label_value(value)));
        }
    }
    errors
}

fn faults(field: &str, value: &str, faults: Vec<String>) -> Vec<FieldError> {
    let faults = faults.into_iter();
    faults.map(|fault| FieldError::invalid(field, value, &fault)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_name_their_field() {
        let wrong = json!({"matchLabels": {"a b": "x"}, "matchExpressions": [
            {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "", "operator": "NotIn", "values": ["x", "-"]}]});
        let fields: Vec<String> = label_selector(&wrong, "s")
            .into_iter()
            .map(|error| error.field)
            .collect();
        let expected = [
            "s.matchLabels",
            "s.matchExpressions[0].values",
            "s.matchExpressions[1].values",
            "s.matchExpressions[2].key",
            "s.matchExpressions[2].key",
            "s.matchExpressions[2].values[1]",
        ];
        assert_eq!(fields, expected);
    }
}

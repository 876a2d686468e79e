//! Field errors and the rules for names, labels and metadata, in Kubernetes' own words.

use std::fmt;

use super::status::Cause;

/// One thing that is wrong with one field (k8s.io/apimachinery pkg/util/validation/field/errors.go).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path, for example `spec.owners[0].kind`.
    pub field: String,
    /// The cause's reason: `FieldValueRequired`, `FieldValueInvalid`, `FieldValueNotSupported`, …
    pub reason: &'static str,
    /// The text after the field.
    pub message: String,
}

impl FieldError {
    /// `Required value: <detail>`.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::build(field, "FieldValueRequired", "Required value".to_owned(), detail)
    }

    /// `Invalid value: <value>: <detail>`; strings are quoted as Go quotes them.
    pub fn invalid(field: impl Into<String>, value: impl fmt::Debug, detail: &str) -> Self {
        Self::build(field, "FieldValueInvalid", format!("Invalid value: {value:?}"), detail)
    }

    /// `Unsupported value: <value>: supported values: "a", "b"`.
    pub fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        Self::build(
            field,
            "FieldValueNotSupported",
            format!("Unsupported value: {value:?}"),
            &detail,
        )
    }

    /// `Duplicate value: <value>`.
    pub fn duplicate(field: impl Into<String>, value: impl fmt::Debug) -> Self {
        Self::build(field, "FieldValueDuplicate", format!("Duplicate value: {value:?}"), "")
    }

    /// `Forbidden: <detail>`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::build(field, "FieldValueForbidden", "Forbidden".to_owned(), detail)
    }

    fn build(field: impl Into<String>, reason: &'static str, mut message: String, detail: &str) -> Self {
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(detail);
        }
        Self {
            field: field.into(),
            reason,
            message,
        }
    }

    /// The entry in `Status.details.causes`.
    pub fn cause(&self) -> Cause {
        Cause {
            reason: self.reason.to_owned(),
            message: self.message.clone(),
            field: self.field.clone(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

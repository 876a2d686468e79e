//! Field errors and the rules for names, labels and metadata, in Kubernetes' own words.

pub mod meta;
pub mod names;
pub mod rbac;
pub mod selector;

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

use super::quote::go_quote;
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

/// A value that a field error shows: strings as Go quotes them, everything else as Go's JSON.
pub trait BadValue {
    /// The text in the error.
    fn show(&self) -> String;
}

impl FieldError {
    /// `Required value: <detail>`.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::build(field, "FieldValueRequired", "Required value".to_owned(), detail)
    }

    /// `Invalid value: <value>: <detail>`; strings are quoted as Go quotes them.
    pub fn invalid(field: impl Into<String>, value: impl BadValue, detail: &str) -> Self {
        Self::build(
            field,
            "FieldValueInvalid",
            format!("Invalid value: {}", value.show()),
            detail,
        )
    }

    /// Like [`FieldError::invalid`] for a value that is already text.
    pub(crate) fn shown(field: impl Into<String>, value: &str, detail: &str) -> Self {
        Self::build(field, "FieldValueInvalid", format!("Invalid value: {value}"), detail)
    }

    /// `Invalid value: <value>: <detail>` for a value of the wrong type.
    pub fn type_invalid(field: impl Into<String>, value: impl BadValue, detail: &str) -> Self {
        let message = format!("Invalid value: {}", value.show());
        Self::build(field, "FieldValueTypeInvalid", message, detail)
    }

    /// `Unsupported value: <value>: supported values: "a", "b"`.
    pub fn not_supported(field: impl Into<String>, value: impl BadValue, supported: &[&str]) -> Self {
        let message = format!("Unsupported value: {}", value.show());
        let quoted: Vec<String> = supported.iter().map(|one| go_quote(one)).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        let detail = if supported.is_empty() { "" } else { &detail };
        Self::build(field, "FieldValueNotSupported", message, detail)
    }

    /// `Duplicate value: <value>`.
    pub fn duplicate(field: impl Into<String>, value: impl BadValue) -> Self {
        Self::build(
            field,
            "FieldValueDuplicate",
            format!("Duplicate value: {}", value.show()),
            "",
        )
    }

    /// `Forbidden: <detail>`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::build(field, "FieldValueForbidden", "Forbidden".to_owned(), detail)
    }

    /// `Too long: may not be more than <limit> bytes`.
    pub fn too_long(field: impl Into<String>, limit: usize) -> Self {
        let unit = if limit == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {limit} {unit}");
        Self::build(field, "FieldValueTooLong", "Too long".to_owned(), &detail)
    }

    /// `Too many: <actual>: must have at most <limit> items`.
    pub fn too_many(field: impl Into<String>, actual: usize, limit: usize) -> Self {
        let unit = if limit == 1 { "item" } else { "items" };
        let detail = format!("must have at most {limit} {unit}");
        Self::build(field, "FieldValueTooMany", format!("Too many: {actual}"), &detail)
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

/// Several errors in one sentence, each text once: `a` or `[a, b]` (field.ErrorList.ToAggregate).
pub fn aggregate(errors: &[FieldError]) -> String {
    let all: Vec<String> = errors.iter().map(FieldError::to_string).collect();
    let mut seen = HashSet::with_capacity(all.len());
    let mut texts: Vec<&str> = Vec::with_capacity(all.len());
    for text in &all {
        if seen.insert(text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}

// === impl BadValue ===

impl BadValue for str {
    fn show(&self) -> String {
        go_quote(self)
    }
}

impl BadValue for String {
    fn show(&self) -> String {
        go_quote(self)
    }
}

impl BadValue for Value {
    fn show(&self) -> String {
        match self {
            Value::String(text) => go_quote(text),
            other => String::from_utf8_lossy(&super::json::to_vec(other)).into_owned(),
        }
    }
}

impl BadValue for [String] {
    fn show(&self) -> String {
        String::from_utf8_lossy(&super::json::to_vec(self)).into_owned()
    }
}

impl BadValue for Vec<String> {
    fn show(&self) -> String {
        self.as_slice().show()
    }
}

impl<T: BadValue + ?Sized> BadValue for &T {
    fn show(&self) -> String {
        (**self).show()
    }
}

macro_rules! shown_plainly {
    ($($number:ty),*) => {$(
        impl BadValue for $number {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

shown_plainly!(i32, i64, u32, u64, usize, bool);

/// The texts of a list that an object may have.
fn texts(object: &Value, field: &str) -> Vec<String> {
    let list = object[field].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_in_go() {
        let detail = |error: FieldError| error.to_string();
        assert_eq!(
            detail(FieldError::invalid("a", "x\n", "no")),
            r#"a: Invalid value: "x\n": no"#
        );
        assert_eq!(detail(FieldError::invalid("a", 7_i64, "no")), "a: Invalid value: 7: no");
        assert_eq!(
            detail(FieldError::invalid("a", json!({"b": "<"}), "no")),
            r#"a: Invalid value: {"b":"\u003c"}: no"#
        );
        assert_eq!(
            detail(FieldError::not_supported("a", vec!["Some".to_owned()], &["All"])),
            r#"a: Unsupported value: ["Some"]: supported values: "All""#
        );
        assert_eq!(
            detail(FieldError::too_long("a", 1)),
            "a: Too long: may not be more than 1 byte"
        );
    }

    #[test]
    fn aggregates_name_each_text_once() {
        let a = FieldError::required("a", "");
        let b = FieldError::required("b", "x");
        assert_eq!(aggregate(&[a.clone(), a.clone()]), "a: Required value");
        assert_eq!(
            aggregate(&[a.clone(), b, a]),
            "[a: Required value, b: Required value: x]"
        );
    }
}

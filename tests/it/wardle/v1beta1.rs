//! Flunders as v1beta1 has them: two references, of which one is used.

use std::sync::Arc;

use bulward::rest::resource::{Conversion, Strategy, Version};
use bulward::wire::validation::FieldError;
use bulward::wire::validation::names::{NameRule, name_is_path_segment};
use serde_json::{Value, json};

/// What the version has of its own.
pub(super) fn version() -> Version {
    Version {
        schema: super::schema(&json!({
            "flunderReference": {
                "description": "A name of another flunder, mutually exclusive to the FischerReference.",
                "type": "string",
            },
            "fischerReference": {
                "description": "A name of a fischer, mutually exclusive to the FlunderReference.",
                "type": "string",
            },
            "referenceType": {"description": "The reference type.", "type": "string"},
        })),
        strategy: Arc::new(Rules),
        conversion: Arc::new(References),
    }
}

struct Rules;

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }

    // As in Go, a change is not validated.
    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(&object["spec"])
    }
}

/// One reference with a type, or one of two.
struct References;

impl Conversion for References {
    fn to_stored(&self, object: &mut Value) {
        let spec = &object["spec"];
        let reference = field(spec).map(|field| &spec[field]);
        object["spec"] = known(spec, "reference", reference);
    }

    fn to_served(&self, object: &mut Value) {
        to_served(object);
    }
}

pub(super) fn to_served(object: &mut Value) {
    let spec = &object["spec"];
    let field = field(spec);
    object["spec"] = known(spec, field.unwrap_or_default(), field.map(|_| &spec["reference"]));
}

/// Where v1beta1 keeps a reference of the spec's type.
fn field(spec: &Value) -> Option<&'static str> {
    match spec["referenceType"].as_str()? {
        "Flunder" => Some("flunderReference"),
        "Fischer" => Some("fischerReference"),
        _ => None,
    }
}

/// A spec with a reference, or an empty one where its type is unknown.
fn known(spec: &Value, field: &str, reference: Option<&Value>) -> Value {
    let Some(reference) = reference else { return json!({}) };
    let mut converted = json!({"referenceType": spec["referenceType"]});
    if !reference.is_null() {
        converted[field] = reference.clone();
    }
    converted
}

/// What is wrong with a new Flunder (sample-apiserver pkg/apis/wardle/validation/validation.go).
pub(super) fn validate(spec: &Value) -> Vec<FieldError> {
    let text = |name: &str| spec[name].as_str().unwrap_or_default();
    let (flunder, fischer, kind) = (
        text("flunderReference"),
        text("fischerReference"),
        text("referenceType"),
    );
    let wrong = |field: &str, why: &str| FieldError::invalid(format!("spec.{field}"), text(field), why);
    let mut errors = Vec::new();
    if !flunder.is_empty() && !fischer.is_empty() {
        let why = "cannot be set with flunderReference at the same time";
        errors.push(wrong("fischerReference", why));
    } else if !flunder.is_empty() && kind != "Flunder" {
        errors.push(wrong(
            "flunderReference",
            "cannot be set if referenceType is not Flunder",
        ));
    } else if !fischer.is_empty() && kind != "Fischer" {
        errors.push(wrong(
            "fischerReference",
            "cannot be set if referenceType is not Fischer",
        ));
    } else if fischer.is_empty() && kind == "Fischer" {
        errors.push(wrong("fischerReference", "cannot be empty if referenceType is Fischer"));
    } else if flunder.is_empty() && kind == "Flunder" {
        errors.push(wrong("flunderReference", "cannot be empty if referenceType is Flunder"));
    }
    if !matches!(kind, "" | "Flunder" | "Fischer") {
        errors.push(wrong("referenceType", "must be Flunder or Fischer"));
    }
    errors
}

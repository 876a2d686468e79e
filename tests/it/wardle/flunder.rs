//! Flunder: a namespaced kind that refers to another Flunder or to a Fischer. It is stored as v1alpha1.

use std::sync::Arc;

use bulward::rest::resource::{Conventions, Edge, Kind, Strategy};
use bulward::wire::validation::names::{NameRule, name_is_path_segment};
use serde_json::{Value, json};

use super::v1beta1;

/// What happens to a Flunder that is written as v1alpha1.
struct Rules;

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }

    fn default(&self, object: &mut Value) {
        let spec = &mut object["spec"];
        if spec["referenceType"].is_null() && !spec["reference"].is_null() {
            spec["referenceType"] = json!("Flunder");
        }
        if !matches!(spec["referenceType"].as_str(), Some("Flunder" | "Fischer")) {
            // The conversion in Go knows no other references.
            *spec = json!({});
        }
        super::drop_nulls(spec);
    }

    fn validate_create(&self, object: &Value) -> Vec<bulward::wire::validation::FieldError> {
        let mut object = object.clone();
        v1beta1::to_served(&mut object);
        v1beta1::validate(&object["spec"])
    }
}

/// The descriptor of Flunders.
pub(super) fn kind() -> Kind {
    Kind {
        kind: "Flunder".to_owned(),
        singular: "flunder".to_owned(),
        plural: "flunders".to_owned(),
        description: "Flunder is an example type with a spec and a status.".to_owned(),
        namespaced: true,
        schema: super::schema(&json!({
            "reference": {
                "description": "A name of another flunder or fischer, depending on the reference type.",
                "type": "string",
            },
            "referenceType": {
                "description": "The reference type, defaults to \"Flunder\" if reference is set.",
                "type": "string",
            },
        })),
        strategy: Arc::new(Rules),
        selectable_fields: Vec::new(),
        columns: super::columns(),
        edge: Edge::Unrestricted,
        conventions: Conventions::Typed,
    }
}

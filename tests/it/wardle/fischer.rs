//! Fischer: a cluster-scoped kind that lists Flunders by name.

use std::sync::Arc;

use bulward::rest::resource::{Conventions, Edge, Kind, Strategy};
use bulward::wire::validation::names::{NameRule, name_is_path_segment};
use serde_json::json;

struct Rules;

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }
}

/// The descriptor of Fischers.
pub(super) fn kind() -> Kind {
    Kind {
        kind: "Fischer".to_owned(),
        singular: "fischer".to_owned(),
        plural: "fischers".to_owned(),
        description: String::new(),
        namespaced: false,
        schema: json!({
            "type": "object",
            "properties": {
                "disallowedFlunders": {
                    "description": "DisallowedFlunders holds a list of Flunder.Names that are disallowed.",
                    "type": "array",
                    "items": {"type": "string", "default": ""},
                    "x-kubernetes-list-type": "atomic",
                },
            },
        }),
        strategy: Arc::new(Rules),
        selectable_fields: Vec::new(),
        columns: super::columns(),
        edge: Edge::Unrestricted,
        conventions: Conventions::Typed,
    }
}

//! Fischer: a cluster-scoped kind that lists Flunders by name.

use std::sync::Arc;

use bulward::rest::resource::{Edge, Kind, Strategy, schema_of};
use schemars::JsonSchema;

/// A Fischer without its metadata.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the schema's derivation alone")]
struct Fischer {
    /// DisallowedFlunders holds a list of Flunder.Names that are disallowed.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    disallowed_flunders: Vec<String>,
}

struct Rules;

impl Strategy for Rules {}

/// The descriptor of Fischers.
pub(super) fn kind() -> Kind {
    Kind {
        kind: "Fischer".to_owned(),
        singular: "fischer".to_owned(),
        plural: "fischers".to_owned(),
        description: "Fischer is an example type with a list.".to_owned(),
        namespaced: false,
        schema: schema_of::<Fischer>(),
        strategy: Arc::new(Rules),
        selectable_fields: Vec::new(),
        columns: super::columns(),
        edge: Edge::Unrestricted,
    }
}

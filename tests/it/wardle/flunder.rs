//! Flunder: a namespaced kind that refers to another Flunder or to a Fischer.

use std::sync::Arc;

use bulward::rest::resource::{Edge, Kind, Strategy, schema_of};
use schemars::JsonSchema;

/// A Flunder without its metadata.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "read by the schema's derivation alone")]
struct Flunder {
    /// What the Flunder refers to.
    #[serde(default)]
    spec: FlunderSpec,
    /// Nothing is said of a Flunder's state.
    #[serde(default)]
    status: FlunderStatus,
}

/// What a Flunder refers to.
#[derive(Default, JsonSchema, serde::Serialize)]
#[serde(rename_all = "camelCase", default)]
struct FlunderSpec {
    /// A name of another flunder or fischer, depending on the reference type.
    reference: String,
    /// The reference type, defaults to "Flunder" if reference is set.
    reference_type: String,
}

/// Nothing is said of a Flunder's state.
#[derive(Default, JsonSchema, serde::Serialize)]
struct FlunderStatus {}

struct Rules;

impl Strategy for Rules {}

/// The descriptor of Flunders.
pub(super) fn kind() -> Kind {
    Kind {
        kind: "Flunder".to_owned(),
        singular: "flunder".to_owned(),
        plural: "flunders".to_owned(),
        description: "Flunder is an example type with a spec and a status.".to_owned(),
        namespaced: true,
        schema: schema_of::<Flunder>(),
        strategy: Arc::new(Rules),
        selectable_fields: Vec::new(),
        columns: super::columns(),
        edge: Edge::Unrestricted,
    }
}

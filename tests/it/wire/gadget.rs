//! The kind that both servers serve here.

use serde_json::{Value, json};

use crate::harness::twin::{Twin, kind};

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "n": {"type": "integer"},
            "s": {"type": "string"},
            "list": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "nested": {"type": "object", "properties": {"a": {"type": "string"}}},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    }})
}

/// Both servers, with the cluster-scoped kind Gadget in `group`.
pub(super) async fn gadgets(group: &str) -> Twin {
    Twin::new(group, vec![kind("Gadget", false, schema())]).await
}

pub(super) fn gadget(twin: &Twin, name: &str) -> Value {
    json!({"apiVersion": format!("{}/v1", twin.group), "kind": "Gadget", "metadata": {"name": name},
        "spec": {"n": 1, "list": ["a", "b"]}})
}

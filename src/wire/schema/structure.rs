//! What a schema says about the structure of values, for those who walk along it.

use serde_json::Value;

use super::{Additional, ListType, Schema, Type};

impl Schema {
    /// The JSON type; `None` where it is left open.
    pub fn kind(&self) -> Option<Type> {
        self.kind
    }

    /// `format`.
    pub fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    /// `properties` in the order of their names.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Schema)> {
        self.properties.iter().map(|(name, schema)| (name.as_str(), schema))
    }

    /// `additionalProperties`.
    pub fn additional_properties(&self) -> &Additional {
        &self.additional_properties
    }

    /// `items`.
    pub fn items(&self) -> Option<&Schema> {
        self.items.as_deref()
    }

    /// `default`.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// `x-kubernetes-list-type` with its keys.
    pub fn list_type(&self) -> &ListType {
        &self.list_type
    }

    /// Whether `x-kubernetes-map-type` is atomic.
    pub fn is_atomic_map(&self) -> bool {
        self.atomic_map
    }

    /// `x-kubernetes-preserve-unknown-fields`.
    pub fn preserves_unknown_fields(&self) -> bool {
        self.preserve_unknown_fields
    }

    /// `x-kubernetes-embedded-resource`.
    pub fn is_embedded_resource(&self) -> bool {
        self.embedded_resource
    }
}

//! What a schema does to a value: unknown fields and forbidden nulls go, defaults come
//! (k8s.io/apiextensions-apiserver pkg/apiserver/schema/{pruning,defaulting}).

use serde_json::Value;

use super::{Additional, Schema};

const TYPE_AND_METADATA: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Schema {
    /// The schema of a field, whether `properties` names it or not.
    pub(super) fn field(&self, key: &str) -> Option<&Schema> {
        match (self.properties.get(key), &self.additional_properties) {
            (Some(property), _) => Some(property),
            (None, Additional::Of(schema)) => Some(schema),
            (None, _) => None,
        }
    }
}

/// Drops unknown fields from a whole object; returns their paths.
pub(super) fn prune(schema: &Schema, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(Some(schema), object, &mut String::new(), true, &mut unknown);
    unknown
}

fn prune_at(schema: Option<&Schema>, value: &mut Value, path: &mut String, root: bool, unknown: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::Object(map) => map.retain(|key, value| {
            let resource = root || schema.is_some_and(|schema| schema.embedded_resource);
            if resource && TYPE_AND_METADATA.contains(&key.as_str()) {
                return true;
            }
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
            let field = schema.and_then(|schema| schema.field(key));
            let keep = match schema {
                Some(schema) if field.is_none() && schema.preserve_unknown_fields => true,
                Some(schema) if field.is_none() && schema.additional_properties == Additional::Any => {
                    prune_at(None, value, path, false, unknown);
                    true
                }
                Some(_) if field.is_some() => {
                    prune_at(field, value, path, false, unknown);
                    true
                }
                _ => {
                    unknown.push(path.clone());
                    false
                }
            };
            path.truncate(length);
            keep
        }),
        Value::Array(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                path.push_str(&format!("[{at}]"));
                // what is preserved is preserved in its items as well, unless they have a schema of their own
                let items = match schema {
                    Some(schema) if schema.items.is_none() && schema.preserve_unknown_fields => Some(schema),
                    Some(schema) => schema.items.as_deref(),
                    None => None,
                };
                prune_at(items, value, path, false, unknown);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Drops nulls that are neither allowed nor defaulted.
pub(super) fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|key, value| match schema.field(key) {
            Some(field) if value.is_null() => field.nullable || field.default.is_some(),
            Some(field) => {
                drop_nulls(field, value);
                true
            }
            None => true,
        }),
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                list.iter_mut().for_each(|value| drop_nulls(items, value));
            }
        }
        _ => {}
    }
}

/// Drops what holds nothing: nulls, empty texts, lists and maps. Objects with fields of their own stay.
pub(super) fn omit_empty(schema: &Schema, value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.retain(|key, value| {
        let Some(field) = schema.field(key) else { return true };
        omit_empty(field, value);
        // what a map holds stays, as in Go
        if !schema.properties.contains_key(key) {
            return true;
        }
        match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty() || !field.properties.is_empty() || field.default.is_some(),
            _ => true,
        }
    });
}

/// Fills in the defaults of absent fields and of forbidden nulls.
pub(super) fn apply_defaults(schema: &Schema, value: &mut Value) {
    let fill = |schema: &Schema, value: &mut Value| {
        if value.is_null() && !schema.nullable {
            *value = schema.default.clone().unwrap_or(Value::Null);
        }
        apply_defaults(schema, value);
    };
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default
                    && !map.contains_key(name)
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (key, value) in map.iter_mut() {
                if let Some(field) = schema.field(key) {
                    fill(field, value);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                list.iter_mut().for_each(|value| fill(items, value));
            }
        }
        _ => {}
    }
}

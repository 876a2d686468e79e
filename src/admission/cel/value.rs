//! From JSON to what expressions know.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::{Key, Map, Opaque, OptionalValue};
use serde_json::Value as Json;

/// An object's value. As in Kubernetes no schema is asked: a whole number is an int, wherever it stands.
pub(crate) fn of_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => string(text.clone()),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(of_json).collect())),
        Json::Object(fields) => map(fields
            .iter()
            .map(|(key, value)| (Key::from(key.as_str()), of_json(value)))
            .collect()),
    }
}

pub(super) fn string(text: impl Into<String>) -> Value {
    Value::String(Arc::new(text.into()))
}

pub(super) fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map { map: Arc::new(entries) })
}

pub(super) fn optional(value: Option<Value>) -> Value {
    Value::Opaque(Arc::new(match value {
        Some(value) => OptionalValue::of(value),
        None => OptionalValue::none(),
    }))
}

/// What an optional holds; `None`: this is no optional.
pub(super) fn held(value: &Value) -> Option<Option<Value>> {
    match value {
        Value::Opaque(opaque) => opaque
            .downcast_ref::<OptionalValue>()
            .map(|optional| optional.value().cloned()),
        _ => None,
    }
}

/// A type, as `type(x)` answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeName(pub(super) String);

impl Opaque for TypeName {
    fn runtime_type_name(&self) -> &str {
        "type"
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const TYPES: [&str; 9] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "uint",
];

/// The type of that name.
pub(super) fn type_named(name: &str) -> Option<Value> {
    TYPES
        .contains(&name)
        .then(|| Value::Opaque(Arc::new(TypeName(name.to_owned()))))
}

/// The name of a value's type, as cel-go calls it.
pub(crate) fn type_name(value: &Value) -> String {
    match value {
        Value::Bool(_) => "bool",
        Value::Bytes(_) => "bytes",
        Value::Float(_) => "double",
        Value::Int(_) => "int",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Null => "null_type",
        Value::String(_) => "string",
        Value::UInt(_) => "uint",
        Value::Opaque(opaque) => opaque.runtime_type_name(),
        Value::Duration(_) => "google.protobuf.Duration",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Function(..) => "function",
    }
    .to_owned()
}

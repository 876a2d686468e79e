//! From JSON to what expressions know, and what values have in common: types, equality, order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::{Key, KeyRef, Map, Opaque, OptionalValue};
use serde_json::Value as Json;

use super::error::Failure;
use super::library::times::{Duration, Timestamp};

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
        Json::Array(items) => list(items.iter().map(of_json).collect()),
        Json::Object(fields) => map(fields
            .iter()
            .map(|(key, value)| (Key::from(key.as_str()), of_json(value)))
            .collect()),
    }
}

pub(super) fn string(text: impl Into<String>) -> Value {
    Value::String(Arc::new(text.into()))
}

pub(super) fn list(items: Vec<Value>) -> Value {
    Value::List(Arc::new(items))
}

pub(super) fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Value {
    list(items.into_iter().map(string).collect())
}

/// A length.
pub(super) fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

pub(super) fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map { map: Arc::new(entries) })
}

pub(super) fn optional(value: Option<Value>) -> Value {
    opaque(match value {
        Some(value) => OptionalValue::of(value),
        None => OptionalValue::none(),
    })
}

pub(super) fn opaque(value: impl Opaque) -> Value {
    Value::Opaque(Arc::new(value))
}

/// The value of a type that the parser's crate does not know.
pub(super) fn as_opaque<T: Opaque>(value: &Value) -> Option<&T> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<T>(),
        _ => None,
    }
}

/// What an optional holds; `None`: this is no optional.
pub(super) fn held(value: &Value) -> Option<Option<Value>> {
    as_opaque::<OptionalValue>(value).map(|optional| optional.value().cloned())
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

const TYPES: [&str; 15] = [
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "list",
    "map",
    "net.CIDR",
    "net.IP",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// The type of that name.
pub(super) fn type_named(name: &str) -> Option<Value> {
    TYPES.contains(&name).then(|| opaque(TypeName(name.to_owned())))
}

/// The name of a value's type, as cel-go calls it.
pub(crate) fn type_name(value: &Value) -> &str {
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
        Value::Duration(_) | Value::Timestamp(_) | Value::Function(..) => "unknown",
    }
}

/// Whether values are equal: numbers as numbers, everything else within its type (cel-go common/types Equal).
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(_) | Value::UInt(_) | Value::Float(_), Value::Int(_) | Value::UInt(_) | Value::Float(_)) => {
            numbers(left, right) == Some(Ordering::Equal)
        }
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| equal(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            let same = |(key, value): (&Key, &Value)| right.get(key).is_some_and(|other| equal(value, other));
            left.map.len() == right.map.len() && left.map.iter().all(same)
        }
        (Value::Opaque(_), Value::Opaque(_)) => match (held(left), held(right)) {
            (Some(left), Some(right)) => match (left, right) {
                (Some(left), Some(right)) => equal(&left, &right),
                (left, right) => left.is_none() && right.is_none(),
            },
            _ => left == right,
        },
        _ => left == right,
    }
}

/// The order of two numbers; none where one is no number.
fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::UInt(left), Value::UInt(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::UInt(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::UInt(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        _ => double(left)?.partial_cmp(&double(right)?),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as cel-go compares them")]
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::UInt(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

/// The order of two values (cel-go traits.Comparer).
pub(super) fn compare(left: &Value, right: &Value) -> Result<Ordering, Failure> {
    let ordering = match (left, right) {
        (Value::Int(_) | Value::UInt(_) | Value::Float(_), Value::Int(_) | Value::UInt(_) | Value::Float(_)) => {
            return numbers(left, right).ok_or_else(|| Failure::new("NaN values cannot be ordered"));
        }
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => match (as_opaque::<Duration>(left), as_opaque::<Duration>(right)) {
            (Some(left), Some(right)) => left.cmp(right),
            _ => match (as_opaque::<Timestamp>(left), as_opaque::<Timestamp>(right)) {
                (Some(left), Some(right)) => left.cmp(right),
                _ => return Err(Failure::overload()),
            },
        },
    };
    Ok(ordering)
}

/// Whether values of this type have an order.
pub(super) fn is_ordered(value: &Value) -> bool {
    match value {
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::String(_) | Value::Bytes(_) | Value::Bool(_) => true,
        _ => as_opaque::<Duration>(value).is_some() || as_opaque::<Timestamp>(value).is_some(),
    }
}

/// The entry of a map; numbers are the same key in any type.
pub(super) fn entry<'a>(map: &'a Map, key: &Value) -> Option<&'a Value> {
    match key {
        Value::Float(number) => map.get(&whole(*number)?),
        key => map.get(&KeyRef::try_from(key).ok()?),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole, and within the bounds"
)]
fn whole(number: f64) -> Option<KeyRef<'static>> {
    if number.fract() != 0.0 {
        None
    } else if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        Some(KeyRef::Int(number as i64))
    } else if (0.0..18_446_744_073_709_551_616.0).contains(&number) {
        Some(KeyRef::Uint(number as u64))
    } else {
        None
    }
}

//! Optional values (cel-go cel/library.go, OptionalTypes). `or` and `orValue` are the evaluator's: what stands in is evaluated
//! when it is needed.

use kube::core::cel::cel::Value;

use super::times::Duration;
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, held, list, optional};

pub(super) const NAMES: &[&str] = &[
    "first",
    "hasValue",
    "last",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "optional.unwrap",
    "unwrapOpt",
    "value",
];

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    Ok(Some(match (name, arguments) {
        ("optional.none", []) => optional(None),
        ("optional.of", [value]) => optional(Some(value.clone())),
        ("optional.ofNonZeroValue", [value]) => optional(Some(value.clone()).filter(|value| !is_zero(value))),
        ("first", [Value::List(items)]) => optional(items.first().cloned()),
        ("last", [Value::List(items)]) => optional(items.last().cloned()),
        ("optional.unwrap" | "unwrapOpt", [Value::List(items)]) => {
            let values: Option<Vec<Option<Value>>> = items.iter().map(held).collect();
            match values {
                Some(values) => list(values.into_iter().flatten().collect()),
                None => return Err(Failure::overload()),
            }
        }
        (_, [value]) => match (name, held(value)) {
            ("hasValue", Some(held)) => Value::Bool(held.is_some()),
            ("value", Some(Some(held))) => held,
            ("value", Some(None)) => return Err(Failure::new("optional.none() dereference")),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::UInt(value) => *value == 0,
        Value::Float(value) => *value == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.map.is_empty(),
        value => as_opaque::<Duration>(value).is_some_and(|duration| duration.nanoseconds() == 0),
    }
}

//! Conversions between types, and `size` (cel-go common/types, ConvertToType).

use std::sync::Arc;

use kube::core::cel::cel::Value;

use super::addresses;
use super::times::{Duration, Timestamp};
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{TypeName, as_opaque, count, opaque, string, type_name};

pub(super) const NAMES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "dyn",
    "duration",
    "int",
    "size",
    "string",
    "timestamp",
    "type",
    "uint",
];

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    let [value] = arguments else { return Ok(None) };
    match name {
        "bool" => bool(value),
        "bytes" => Ok(match value {
            Value::Bytes(_) => Some(value.clone()),
            Value::String(text) => Some(Value::Bytes(Arc::new(text.as_bytes().to_vec()))),
            _ => None,
        }),
        "double" => double(value),
        "dyn" => Ok(Some(value.clone())),
        "duration" => duration(value),
        "int" => int(value),
        "size" => Ok(size(value)),
        "string" => text(value),
        "timestamp" => timestamp(value),
        "type" => Ok(Some(opaque(TypeName(type_name(value).to_owned())))),
        _ => uint(value),
    }
}

fn wrong(value: &Value, to: &str) -> Failure {
    Failure::new(format!("type conversion error from '{}' to '{to}'", type_name(value)))
}

fn size(value: &Value) -> Option<Value> {
    Some(count(match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.map.len(),
        _ => return None,
    }))
}

fn bool(value: &Value) -> Result<Option<Value>, Failure> {
    match value {
        Value::Bool(_) => Ok(Some(value.clone())),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(Value::Bool(true))),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(Value::Bool(false))),
            _ => Err(wrong(value, "bool")),
        },
        _ => Ok(None),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "within the bounds, and meant to be cut")]
fn int(value: &Value) -> Result<Option<Value>, Failure> {
    let overflow = || Failure::new("integer overflow");
    let value = match value {
        Value::Int(value) => *value,
        Value::UInt(value) => i64::try_from(*value).map_err(|_| overflow())?,
        Value::Float(value) => {
            let bound = 9_223_372_036_854_775_808.0;
            if value.is_nan() || *value <= -bound || *value >= bound {
                return Err(overflow());
            }
            *value as i64
        }
        Value::String(text) => text.parse().map_err(|_| wrong(value, "int"))?,
        _ => match (as_opaque::<Duration>(value), as_opaque::<Timestamp>(value)) {
            (Some(duration), _) => duration.nanoseconds(),
            (_, Some(timestamp)) => timestamp.seconds(),
            _ => return Ok(None),
        },
    };
    Ok(Some(Value::Int(value)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the bounds, and meant to be cut"
)]
fn uint(value: &Value) -> Result<Option<Value>, Failure> {
    let overflow = || Failure::new("unsigned integer overflow");
    let value = match value {
        Value::UInt(value) => *value,
        Value::Int(value) => u64::try_from(*value).map_err(|_| overflow())?,
        Value::Float(value) => {
            if value.is_nan() || *value < 0.0 || *value >= 18_446_744_073_709_551_616.0 {
                return Err(overflow());
            }
            *value as u64
        }
        Value::String(text) if text.starts_with('+') => return Err(wrong(value, "uint")),
        Value::String(text) => text.parse().map_err(|_| wrong(value, "uint"))?,
        _ => return Ok(None),
    };
    Ok(Some(Value::UInt(value)))
}

#[expect(clippy::cast_precision_loss, reason = "as in Go")]
fn double(value: &Value) -> Result<Option<Value>, Failure> {
    let value = match value {
        Value::Float(value) => *value,
        Value::Int(value) => *value as f64,
        Value::UInt(value) => *value as f64,
        Value::String(text) => parse_double(text).ok_or_else(|| wrong(value, "double"))?,
        _ => return Ok(None),
    };
    Ok(Some(Value::Float(value)))
}

/// Go's strconv.ParseFloat, without hexadecimal ones.
fn parse_double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let spelled = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if number.is_infinite() && !spelled.starts_with("inf") || number.is_nan() && spelled.len() != text.len() {
        return None;
    }
    Some(number)
}

/// Go's `%g` with as many digits as are needed.
pub(in crate::admission::cel) fn go_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn text(value: &Value) -> Result<Option<Value>, Failure> {
    Ok(Some(string(match value {
        Value::String(_) => return Ok(Some(value.clone())),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => go_double(*value),
        Value::Bool(value) => value.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|_| Failure::new("invalid UTF-8 in bytes, cannot convert to string"))?,
        _ => match shown(value) {
            Some(text) => text,
            None => return Ok(None),
        },
    })))
}

/// Values of types that the parser's crate does not know, as texts.
pub(super) fn shown(value: &Value) -> Option<String> {
    if let Some(duration) = as_opaque::<Duration>(value) {
        return Some(duration.to_string());
    }
    if let Some(timestamp) = as_opaque::<Timestamp>(value) {
        return Some(timestamp.to_string());
    }
    addresses::shown(value)
}

fn duration(value: &Value) -> Result<Option<Value>, Failure> {
    match value {
        Value::String(text) => Duration::parse(text)
            .map(|duration| Some(opaque(duration)))
            .ok_or_else(|| wrong(value, "google.protobuf.Duration")),
        Value::Int(_) => Err(wrong(value, "google.protobuf.Duration")),
        _ => Ok(as_opaque::<Duration>(value).map(|_| value.clone())),
    }
}

fn timestamp(value: &Value) -> Result<Option<Value>, Failure> {
    match value {
        Value::String(text) => match Timestamp::parse(text) {
            Some(timestamp) => timestamp.bounded().map(|timestamp| Some(opaque(timestamp))),
            None => Err(wrong(value, "google.protobuf.Timestamp")),
        },
        Value::Int(seconds) => Timestamp::of_seconds(*seconds)
            .bounded()
            .map(|timestamp| Some(opaque(timestamp))),
        _ => Ok(as_opaque::<Timestamp>(value).map(|_| value.clone())),
    }
}

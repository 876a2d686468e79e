//! Values against a schema, with the texts of CustomResources (k8s.io/kube-openapi pkg/validation/validate, and
//! kubeOpenAPIResultToFieldErrors of k8s.io/apiextensions-apiserver pkg/apiserver/validation/validation.go).

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Number, Value};

use super::lists::map_key;
use super::{Additional, Limits, ListType, Schema, Type};
use crate::wire::meta::parse_time;
use crate::wire::validation::FieldError;

/// The greatest float that counts as an integer: 2^53 - 1.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// What is wrong with `value`; what equals its counterpart in `old` is not looked at.
pub(super) fn validate(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_at(schema, value, old, Path::Root, &mut errors);
    errors
}

fn validate_at(schema: &Schema, value: &Value, old: Option<&Value>, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if old == Some(value) {
        return;
    }
    check_type(schema, value, path, errors);
    match value {
        Value::String(text) => check_text(schema, text, path, errors),
        Value::Number(number) => check_number(schema, number, path, errors),
        Value::Array(list) => check_list(schema, list, old.and_then(Value::as_array), path, errors),
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
    if !schema.choices.is_empty() && !schema.choices.iter().any(|choice| same(choice, value)) {
        let spelled: Vec<String> = schema.choices.iter().map(choice).collect();
        let spelled: Vec<&str> = spelled.iter().map(String::as_str).collect();
        errors.push(FieldError::not_supported(name(path), value, &spelled));
    }
    if let Value::Object(map) = value {
        check_object(schema, map, old.and_then(Value::as_object), path, errors);
    }
}

/// What an error calls the root.
pub(super) const ROOT: &str = "<nil>";

/// Where a value is; written out for an error only.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    /// A field that the schema names.
    Field(&'a Path<'a>, &'a str),
    /// One that it does not name: written with its dot in the root, too.
    Unnamed(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, key) => f.write_str(key),
            Path::Field(parent, key) | Path::Unnamed(parent, key) => write!(f, "{parent}.{key}"),
            Path::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// The path as the error names it: without the dot that leads in the root.
fn name(path: Path<'_>) -> String {
    let path = path.to_string();
    match path.strip_prefix('.').unwrap_or(&path) {
        "" => ROOT.to_owned(),
        path => path.to_owned(),
    }
}

fn check_type(schema: &Schema, value: &Value, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let format = schema.format.as_deref().unwrap_or_default();
    let (actual, actual_format) = match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) if number.as_i64().is_some() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
    };
    let wanted = match (schema.int_or_string, schema.kind) {
        (true, _) => "integer,string",
        (false, None) => return,
        (false, Some(Type::Object)) => "object",
        (false, Some(Type::Array)) => "array",
        (false, Some(Type::Text)) => "string",
        (false, Some(Type::Integer)) => "integer",
        (false, Some(Type::Number)) => "number",
        (false, Some(Type::Boolean)) => "boolean",
    };
    let fits = match value {
        Value::Null => schema.nullable,
        Value::Number(number) => {
            let whole = number.as_i64().is_some() || number.as_f64().is_some_and(is_whole);
            wanted == "number" || whole && wanted.starts_with("integer")
        }
        _ => wanted.split(',').any(|one| one == actual),
    };
    if fits {
        return;
    }
    // a value of quite another kind is told the format, where there is one that Kubernetes knows
    let formatted = !matches!(value, Value::Null | Value::String(_) | Value::Array(_)) && known_format(wanted, format);
    let (wanted, actual) = if formatted {
        (format, actual_format)
    } else {
        (wanted, actual)
    };
    let quoted = crate::wire::quote::go_quote(actual);
    let detail = format!("{path} in body must be of type {wanted}: {quoted}");
    errors.push(FieldError::type_invalid(name(path), actual, &detail));
}

/// Formats of other types are ignored.
fn known_format(wanted: &str, format: &str) -> bool {
    match wanted {
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        "string" => format == "date-time",
        _ => false,
    }
}

fn check_text(schema: &Schema, text: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let Limits {
        min_length, max_length, ..
    } = schema.limits;
    let length = text.chars().count();
    if let Some(limit) = max_length.filter(|limit| length > *limit) {
        errors.push(FieldError::too_long(name(path), limit));
    } else if let Some(limit) = min_length.filter(|limit| length < *limit) {
        let detail = format!("{path} in body should be at least {limit} chars long");
        errors.push(FieldError::invalid(name(path), text, &detail));
    }
    let dated = matches!(schema.kind, None | Some(Type::Text)) && schema.format.as_deref() == Some("date-time");
    if dated && parse_time(text).is_none() {
        let quoted = crate::wire::quote::go_quote(text);
        let detail = format!("{path} in body must be of type date-time: {quoted}");
        errors.push(FieldError::type_invalid(name(path), text, &detail));
    }
}

fn check_number(schema: &Schema, number: &Number, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let value = number.as_f64().unwrap_or(f64::NAN);
    if schema.kind == Some(Type::Integer) {
        let format = schema
            .format
            .as_deref()
            .filter(|format| matches!(*format, "int32" | "int64"));
        let whole = number
            .as_i64()
            .or_else(|| is_whole(value).then(|| float_to_integer(value)));
        let in_range = whole.is_some_and(|whole| format != Some("int32") || i32::try_from(whole).is_ok());
        if !in_range {
            let format = format.map_or("(default format)".to_owned(), |format| format!("with format {format}"));
            let detail = format!("Checked value must be of type integer {format} in {path}");
            errors.push(FieldError::invalid("<nil>", "", &detail));
        }
    }
    let limits = &schema.limits;
    let mut refuse = |why: String| {
        let detail = format!("{path} in body should be {why}");
        let shown = number
            .as_i64()
            .map_or_else(|| go_float(value), |whole| whole.to_string());
        errors.push(FieldError::shown(name(path), &shown, &detail));
    };
    if let Some(factor) = limits.multiple_of
        && !is_whole(value / factor)
    {
        refuse(format!("a multiple of {}", go_float(factor)));
    }
    if let Some(limit) = limits.minimum {
        let limit_text = go_float(limit);
        if limits.exclusive_minimum && value <= limit {
            refuse(format!("greater than {limit_text}"));
        } else if value < limit {
            refuse(format!("greater than or equal to {limit_text}"));
        }
    }
    if let Some(limit) = limits.maximum {
        let limit_text = go_float(limit);
        if limits.exclusive_maximum && value >= limit {
            refuse(format!("less than {limit_text}"));
        } else if value > limit {
            refuse(format!("less than or equal to {limit_text}"));
        }
    }
}

fn check_list(schema: &Schema, list: &[Value], old: Option<&Vec<Value>>, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(items) = &schema.items {
        for (at, value) in list.iter().enumerate() {
            let old = match (&schema.list_type, old) {
                (ListType::Map(keys), Some(old)) => {
                    let key = map_key(keys, value);
                    old.iter().find(|candidate| map_key(keys, candidate) == key)
                }
                _ => None,
            };
            validate_at(items, value, old, Path::Item(&path, at), errors);
        }
    }
    let (limits, size) = (&schema.limits, list.len());
    if let Some(limit) = limits.min_items.filter(|limit| size < *limit) {
        let detail = format!("{path} in body should have at least {limit} items");
        errors.push(FieldError::invalid(name(path), size, &detail));
    }
    if let Some(limit) = limits.max_items.filter(|limit| size > *limit) {
        errors.push(FieldError::too_many(name(path), size, limit));
    }
    if limits.unique_items && list.iter().collect::<HashSet<_>>().len() < size {
        let detail = format!("{path} in body shouldn't contain duplicates");
        errors.push(FieldError::invalid(name(path), "", &detail));
    }
}

fn check_object(
    schema: &Schema,
    map: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    path: Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let (limits, size) = (&schema.limits, map.len());
    if let Some(limit) = limits.min_properties.filter(|limit| size < *limit) {
        let detail = format!("{path} in body should have at least {limit} properties");
        errors.push(FieldError::invalid(name(path), size, &detail));
    }
    if let Some(limit) = limits.max_properties.filter(|limit| size > *limit) {
        errors.push(FieldError::too_many(name(path), size, limit));
    }
    let old = old.filter(|_| !schema.atomic_map);
    let before = |key: &str| old.and_then(|old| old.get(key));
    if let Additional::Of(additional) = &schema.additional_properties {
        let unnamed = map.iter().filter(|(key, _)| !schema.properties.contains_key(*key));
        for (key, value) in unnamed {
            validate_at(additional, value, before(key), Path::Unnamed(&path, key), errors);
        }
    }
    for (key, property) in &schema.properties {
        if let Some(value) = map.get(key) {
            validate_at(property, value, before(key), Path::Field(&path, key), errors);
        }
    }
    for key in schema.required.iter().filter(|key| !map.contains_key(*key)) {
        errors.push(FieldError::required(name(Path::Field(&path, key)), ""));
    }
}

/// Numbers are the same whether written with a fraction of zero or not.
fn same(choice: &Value, value: &Value) -> bool {
    match (choice, value) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => choice == value,
    }
}

fn choice(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => String::from_utf8_lossy(&crate::wire::json::to_vec(other)).into_owned(),
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= MAX_WHOLE
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only called for whole numbers below 2^53"
)]
fn float_to_integer(number: f64) -> i64 {
    number as i64
}

/// As Go's `%v` prints a float64.
fn go_float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

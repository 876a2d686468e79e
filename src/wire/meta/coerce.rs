//! `metadata` of a decoded object brought into the shape of ObjectMeta: unknown fields go, wrong types are refused, empty
//! fields are left out (k8s.io/apiextensions-apiserver pkg/apiserver/schema/objectmeta/coerce.go).

use serde_json::{Map, Value};

use super::time::{parse_time, rfc3339};
use crate::wire::json;

/// The type of a field of ObjectMeta.
enum Shape {
    Text,
    Integer,
    Flag,
    Time,
    Texts,
    TextMap,
    Raw,
    Structs(&'static str, &'static [Field]),
}

/// A field's name, its type, and whether its empty value is kept.
type Field = (&'static str, Shape, bool);

const OBJECT_META: &[Field] = &[
    ("name", Shape::Text, false),
    ("generateName", Shape::Text, false),
    ("namespace", Shape::Text, false),
    ("selfLink", Shape::Text, false),
    ("uid", Shape::Text, false),
    ("resourceVersion", Shape::Text, false),
    ("generation", Shape::Integer, false),
    ("creationTimestamp", Shape::Time, false),
    ("deletionTimestamp", Shape::Time, false),
    ("deletionGracePeriodSeconds", Shape::Integer, true),
    ("labels", Shape::TextMap, false),
    ("annotations", Shape::TextMap, false),
    (
        "ownerReferences",
        Shape::Structs("OwnerReference", OWNER_REFERENCE),
        false,
    ),
    ("finalizers", Shape::Texts, false),
    (
        "managedFields",
        Shape::Structs("ManagedFieldsEntry", MANAGED_FIELDS),
        false,
    ),
];

const OWNER_REFERENCE: &[Field] = &[
    ("apiVersion", Shape::Text, true),
    ("kind", Shape::Text, true),
    ("name", Shape::Text, true),
    ("uid", Shape::Text, true),
    ("controller", Shape::Flag, true),
    ("blockOwnerDeletion", Shape::Flag, true),
];

const MANAGED_FIELDS: &[Field] = &[
    ("manager", Shape::Text, false),
    ("operation", Shape::Text, false),
    ("apiVersion", Shape::Text, false),
    ("time", Shape::Time, false),
    ("fieldsType", Shape::Text, false),
    ("fieldsV1", Shape::Raw, false),
    ("subresource", Shape::Text, false),
];

/// Brings `metadata` into shape, if there is any, and returns the unknown fields that it dropped, for example
/// `unknown field "metadata.bogus"`. `holder` is the Go type that holds the metadata, if there is one.
///
/// # Errors
/// The text of Go's error, for the first field of a wrong type.
pub fn coerce(object: &mut Value, holder: Option<&str>) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let Some(metadata) = object.get_mut("metadata") else {
        return Ok(unknown);
    };
    let mut place = Place {
        structure: "ObjectMeta",
        go_path: holder.map_or("", |_| "metadata").to_owned(),
        path: "metadata".to_owned(),
    };
    match metadata {
        Value::Null => *metadata = Value::Object(Map::new()),
        Value::Object(map) => shape_struct(map, OBJECT_META, &mut place, &mut unknown)?,
        other => {
            let kind = json::kind(other);
            let place = holder.map_or("value".to_owned(), |holder| format!("struct field {holder}.metadata"));
            return Err(format!(
                "json: cannot unmarshal {kind} into Go {place} of type v1.ObjectMeta"
            ));
        }
    }
    Ok(unknown)
}

/// Where in the object we are, for errors (`ObjectMeta.labels`) and for warnings (`metadata.ownerReferences[0].x`).
struct Place {
    structure: &'static str,
    go_path: String,
    path: String,
}

impl Place {
    fn mismatch(&self, value: &Value, wanted: &str) -> String {
        let (kind, structure, path) = (json::kind(value), self.structure, &self.go_path);
        let wanted = match path.rsplit('.').next() {
            Some("uid") => "types.UID",
            _ => wanted,
        };
        // a number that does not fit is named
        let kind = match value {
            Value::Number(number) if wanted == "int64" => format!("{kind} {number}"),
            _ => kind.to_owned(),
        };
        format!("json: cannot unmarshal {kind} into Go struct field {structure}.{path} of type {wanted}")
    }
}

fn shape_struct(
    map: &mut Map<String, Value>,
    fields: &[Field],
    place: &mut Place,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    map.retain(|key, _| {
        let known = fields.iter().any(|(name, ..)| name == key);
        if !known {
            unknown.push(format!("unknown field \"{}.{key}\"", place.path));
        }
        known
    });
    for (name, shape, keep_empty) in fields {
        let Some(value) = map.get_mut(*name) else {
            continue;
        };
        let inner = if place.go_path.is_empty() {
            (*name).to_owned()
        } else {
            format!("{}.{name}", place.go_path)
        };
        let outer = std::mem::replace(&mut place.go_path, inner);
        let path_length = place.path.len();
        place.path.push('.');
        place.path.push_str(name);
        shape_value(value, shape, place, unknown)?;
        place.path.truncate(path_length);
        place.go_path = outer;
        let text = matches!(shape, Shape::Text);
        if value.is_null() && text && *keep_empty {
            *value = Value::String(String::new());
        }
        if value.is_null() || !keep_empty && is_empty(value) {
            map.remove(*name);
        }
    }
    for (name, shape, keep_empty) in fields {
        // plain texts of a nested structure are always written
        if *keep_empty && matches!(shape, Shape::Text) && !map.contains_key(*name) {
            map.insert((*name).to_owned(), Value::String(String::new()));
        }
    }
    Ok(())
}

fn shape_value(value: &mut Value, shape: &Shape, place: &mut Place, unknown: &mut Vec<String>) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    match shape {
        Shape::Text if !value.is_string() => return Err(place.mismatch(value, "string")),
        Shape::Flag if !value.is_boolean() => return Err(place.mismatch(value, "bool")),
        Shape::Text | Shape::Flag | Shape::Raw => {}
        Shape::Integer => match integer(value) {
            Some(number) => *value = Value::from(number),
            None => return Err(place.mismatch(value, "int64")),
        },
        Shape::Time => {
            let Value::String(text) = &*value else {
                let kind = json::kind(value);
                return Err(format!("json: cannot unmarshal {kind} into Go value of type string"));
            };
            let time = parse_time(text).ok_or_else(|| {
                let quoted = crate::wire::quote::go_quote(text);
                format!("parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\"")
            })?;
            *value = Value::String(rfc3339(time));
        }
        Shape::Texts => {
            let Value::Array(list) = value else {
                return Err(place.mismatch(value, "[]string"));
            };
            list.iter_mut().try_for_each(|one| nested_text(one, place))?;
        }
        Shape::TextMap => {
            let Value::Object(map) = value else {
                return Err(place.mismatch(value, "map[string]string"));
            };
            map.values_mut().try_for_each(|one| nested_text(one, place))?;
        }
        Shape::Structs(structure, fields) => {
            let Value::Array(list) = value else {
                return Err(place.mismatch(value, &format!("[]v1.{structure}")));
            };
            for (at, one) in list.iter_mut().enumerate() {
                if one.is_null() {
                    *one = Value::Object(Map::new());
                }
                let Value::Object(map) = one else {
                    return Err(place.mismatch(one, &format!("v1.{structure}")));
                };
                let outer = std::mem::replace(&mut place.structure, structure);
                let path_length = place.path.len();
                place.path.push_str(&format!("[{at}]"));
                shape_struct(map, fields, place, unknown)?;
                place.path.truncate(path_length);
                place.structure = outer;
            }
        }
    }
    Ok(())
}

/// Null inside a list or map of texts is the empty text.
fn nested_text(value: &mut Value, place: &Place) -> Result<(), String> {
    if value.is_null() {
        *value = Value::String(String::new());
    }
    if value.is_string() {
        Ok(())
    } else {
        Err(place.mismatch(value, "string"))
    }
}

/// Numbers with a fraction of zero are integers, as they are after Go has decoded and encoded them once.
fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Null | Value::Bool(_) => false,
    }
}

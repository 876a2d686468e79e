//! Schemas out of their OpenAPI v3 form.

use serde_json::{Map, Value};

use super::{Additional, ListType, Schema, Type};

/// Keywords that say nothing about which values are valid.
const ANNOTATIONS: &[&str] = &["title", "description", "example", "externalDocs", "$schema"];

impl Schema {
    /// Parses a structural schema. Understood are `type`, `format`, `nullable`, `properties`, `additionalProperties`,
    /// `required`, `items`, `default`, `enum`, the limits of lengths, sizes and numbers, and of `x-kubernetes-`
    /// `int-or-string`, `preserve-unknown-fields`, `embedded-resource`, `list-type`, `list-map-keys` and `map-type`.
    /// Of the formats, `int32`, `int64` and `date-time` are checked.
    ///
    /// # Errors
    /// Names the keyword that is malformed, or that this validator does not know (`pattern`, `oneOf`, …).
    pub fn parse(value: &Value) -> Result<Self, String> {
        parse(value, "")
    }
}

fn parse(value: &Value, path: &str) -> Result<Schema, String> {
    let Value::Object(map) = value else {
        return Err(format!("{path}: a schema must be an object"));
    };
    let mut schema = Schema::default();
    let mut list_type = "atomic";
    for (key, value) in map {
        let bad = || format!("{path}.{key}: malformed");
        let flag = || value.as_bool().ok_or_else(bad);
        let size = || {
            value
                .as_u64()
                .and_then(|size| usize::try_from(size).ok())
                .map(Some)
                .ok_or_else(bad)
        };
        let number = || value.as_f64().map(Some).ok_or_else(bad);
        let limits = &mut schema.limits;
        match key.as_str() {
            "type" => schema.kind = Some(parse_type(value).ok_or_else(bad)?),
            "format" => schema.format = Some(value.as_str().ok_or_else(bad)?.to_owned()),
            "nullable" => schema.nullable = flag()?,
            "default" => schema.default = Some(value.clone()),
            "enum" => schema.choices = value.as_array().ok_or_else(bad)?.clone(),
            "required" => schema.required = texts(value).ok_or_else(bad)?,
            "items" => schema.items = Some(Box::new(parse(value, &format!("{path}[]"))?)),
            "properties" => {
                for (name, property) in value.as_object().ok_or_else(bad)? {
                    let property = parse(property, &format!("{path}.{name}"))?;
                    schema.properties.insert(name.clone(), property);
                }
            }
            "additionalProperties" => {
                schema.additional_properties = match value {
                    Value::Bool(true) => Additional::Any,
                    Value::Bool(false) => Additional::None,
                    other => Additional::Of(Box::new(parse(other, &format!("{path}.*"))?)),
                }
            }
            "minLength" => limits.min_length = size()?,
            "maxLength" => limits.max_length = size()?,
            "minItems" => limits.min_items = size()?,
            "maxItems" => limits.max_items = size()?,
            "uniqueItems" => limits.unique_items = flag()?,
            "minProperties" => limits.min_properties = size()?,
            "maxProperties" => limits.max_properties = size()?,
            "minimum" => limits.minimum = number()?,
            "exclusiveMinimum" => limits.exclusive_minimum = flag()?,
            "maximum" => limits.maximum = number()?,
            "exclusiveMaximum" => limits.exclusive_maximum = flag()?,
            "multipleOf" => limits.multiple_of = number()?,
            "x-kubernetes-int-or-string" => schema.int_or_string = flag()?,
            "x-kubernetes-preserve-unknown-fields" => schema.preserve_unknown_fields = flag()?,
            "x-kubernetes-embedded-resource" => schema.embedded_resource = flag()?,
            "x-kubernetes-list-type" => list_type = value.as_str().ok_or_else(bad)?,
            "x-kubernetes-map-type" => schema.atomic_map = value.as_str().ok_or_else(bad)? == "atomic",
            "x-kubernetes-list-map-keys" => {}
            "anyOf" | "allOf" if is_int_or_string(map) => {}
            key if ANNOTATIONS.contains(&key) || key.starts_with("x-") && !known_extension(key) => {}
            _ => return Err(format!("{path}.{key}: this keyword is not supported")),
        }
    }
    schema.list_type = match list_type {
        "set" => ListType::Set,
        "map" => {
            let keys = map.get("x-kubernetes-list-map-keys").and_then(texts);
            let keys = keys.filter(|keys| !keys.is_empty());
            ListType::Map(keys.ok_or_else(|| format!("{path}: list type map needs x-kubernetes-list-map-keys"))?)
        }
        _ => ListType::Atomic,
    };
    Ok(schema)
}

/// `x-kubernetes-int-or-string` is commonly spelled out as well.
fn is_int_or_string(map: &Map<String, Value>) -> bool {
    map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
}

/// Extensions that do say which values are valid.
fn known_extension(key: &str) -> bool {
    key == "x-kubernetes-validations"
}

fn parse_type(value: &Value) -> Option<Type> {
    Some(match value.as_str()? {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::Text,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => return None,
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array()?.iter();
    list.map(|one| one.as_str().map(str::to_owned)).collect()
}

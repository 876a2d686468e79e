//! Lists that are sets or maps hold nothing twice (k8s.io/apiextensions-apiserver pkg/apiserver/schema/listtype).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Additional, ListType, Schema};
use crate::wire::validation::FieldError;

/// Adds the duplicates in `value`, which is found at `path`.
pub(super) fn validate(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let known = schema.properties.get(key);
                if let Some(property) = known {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    validate(property, value, &path, errors);
                } else if let Additional::Of(schema) = &schema.additional_properties {
                    validate(schema, value, &format!("{path}[{key}]"), errors);
                }
            }
        }
        Value::Array(list) => {
            match &schema.list_type {
                ListType::Atomic => {}
                ListType::Set => {
                    for at in duplicates(list) {
                        errors.push(FieldError::duplicate(format!("{path}[{at}]"), &list[at]));
                    }
                }
                ListType::Map(keys) => validate_map(keys, list, path, errors),
            }
            if let Some(items) = &schema.items {
                for (at, value) in list.iter().enumerate() {
                    validate(items, value, &format!("{path}[{at}]"), errors);
                }
            }
        }
        _ => {}
    }
}

fn validate_map(keys: &[String], list: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if let Some(at) = list.iter().position(|value| !value.is_object() && !value.is_null()) {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(format!("{path}[{at}]"), &list[at], detail));
        return;
    }
    let names: Vec<Value> = list.iter().map(|value| Value::Object(map_key(keys, value))).collect();
    for at in duplicates(&names) {
        errors.push(FieldError::duplicate(format!("{path}[{at}]"), &names[at]));
    }
}

/// What identifies an item of a list of type map.
pub(super) fn map_key(keys: &[String], item: &Value) -> Map<String, Value> {
    let present = keys
        .iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
    present.collect()
}

/// Where values occur for the second time; a third time is not reported.
fn duplicates(list: &[Value]) -> Vec<usize> {
    let mut seen: HashMap<&Value, usize> = HashMap::with_capacity(list.len());
    let mut second = |at: &usize| {
        let times = seen.entry(&list[*at]).or_default();
        *times += 1;
        *times == 2
    };
    (0..list.len()).filter(|at| second(at)).collect()
}

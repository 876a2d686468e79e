//! Strategic merge patch: a merge patch in which lists are merged as their types say, and which carries directives
//! (k8s.io/apimachinery pkg/util/strategicpatch/patch.go).
//!
//! Go reads from its types how a list is merged; the list types of the schema say the same for the kinds that are served
//! with this patch.

use serde_json::{Map, Value};

use crate::wire::schema::{ListType, Schema};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Items of a list that is merged: each is compared with all others.
const ITEMS: usize = 10_000;

/// How a list is merged.
enum Merge<'a> {
    /// Not at all: another list takes its place.
    Replace,
    /// Texts, each once.
    Set,
    /// Objects that are told apart by this field.
    By(&'a str),
}

/// What is known of the place that is patched.
#[derive(Clone, Copy)]
enum Place<'a> {
    Object(&'a Schema),
    Metadata,
    Field(Option<&'a Schema>),
}

impl<'a> Place<'a> {
    fn below(self, field: &str) -> Self {
        match self {
            Self::Object(_) if field == "metadata" => Self::Metadata,
            Self::Object(schema) => Self::Field(schema.property(field)),
            Self::Field(schema) => Self::Field(schema.and_then(|schema| schema.property(field))),
            Self::Metadata => Self::Field(None),
        }
    }

    fn merge(self, field: &str) -> (Merge<'a>, Option<&'a Schema>) {
        match (self, field) {
            (Self::Metadata, "finalizers") => return (Merge::Set, None),
            (Self::Metadata, "ownerReferences") => return (Merge::By("uid"), None),
            _ => {}
        }
        let Self::Field(Some(schema)) = self.below(field) else {
            return (Merge::Replace, None);
        };
        let items = schema.items();
        match schema.list_type() {
            ListType::Atomic => (Merge::Replace, items),
            ListType::Set => (Merge::Set, items),
            ListType::Map(keys) => (keys.first().map_or(Merge::Replace, |key| Merge::By(key)), items),
        }
    }
}

/// Applies a patch to an object with this schema.
///
/// # Errors
/// A directive that does not exist, or an item without the field that tells it apart.
pub fn apply(object: &mut Value, patch: &Value, schema: &Schema) -> Result<(), String> {
    merge(object, patch, Place::Object(schema))
}

fn merge(target: &mut Value, patch: &Value, place: Place<'_>) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => {
            *target = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => return Err(unknown(other)),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return Ok(()) };
    if let Some(keys) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        members.retain(|field, _| keys.iter().any(|key| key == field));
    }
    for (field, value) in patch {
        if let Some(field) = field.strip_prefix(DELETE_FROM) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(Value::Array(list)) = members.get_mut(field) {
                list.retain(|item| !gone.contains(item));
            }
        }
    }
    for (field, value) in patch.iter().filter(|(field, _)| !field.starts_with('$')) {
        match (members.get_mut(field), value) {
            (_, Value::Null) => drop(members.remove(field)),
            (Some(own @ Value::Array(_)), Value::Array(items)) => {
                let (how, schema) = place.merge(field);
                let order = patch.get(&format!("{ORDER}{field}")).and_then(Value::as_array);
                merge_list(own, items, &how, schema, order)?;
            }
            (Some(own), value) => merge(own, value, place.below(field))?,
            (None, value) => {
                let mut new = Value::Null;
                match value {
                    // what is not there yet is nothing to delete from
                    Value::Array(items) => {
                        let (how, schema) = place.merge(field);
                        new = Value::Array(Vec::new());
                        merge_list(&mut new, items, &how, schema, None)?;
                    }
                    value => merge(&mut new, value, place.below(field))?,
                }
                members.insert(field.clone(), new);
            }
        }
    }
    Ok(())
}

fn merge_list(
    own: &mut Value,
    items: &[Value],
    how: &Merge<'_>,
    schema: Option<&Schema>,
    order: Option<&Vec<Value>>,
) -> Result<(), String> {
    let Value::Array(list) = own else { return Ok(()) };
    let most = list.len().max(items.len()).max(order.map_or(0, Vec::len));
    if most > ITEMS && !matches!(how, Merge::Replace) {
        return Err(format!(
            "the allowed maximum items of a list that is merged is {ITEMS}, got {most}"
        ));
    }
    match how {
        Merge::Replace => *list = items.to_vec(),
        Merge::Set => {
            for item in items {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
            sort(list, order, |item| Some(item));
        }
        Merge::By(key) => {
            let directive = |item: &Value| item.get(PATCH).and_then(Value::as_str).map(str::to_owned);
            if items.iter().any(|item| directive(item).as_deref() == Some("replace")) {
                let kept = items
                    .iter()
                    .filter(|item| directive(item).as_deref() != Some("replace"));
                *list = kept.cloned().collect();
                return Ok(());
            }
            for item in items {
                let name = item.get(key);
                let name = name.ok_or_else(|| format!("map: {item} does not contain declared merge key: {key}"))?;
                let at = list.iter().position(|own| own.get(key) == Some(name));
                match (directive(item).as_deref(), at) {
                    (Some("delete"), Some(at)) => drop(list.remove(at)),
                    (Some("delete"), None) => {}
                    (Some("merge") | None, Some(at)) => merge(&mut list[at], item, Place::Field(schema))?,
                    (Some("merge") | None, None) => {
                        let mut new = Value::Null;
                        merge(&mut new, item, Place::Field(schema))?;
                        list.push(new);
                    }
                    (Some(other), _) => return Err(unknown(other)),
                }
            }
            sort(list, order, |item| item.get(key));
        }
    }
    Ok(())
}

/// Puts what an order names into that order; what it does not name stays where it is, as far as it can.
fn sort(list: &mut [Value], order: Option<&Vec<Value>>, name: impl Fn(&Value) -> Option<&Value>) {
    let Some(order) = order else { return };
    let rank = |item: &Value| {
        let wanted = name(item)?;
        order.iter().position(|one| name(one).unwrap_or(one) == wanted)
    };
    let places: Vec<usize> = (0..list.len()).filter(|at| rank(&list[*at]).is_some()).collect();
    let mut named: Vec<Value> = places.iter().map(|at| list[*at].clone()).collect();
    named.sort_by_cached_key(|item| rank(item));
    for (at, item) in places.into_iter().zip(named) {
        list[at] = item;
    }
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    let own = patch.iter().filter(|(field, _)| !field.starts_with('$'));
    own.map(|(field, value)| (field.clone(), value.clone())).collect()
}

fn unknown(directive: &str) -> String {
    format!("invalid patch type {directive:?}: must be one of \"delete\", \"merge\", \"replace\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let conditions = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}}});
        let rules = json!({"type": "array", "items": {"type": "object", "properties": {}}});
        Schema::parse(&json!({"type": "object", "properties": {
            "rules": rules,
            "status": {"type": "object", "properties": {"conditions": conditions}},
        }}))
        .unwrap()
    }

    #[test]
    fn lists_are_merged_as_their_types_say() {
        for (object, patch, wanted) in [
            (
                json!({"a": 1, "b": {"c": 1}}),
                json!({"a": null, "b": {"d": 2}}),
                json!({"b": {"c": 1, "d": 2}}),
            ),
            (
                json!({"rules": [{"x": 1}]}),
                json!({"rules": [{"y": 2}]}),
                json!({"rules": [{"y": 2}]}),
            ),
            (
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"],
                    "$setElementOrder/finalizers": ["c", "b"]}}),
                json!({"metadata": {"finalizers": ["c", "b"]}}),
            ),
            (
                json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2"}]}}),
                json!({"metadata": {"ownerReferences": [{"uid": "2", "$patch": "delete"}, {"uid": "1", "name": "b"}, {"uid": "3"}]}}),
                json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "b"}, {"uid": "3"}]}}),
            ),
            (
                json!({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B"}]}}),
                json!({"status": {"conditions": [{"type": "A", "status": "False"}],
                    "$setElementOrder/conditions": [{"type": "B"}, {"type": "A"}]}}),
                json!({"status": {"conditions": [{"type": "B"}, {"type": "A", "status": "False"}]}}),
            ),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"$patch": "replace", "z": 3}}),
                json!({"a": {"z": 3}}),
            ),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"$retainKeys": ["y", "z"], "z": 3}}),
                json!({"a": {"y": 2, "z": 3}}),
            ),
            (
                json!({}),
                json!({"metadata": {"finalizers": ["a"]}}),
                json!({"metadata": {"finalizers": ["a"]}}),
            ),
        ] {
            let mut result = object.clone();
            apply(&mut result, &patch, &schema()).unwrap();
            assert_eq!(result, wanted, "{object} {patch}");
        }
        let odd = json!({"metadata": {"ownerReferences": [{"name": "a"}]}});
        let mut object = json!({"metadata": {"ownerReferences": []}});
        assert!(apply(&mut object, &odd, &schema()).is_err());
        assert!(apply(&mut json!({}), &json!({"a": {"$patch": "twist"}}), &schema()).is_err());
    }
}

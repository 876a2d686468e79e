//! An object and a patch, compared with plain readings of RFC 7386 and RFC 6902.

use std::sync::LazyLock;

use bulward::wire::body::decode_json;
use bulward::wire::patch::{decode_json as decode_patch, decode_merge, merge, strategic};
use bulward::wire::schema::Schema;
use serde_json::{Map, Value, json};

use super::parts;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let schema = json!({"type": "object", "properties": {"metadata": {"type": "object"}, "spec": {"type": "object", "properties": {
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
            "items": {"type": "object", "required": ["port"], "properties": {
                "port": {"type": "integer"}, "name": {"type": "string"}}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}}});
    Schema::parse(&schema).expect("structural")
});

pub(super) fn target(data: &[u8]) -> bool {
    let Some((object, patch)) = parts(data) else {
        return false;
    };
    let Ok(object) = decode_json(object) else { return false };
    let object = object.value;
    let merged = merges(&object, patch);
    let patched = patches(&object, patch);
    strategically(&object, patch);
    merged || patched
}

/// Strategic merge patches, which are merge patches where there are neither directives nor lists.
fn strategically(object: &Value, patch: &[u8]) {
    let Ok((patch, _)) = decode_merge(patch, false) else {
        return;
    };
    let mut patched = object.clone();
    match strategic::apply(&mut patched, &patch, &SCHEMA) {
        Ok(()) if patch.is_object() && object.is_object() && is_plain(&patch) => {
            assert_eq!(patched, rfc_7386(object.clone(), &patch), "{object} with {patch}");
        }
        Ok(()) => {}
        Err(why) => assert!(!why.is_empty()),
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| !name.contains('$') && is_plain(value)),
        Value::Array(_) => false,
        _ => true,
    }
}

fn merges(object: &Value, patch: &[u8]) -> bool {
    let (strict, lenient) = (decode_merge(patch, true), decode_merge(patch, false));
    if let (Ok((strict, _)), Ok((lenient, _))) = (&strict, &lenient) {
        assert_eq!(strict, lenient);
    }
    let Ok((patch, _)) = lenient else { return false };
    let mut merged = object.clone();
    merge(&mut merged, &patch);
    // Go's library also takes nulls out of objects in lists, of which the RFC knows nothing.
    if patch.is_object() && !null_below_a_list(&patch, false) {
        assert_eq!(merged, rfc_7386(object.clone(), &patch), "{object} with {patch}");
    }
    let mut again = merged.clone();
    merge(&mut again, &patch);
    if !null_below_a_list(&patch, false) {
        assert_eq!(again, merged, "a second time changes nothing: {object} with {patch}");
    }
    true
}

fn null_below_a_list(value: &Value, below: bool) -> bool {
    match value {
        Value::Null => below,
        Value::Array(items) => items.iter().any(|item| null_below_a_list(item, true)),
        Value::Object(members) => members.values().any(|value| null_below_a_list(value, below)),
        _ => false,
    }
}

/// The pseudo code of RFC 7386, section 2.
fn rfc_7386(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let own = target.remove(name).unwrap_or(Value::Null);
            target.insert(name.clone(), rfc_7386(own, value));
        }
    }
    Value::Object(target)
}

fn patches(object: &Value, text: &[u8]) -> bool {
    let Ok((patch, _)) = decode_patch(text, false) else {
        return false;
    };
    let mut ours = object.clone();
    let result = patch.apply(&mut ours);
    let operations = decode_json(text).map(|decoded| decoded.value).unwrap_or_default();
    let Value::Array(operations) = operations else {
        return true;
    };
    assert_eq!(patch.len(), operations.len());
    let mut model = Some(object.clone());
    for operation in &operations {
        match model.take().and_then(|object| step(object, operation)) {
            Some(next) => model = Some(next),
            // Not in this model, or not possible: either is possible for the other side.
            None => return true,
        }
    }
    assert!(result.is_ok(), "{object} with {operations:?}: {result:?}");
    assert_eq!(Some(ours), model, "{object} with {operations:?}");
    true
}

/// One operation on plain members of objects, by RFC 6902.
fn step(mut object: Value, operation: &Value) -> Option<Value> {
    let path = operation["path"].as_str()?;
    let (parent, name) = path.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    if path.contains('~') || !object.is_object() {
        return None;
    }
    let place = object.pointer_mut(parent)?.as_object_mut()?;
    let value = || operation.get("value").cloned();
    match operation["op"].as_str()? {
        "add" => drop(place.insert(name, value()?)),
        "replace" if place.contains_key(&name) => drop(place.insert(name, value()?)),
        "remove" if place.contains_key(&name) => drop(place.remove(&name)),
        "test" if place.get(&name) == Some(&value()?) && !value()?.is_null() => {}
        _ => return None,
    }
    Some(object)
}

//! `metadata` of objects held as JSON values: getters that forgive, setters, and what the server fills in itself.

mod coerce;
mod time;

pub use coerce::coerce;
pub use time::{age, human_duration, now, parse_time, rfc3339};

use std::sync::LazyLock;

use rand::RngExt as _;
use serde_json::{Map, Value};

/// `orphan`: the garbage collector frees the dependents first.
pub const FINALIZER_ORPHAN: &str = "orphan";
/// `foregroundDeletion`: the garbage collector deletes the dependents first.
pub const FINALIZER_FOREGROUND: &str = "foregroundDeletion";

/// The longest part of `generateName` that is used, in bytes.
const GENERATED_BASE_LIMIT: usize = 58;

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// The owner's group and version.
    pub api_version: &'a str,
    /// The owner's kind.
    pub kind: &'a str,
    /// The owner's name.
    pub name: &'a str,
    /// The owner's uid.
    pub uid: &'a str,
    /// Whether the owner manages the object.
    pub controller: bool,
    /// Whether the object holds back the foreground deletion of its owner.
    pub block_owner_deletion: bool,
}

/// `metadata`; empty where it is absent.
pub fn metadata(object: &Value) -> &Map<String, Value> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    object.get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// `metadata` for writing; made where it is absent or no object.
///
/// # Panics
/// If `object` is no JSON object, which decoding refuses.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    let object = object.as_object_mut().expect("objects are decoded into JSON objects");
    let metadata = object.entry("metadata").or_insert(Value::Null);
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut().expect("made an object just before")
}

/// A text of `metadata`; empty where it is absent.
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    metadata(object).get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.generateName`.
pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.generation`; 0 where it is absent.
pub fn generation(object: &Value) -> i64 {
    metadata(object).get("generation").and_then(Value::as_i64).unwrap_or(0)
}

/// `metadata.creationTimestamp`; empty where it is absent.
pub fn creation_timestamp(object: &Value) -> &str {
    text(object, "creationTimestamp")
}

/// `metadata.deletionTimestamp`, of objects that are being deleted.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    metadata(object).get("deletionTimestamp").and_then(Value::as_str)
}

/// `kind`.
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// `apiVersion`.
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// One label's value.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    metadata(object).get("labels")?.get(key)?.as_str()
}

/// One annotation's value.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    metadata(object).get("annotations")?.get(key)?.as_str()
}

/// `metadata.labels` in the order of their keys.
pub fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    texts(object, "labels")
}

/// `metadata.annotations` in the order of their keys.
pub fn annotations(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    texts(object, "annotations")
}

fn texts<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = metadata(object).get(key).and_then(Value::as_object);
    let entries = map.into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object).get("finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `metadata.ownerReferences`.
pub fn owner_references(object: &Value) -> Vec<OwnerReference<'_>> {
    let list = metadata(object).get("ownerReferences").and_then(Value::as_array);
    let read = |value| {
        let text = |key| value_at(value, key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key| value_at(value, key).and_then(Value::as_bool).unwrap_or(false);
        OwnerReference {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: flag("controller"),
            block_owner_deletion: flag("blockOwnerDeletion"),
        }
    };
    list.into_iter().flatten().map(read).collect()
}

fn value_at<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key)
}

/// Sets a field of `metadata`; empty texts, empty collections and null remove it, as Go's `omitempty` does.
pub fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    let value = value.into();
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if empty {
        metadata_mut(object).remove(key);
    } else {
        metadata_mut(object).insert(key.to_owned(), value);
    }
}

/// Takes away what a client must not set on a new object (k8s.io/apiserver pkg/registry/rest/meta.go).
pub fn wipe_system_fields(object: &mut Value) {
    let metadata = metadata_mut(object);
    for key in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "selfLink",
        "uid",
    ] {
        metadata.remove(key);
    }
}

/// Gives a new object its uid and its time of creation.
pub fn fill_system_fields(object: &mut Value) {
    set(object, "creationTimestamp", now());
    set(object, "uid", uuid::Uuid::new_v4().to_string());
}

/// A name made of `base` and five random characters, at most 63 bytes long (k8s.io/apiserver pkg/storage/names).
pub fn generated_name(base: &str) -> String {
    /// Without vowels and look-alikes (k8s.io/apimachinery pkg/util/rand).
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut end = base.len().min(GENERATED_BASE_LIMIT);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    let mut random = rand::rng();
    for _ in 0..5 {
        name.push(char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    }
    name
}

#[cfg(test)]
mod tests;

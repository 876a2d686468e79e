//! Two configurations of one object, applied by two managers: `spec`, and another `spec`.

use std::sync::LazyLock;

use bulward::rest::conventions::Conventions;
use bulward::rest::field_manager::{Configuration, FieldManager, Versions, Write};
use bulward::wire::names::GroupVersion;
use bulward::wire::schema::Schema;
use bulward::wire::status::Status;
use serde_json::{Value, json};

use super::parts;

static FIELDS: LazyLock<FieldManager> = LazyLock::new(|| {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "n": {"type": "integer"},
            "s": {"type": "string"},
            "nested": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "atomic": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "list": {"type": "array", "items": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "name": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "port": {"x-kubernetes-int-or-string": true},
        }},
    }});
    let schema = Schema::parse(&schema).expect("structural");
    FieldManager::new(Versions::new(&schema, Conventions::CustomResource), false)
});

static VERSION: LazyLock<GroupVersion> = LazyLock::new(|| GroupVersion::new("toys.example.com", "v1"));

fn object(spec: Value) -> Value {
    json!({"apiVersion": VERSION.to_string(), "kind": "Toy", "metadata": {"name": "t"}, "spec": spec})
}

fn apply(live: &Value, manager: &str, spec: &Value, force: bool) -> Result<Value, Status> {
    let object = object(spec.clone());
    let config = Configuration { object: &object, force };
    let write = Write {
        manager,
        group_version: &VERSION,
        kind: "Toy",
        status: false,
    };
    let applied = FIELDS.apply(live, &config, &write, &|_| {});
    applied.inspect_err(|status| {
        assert!(matches!(status.code, 400 | 409 | 422 | 500), "{status:?}");
        // 500 is Go's own word for what the schema does not know.
        assert!(status.code != 500 || status.message.contains("typed"), "{status:?}");
    })
}

pub(super) fn target(data: &[u8]) -> bool {
    let Some((first, second)) = parts(data) else {
        return false;
    };
    let (Ok(first), Ok(second)) = (
        serde_json::from_slice::<Value>(first),
        serde_json::from_slice::<Value>(second),
    ) else {
        return false;
    };
    let nothing = json!({"apiVersion": VERSION.to_string(), "kind": "Toy"});
    let Ok(one) = apply(&nothing, "one", &first, false) else {
        return false;
    };
    let again = apply(&one, "one", &first, false).expect("nobody is in conflict with themselves");
    assert_eq!(plain(again), plain(one.clone()), "a second time changes nothing");
    if let Ok(two) = apply(&one, "two", &second, false) {
        let forced = apply(&one, "two", &second, true).expect("force does what goes without");
        assert_eq!(plain(forced), plain(two.clone()));
        let again = apply(&two, "two", &second, false).expect("nobody is in conflict with themselves");
        assert_eq!(plain(again), plain(two));
    } else if let Ok(two) = apply(&one, "two", &second, true) {
        // Taken by force: it is the second one's now.
        apply(&two, "two", &second, false).expect("nobody is in conflict with themselves");
    }
    true
}

/// Without times.
fn plain(mut object: Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array_mut().into_iter().flatten();
    for entry in entries {
        entry["time"] = Value::Null;
    }
    object
}

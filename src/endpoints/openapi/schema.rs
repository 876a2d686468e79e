//! The schemas of our own kinds, in OpenAPI v3 and, weakened, in v2.
//!
//! The shape of a kind and of its list follows k8s.io/apiextensions-apiserver pkg/controller/openapi/builder/builder.go; the way to v2 follows
//! v2/conversion.go there.

use serde_json::{Map, Value, json};

use super::meta::{self, REFERENCE, group_version_kind};
use crate::rest::resource::Resource;

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

/// `io.bulward.apiserver.v1alpha1.Organization`: the group reversed, so that the views of one kind have names of their own.
pub(super) fn name(resource: &Resource) -> String {
    let group = match resource.group_version.group.as_str() {
        "" => "core.api.k8s.io",
        group => group,
    };
    let mut labels: Vec<&str> = group.split('.').collect();
    labels.reverse();
    format!(
        "{}.{}.{}",
        labels.join("."),
        resource.group_version.version,
        resource.stored.kind
    )
}

/// The name of the list of `resource`.
pub(super) fn list_name(resource: &Resource) -> String {
    format!("{}List", name(resource))
}

/// A reference to the v3 schema `name`.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{REFERENCE}{name}")})
}

/// The v3 schema of the objects of `resource`.
pub(super) fn object(resource: &Resource) -> Value {
    let kind = &resource.stored;
    let mut schema = resource.schema().clone();
    schema["type"] = json!("object");
    schema["description"] = json!(kind.description);
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(&resource.group_version, &kind.kind)]);
    add_head(&mut schema, METADATA, "ObjectMeta");
    add_selectable_fields(&mut schema, resource);
    schema
}

/// The v3 schema of lists of `resource`.
pub(super) fn list(resource: &Resource) -> Value {
    let kind = &resource.stored;
    let list_kind = format!("{}List", kind.kind);
    let mut schema = json!({
        "description": format!("{list_kind} is a list of {}", kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", kind.plural),
                "type": "array",
                "items": reference(&name(resource)),
            },
        },
        "x-kubernetes-group-version-kind": [group_version_kind(&resource.group_version, &list_kind)],
    });
    add_head(&mut schema, LIST_METADATA, "ListMeta");
    add_selectable_fields(&mut schema, resource);
    schema
}

fn add_selectable_fields(schema: &mut Value, resource: &Resource) {
    let fields = resource.stored.selectable_fields.iter();
    let fields: Vec<Value> = fields.map(|path| json!({"fieldPath": path})).collect();
    if !fields.is_empty() {
        schema["x-kubernetes-selectable-fields"] = fields.into();
    }
}

fn add_head(schema: &mut Value, about: &str, metadata: &str) {
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"description": API_VERSION, "type": "string"});
    properties["kind"] = json!({"description": KIND, "type": "string"});
    properties["metadata"] = json!({"description": about, "allOf": [reference(&meta::name(metadata))]});
}

/// What of a v3 schema can be said in v2: no defaults, no junctors, nothing below what may be null or holds unknown fields (kubectl cannot read it there).
pub(super) fn to_v2(schema: &Value) -> Value {
    let Value::Object(schema) = schema else {
        return schema.clone();
    };
    let mut out: Map<String, Value> = Map::new();
    let nullable = is_true(schema, "nullable");
    let unknown_fields = is_true(schema, "x-kubernetes-preserve-unknown-fields");
    for (key, value) in schema {
        match key.as_str() {
            "default" | "nullable" | "oneOf" | "anyOf" | "not" => {}
            "allOf" => {
                if let Some([only]) = value.as_array().map(Vec::as_slice)
                    && let Some(target) = only["$ref"].as_str()
                {
                    out.insert("$ref".to_owned(), v2_reference(target));
                }
            }
            "$ref" => {
                out.insert(key.clone(), v2_reference(value.as_str().unwrap_or_default()));
            }
            "items" | "properties" | "type" if nullable => {}
            "items" | "properties" if unknown_fields => {}
            "type" if unknown_fields && value == "object" => {}
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                out.insert(
                    key.clone(),
                    properties.map(|(name, schema)| (name.clone(), to_v2(schema))).collect(),
                );
            }
            "items" | "additionalProperties" => {
                out.insert(key.clone(), to_v2(value));
            }
            "required" => {
                let names = value.as_array().into_iter().flatten();
                let names: Vec<&Value> = names.filter(|name| !is_nullable_property(schema, name)).collect();
                if !names.is_empty() {
                    out.insert(key.clone(), json!(names));
                }
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if out.get("type").is_some_and(|kind| kind == "array") && !out.contains_key("items") {
        out.remove("type");
    }
    Value::Object(out)
}

fn v2_reference(target: &str) -> Value {
    json!(target.replacen(REFERENCE, "#/definitions/", 1))
}

fn is_true(schema: &Map<String, Value>, key: &str) -> bool {
    schema.get(key).is_some_and(|value| value == true)
}

fn is_nullable_property(schema: &Map<String, Value>, name: &Value) -> bool {
    let property = schema
        .get("properties")
        .zip(name.as_str())
        .and_then(|(properties, name)| properties.get(name));
    property
        .and_then(Value::as_object)
        .is_some_and(|property| is_true(property, "nullable"))
}

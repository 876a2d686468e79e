//! Tests of what is common to all documents.

use std::collections::BTreeSet;

use serde_json::json;

use super::meta::{META, references};
use super::operation::identifier;
use super::protobuf;
use super::schema::to_v2;

#[test]
fn every_reference_of_the_shared_schemas_is_there() {
    for (name, schema) in &META.schemas {
        let mut names = BTreeSet::new();
        references(schema, &mut names);
        for target in names {
            assert!(META.schemas.contains_key(&target), "{name} refers to {target}");
        }
    }
}

#[test]
fn identifiers_are_camel_case() {
    assert_eq!(identifier("apiserver.bulward.io", false), "apiserverBulwardIo");
    assert_eq!(identifier("v1alpha1", true), "V1alpha1");
    assert_eq!(identifier("my-group.io", true), "MyGroupIo");
}

#[test]
fn v2_leaves_out_what_it_cannot_say() {
    let v3 = json!({
        "type": "object",
        "required": ["a", "b"],
        "properties": {
            "a": {"type": "string", "nullable": true, "default": "x"},
            "b": {"allOf": [{"$ref": "#/components/schemas/x.Y"}], "default": {}},
            "c": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"d": {"type": "string"}}},
            "default": {"type": "integer", "anyOf": [{"minimum": 1}]},
            "e": {"type": "array", "nullable": true, "items": {"type": "string"}},
        },
    });
    let v2 = json!({
        "type": "object",
        "required": ["b"],
        "properties": {
            "a": {},
            "b": {"$ref": "#/definitions/x.Y"},
            "c": {"x-kubernetes-preserve-unknown-fields": true},
            "default": {"type": "integer"},
            "e": {},
        },
    });
    assert_eq!(to_v2(&v3), v2);
}

/// `document.pb` is what Go made of `document.json`: gnostic-models 0.7.0 ParseDocument, then a deterministic Marshal.
#[test]
fn protobuf_is_what_go_makes_of_the_document() {
    let document = serde_json::from_str(include_str!("tests/document.json")).expect("the file is JSON");
    assert_eq!(protobuf::encode(&document), include_bytes!("tests/document.pb"));
}

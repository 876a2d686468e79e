use serde_json::json;

use super::super::names::name_is_dns_subdomain;
use super::*;

fn create(metadata: Value) -> Vec<String> {
    let errors = object_meta(&json!({ "metadata": metadata }), false, name_is_dns_subdomain);
    errors.iter().map(ToString::to_string).collect()
}

fn update(new: Value, old: Value) -> Vec<String> {
    let errors = object_meta_update(&json!({ "metadata": new }), &json!({ "metadata": old }));
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_required_and_checked() {
    assert_eq!(
        create(json!({})),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert!(create(json!({"name": "a.b"})).is_empty());
    let wrong = create(json!({"name": "A", "generateName": "BB-"}));
    assert!(wrong[0].starts_with("metadata.generateName: Invalid value: \"BB-\": a lowercase RFC 1123 subdomain"));
    assert!(wrong[1].starts_with("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"));
}

#[test]
fn namespaces_fit_the_scope() {
    assert_eq!(
        create(json!({"name": "a", "namespace": "x"})),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
    let namespaced = |metadata| object_meta(&json!({ "metadata": metadata }), true, name_is_dns_subdomain);
    assert_eq!(
        namespaced(json!({"name": "a"}))[0].to_string(),
        "metadata.namespace: Required value"
    );
    assert_eq!(
        namespaced(json!({"name": "a", "namespace": "x.y"}))[0].to_string(),
        "metadata.namespace: Invalid value: \"x.y\": must not contain dots"
    );
    let mut object = json!({"metadata": {}});
    assert_eq!(ensure_namespace(&mut object, "x"), Ok(()));
    assert_eq!(meta::namespace(&object), "x");
    assert_eq!(ensure_namespace(&mut object, "y").expect_err("another one").code, 400);
    assert_eq!(ensure_namespace(&mut object, ""), Ok(()));
    assert_eq!(meta::namespace(&object), "");
}

#[test]
fn labels_and_annotations_are_checked() {
    let wrong = create(
        json!({"name": "a", "labels": {"x/": "ok", "y": "-"}, "annotations": {"Upper.io/X": "any thing", "/": ""}}),
    );
    assert_eq!(wrong.len(), 6, "{wrong:#?}");
    assert_eq!(
        wrong[0],
        "metadata.labels: Invalid value: \"x/\": name part must be non-empty"
    );
    assert!(wrong[2].starts_with("metadata.labels: Invalid value: \"-\": a valid label must be"));
    assert_eq!(
        wrong[3],
        "metadata.annotations: Invalid value: \"/\": prefix part must be non-empty"
    );
    let large = create(json!({"name": "a", "annotations": {"k": "x".repeat(262144)}}));
    assert_eq!(
        large,
        ["metadata.annotations: Too long: may not be more than 262144 bytes"]
    );
    assert!(create(json!({"name": "a", "annotations": {"k": "x".repeat(262143)}})).is_empty());
}

#[test]
fn owner_references_are_checked() {
    let owner = |name: &str| json!({"apiVersion": "g/v1", "kind": "K", "name": name, "uid": "u", "controller": true});
    assert!(create(json!({"name": "a", "ownerReferences": [owner("o")]})).is_empty());
    assert_eq!(
        create(json!({"name": "a", "ownerReferences": [owner("o"), owner("p")]})),
        ["metadata.ownerReferences: Invalid value: \
          [{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"name\":\"o\",\"uid\":\"u\",\"controller\":true},\
          {\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"name\":\"p\",\"uid\":\"u\",\"controller\":true}]: \
          Only one reference can have Controller set to true. Found \"true\" in references for K/o and K/p"]
    );
    assert_eq!(
        create(json!({"name": "a", "ownerReferences": [{}]})),
        [
            "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
            "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ]
    );
    let event = create(json!({"name": "a", "ownerReferences": [
        {"apiVersion": "v1", "kind": "Event", "name": "o", "uid": "u"}]}));
    assert!(
        event[0].ends_with("/v1, Kind=Event is disallowed from being an owner"),
        "{event:?}"
    );
}

#[test]
fn finalizers_are_checked() {
    assert_eq!(
        create(json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]})),
        [
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and \
          foregroundDeletion cannot be both set"
        ]
    );
    assert!(
        create(json!({"name": "a", "finalizers": ["-"]}))[0].starts_with("metadata.finalizers: Invalid value: \"-\"")
    );
    assert_eq!(
        finalizer_warnings(
            &json!({"metadata": {"finalizers": ["b", "a.io", "x.io/y", "orphan"]}}),
            None
        ),
        [
            "metadata.finalizers: \"a.io\": prefer a domain-qualified finalizer name including a path (/) to avoid \
             accidental conflicts with other finalizer writers",
            "metadata.finalizers: \"b\": prefer a domain-qualified finalizer name to avoid accidental conflicts with \
             other finalizer writers",
        ]
    );
}

#[test]
fn managed_fields_are_checked() {
    assert_eq!(
        create(
            json!({"name": "a", "managedFields": [{"operation": "x", "fieldsType": "y", "subresource": "s".repeat(257)}]})
        ),
        [
            "metadata.managedFields[0].operation: Invalid value: \"x\": must be `Apply` or `Update`",
            "metadata.managedFields[0].fieldsType: Invalid value: \"y\": must be `FieldsV1`",
            "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes",
        ]
    );
}

#[test]
fn changes_are_checked() {
    let old = json!({"name": "a", "uid": "u", "resourceVersion": "1", "generation": 2, "creationTimestamp": "t"});
    assert!(update(old.clone(), old.clone()).is_empty());
    assert_eq!(
        update(json!({"name": "b", "uid": "v", "generation": 1}), old),
        [
            "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
            "metadata.generation: Invalid value: 1: must not be decremented",
            "metadata.name: Invalid value: \"b\": field is immutable",
            "metadata.uid: Invalid value: \"v\": field is immutable",
            "metadata.creationTimestamp: Invalid value: null: field is immutable",
        ]
    );
}

#[test]
fn finalizers_only_go_while_deleting() {
    let with =
        |finalizers: &[&str]| json!({"resourceVersion": "1", "deletionTimestamp": "t", "finalizers": finalizers});
    assert!(update(with(&["a"]), with(&["a", "b"])).is_empty());
    assert_eq!(
        update(with(&["x.y/z", "a", "b"]), with(&["b"])),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
          finalizers []string{\"a\", \"x.y/z\"}"
        ]
    );
}

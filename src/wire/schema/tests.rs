use proptest::prelude::*;
use serde_json::json;

use super::*;

fn organization() -> Schema {
    let subject = json!({"type": "object", "required": ["kind", "name"], "properties": {
        "kind": {"type": "string", "enum": ["Group", "ServiceAccount", "User"]},
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "namespace": {"type": "string"}}});
    Schema::parse(&json!({"type": "object", "required": ["spec"], "properties": {
    "spec": {"type": "object", "required": ["owners"], "properties": {
        "owners": {"type": "array", "minItems": 1, "maxItems": 3, "items": subject},
        "displayName": {"type": "string", "default": "none"},
        "n": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 10},
        "small": {"type": "integer", "format": "int32"},
        "ratio": {"type": "number", "exclusiveMinimum": true, "minimum": 0},
        "on": {"type": "boolean"},
        "at": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "nothing": {"type": "string", "nullable": true},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "properties": {"type": {"type": "string"}, "n": {"type": "integer"}}}},
    }}}}))
    .expect("a valid schema")
}

fn wrong(spec: serde_json::Value) -> Vec<String> {
    let object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {}, "spec": spec});
    organization()
        .validate(&object)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn with(key: &str, value: serde_json::Value) -> Vec<String> {
    let mut spec = json!({"owners": [{"kind": "User", "name": "a"}]});
    spec[key] = value;
    wrong(spec)
}

#[test]
fn unknown_fields_are_pruned_and_named() {
    let mut object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"any": 1}, "x": 1, "spec": {
        "bogus": {"a": 1}, "owners": [{"kind": "User", "x": 1}], "labels": {"a": "b", "c": {"d": 1}},
        "free": {"anything": {"goes": [1]}, "known": {"a": "", "b": 1}}}});
    let unknown = organization().prune(&mut object);
    assert_eq!(
        unknown,
        [
            "unknown field \"spec.bogus\"",
            "unknown field \"spec.free.known.b\"",
            "unknown field \"spec.labels.c.d\"",
            "unknown field \"spec.owners[0].x\"",
            "unknown field \"x\"",
        ]
    );
    assert_eq!(
        object,
        json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"any": 1}, "spec": {
            "owners": [{"kind": "User"}], "labels": {"a": "b", "c": {}},
            "free": {"anything": {"goes": [1]}, "known": {"a": ""}}}})
    );
}

#[test]
fn nulls_are_pruned_or_defaulted() {
    let mut object = json!({"spec": {"n": null, "nothing": null, "displayName": null, "labels": {"a": null},
        "owners": [{"kind": null}]}});
    let schema = organization();
    assert!(schema.prune(&mut object).is_empty());
    assert_eq!(
        object,
        json!({"spec": {"nothing": null, "displayName": null, "labels": {}, "owners": [{}]}})
    );
    schema.apply_defaults(&mut object);
    assert_eq!(object["spec"]["displayName"], "none");
    let mut empty = json!({"spec": {}});
    schema.apply_defaults(&mut empty);
    assert_eq!(empty, json!({"spec": {"displayName": "none"}}));
    let mut given = json!({"spec": {"displayName": ""}});
    schema.apply_defaults(&mut given);
    assert_eq!(given, json!({"spec": {"displayName": ""}}));
}

#[test]
fn types_fail_in_kubernetes_words() {
    assert_eq!(
        with("n", json!("x")),
        [r#"spec.n: Invalid value: "string": spec.n in body must be of type integer: "string""#]
    );
    assert_eq!(
        with("n", json!(true)),
        [r#"spec.n: Invalid value: "": spec.n in body must be of type int64: """#]
    );
    assert_eq!(
        with("n", json!([])),
        [r#"spec.n: Invalid value: "array": spec.n in body must be of type integer: "array""#]
    );
    assert_eq!(
        with("n", json!(1.5)),
        [
            r#"spec.n: Invalid value: "float64": spec.n in body must be of type int64: "float64""#,
            r#"<nil>: Invalid value: "": Checked value must be of type integer with format int64 in spec.n"#,
        ]
    );
    assert_eq!(
        with("on", json!("x")),
        [r#"spec.on: Invalid value: "string": spec.on in body must be of type boolean: "string""#]
    );
    assert_eq!(with("nothing", json!(1)).len(), 1);
    assert_eq!(
        with("on", json!(null)),
        [r#"spec.on: Invalid value: "null": spec.on in body must be of type boolean: "null""#]
    );
    assert_eq!(
        with("at", json!("x")),
        [r#"spec.at: Invalid value: "x": spec.at in body must be of type date-time: "x""#]
    );
    assert_eq!(
        with("port", json!(true)),
        [r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#]
    );
    for (key, value) in [
        ("n", json!(1.0)),
        ("port", json!(1)),
        ("port", json!("x")),
        ("nothing", json!(null)),
        ("ratio", json!(1)),
        ("at", json!("2026-01-02T03:04:05Z")),
    ] {
        assert!(with(key, value.clone()).is_empty(), "{key} {value}");
    }
    let types = organization().validate(&json!({"spec": 1}));
    assert_eq!(types[0].reason, "FieldValueTypeInvalid");
}

#[test]
fn limits_fail_in_kubernetes_words() {
    assert_eq!(wrong(json!({})), ["spec.owners: Required value"]);
    let schema = organization();
    assert_eq!(schema.validate(&json!({}))[0].to_string(), "spec: Required value");
    assert_eq!(
        wrong(json!({"owners": []})),
        ["spec.owners: Invalid value: 0: spec.owners in body should have at least 1 items"]
    );
    let owner = json!({"kind": "User", "name": "a"});
    assert_eq!(
        wrong(json!({"owners": [owner, owner, owner, owner]})),
        ["spec.owners: Too many: 4: must have at most 3 items"]
    );
    assert_eq!(
        wrong(json!({"owners": [{"kind": "Robot", "name": ""}, {"name": "longer"}]})),
        [
            r#"spec.owners[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User""#,
            r#"spec.owners[0].name: Invalid value: "": spec.owners[0].name in body should be at least 1 chars long"#,
            "spec.owners[1].name: Too long: may not be more than 5 bytes",
            "spec.owners[1].kind: Required value",
        ]
    );
    assert_eq!(
        with("n", json!(11)),
        ["spec.n: Invalid value: 11: spec.n in body should be less than or equal to 10"]
    );
    assert_eq!(
        with("n", json!(-1)),
        ["spec.n: Invalid value: -1: spec.n in body should be greater than or equal to 0"]
    );
    assert_eq!(
        with("ratio", json!(0.0)),
        ["spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0"]
    );
    assert_eq!(
        with("small", json!(2147483648_i64)),
        [r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.small"#]
    );
    assert_eq!(
        with("labels", json!({"a": 1})),
        [r#"spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer""#]
    );
}

#[test]
fn sets_and_maps_hold_nothing_twice() {
    assert_eq!(
        with("tags", json!(["a", "b", "a", "a"])),
        [r#"spec.tags[2]: Duplicate value: "a""#]
    );
    assert_eq!(
        with("conditions", json!([{"type": "A"}, {"type": "A", "n": 1}])),
        [r#"spec.conditions[1]: Duplicate value: {"type":"A"}"#]
    );
}

#[test]
fn what_did_not_change_may_stay_wrong() {
    let schema = organization();
    let old = json!({"spec": {"owners": [], "n": 99, "conditions": [{"type": "A", "n": "x"}], "tags": ["a", "a"]}});
    assert!(schema.validate_update(&old, &old).is_empty());
    let mut new = old.clone();
    new["spec"]["displayName"] = json!("x");
    new["spec"]["conditions"] = json!([{"type": "B", "n": 1}, {"type": "A", "n": "x"}]);
    assert!(
        schema.validate_update(&new, &old).is_empty(),
        "{:?}",
        schema.validate_update(&new, &old)
    );
    new["spec"]["n"] = json!(98);
    let errors = schema.validate_update(&new, &old);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].field, "spec.n");
}

#[test]
fn unknown_keywords_are_refused() {
    let error = |schema| Schema::parse(&schema).expect_err("unsupported");
    let nested = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}});
    assert_eq!(error(nested), ".a.pattern: this keyword is not supported");
    assert_eq!(error(json!({"type": "text"})), ".type: malformed");
    assert_eq!(error(json!(true)), ": a schema must be an object");
    assert!(error(json!({"x-kubernetes-validations": []})).contains("not supported"));
    assert!(error(json!({"oneOf": []})).contains("not supported"));
    assert!(Schema::parse(&json!({"description": "d", "x-other": 1})).is_ok());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        (-5_i64..15).prop_map(|number| json!(number)),
        any::<f32>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| json!(number)),
        "[a-c]{0,6}".prop_map(|text| json!(text)),
    ];
    let key = prop_oneof![
        "owners",
        "n",
        "labels",
        "free",
        "tags",
        "conditions",
        "kind",
        "name",
        "type",
        "port",
        "known"
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn pruning_and_defaulting_are_idempotent(spec in any_json()) {
        let schema = organization();
        let mut object = json!({"spec": spec});
        schema.prune(&mut object);
        schema.apply_defaults(&mut object);
        let mut again = object.clone();
        prop_assert!(schema.prune(&mut again).is_empty());
        schema.apply_defaults(&mut again);
        prop_assert_eq!(&again, &object);
        prop_assert!(schema.validate_update(&object, &object).is_empty());
        drop(schema.validate(&object));
    }
}

#[test]
fn values_of_another_go_type() {
    let schema = Schema::parse(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "reference": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }},
        "names": {"type": "array", "items": {"type": "string"}},
    }}));
    let schema = schema.expect("structural");
    let types = GoTypes {
        kind: "Toy",
        version: "v1",
    };
    let wrong = |object: Value| types.check(&schema, &object).expect_err("of another type");
    let opening = "json: cannot unmarshal";
    // as k8s.io/sample-apiserver answers for its own kinds
    for (object, text) in [
        (
            json!({"spec": {"reference": 5}}),
            "number into Go struct field ToySpec.spec.reference of type string",
        ),
        (
            json!({"spec": []}),
            "array into Go struct field Toy.spec of type v1.ToySpec",
        ),
        (
            json!({"names": [1]}),
            "number into Go struct field Toy.names of type string",
        ),
        (
            json!({"names": "a"}),
            "string into Go struct field Toy.names of type []string",
        ),
        (
            json!({"spec": {"labels": 1}}),
            "number into Go struct field ToySpec.spec.labels of type map[string]string",
        ),
    ] {
        assert_eq!(wrong(object), format!("{opening} {text}"));
    }
    let right =
        json!({"spec": {"reference": null, "labels": {"a": "b"}}, "names": [null], "unknown": 1, "metadata": 5});
    assert_eq!(types.check(&schema, &right), Ok(()));
}

#[test]
fn what_holds_nothing_is_left_out() {
    let schema = Schema::parse(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "default": {}, "properties": {"text": {"type": "string"}}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {"type": "array", "items": {"type": "string"}},
        "status": {"type": "object", "default": {}},
    }}));
    let schema = schema.expect("structural");
    let mut object = json!({"spec": {"text": ""}, "map": {}, "list": [], "status": {}, "metadata": {}});
    schema.omit_empty(&mut object);
    assert_eq!(object, json!({"spec": {}, "status": {}, "metadata": {}}));
    let mut object = json!({"spec": {"text": "a"}, "map": {"a": ""}, "list": [""]});
    let before = object.clone();
    schema.omit_empty(&mut object);
    assert_eq!(object, before);
}

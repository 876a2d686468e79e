use proptest::prelude::*;
use serde_json::json;

use super::*;

fn patched(object: Value, patch: &Value) -> Option<Value> {
    let (patch, _) = decode_json(patch.to_string().as_bytes(), true).expect("decodes");
    let mut object = object;
    patch.apply(&mut object).ok().map(|()| object)
}

#[test]
fn operations_of_every_kind() {
    let object = || json!({"a": {"b/c": 1, "~": 2}, "l": [1, 2, 3]});
    for (operation, wanted) in [
        (
            json!({"op": "add", "path": "/x", "value": 1}),
            Some(json!({"a": {"b/c": 1, "~": 2}, "l": [1, 2, 3], "x": 1})),
        ),
        (
            json!({"op": "add", "path": "/l/0", "value": 0}),
            Some(json!({"a": {"b/c": 1, "~": 2}, "l": [0, 1, 2, 3]})),
        ),
        (
            json!({"op": "add", "path": "/l/-", "value": 4}),
            Some(json!({"a": {"b/c": 1, "~": 2}, "l": [1, 2, 3, 4]})),
        ),
        (
            json!({"op": "add", "path": "/l/-1", "value": 4}),
            Some(json!({"a": {"b/c": 1, "~": 2}, "l": [1, 2, 3, 4]})),
        ),
        (json!({"op": "add", "path": "/l/4", "value": 4}), None),
        (json!({"op": "add", "path": "/l/-5", "value": 4}), None),
        (json!({"op": "add", "path": "/n/x", "value": 4}), None),
        (json!({"op": "add", "path": "", "value": {}}), None),
        (
            json!({"op": "remove", "path": "/a/b~1c"}),
            Some(json!({"a": {"~": 2}, "l": [1, 2, 3]})),
        ),
        (
            json!({"op": "remove", "path": "/l/-1"}),
            Some(json!({"a": {"b/c": 1, "~": 2}, "l": [1, 2]})),
        ),
        (json!({"op": "remove", "path": "/l/3"}), None),
        (
            json!({"op": "replace", "path": "/a/~0", "value": 3}),
            Some(json!({"a": {"b/c": 1, "~": 3}, "l": [1, 2, 3]})),
        ),
        (json!({"op": "replace", "path": "/a/x", "value": 3}), None),
        (json!({"op": "replace", "path": "", "value": [1]}), Some(json!([1]))),
        (json!({"op": "replace", "path": "", "value": 1}), None),
        (
            json!({"op": "move", "from": "/l", "path": "/a"}),
            Some(json!({"a": [1, 2, 3]})),
        ),
        (json!({"op": "move", "from": "/a", "path": "/a/x"}), None),
        (
            json!({"op": "copy", "from": "/l/1", "path": "/a"}),
            Some(json!({"a": 2, "l": [1, 2, 3]})),
        ),
        (json!({"op": "copy", "from": "/n", "path": "/a"}), None),
        (json!({"op": "test", "path": "/l", "value": [1, 2, 3]}), Some(object())),
        (json!({"op": "test", "path": "/l", "value": [1, 2]}), None),
        (json!({"op": "test", "path": "/n"}), Some(object())),
        (json!({"op": "test", "path": "/l"}), None),
        (json!({"op": "jump", "path": "/l"}), None),
        (json!({"path": "/l"}), None),
        (json!({"op": "add"}), None),
    ] {
        assert_eq!(patched(object(), &json!([operation])), wanted, "{operation}");
    }
}

#[test]
fn what_a_patch_may_cost() {
    let long = json!({"s": "x".repeat(1 << 20)});
    let copy = |n: usize| json!({"op": "copy", "from": "/s", "path": format!("/c{n}")});
    assert!(patched(long.clone(), &json!([copy(0), copy(1)])).is_some());
    let three: Vec<Value> = (0..3).map(copy).collect();
    assert!(patched(long, &json!(three)).is_none(), "3 MiB and some quotes");
    let many = json!({"l": vec![0; 500_000]});
    let front: Vec<Value> = (0..200)
        .map(|_| json!({"op": "add", "path": "/l/0", "value": 0}))
        .collect();
    assert!(patched(many, &json!(front)).is_none(), "a hundred million shifts");
}

#[test]
fn what_is_no_patch() {
    let why = |text: &str, strict| decode_json(text.as_bytes(), strict).expect_err("no patch");
    assert_eq!(
        why("{}", true),
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
    assert_eq!(
        why("{}", false),
        "json: cannot unmarshal object into Go value of type jsonpatch.Patch"
    );
    assert_eq!(
        why(r#"[{"op":1}]"#, true),
        "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"
    );
    let (_, unknown) = decode_json(br#"[{"op":"add","op":"add","more":1}]"#, true).expect("lenient");
    assert_eq!(
        unknown,
        [
            r#"json patch duplicate field "[0].op""#,
            r#"json patch unknown field "[0].more""#
        ]
    );
}

#[test]
fn merging() {
    let merged = |mut object: Value, patch: Value| {
        merge(&mut object, &patch);
        object
    };
    assert_eq!(
        merged(
            json!({"a": {"b": 1, "c": 2}, "d": 3}),
            json!({"a": {"b": null, "x": {"y": null, "z": 1}}, "d": {"e": null}})
        ),
        json!({"a": {"c": 2, "x": {"z": 1}}, "d": {}})
    );
    assert_eq!(
        merged(json!({"a": [1]}), json!({"a": [null, {"b": null}]})),
        json!({"a": [null, {}]})
    );
    assert_eq!(
        merged(json!({"a": {}}), json!({"a": [{"b": null}]})),
        json!({"a": [{"b": null}]})
    );
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_is_applied_or_refused(
        object in tree(),
        operations in prop::collection::vec(
            ("add|remove|replace|move|copy|test|x", "(/[ab0-2-]{0,2}){0,3}", "(/[ab0-2-]{0,2}){0,3}", tree()), 0..6),
    ) {
        let operations: Vec<Value> = operations
            .into_iter()
            .map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
            .collect();
        patched(object, &json!(operations));
    }
}

#[test]
fn operations_cannot_pile_up_what_no_body_carries() {
    let nest = |levels: usize| (0..levels).fold(json!({}), |value, _| json!({"x": value}));
    let inner = "/x".repeat(60);
    let mut tower = Vec::new();
    for round in 0..4 {
        let (from, to) = if round % 2 == 0 { ("/a", "/b") } else { ("/b", "/a") };
        tower.push(json!({"op": "add", "path": to, "value": nest(60)}));
        tower.push(json!({"op": "move", "from": from, "path": format!("{to}{inner}/y")}));
    }
    assert_eq!(patched(json!({"a": {}}), &json!(tower)), None);
    let deepen = |path: &str, levels| json!([{"op": "add", "path": path, "value": nest(levels)}]);
    assert!(patched(json!({"a": nest(40)}), &deepen(&format!("/a{}/y", "/x".repeat(40)), 50)).is_some());
    assert_eq!(
        patched(json!({"a": nest(60)}), &deepen(&format!("/a{}/y", "/x".repeat(60)), 50)),
        None
    );
    let replace = json!([{"op": "replace", "path": format!("/a{}/x", "/x".repeat(59)), "value": nest(50)}]);
    assert_eq!(patched(json!({"a": nest(60)}), &replace), None);
}

#[test]
fn lists_without_end_are_not_merged_strategically() {
    let schema = crate::wire::schema::Schema::parse(&json!({"type": "object"})).expect("structural");
    let patched = |many: usize| {
        let names: Vec<String> = (0..many).map(|at| format!("a/{at}")).collect();
        let mut object = json!({"metadata": {"finalizers": ["a/0", "b"]}});
        strategic::apply(&mut object, &json!({"metadata": {"finalizers": names}}), &schema).map(|()| object)
    };
    let merged = patched(2).expect("a few");
    assert_eq!(merged["metadata"]["finalizers"], json!(["a/0", "b", "a/1"]));
    assert!(patched(10_001).is_err_and(|why| why.contains("maximum items")));
}

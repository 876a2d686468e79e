use jiff::SignedDuration;
use serde_json::json;

use super::*;

#[test]
fn getters_forgive() {
    let object = json!({"kind": "K", "apiVersion": "g/v1", "metadata": {
        "name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 3,
        "labels": {"a": "b", "bad": 1}, "annotations": {"c": "d"}, "finalizers": ["f", 1],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "x", "controller": true}]}});
    assert_eq!((kind(&object), api_version(&object)), ("K", "g/v1"));
    assert_eq!((name(&object), namespace(&object), uid(&object)), ("n", "ns", "u"));
    assert_eq!((resource_version(&object), generation(&object)), ("7", 3));
    assert_eq!(labels(&object).collect::<Vec<_>>(), [("a", "b")]);
    assert_eq!((label(&object, "a"), label(&object, "bad")), (Some("b"), None));
    assert_eq!(annotation(&object, "c"), Some("d"));
    assert_eq!(finalizers(&object), ["f"]);
    let owners = owner_references(&object);
    assert!(owners[0].controller && !owners[0].block_owner_deletion && owners[0].name == "o");
    for odd in [json!({}), json!({"metadata": null}), json!({"metadata": "x"}), json!(1)] {
        assert_eq!(name(&odd), "");
        assert_eq!(deletion_timestamp(&odd), None);
        assert!(finalizers(&odd).is_empty() && owner_references(&odd).is_empty());
    }
}

#[test]
fn setters_leave_nothing_empty() {
    let mut object = json!({"metadata": 1});
    set(&mut object, "name", "x");
    set(&mut object, "generation", 1);
    assert_eq!(object, json!({"metadata": {"name": "x", "generation": 1}}));
    set(&mut object, "name", "");
    set(&mut object, "finalizers", Vec::<String>::new());
    assert_eq!(object, json!({"metadata": {"generation": 1}}));
}

#[test]
fn system_fields_are_the_servers() {
    let mut object = json!({"metadata": {"uid": "mine", "creationTimestamp": "x", "deletionTimestamp": "x",
        "deletionGracePeriodSeconds": 3, "selfLink": "x", "resourceVersion": "5", "name": "n"}});
    wipe_system_fields(&mut object);
    assert_eq!(object, json!({"metadata": {"resourceVersion": "5", "name": "n"}}));
    fill_system_fields(&mut object);
    assert_eq!(uid(&object).len(), 36);
    assert!(parse_time(creation_timestamp(&object)).is_some());
}

#[test]
fn generated_names_are_short_and_plain() {
    let name = generated_name(&"a".repeat(80));
    assert_eq!(name.len(), 63);
    let suffix = &generated_name("team-")[5..];
    assert_eq!(suffix.len(), 5);
    assert!(
        suffix.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)),
        "{suffix}"
    );
    assert_eq!(generated_name(&"é".repeat(40)).len(), 63);
    assert_ne!(generated_name("a"), generated_name("a"));
}

#[test]
fn durations_are_human() {
    let day = 24 * 3600;
    for (seconds, text) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600 + 60, "8h"),
        (47 * 3600, "47h"),
        (2 * day, "2d"),
        (2 * day + 3600, "2d1h"),
        (8 * day + 3600, "8d"),
        (365 * day, "365d"),
        (2 * 365 * day, "2y"),
        (2 * 365 * day + 3 * day, "2y3d"),
        (9 * 365 * day, "9y"),
    ] {
        assert_eq!(human_duration(SignedDuration::from_secs(seconds)), text, "{seconds}");
    }
    let now = parse_time("2026-01-02T03:04:05Z").expect("valid");
    assert_eq!(age("2026-01-02T03:03:38Z", now), "27s");
    assert_eq!(age("", now), "<unknown>");
    assert_eq!(rfc3339(now), "2026-01-02T03:04:05Z");
    assert_eq!(parse_time("2026-01-02 03:04:05Z"), None);
}

#[test]
fn metadata_is_coerced() {
    let mut object = json!({"metadata": {
        "name": "n", "bogus": 1, "labels": {}, "annotations": {"a": null}, "generation": 1.0, "uid": null,
        "creationTimestamp": null, "deletionTimestamp": "2026-01-02T03:04:05.678+01:00", "finalizers": [],
        "deletionGracePeriodSeconds": 0,
        "ownerReferences": [{"name": "o", "x": 1, "controller": null, "blockOwnerDeletion": false}],
        "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]}});
    let unknown = coerce(&mut object, None).expect("valid");
    assert_eq!(
        unknown,
        [
            r#"unknown field "metadata.bogus""#,
            r#"unknown field "metadata.ownerReferences[0].x""#
        ]
    );
    assert_eq!(
        object,
        json!({"metadata": {
            "name": "n", "annotations": {"a": ""}, "generation": 1, "deletionTimestamp": "2026-01-02T02:04:05Z",
            "deletionGracePeriodSeconds": 0,
            "ownerReferences": [{"apiVersion": "", "kind": "", "name": "o", "uid": "", "blockOwnerDeletion": false}],
            "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]}})
    );
    let mut none = json!({"metadata": null});
    assert_eq!(coerce(&mut none, None), Ok(Vec::new()));
    assert_eq!(none, json!({"metadata": {}}));
}

#[test]
fn metadata_of_wrong_types_is_refused_in_gos_words() {
    let error = |metadata: serde_json::Value| coerce(&mut json!({"metadata": metadata}), None).expect_err("wrong type");
    assert_eq!(
        error(json!({"labels": {"a": 1}})),
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    );
    assert_eq!(
        error(json!({"ownerReferences": [{"controller": "yes"}]})),
        "json: cannot unmarshal string into Go struct field OwnerReference.ownerReferences.controller of type bool"
    );
    assert_eq!(
        error(json!("x")),
        "json: cannot unmarshal string into Go value of type v1.ObjectMeta"
    );
    assert_eq!(
        error(json!({"creationTimestamp": "x"})),
        "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\""
    );
    assert!(error(json!({"generation": 1.5})).ends_with("of type int64"));
    assert!(error(json!({"finalizers": "x"})).ends_with("of type []string"));
}

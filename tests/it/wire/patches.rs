//! Patches of every type, right and wrong. Each row is a query, if there is one, and a body.

use http::Method;
use serde_json::json;

use super::gadget::{gadget, gadgets};
use crate::harness::twin::{Ask, assert_equal};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

#[rustfmt::skip]
const JSON_PATCHES: &[&str] = &[
    r#"[]"#,
    r#"[{"op":"add","path":"/spec/list/-","value":"c"}]"#,
    r#"[{"op":"add","path":"/spec/list/-1","value":"d"}]"#,
    r#"[{"op":"remove","path":"/spec/list/-1"}]"#,
    r#"[{"op":"remove","path":"/spec/list/9"}]"#,
    r#"[{"op":"remove","path":"/spec/list/x"}]"#,
    r#"[{"op":"add","path":"/spec/list/0","value":"first"}]"#,
    r#"[{"op":"replace","path":"/spec/list/01","value":"r"}]"#,
    r#"[{"op":"add","path":"/spec/list/+1","value":"r"}]"#,
    r#"[{"op":"copy","from":"/spec/list/0","path":"/spec/s"}]"#,
    r#"[{"op":"move","from":"/spec/s","path":"/metadata/labels"}]"#,
    r#"[{"op":"move","from":"/spec/list","path":"/spec/list/x"}]"#,
    r#"[{"op":"copy","from":"/spec","path":"/spec/nested"}]"#,
    r#"[{"op":"test","path":"/spec/none","value":null}]"#,
    r#"[{"op":"test","path":"/spec/none"}]"#,
    r#"[{"op":"test","path":"/spec/n","value":1}]"#,
    r#"[{"op":"test","path":"/spec/n"}]"#,
    r#"[{"op":"test","path":"/spec/n","value":null}]"#,
    r#"[{"op":"test","path":"","value":{}}]"#,
    r#"[{"op":"replace","path":"","value":{}}]"#,
    r#"[{"op":"replace","path":"","value":[]}]"#,
    r#"[{"op":"replace","path":"","value":1}]"#,
    r#"[{"op":"remove","path":""}]"#,
    r#"[{"op":"add","path":"","value":{}}]"#,
    r#"[{"op":"nonsense","path":"/spec"}]"#,
    r#"[{"path":"/spec"}]"#,
    r#"[{"op":"add","value":1}]"#,
    r#"[{"op":"add","path":"spec/n","value":1}]"#,
    r#"[{"op":"add","path":1,"value":1}]"#,
    r#"?fieldValidation=Ignore [{"op":"add","path":1,"value":1}]"#,
    r#"[{"op":1,"path":"/spec/n","value":1}]"#,
    r#"[{"op":"add","path":"/spec/n"}]"#,
    r#"[{"op":"add","path":"/spec/s","value":"x","extra":1}]"#,
    r#"?fieldValidation=Strict [{"op":"add","path":"/spec/s","value":"y","extra":1}]"#,
    r#"?fieldValidation=Ignore [{"op":"add","path":"/spec/s","value":"z","extra":1}]"#,
    r#"[{"op":"add","path":"/spec/s","path":"/spec/s","value":"d"}]"#,
    r#"?fieldValidation=Strict [{"op":"add","op":"add","path":"/spec/s","value":"e"}]"#,
    r#"[{"op":"add","path":"/spec/bogus","value":1}]"#,
    r#"?fieldValidation=Strict [{"op":"add","path":"/spec/bogus","value":1}]"#,
    r#"[{"op":"remove","path":"/kind"}]"#,
    r#"[{"op":"remove","path":"/metadata"}]"#,
    r#"[{"op":"replace","path":"/metadata","value":1}]"#,
    r#"[{"op":"replace","path":"/kind","value":"Other"}]"#,
    r#"[{"op":"replace","path":"/kind","value":1}]"#,
    r#"[{"op":"add","path":"/metadata/a~1b","value":"1"}]"#,
    r#"[{"op":"add","path":"/metadata/labels","value":{"a~b/c":"1"}}]"#,
    r#"[{"op":"add","path":"/metadata/labels","value":{"x/y":"1"}}]"#,
    r#"[{"op":"replace","path":"/metadata/labels/x~1y","value":"2"}]"#,
    r#"null"#,
    r#"[null]"#,
    r#"[1]"#,
    r#"{}"#,
    r#"["#,
    r#""#,
    r#"?fieldValidation=Ignore {}"#,
    r#"?fieldValidation=Ignore ["#,
    r#"?fieldValidation=Ignore "#,
    r#"?force=true []"#,
    r#"?force=false []"#,
    r#"?fieldValidation=x []"#,
    r#"?dryRun=x []"#,
    r#"?dryRun=All [{"op":"add","path":"/spec/n","value":5}]"#,
];

#[rustfmt::skip]
const MERGE_PATCHES: &[&str] = &[
    r#"{}"#,
    r#"null"#,
    r#"[]"#,
    r#"1"#,
    r#""x""#,
    r#"{"#,
    r#""#,
    r#"?fieldValidation=Ignore null"#,
    r#"?fieldValidation=Ignore []"#,
    r#"?fieldValidation=Ignore [1]"#,
    r#"?fieldValidation=Ignore 1"#,
    r#"?fieldValidation=Ignore {"#,
    r#"?fieldValidation=Ignore "#,
    r#"{"spec":{"n":2,"s":null,"nested":{"a":null}}}"#,
    r#"{"spec":{"map":{"a":null,"b":"c"}}}"#,
    r#"{"spec":{"list":null,"map":null}}"#,
    r#"{"spec":null}"#,
    r#"{"spec":[]}"#,
    r#"{"spec":{"n":"x","bogus":1}}"#,
    r#"{"spec":{"n":5,"bogus":1},"odd":1}"#,
    r#"?fieldValidation=Strict {"spec":{"n":5,"bogus":1},"odd":1}"#,
    r#"?fieldValidation=Ignore {"spec":{"n":6,"bogus":1},"odd":1}"#,
    r#"{"spec":{"n":7,"n":8}}"#,
    r#"?fieldValidation=Strict {"spec":{"n":7,"n":9,"bogus":1}}"#,
    r#"?fieldValidation=Ignore {"spec":{"n":7,"n":10}}"#,
    r#"{"kind":null}"#,
    r#"{"apiVersion":"x/v1"}"#,
    r#"{"apiVersion":"a/b/c"}"#,
    r#"{"kind":"Other"}"#,
    r#"{"metadata":null}"#,
    r#"{"metadata":[]}"#,
    r#"{"metadata":{"name":"two"}}"#,
    r#"{"metadata":{"name":null}}"#,
    r#"{"metadata":{"namespace":"two"}}"#,
    r#"{"metadata":{"uid":"two"}}"#,
    r#"{"metadata":{"uid":null}}"#,
    r#"{"metadata":{"resourceVersion":"1"}}"#,
    r#"{"metadata":{"resourceVersion":null}}"#,
    r#"{"metadata":{"creationTimestamp":null,"generation":77}}"#,
    r#"{"metadata":{"labels":{"a":1}}}"#,
    r#"{"metadata":{"labels":{"a":"b c"}}}"#,
    r#"{"metadata":{"bogus":1}}"#,
    r#"?fieldValidation=Strict {"metadata":{"bogus":1}}"#,
    r#"?fieldManager= {}"#,
    r#"?force=1 {}"#,
    r#"{"spec":{"list":["a","b"]},"status":{"phase":"x"}}"#,
    r#"?dryRun=All {"spec":{"n":77}}"#,
];

#[rustfmt::skip]
const APPLIED: &[&str] = &[
    r#"{"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager= {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m&force=true {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m&force=true {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m&force=x&dryRun=All {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"two"},"spec":{"list":["a","b"],"n":1}}"#,
    r#"?fieldManager=m []"#,
    r#"?fieldManager=m 1"#,
    r#"?fieldManager=m "#,
    r#"?fieldManager=m null"#,
    r#"?fieldManager=m {}"#,
    r#"?fieldManager=m {"apiVersion":"v1","kind":"Gadget"}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","spec":{"s":"nameless"}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one","managedFields":[]}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one","managedFields":null},"spec":{"s":"x"}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"bogus":1}}"#,
    r#"?fieldManager=m {"apiVersion":"patches.example.com/v1","kind":"Gadget","metadata":{"name":"one"},"spec":{"n":"x"}}"#,
    "?fieldManager=m&force=true apiVersion: patches.example.com/v1\nkind: Gadget\nmetadata: {name: one}\nspec:\n  s: one\n  s: two\n",
    "?fieldManager=m&force=true&fieldValidation=Strict apiVersion: patches.example.com/v1\nkind: Gadget\nmetadata: {name: one}\nspec:\n  s: one\n  s: two\n",
    "?fieldManager=m&force=true&fieldValidation=Ignore apiVersion: patches.example.com/v1\nkind: Gadget\nmetadata: {name: one}\nspec:\n  s: one\n  s: two\n",
];

/// Types that are no patch's, or spelled as nobody should.
const TYPES: &[(&str, &str)] = &[
    ("application/merge-patch+json; charset=utf-8", "{}"),
    ("Application/Merge-Patch+JSON", "{}"),
    ("application/strategic-merge-patch+json", "{}"),
    ("application/json", "{}"),
    ("application/yaml", "{}"),
    ("nonsense", "{}"),
    ("", "{}"),
    ("application/apply-patch+cbor", "?fieldManager=m {}"),
];

fn ask(path: &str, media: &str, row: &str) -> Ask {
    let (query, body) = match row.strip_prefix('?') {
        Some(row) => row.split_once(' ').unwrap(),
        None => ("", row),
    };
    let mut ask = Ask::patch(format!("{path}?{query}"), media, body.to_owned());
    if media.is_empty() {
        ask.headers.clear();
    }
    ask
}

#[tokio::test]
async fn patches() {
    let twin = gadgets("patches.example.com").await;
    let mut wrong = Vec::new();
    let create = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "one"));
    twin.compare(&create, &mut wrong).await.expect(201);
    let path = twin.path("gadgets/one");
    for (media, rows) in [
        (JSON_PATCH, JSON_PATCHES),
        (MERGE_PATCH, MERGE_PATCHES),
        (APPLY, APPLIED),
    ] {
        for row in rows {
            twin.compare(&ask(&path, media, row), &mut wrong).await;
        }
    }
    for (media, row) in TYPES {
        twin.compare(&ask(&path, media, row), &mut wrong).await;
    }
    for media in [JSON_PATCH, MERGE_PATCH, "text/plain"] {
        for row in ["", "[]", "{}", "{"] {
            twin.compare(&ask(&twin.path("gadgets/missing"), media, row), &mut wrong)
                .await;
        }
    }
    let many = vec![json!({"op": "test", "path": "/kind", "value": "Gadget"}); 10_001];
    twin.compare(&ask(&path, JSON_PATCH, &json!(many).to_string()), &mut wrong)
        .await;
    let huge = json!([{"op": "add", "path": "/spec/s", "value": "x".repeat(3 << 20)}]);
    twin.compare(&ask(&path, JSON_PATCH, &huge.to_string()), &mut wrong)
        .await;
    // what is added counts, not what is there
    let long = json!([{"op": "add", "path": "/spec/s", "value": "x".repeat(400_000)}]);
    let dry = format!("?dryRun=All {long}");
    twin.compare(&ask(&path, JSON_PATCH, &dry), &mut wrong).await;
    let mut copies = vec![json!({"op": "add", "path": "/spec/s", "value": "x".repeat(400_000)})];
    copies.extend((0..8).map(|n| json!({"op": "copy", "from": "/spec/s", "path": format!("/metadata/c{n}")})));
    let dry = format!("?dryRun=All {}", json!(copies));
    twin.compare(&ask(&path, JSON_PATCH, &dry), &mut wrong).await;
    assert_equal(&wrong);
}

/// Where the Go server is lenient, or takes the blame for what a client did, we do not follow.
#[tokio::test]
async fn where_we_differ() {
    let twin = gadgets("stricter.example.com").await;
    let create = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "one"));
    twin.send(&create).await.expect(201);
    let path = twin.path("gadgets/one");
    for (media, row, ours, theirs) in [
        (
            JSON_PATCH,
            r#"[{"op":"replace","path":"/spec/s","value":"x"}]"#,
            422,
            200,
        ),
        (
            JSON_PATCH,
            r#"[{"op":"copy","from":"/spec/none","path":"/spec/map"}]"#,
            422,
            200,
        ),
        // RFC 6902 compares numbers by their value
        (JSON_PATCH, r#"[{"op":"test","path":"/spec/n","value":1.0}]"#, 200, 422),
        (JSON_PATCH, r#"[{"op":"remove","path":"/apiVersion"}]"#, 422, 500),
        (MERGE_PATCH, r#"{"metadata":{"resourceVersion":"x"}}"#, 409, 500),
    ] {
        let answers = twin.send(&ask(&path, media, row)).await;
        assert_eq!((answers.ours.code, answers.theirs.code), (ours, theirs), "{row}");
    }
}

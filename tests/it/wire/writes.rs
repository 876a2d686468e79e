//! Creates, updates and deletions: field validation, warnings, dry runs, writes that change nothing.

use http::Method;
use serde_json::{Value, json};

use super::gadget::{gadget, gadgets};
use crate::harness::twin::{Ask, assert_equal};

const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

#[tokio::test]
async fn field_validation() {
    let twin = gadgets("validated.example.com").await;
    let mut wrong = Vec::new();
    let head = format!(r#""apiVersion":"{}/v1","kind":"Gadget""#, twin.group);
    let long: String = (0..300)
        .map(|n| format!(r#","unknown-field-with-a-long-name-{n}":1"#))
        .collect();
    let mut names = 0;
    for body in [
        r#"{HEAD,"metadata":{"name":"NAME"},"spec":{"n":1,"bogus":1},"odd":2}"#,
        r#"{HEAD,"metadata":{"name":"NAME","bogus":1,"ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"u","z":1}]}}"#,
        r#"{HEAD,"metadata":{"name":"NAME"},"spec":{"n":1,"n":2,"list":["a"],"list":["b"]}}"#,
        r#"{HEAD,"kind":"Gadget","metadata":{"name":"NAME","name":"NAME"}}"#,
        r#"{HEAD,"metadata":{"name":"NAME"},"spec":{"n":"x","bogus":1}}"#,
        r#"{HEAD,"metadata":{"name":"NAME"},"spec":{"bogus":"\"quoted\" \\ back"},"wei\"rd":1}"#,
        r#"{HEAD,"metadata":{"name":"NAME"}LONG}"#,
        r#"{HEAD,"metadata":{"name":"NAME","finalizers":["nodomain"]},"spec":{"n":"x"}}"#,
        r#"{HEAD,"metadata":{"name":"NAME","finalizers":["nodomain"]},"spec":{"bogus":1}}"#,
        r#"{HEAD,"metadata":{"name":"-NAME"},"spec":{"bogus":1}}"#,
        "YAMLmetadata: {name: NAME}\nspec:\n  s: a\n  bogus: 1\n",
        "YAMLmetadata: {name: NAME}\nspec:\n  s: a\n  s: b\n  bogus: 1\n",
    ] {
        for mode in ["", "Warn", "Strict", "Ignore"] {
            names += 1;
            let name = format!("g{names}");
            let text = body
                .replace("HEAD", &head)
                .replace("YAML", &format!("apiVersion: {}/v1\nkind: Gadget\n", twin.group))
                .replace("LONG", &long)
                .replace("NAME", &name);
            let media = if body.starts_with("YAML") {
                "application/yaml"
            } else {
                "application/json"
            };
            let query = format!("?fieldValidation={mode}");
            let create = Ask::new(Method::POST, twin.path(&format!("gadgets{query}"))).sending(media, text.clone());
            let created = twin.compare(&create, &mut wrong).await;
            if created.theirs.code != 201 {
                continue;
            }
            let put = text.replacen(r#""metadata":{"#, r#""metadata":{"resourceVersion":"$RV","#, 1);
            let put = put.replacen("metadata: {", "metadata: {resourceVersion: '$RV', ", 1);
            let put = Ask::new(Method::PUT, twin.path(&format!("gadgets/{name}{query}"))).sending(media, put);
            twin.compare(&put, &mut wrong).await;
        }
    }
    assert_equal(&wrong);
}

/// What a dry run answers, in every verb; and that nothing of it is stored or told.
#[tokio::test]
async fn dry_runs_leave_no_trace() {
    let twin = gadgets("rehearsed.example.com").await;
    let mut wrong = Vec::new();
    let mut kept = gadget(&twin, "kept");
    kept["metadata"]["finalizers"] = json!(["example.com/wait"]);
    for body in [gadget(&twin, "one"), kept] {
        let create = Ask::json(Method::POST, twin.path("gadgets"), &body);
        twin.compare(&create, &mut wrong).await.expect(201);
    }
    let list = Ask::get(twin.path("gadgets"));
    let before = twin.compare(&list, &mut wrong).await;
    let from = before.ours.revision();
    let mut watch = twin
        .ours
        .caller
        .watch(&twin.path(&format!("gadgets?resourceVersion={from}")))
        .await;

    let one = twin.path("gadgets/one?dryRun=All");
    twin.send(&Ask::get(twin.path("gadgets/one"))).await.expect(200);
    let mut changed = gadget(&twin, "one");
    changed["metadata"]["resourceVersion"] = json!("$RV");
    changed["spec"]["n"] = json!(2);
    changed["status"] = json!({"phase": "new"});
    let status = twin.path("gadgets/one/status?dryRun=All");
    let apply = |path: String, name: &str| {
        let body = gadget(&twin, name).to_string();
        Ask::patch(
            format!("{path}&fieldManager=m&force=true"),
            "application/apply-patch+yaml",
            body,
        )
    };
    let merge = |path: &str, body: Value| Ask::patch(path, "application/merge-patch+json", body.to_string());
    for ask in [
        Ask::json(Method::POST, twin.path("gadgets?dryRun=All"), &gadget(&twin, "two")),
        Ask::json(Method::POST, twin.path("gadgets?dryRun=All"), &gadget(&twin, "one")),
        Ask::json(Method::PUT, &one, &changed),
        Ask::json(Method::PUT, &status, &changed),
        merge(&one, json!({"spec": {"n": 7}})),
        merge(&status, json!({"status": {"phase": "x"}})),
        Ask::patch(
            &one,
            "application/json-patch+json",
            r#"[{"op":"remove","path":"/spec"}]"#,
        ),
        apply(one.clone(), "one"),
        apply(twin.path("gadgets/three?dryRun=All"), "three"),
        merge(
            &twin.path("gadgets/kept?dryRun=All"),
            json!({"metadata": {"finalizers": null}}),
        ),
        Ask::new(Method::DELETE, &one),
        Ask::new(Method::DELETE, twin.path("gadgets/kept?dryRun=All")),
        Ask::new(
            Method::DELETE,
            twin.path("gadgets/kept?dryRun=All&propagationPolicy=Foreground"),
        ),
        Ask::json(Method::DELETE, twin.path("gadgets/one"), &json!({"dryRun": ["All"]})),
        Ask::new(Method::DELETE, twin.path("gadgets?dryRun=All")),
        Ask::new(Method::DELETE, twin.path("gadgets/missing?dryRun=All")),
    ] {
        twin.compare(&ask, &mut wrong).await;
    }
    let after = twin.compare(&list, &mut wrong).await;
    assert_eq!(after.ours.json(), before.ours.json(), "not even the revision moved");
    let marker = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "marker"));
    twin.compare(&marker, &mut wrong).await.expect(201);
    watch.expect("ADDED", "marker").await;
    assert_equal(&wrong);
}

/// A write that changes nothing keeps the resourceVersion and is not told.
#[tokio::test]
async fn writes_that_change_nothing() {
    let twin = gadgets("unchanged.example.com").await;
    let mut wrong = Vec::new();
    let create = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "one"));
    twin.compare(&create, &mut wrong).await.expect(201);
    let one = twin.path("gadgets/one");
    let apply = Ask::patch(
        format!("{one}?fieldManager=m&force=true"),
        "application/apply-patch+yaml",
        gadget(&twin, "one").to_string(),
    );
    let status = Ask::patch(
        format!("{one}/status"),
        "application/merge-patch+json",
        json!({"status": {"phase": "x"}}).to_string(),
    );
    twin.compare(&status, &mut wrong).await.expect(200);
    let before = twin.compare(&apply, &mut wrong).await;
    let path = twin.path(&format!("gadgets?resourceVersion={}", before.ours.revision()));
    let mut watch = twin.ours.caller.watch(&path).await;
    let mut full = gadget(&twin, "one");
    full["metadata"]["resourceVersion"] = json!("$RV");
    full["status"] = json!({"phase": "x"});
    for ask in [
        Ask::json(Method::PUT, &one, &full),
        Ask::json(Method::PUT, format!("{one}/status"), &full),
        Ask::patch(&one, "application/merge-patch+json", r#"{"spec":{"n":1}}"#),
        Ask::patch(
            &one,
            "application/json-patch+json",
            r#"[{"op":"replace","path":"/spec/n","value":1}]"#,
        ),
        status,
        apply,
    ] {
        let answers = twin.compare(&ask, &mut wrong).await;
        for (answer, before) in [(&answers.ours, &before.ours), (&answers.theirs, &before.theirs)] {
            assert_eq!(answer.expect(200), before.json(), "{}", answer.request);
        }
    }
    let marker = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "marker"));
    twin.compare(&marker, &mut wrong).await.expect(201);
    watch.expect("ADDED", "marker").await;
    assert_equal(&wrong);
}

/// Metadata and tables are answered to writes as well.
#[tokio::test]
async fn writes_answer_what_is_asked_for() {
    let twin = gadgets("shaped.example.com").await;
    let mut wrong = Vec::new();
    for (name, accept) in [
        ("a", PARTIAL),
        ("b", TABLE),
        ("c", "application/yaml"),
        ("d", "application/json;pretty=1"),
    ] {
        let path = twin.path(&format!("gadgets/{name}"));
        for ask in [
            Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, name)),
            Ask::patch(
                &path,
                "application/merge-patch+json",
                r#"{"metadata":{"finalizers":["example.com/x"]}}"#,
            ),
            Ask::new(Method::DELETE, &path),
            Ask::patch(
                &path,
                "application/merge-patch+json",
                r#"{"metadata":{"finalizers":null}}"#,
            ),
            Ask::new(Method::DELETE, &path),
        ] {
            twin.compare(&ask.accepting(accept), &mut wrong).await;
        }
    }
    for accept in [PARTIAL, TABLE] {
        let create = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "e"));
        twin.send(&create).await;
        twin.compare(
            &Ask::new(Method::DELETE, twin.path("gadgets/e")).accepting(accept),
            &mut wrong,
        )
        .await;
    }
    assert_equal(&wrong);
}

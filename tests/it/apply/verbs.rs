//! Apply over the wire, on our own kinds.

use http::Method;
use serde_json::{Value, json};

use crate::harness::in_process::{Answer, Caller, memory};
use crate::harness::tenancy::{World, an_organization, as_stored, organization, organizations, stored, user};

async fn apply(caller: &Caller, path: &str, query: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/apply-patch+yaml")];
    caller
        .send(Method::PATCH, &format!("{path}?{query}"), &headers, body.to_string())
        .await
}

fn entries(object: &Value) -> Vec<(String, String, Value)> {
    let list = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    list.map(|entry| {
        (
            text(entry, "manager"),
            text(entry, "operation"),
            entry["fieldsV1"].clone(),
        )
    })
    .collect()
}

#[tokio::test]
async fn an_apply_creates_and_then_changes() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let path = organization("acme");
    let body = an_organization("acme", &[user("alice")]);

    let dry = apply(&alice, &path, "fieldManager=m&dryRun=All", &body)
        .await
        .expect(201);
    assert!(dry["metadata"]["uid"].is_string());
    alice.get(&path).await.refused(404, "NotFound");

    let created = apply(&alice, &path, "fieldManager=m", &body).await.expect(201);
    let owned = json!({"f:spec": {"f:owners": {}}});
    assert_eq!(entries(&created), [("m".to_owned(), "Apply".to_owned(), owned.clone())]);
    let again = apply(&alice, &path, "fieldManager=m", &body).await.expect(200);
    assert_eq!(again, created, "the same resourceVersion and times");

    let mut labelled = body.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let labelled = apply(&alice, &path, "fieldManager=m", &labelled).await.expect(200);
    assert_eq!(labelled["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(labelled["metadata"]["generation"], 1);
    let unlabelled = apply(&alice, &path, "fieldManager=m", &body).await.expect(200);
    assert_eq!(unlabelled["metadata"].get("labels"), None);

    let more = an_organization("acme", &[user("alice"), user("bob")]);
    apply(&alice, &path, "fieldManager=other", &more).await.refused_with(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"m\": .spec.owners",
    );
    let taken = apply(&alice, &path, "fieldManager=other&force=true", &more)
        .await
        .expect(200);
    assert_eq!(entries(&taken), [("other".to_owned(), "Apply".to_owned(), owned)]);
    assert_eq!(taken["metadata"]["generation"], 2);
}

#[tokio::test]
async fn nothing_is_told_of_what_is_not_seen() {
    let world = World::new(memory().await).await;
    let (alice, mallory) = (world.user("alice"), world.user("mallory"));
    world.organization("acme", &[user("alice")]).await;
    let path = organization("acme");
    let mine = an_organization("acme", &[user("mallory")]);
    apply(&mallory, &path, "fieldManager=m", &mine).await.refused_with(
        409,
        "AlreadyExists",
        "organizations.apiserver.bulward.io \"acme\" already exists",
    );
    let theirs = an_organization("acme", &[user("alice")]);
    apply(&mallory, &path, "fieldManager=m", &theirs)
        .await
        .refused(400, "BadRequest");
    // a member sees, but does not change
    world.members(&stored(&path), &[user("bob")]).await;
    let bob = world.user("bob");
    apply(&bob, &path, "fieldManager=m", &theirs)
        .await
        .refused(403, "Forbidden");
    alice.get(&path).await.expect(200);
}

#[tokio::test]
async fn every_write_is_recorded_and_views_understand_each_other() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let path = organization("acme");
    let created = alice
        .post(
            &format!("{}?fieldManager=maker", organizations()),
            &an_organization("acme", &[user("alice")]),
        )
        .await
        .expect(201);
    assert_eq!(entries(&created)[0].0, "maker");
    let patched = alice
        .merge(
            &format!("{path}?fieldManager=patcher"),
            &json!({"metadata": {"labels": {"x": "y"}}}),
        )
        .await
        .expect(200);
    let patcher = json!({"f:metadata": {"f:labels": {".": {}, "f:x": {}}}});
    assert!(entries(&patched).contains(&("patcher".to_owned(), "Update".to_owned(), patcher)));

    // the same object through the other view
    let admin = &world.admin;
    let body = as_stored(an_organization("acme", &[user("alice"), user("bob")]));
    apply(admin, &stored(&path), "fieldManager=admin", &body)
        .await
        .refused_with(
            409,
            "Conflict",
            "Apply failed with 1 conflict: conflict with \"maker\" using apiserver.bulward.io/v1alpha1: .spec.owners",
        );
    let status = json!({"apiVersion": "storage.bulward.io/v1alpha1", "kind": "Organization",
        "metadata": {"name": "acme"}, "status": {"phase": "Ready"}});
    let ready = apply(admin, &format!("{}/status", stored(&path)), "fieldManager=ctl", &status)
        .await
        .expect(200);
    assert_eq!(ready["status"]["phase"], "Ready");
    let entry = ready["metadata"]["managedFields"][0].clone();
    assert_eq!(
        (&entry["manager"], &entry["subresource"]),
        (&json!("ctl"), &json!("status"))
    );
    assert_eq!(entry["apiVersion"], "storage.bulward.io/v1alpha1");
}

#[tokio::test]
async fn what_an_apply_must_be() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let path = organization("acme");
    let body = an_organization("acme", &[user("alice")]);
    apply(&alice, &path, "", &body).await.refused_with(
        422,
        "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    );
    let with = |pointer: &str, value: Value| {
        let mut body = body.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value;
        body
    };
    let refused = async |body: Value| apply(&alice, &path, "fieldManager=m", &body).await;
    refused(with("/kind", json!("Other"))).await.refused_with(
        400,
        "BadRequest",
        "invalid object type: apiserver.bulward.io/v1alpha1, Kind=Other",
    );
    refused(with("/metadata/managedFields", json!([]))).await.refused_with(
        400,
        "BadRequest",
        "metadata.managedFields must be nil",
    );
    refused(with("/metadata/uid", json!("zzz")))
        .await
        .refused(409, "Conflict");
    let answer = refused(with("/spec/bogus", json!(1))).await;
    assert_eq!(answer.code, 500, "{}", answer.text());
    assert_eq!(
        answer.json()["message"],
        "failed to create typed patch object (/acme; apiserver.bulward.io/v1alpha1, Kind=Organization): .spec.bogus: \
         field not declared in schema"
    );
    let yaml = "apiVersion: apiserver.bulward.io/v1alpha1\nkind: Organization\nmetadata: {name: acme}\nspec:\n  owners:\n  \
                - {kind: User, name: alice}\n  owners:\n  - {kind: User, name: alice}\n";
    let headers = [("content-type", "application/apply-patch+yaml")];
    let strict = format!("{path}?fieldManager=m&fieldValidation=Strict");
    let answer = alice.send(Method::PATCH, &strict, &headers, yaml).await;
    answer.refused_with(
        400,
        "BadRequest",
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key \"owners\" \
         already set in map",
    );
    let answer = alice
        .send(Method::PATCH, &format!("{path}?fieldManager=m"), &headers, yaml)
        .await;
    answer.expect(201);
    assert_eq!(
        answer.header("warning"),
        Some("299 - \"line 7: key \\\"owners\\\" already set in map\"")
    );
}

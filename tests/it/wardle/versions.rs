//! One stored form, two versions: whatever is written through one is read through the other.

use http::Method;
use serde_json::{Value, json};

use super::registry;
use crate::harness::in_process::{Answer, Caller, InProcess, Opened, Settings, each_storage, memory};

fn flunders(version: &str) -> String {
    format!("/apis/wardle.example.com/{version}/namespaces/sea/flunders")
}

fn flunder(version: &str, name: &str) -> String {
    format!("{}/{name}", flunders(version))
}

fn body(version: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("wardle.example.com/{version}"),
        "kind": "Flunder",
        "metadata": {"name": name},
        "spec": spec,
    })
}

async fn apply(caller: &Caller, version: &str, name: &str, query: &str, spec: Value) -> Answer {
    let headers = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{}?{query}", flunder(version, name));
    let body = body(version, name, spec).to_string();
    caller.send(Method::PATCH, &path, &headers, body).await
}

/// Who owns what: manager, apiVersion and fields.
fn owned(object: &Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let entries = entries.map(|entry| json!([entry["manager"], entry["apiVersion"], entry["fieldsV1"]["f:spec"]]));
    let mut entries: Vec<Value> = entries.collect();
    // their order depends on the second in which they were written
    entries.sort_by_key(ToString::to_string);
    json!(entries)
}

async fn both_versions_serve_one_object(opened: Opened) {
    let server = InProcess::serving(opened.storage.clone(), Settings::default(), registry()).await;
    let admin = server.admin();
    let mut watch = admin.watch(&flunders("v1beta1")).await;

    let created = body("v1alpha1", "one", json!({"reference": "x"}));
    let created = admin.post(&flunders("v1alpha1"), &created).await.expect(201);
    assert_eq!(
        created["spec"],
        json!({"reference": "x", "referenceType": "Flunder"}),
        "defaulted"
    );
    let converted = json!({"flunderReference": "x", "referenceType": "Flunder"});
    let read = admin.get(&flunder("v1beta1", "one")).await.expect(200);
    assert_eq!(read["apiVersion"], "wardle.example.com/v1beta1");
    assert_eq!(read["metadata"], created["metadata"]);
    assert_eq!(read["spec"], converted);

    let list = admin.get(&flunders("v1beta1")).await.expect(200);
    assert_eq!(list["items"][0]["spec"], converted);
    assert_eq!(
        list["items"][0].get("kind"),
        None,
        "items of a typed list do not say what they are"
    );
    assert_eq!(watch.expect("ADDED", "sea/one").await, read);

    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = admin
        .get_as(&format!("{}?includeObject=Object", flunders("v1beta1")), table)
        .await;
    assert_eq!(table.expect(200)["rows"][0]["object"], read);

    let patch = json!({"spec": {"flunderReference": null, "fischerReference": "y", "referenceType": "Fischer"}});
    let patched = admin.merge(&flunder("v1beta1", "one"), &patch).await.expect(200);
    assert_eq!(patched["spec"], patch_without_null(&patch));
    let read = admin.get(&flunder("v1alpha1", "one")).await.expect(200);
    assert_eq!(read["spec"], json!({"reference": "y", "referenceType": "Fischer"}));
    assert_eq!(watch.expect("MODIFIED", "sea/one").await, patched);

    let deleted = admin
        .delete_with(&flunder("v1alpha1", "one"), &json!({"propagationPolicy": "Foreground"}))
        .await;
    assert_eq!(deleted.expect(200)["spec"], read["spec"]);
    let marked = watch.expect("MODIFIED", "sea/one").await;
    assert_eq!(marked["spec"], patched["spec"]);
    let freed = admin
        .merge(&flunder("v1beta1", "one"), &json!({"metadata": {"finalizers": null}}))
        .await;
    assert_eq!(freed.expect(200)["spec"], patched["spec"]);
    let gone = watch.expect("DELETED", "sea/one").await;
    assert_eq!(gone["spec"], patched["spec"]);
}
each_storage!(both_versions_serve_one_object);

fn patch_without_null(patch: &Value) -> Value {
    let mut spec = patch["spec"].clone();
    spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    spec
}

#[tokio::test]
async fn what_is_owned_is_told_in_the_version_of_the_write() {
    let server = InProcess::serving(memory().await.storage, Settings::default(), registry()).await;
    let admin = server.admin();
    let old = json!({"reference": "x"});
    apply(&admin, "v1alpha1", "one", "fieldManager=a", old.clone())
        .await
        .expect(201);
    let alpha = json!(["a", "wardle.example.com/v1alpha1", {"f:reference": {}}]);

    // another manager in another version: the conflict names the field as its owner knows it
    let new = json!({"flunderReference": "y", "referenceType": "Flunder"});
    apply(&admin, "v1beta1", "one", "fieldManager=b", new.clone())
        .await
        .refused_with(
            409,
            "Conflict",
            "Apply failed with 1 conflict: conflict with \"a\": .spec.reference",
        );
    let shared = json!({"flunderReference": "x"});
    let shared = apply(&admin, "v1beta1", "one", "fieldManager=b", shared)
        .await
        .expect(200);
    assert_eq!(
        owned(&shared),
        json!([alpha, ["b", "wardle.example.com/v1beta1", {"f:flunderReference": {}}]])
    );
    let forced = apply(&admin, "v1beta1", "one", "fieldManager=b&force=true", new)
        .await
        .expect(200);
    let both = json!({"f:flunderReference": {}, "f:referenceType": {}});
    assert_eq!(owned(&forced), json!([["b", "wardle.example.com/v1beta1", both]]));

    // the same manager in another version keeps its entry, and gives up what it does not apply again
    let taken = apply(
        &admin,
        "v1alpha1",
        "one",
        "fieldManager=b",
        json!({"referenceType": "Flunder"}),
    )
    .await;
    let taken = taken.expect(200);
    assert_eq!(taken["spec"], json!({"referenceType": "Flunder"}));
    assert_eq!(
        owned(&taken),
        json!([["b", "wardle.example.com/v1alpha1", {"f:referenceType": {}}]])
    );
}

#[tokio::test]
async fn discovery_prefers_v1beta1_and_names_the_stored_version() {
    let server = InProcess::serving(memory().await.storage, Settings::default(), registry()).await;
    let admin = server.admin();
    let group = admin.get("/apis/wardle.example.com").await.expect(200);
    assert_eq!(group["preferredVersion"]["version"], "v1beta1");
    for version in ["v1alpha1", "v1beta1"] {
        let list = admin
            .get(&format!("/apis/wardle.example.com/{version}"))
            .await
            .expect(200);
        let resources = list["resources"].as_array().unwrap();
        let flunders = resources.iter().find(|one| one["name"] == "flunders").unwrap();
        // as sample-apiserver has it: the hash of wardle.example.com/v1alpha1/Flunder
        assert_eq!(flunders["storageVersionHash"], "UHqNx5H3K7A=", "{version}");
    }
}

#[test]
fn nothing_but_tests_knows_the_toy_group() {
    let mut sources = crate::source::files("src", &[".rs"]);
    sources.retain(|source| !source.path.ends_with("/tests.rs"));
    let knows = |source: &crate::source::Source| {
        let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        // comments may name the example that Kubernetes itself gives
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<String>().to_lowercase();
        ["wardle", "flunder", "fischer"].iter().any(|word| code.contains(word))
    };
    let found: Vec<String> = sources.into_iter().filter(knows).map(|source| source.path).collect();
    assert!(found.is_empty(), "{found:?}");
}

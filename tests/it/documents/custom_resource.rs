//! Our documents beside those that kube-apiserver publishes for CustomResources of the same schema.

use bulward::rest::resource::{Access, Group, Registry, Resource};
use bulward::wire::names::GroupVersion;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{SOON, documents, get, json, registry};
use crate::harness::{ControlPlane, eventually};

const GROUP: &str = "openapi.bulward.example";
const VERSION: &str = "v1alpha1";

/// Our kinds under the name of the CustomResources' group.
fn renamed() -> Registry {
    let view = |kind| {
        Arc::new(Resource {
            group_version: GroupVersion::new(GROUP, VERSION),
            stored: kind,
            short_names: Vec::new(),
            categories: Vec::new(),
            access: Access::Unfiltered,
            status_subresource: true,
            version: None,
            deprecation: None,
        })
    };
    Registry {
        groups: vec![Group {
            name: GROUP.to_owned(),
            priority: 1000,
            resources: registry::tenancy().kinds().into_iter().map(view).collect(),
            reviews: Vec::new(),
        }],
    }
}

/// The definition that makes the resource a CustomResource.
fn definition(resource: &Resource) -> Value {
    let kind = &resource.stored;
    let mut schema = kind.schema.clone();
    schema["description"] = json!(kind.description);
    let selectable: Vec<Value> = kind
        .selectable_fields
        .iter()
        .map(|path| json!({"jsonPath": format!(".{path}")}))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{GROUP}", kind.plural)},
        "spec": {
            "group": GROUP,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.singular, "listKind": format!("{}List", kind.kind)},
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
                "selectableFields": selectable,
            }],
        },
    })
}

/// Every place where two documents differ.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<(String, Value, Value)>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = format!("{path}/{}", name.replace('/', "~1"));
                differences(&path, &ours[name], &theirs[name], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&format!("{path}/{index}"), one, other, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push((path.to_owned(), ours.clone(), theirs.clone())),
    }
}

#[tokio::test]
async fn documents_equal_those_of_custom_resources() {
    let registry = renamed();
    let plane = ControlPlane::shared().await;
    let definitions: Vec<Value> = registry.resources().map(|resource| definition(resource)).collect();
    plane.apply(&definitions).await;
    let admin = plane.kubectl("admin");
    let raw = async |path: &str| {
        let got = admin.run(["get", "--raw", path]).await;
        let text = if got.status.success() {
            Ok(got.stdout)
        } else {
            Err(got.to_string())
        }?;
        serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
    };
    let documents = documents(&registry);
    let v3 = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
    let theirs = eventually("all kinds are documented", 5 * SOON, async || {
        let document = raw(&v3).await?;
        let paths = document["paths"].to_string();
        match registry
            .resources()
            .all(|one| paths.contains(&format!("/{}/{{name}}/status", one.stored.plural)))
        {
            true => Ok(document),
            false => Err(paths),
        }
    })
    .await;
    let ours = json(&get(&documents, &v3, None));
    compare("v3", &ours, &theirs);

    // The document of the whole cluster: what is of our group in it.
    let own = |document: &Value| {
        let with = |key: &str, wanted: &dyn Fn(&str) -> bool| {
            let members = document[key].as_object().into_iter().flatten();
            let members = members.filter(|(name, _)| wanted(name));
            members
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<serde_json::Map<_, _>>()
        };
        let prefix = format!("/apis/{GROUP}/{VERSION}/");
        json!({
            "paths": with("paths", &|name| name.starts_with(&prefix)),
            "parameters": document["parameters"],
            "definitions": with("definitions", &|name| name.starts_with("example.bulward.openapi.")),
        })
    };
    let ours = json(&get(&documents, "/openapi/v2", None));
    // One of the object and one of its status, of the list, and for what has namespaces of all lists together.
    let paths = |resource: &Arc<Resource>| if resource.stored.namespaced { 4 } else { 3 };
    let expected: usize = registry.resources().map(paths).sum();
    let theirs = eventually("all kinds are in the document of the cluster", 5 * SOON, async || {
        let document = own(&raw("/openapi/v2").await?);
        match document["paths"].as_object().map(|paths| paths.len()) {
            Some(count) if count == expected => Ok(document),
            other => Err(format!("{other:?} paths")),
        }
    })
    .await;
    let mut theirs = theirs;
    if let Some(parameters) = theirs["parameters"].as_object_mut() {
        parameters.retain(|name, _| !ours["parameters"][name].is_null());
    }
    compare("v2", &own(&ours), &theirs);
}

/// Where the documents may differ, and why.
const LISTED: [(&str, &str, &str); 6] = [
    ("v3", "/info/", "the document is ours"),
    ("v3", "/paths/~1apis~1openapi.bulward.example~1v1alpha1~1", DISCOVERY),
    (
        "v3",
        "/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.APIResource",
        DISCOVERY,
    ),
    (
        "v3",
        "/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList",
        DISCOVERY,
    ),
    (
        "v3",
        "/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions/x-kubernetes-group-version-kind",
        "kube-apiserver lists all groups that it knows, as every Go server does",
    ),
    ("v2", "/paths/~1apis~1openapi.bulward.example~1v1alpha1~1", DISCOVERY),
];
const DISCOVERY: &str =
    "an aggregated server describes its discovery, as sample-apiserver does; for CustomResources nobody does";

/// Fails on a difference that is not listed, and on one that is listed and not there.
fn compare(which: &str, ours: &Value, theirs: &Value) {
    let mut found = Vec::new();
    differences("", ours, theirs, &mut found);
    let listed: Vec<&str> = LISTED
        .iter()
        .filter(|(of, ..)| *of == which)
        .map(|(_, path, _)| *path)
        .collect();
    let matches = |path: &str, listed: &str| path == listed || listed.ends_with('/') && path.starts_with(listed);
    let short = |value: &Value| value.to_string().chars().take(400).collect::<String>();
    let unlisted: Vec<String> = found
        .iter()
        .filter(|(path, ..)| !listed.iter().any(|one| matches(path, one)))
        .map(|(path, ours, theirs)| format!("{path}\n  ours   {}\n  theirs {}", short(ours), short(theirs)))
        .collect();
    assert!(
        unlisted.is_empty(),
        "{which}: {} differences\n{}",
        unlisted.len(),
        unlisted.join("\n")
    );
    let gone: Vec<&&str> = listed
        .iter()
        .filter(|one| !found.iter().any(|(path, ..)| matches(path, one)))
        .collect();
    assert!(gone.is_empty(), "{which}: listed, but equal: {gone:?}");
}

//! OpenAPI v2 and v3.

use std::collections::{BTreeMap, BTreeSet};

use bulward::endpoints::discovery::Conditions;
use serde_json::Value;

use super::{ask, documents, get, golden_json, header, json, registry, upstream};

const V3: &str = "/openapi/v3/apis/apiserver.bulward.io/v1alpha1";

#[test]
fn golden_files() {
    let documents = documents(&registry::tenancy());
    for (path, file) in [
        ("/openapi/v2", "v2"),
        ("/openapi/v3", "v3"),
        ("/openapi/v3/apis", "v3-apis"),
        ("/openapi/v3/apis/apiserver.bulward.io", "v3-group"),
        ("/openapi/v3/version", "v3-version"),
        (V3, "v3-apiserver"),
        ("/openapi/v3/apis/bulward.io/v1alpha1", "v3-roles"),
        ("/openapi/v3/apis/storage.bulward.io/v1alpha1", "v3-storage"),
    ] {
        let mut document = json(&get(&documents, path, None));
        leave_out_what_is_shared(&mut document);
        golden_json(&format!("tests/golden/openapi/{file}.json"), &document);
    }
}

/// The definitions of `meta/v1` and the words about parameters are compared with kube-apiserver's own below, and the hashes in `v3.json` cover them.
fn leave_out_what_is_shared(document: &mut Value) {
    for pointer in ["/definitions", "/components/schemas"] {
        if let Some(Value::Object(schemas)) = document.pointer_mut(pointer) {
            schemas.retain(|name, _| !name.starts_with("io.k8s."));
        }
    }
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                if object
                    .get("in")
                    .is_some_and(|place| place == "query" || place == "path")
                {
                    object.remove("description");
                }
                object.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(document);
}

/// What tools read of an operation.
#[derive(Debug, PartialEq)]
struct Facts {
    id: String,
    action: String,
    group_version_kind: Value,
    parameters: BTreeSet<String>,
    request: BTreeSet<String>,
    response: BTreeSet<String>,
}

fn names(parameters: &Value) -> BTreeSet<String> {
    let parameters = parameters.as_array().into_iter().flatten();
    parameters
        .map(|one| one["name"].as_str().expect("a parameter has a name").to_owned())
        .collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

/// The operations of a v3 document by path and method.
fn operations(document: &Value) -> BTreeMap<(String, String), Facts> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if method == "parameters" || path.ends_with('/') {
                continue;
            }
            let mut parameters = names(&operation["parameters"]);
            parameters.extend(names(&item["parameters"]));
            let facts = Facts {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                action: operation["x-kubernetes-action"].as_str().expect("an action").to_owned(),
                group_version_kind: operation["x-kubernetes-group-version-kind"].clone(),
                parameters,
                request: keys(&operation["requestBody"]["content"]),
                response: keys(&operation["responses"]["200"]["content"]),
            };
            found.insert((path.clone(), method.clone()), facts);
        }
    }
    found
}

#[test]
fn operations_are_those_of_a_custom_resource_definition() {
    let documents = documents(&registry::gadgets());
    let ours = operations(&json(&get(&documents, "/openapi/v3/apis/t.example.io/v1", None)));
    let theirs = operations(&upstream("openapi-v3.json"));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (at, theirs) in &theirs {
        assert_eq!(&ours[at], theirs, "{at:?}");
    }
}

#[test]
fn shared_definitions_equal_those_of_kube_apiserver() {
    let ours = json(&get(&documents(&registry::gadgets()), "/openapi/v2", None));
    let theirs = upstream("openapi-v2.json");
    let shared = ours["definitions"].as_object().expect("definitions");
    let shared = shared.iter().filter(|(name, _)| name.starts_with("io.k8s."));
    let mut compared = 0;
    for (name, own) in shared {
        let mut own = own.clone();
        let mut definition = theirs["definitions"][name].clone();
        assert!(definition.is_object(), "{name} is not upstream's");
        compared += 1;
        for one in [&mut definition, &mut own] {
            // The aggregator ignores it when it compares.
            one.as_object_mut()
                .expect("a definition")
                .remove("x-kubernetes-group-version-kind");
        }
        assert_eq!(own, definition, "{name}");
    }
    assert!(compared > 8, "only {compared} definitions are shared");
    for (name, parameter) in ours["parameters"].as_object().expect("parameters") {
        // Those that the capture does not have are compared with a running kube-apiserver's.
        if let Some(captured) = theirs["parameters"].get(name) {
            assert_eq!(parameter, captured, "{name}");
        }
    }
}

#[test]
fn every_reference_resolves_and_every_operation_has_its_own_id() {
    fn resolve(document: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').expect("references stay inside the document");
                    assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                }
                object.values().for_each(|value| resolve(document, value));
            }
            Value::Array(items) => items.iter().for_each(|item| resolve(document, item)),
            _ => {}
        }
    }
    let documents = documents(&registry::tenancy());
    let index = json(&get(&documents, "/openapi/v3", None));
    let mut all = vec![json(&get(&documents, "/openapi/v2", None))];
    for link in index["paths"].as_object().expect("paths").values() {
        all.push(json(&get(
            &documents,
            link["serverRelativeURL"].as_str().expect("a link"),
            None,
        )));
    }
    for document in &all {
        resolve(document, document);
        let mut ids = BTreeSet::new();
        for item in document["paths"].as_object().expect("paths").values() {
            for operation in item
                .as_object()
                .expect("a path item")
                .values()
                .filter(|value| value.is_object())
            {
                assert!(
                    ids.insert(operation["operationId"].to_string()),
                    "{} is there twice",
                    operation["operationId"]
                );
            }
        }
    }
}

#[test]
fn patches_are_what_kubectl_may_send() {
    let document = json(&get(&documents(&registry::tenancy()), V3, None));
    let patch = &document["paths"]["/apis/apiserver.bulward.io/v1alpha1/organizations/{name}"]["patch"];
    let types = [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    assert_eq!(keys(&patch["requestBody"]["content"]), types.map(str::to_owned).into());
    let options = ["dryRun", "fieldManager", "fieldValidation", "force"];
    assert_eq!(names(&patch["parameters"]), options.map(str::to_owned).into());
}

#[test]
fn hashes_name_immutable_documents() {
    let documents = documents(&registry::tenancy());
    let index = json(&get(&documents, "/openapi/v3/", None));
    let link = index["paths"]["apis/apiserver.bulward.io/v1alpha1"]["serverRelativeURL"]
        .as_str()
        .expect("a link");
    let named = get(&documents, link, Some("*/*"));
    assert_eq!(named.status, 200);
    assert_eq!(header(&named, "cache-control"), "public, immutable");
    assert!(header(&named, "expires").ends_with(" GMT"));
    assert_eq!(header(&named, "vary"), "Accept");
    assert!(link.ends_with(&format!("?hash={}", header(&named, "etag").trim_matches('"'))));

    for path in [V3.to_owned(), format!("{V3}?hash=OLD"), format!("{V3}?timeout=32s")] {
        let current = get(&documents, &path, None);
        assert_eq!(current.status, 200, "a redirect would be a 502 through the aggregator");
        assert_eq!(current.body, named.body);
        assert_eq!(header(&current, "cache-control"), "");
    }
}

#[test]
fn unchanged_documents_are_not_sent_again() {
    let documents = documents(&registry::tenancy());
    for path in ["/openapi/v2", "/openapi/v3", V3] {
        let first = get(&documents, path, None);
        let (etag, modified) = (header(&first, "etag"), header(&first, "last-modified"));
        let weak = format!("\"x\", W/{etag}");
        for (known, since, status) in [
            (Some(etag), None, 304),
            (Some(weak.as_str()), None, 304),
            (Some("*"), None, 304),
            (None, Some(modified), 304),
            (None, Some("Mon, 01 Jan 2001 00:00:00 GMT"), 200),
            (None, Some("yesterday"), 200),
            (Some("\"other\""), Some(modified), 200),
        ] {
            let conditions = Conditions {
                if_none_match: known,
                if_modified_since: since,
            };
            let answer = ask(&documents, path, None, conditions);
            assert_eq!(answer.status, status, "{path} {known:?} {since:?}");
            assert_eq!(answer.body.is_empty(), status == 304);
            assert_eq!(header(&answer, "etag"), etag);
        }
    }
}

#[test]
fn v2_is_served_as_protobuf() {
    let documents = documents(&registry::tenancy());
    let plain = get(&documents, "/openapi/v2", None);
    for subtype in [
        "com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "com.github.proto-openapi.spec.v2.v1.0+protobuf",
    ] {
        let answer = get(&documents, "/openapi/v2", Some(&format!("application/{subtype}")));
        assert_eq!(
            header(&answer, "content-type"),
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        );
        assert_eq!(header(&answer, "etag"), header(&plain, "etag"));
        assert!(answer.body.starts_with(b"\x0a\x032.0"), "field 1 is the version");
        let name = b"io.bulward.apiserver.v1alpha1.Organization";
        assert!(answer.body.windows(name.len()).any(|window| window == name));
    }
}

#[test]
fn other_forms_are_refused() {
    let documents = documents(&registry::tenancy());
    let protobuf_v3 = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    for (path, accept) in [("/openapi/v2", "text/html"), (V3, "text/html"), (V3, protobuf_v3)] {
        let answer = get(&documents, path, Some(accept));
        assert_eq!(answer.status, 406);
        assert!(answer.body.is_empty());
        assert_eq!(
            get(&documents, path, Some("text/html,application/json;q=0.5")).status,
            200
        );
    }
}

//! Discovery, the index and `/version`.

use std::collections::BTreeSet;

use bulward::endpoints::discovery::{Conditions, Question};
use serde_json::{Value, json};

use super::{ask, documents, get, golden_json, header, json, registry, upstream};

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// Every path to a value, with list indices left out: the shape of a document.
fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let path = format!("{path}.{key}");
                    walk(value, &path, found);
                    found.insert(path);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

#[test]
fn golden_files() {
    let documents = documents(&registry::tenancy());
    for (path, file) in [
        ("/apis", "apis"),
        ("/apis/apiserver.bulward.io", "group"),
        ("/apis/apiserver.bulward.io/v1alpha1", "resources"),
        ("/apis/bulward.io/v1alpha1", "roles-resources"),
        ("/apis/storage.bulward.io/v1alpha1", "storage-resources"),
        ("/", "index"),
    ] {
        golden_json(
            &format!("tests/golden/discovery/{file}.json"),
            &json(&get(&documents, path, None)),
        );
    }
    golden_json(
        "tests/golden/discovery/aggregated.json",
        &json(&get(&documents, "/apis", Some(V2))),
    );
}

#[test]
fn shapes_are_those_of_go_servers() {
    let documents = documents(&registry::gadgets());
    for (path, accept, name) in [
        ("/apis", None, "apis.json"),
        ("/apis/t.example.io", None, "group.json"),
        ("/apis/t.example.io/v1", None, "resources.json"),
        ("/version", None, "version.json"),
    ] {
        assert_eq!(
            shape(&json(&get(&documents, path, accept))),
            shape(&upstream(name)),
            "{path}"
        );
    }
    // sample-apiserver has neither short names nor subresources; the rest is the same.
    let mut ours = shape(&json(&get(&documents, "/apis", Some(V2))));
    ours.retain(|path| !path.contains(".shortNames") && !path.contains(".subresources"));
    assert_eq!(ours, shape(&upstream("aggregated.json")));
}

#[test]
fn resources_equal_those_of_a_custom_resource_definition() {
    let ours = json(&get(&documents(&registry::gadgets()), "/apis/t.example.io/v1", None));
    let theirs = upstream("resources.json");
    for resource in theirs["resources"].as_array().expect("a list") {
        let mut resource = resource.clone();
        let verbs = resource["verbs"].as_array_mut().expect("a list");
        verbs.sort_by_key(Value::to_string);
        let found = ours["resources"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|ours| ours["name"] == resource["name"]);
        assert_eq!(found, Some(&resource), "with the same storage version hash, too");
    }
}

#[test]
fn aggregated_discovery_carries_its_hash() {
    let documents = documents(&registry::tenancy());
    let answer = get(&documents, "/apis", Some(&format!("{V2},{V2BETA1},application/json")));
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "content-type"), V2);
    assert_eq!(header(&answer, "vary"), "Accept");
    assert_eq!(header(&answer, "cache-control"), "public");
    let etag = header(&answer, "etag").to_owned();
    assert_eq!(etag.len(), 130);
    assert!(
        etag.trim_matches('"')
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    );

    let known = |etag| Conditions {
        if_none_match: Some(etag),
        if_modified_since: None,
    };
    let unchanged = ask(&documents, "/apis/", Some(V2), known(&etag));
    assert_eq!(unchanged.status, 304);
    assert!(unchanged.body.is_empty());
    assert_eq!(header(&unchanged, "etag"), etag);
    let listed = format!("\"other\", {etag}");
    assert_eq!(
        ask(&documents, "/apis", Some(V2), known(&listed)).status,
        200,
        "one string, not a list"
    );
    assert_eq!(
        ask(&documents, "/apis", None, known(&etag)).status,
        200,
        "the plain list has no hash"
    );
}

#[test]
fn what_cannot_be_written_is_406() {
    let documents = documents(&registry::tenancy());
    for (path, accept) in [
        ("/apis", V2BETA1),
        ("/apis/apiserver.bulward.io", "text/html"),
        ("/apis/apiserver.bulward.io/v1alpha1", V2),
    ] {
        let answer = get(&documents, path, Some(accept));
        assert_eq!(answer.status, 406);
        let status = json(&answer);
        assert_eq!(status["reason"], "NotAcceptable");
        assert_eq!(
            status["message"],
            "only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
        );
    }
}

#[test]
fn yaml_says_the_same_as_json() {
    let documents = documents(&registry::tenancy());
    for path in [
        "/apis",
        "/apis/apiserver.bulward.io",
        "/apis/storage.bulward.io/v1alpha1",
    ] {
        let answer = get(&documents, path, Some("application/yaml"));
        assert_eq!(header(&answer, "content-type"), "application/yaml");
        let text = std::str::from_utf8(&answer.body).expect("YAML is text");
        let value: Value = serde_saphyr::from_str(text).expect("the body is YAML");
        assert_eq!(value, json(&get(&documents, path, None)), "{text}");
    }
}

#[test]
fn both_views_share_one_storage_version() {
    let documents = documents(&registry::tenancy());
    let hash = |group: &str| {
        let list = json(&get(&documents, &format!("/apis/{group}/v1alpha1"), None));
        list["resources"][0]["storageVersionHash"].clone()
    };
    assert_eq!(hash("apiserver.bulward.io"), hash("storage.bulward.io"));
}

#[test]
fn only_documents_are_answered() {
    let documents = documents(&registry::tenancy());
    let unknown = [
        "/api",
        "/foo",
        "//apis",
        "/apis//",
        "/apis/unknown",
        "/apis/apiserver.bulward.io/v9",
        "/apis/apiserver.bulward.io/v1alpha1/organizations",
        "/openapi/v2/",
        "/openapi/v3/apis/unknown/v1",
        "/openapi/v4",
        "/metrics",
    ];
    for path in unknown {
        assert!(
            documents
                .respond(&Question {
                    path,
                    ..Question::default()
                })
                .is_none(),
            "{path}"
        );
    }
    for path in [
        "/",
        "/index.html",
        "/version",
        "/version/",
        "/apis",
        "/apis/",
        "/apis/apiserver.bulward.io/",
        "/apis/apiserver.bulward.io/v1alpha1/",
    ] {
        assert_eq!(get(&documents, path, None).status, 200, "{path}");
    }
}

#[test]
fn the_index_and_the_version_are_always_indented() {
    let documents = documents(&registry::tenancy());
    let index = get(&documents, "/", None);
    assert_eq!(index.body, documents.index_body());
    assert!(index.body.starts_with(b"{\n  \"paths\": [\n    \"/apis\","));
    assert!(index.body.ends_with(b"]\n}"), "and have no newline at their end");
    let version = get(&documents, "/version", None);
    assert!(version.body.starts_with(b"{\n  \""));
    assert_eq!(json(&version)["minor"], json!("36"));
}

#[test]
fn pretty_and_plain_bodies() {
    let documents = documents(&registry::tenancy());
    let plain = get(&documents, "/apis", None);
    assert!(plain.body.starts_with(b"{\"groups\":") && plain.body.ends_with(b"}\n"));
    let pretty = documents
        .respond(&Question {
            path: "/apis",
            pretty: true,
            ..Question::default()
        })
        .expect("a document");
    assert!(pretty.body.starts_with(b"{\n  \"groups\": [") && pretty.body.ends_with(b"\n}"));
}

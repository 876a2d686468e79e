//! Our protobuf against kube-apiserver's bytes, both ways.

use bulward::wire::protobuf;
use http::Method;
use serde_json::{Value, json};

use super::{RBAC, binding, namespace, role, start, user};
use crate::harness::in_process::{Caller, DEADLINE};
use crate::harness::{ControlPlane, eventually};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Kinds with a path each, and an object of it with every field that it has.
fn objects() -> Vec<(String, Value)> {
    let rules = json!([
        {"verbs": ["get", "*"], "apiGroups": ["", "x"], "resources": ["a", "b/c"], "resourceNames": ["n"]},
        {"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"]},
    ]);
    let subjects = json!([
        user("Ærø"),
        {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "g"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
    ]);
    let mut gathering = role(
        "ClusterRole",
        "cluster-protobuf",
        json!([{"verbs": ["get"], "nonResourceURLs": ["/x", "/y*"]}]),
    );
    gathering["aggregationRule"] = json!({"clusterRoleSelectors": [
        {"matchLabels": {"cluster-protobuf": "nothing", "b": "c"}},
        {"matchExpressions": [{"key": "cluster-protobuf", "operator": "In", "values": ["x", "y"]}]},
    ]});
    let mut place = namespace("cluster-protobuf");
    place["metadata"]["labels"] = json!({"b": "2", "a": "1"});
    place["metadata"]["annotations"] = json!({"note": "ünï"});
    let inside = |plural: &str| format!("{RBAC}/namespaces/cluster-protobuf/{plural}");
    let named = |mut object: Value| {
        object["metadata"]["finalizers"] = json!(["cluster-protobuf.io/stay"]);
        object
    };
    vec![
        ("/api/v1/namespaces".to_owned(), place),
        (inside("roles"), named(role("Role", "all", rules))),
        (
            inside("rolebindings"),
            binding("RoleBinding", "all", ("Role", "all"), subjects.clone()),
        ),
        (format!("{RBAC}/clusterroles"), gathering),
        (
            format!("{RBAC}/clusterrolebindings"),
            binding(
                "ClusterRoleBinding",
                "cluster-protobuf",
                ("ClusterRole", "cluster-protobuf"),
                subjects,
            ),
        ),
    ]
}

/// What an object says when what is empty is left out, as protobuf cannot tell it from what is absent.
fn full(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(field, value)| (field.clone(), full(value)));
            let empty = |value: &Value| match value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Bool(flag) => !flag,
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                Value::Number(number) => number.as_i64() == Some(0),
            };
            members.filter(|(_, value)| !empty(value)).collect()
        }
        Value::Array(items) => items.iter().map(full).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn bytes_are_those_of_kube_apiserver() {
    let plane = ControlPlane::shared().await;
    let original = Caller::through(plane.client("admin").await);
    let (server, _storage) = start().await;
    let ours = server.admin();
    for (path, object) in objects() {
        // written by us, read by the original
        let written = protobuf::encode(&object).unwrap();
        let headers = [("content-type", PROTOBUF), ("accept", "application/json")];
        let made = original
            .send(Method::POST, &path, &headers, written.clone())
            .await
            .expect(201);
        for field in ["rules", "subjects", "roleRef", "aggregationRule"] {
            assert_eq!(made[field], object[field], "{path}");
        }
        // written by the original, read by us; one by one and as a list
        let name = made["metadata"]["name"].as_str().unwrap();
        for place in [
            format!("{path}/{name}"),
            format!("{path}?fieldSelector=metadata.name%3D{name}"),
        ] {
            let bytes = original.get_as(&place, PROTOBUF).await;
            assert_eq!((bytes.code, bytes.header("content-type")), (200, Some(PROTOBUF)));
            let json = original.get_as(&place, "application/json").await.expect(200);
            let read = protobuf::decode(&bytes.body).unwrap().unwrap();
            assert_eq!(full(&read), full(&without_items_kind(json.clone())), "{place}");
            assert_eq!(protobuf::encode(&json).unwrap(), bytes.body.to_vec(), "{place}: {json}");
        }
        // and the same through our server
        let made = ours
            .send(
                Method::POST,
                &path,
                &[("content-type", PROTOBUF), ("accept", PROTOBUF)],
                written,
            )
            .await;
        assert_eq!(
            (made.code, made.header("content-type")),
            (201, Some(PROTOBUF)),
            "{}",
            made.text()
        );
        let json = ours.get(&format!("{path}/{name}")).await.expect(200);
        assert_eq!(protobuf::encode(&json).unwrap(), made.body.to_vec(), "{path}");
        let listed = ours.get_as(&path, PROTOBUF).await;
        let listed = protobuf::decode(&listed.body).unwrap().unwrap();
        assert_eq!(listed["items"][0]["metadata"]["uid"], json["metadata"]["uid"]);
    }
    let role = "/namespaces/cluster-protobuf/roles/all";
    let freed = json!({"metadata": {"finalizers": null}});
    original.merge(&format!("{RBAC}{role}"), &freed).await.expect(200);
}

/// The items of a list are no objects of their own in protobuf, and in Go's JSON neither.
fn without_items_kind(mut json: Value) -> Value {
    for item in json["items"].as_array_mut().into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            item.remove("apiVersion");
            item.remove("kind");
        }
    }
    if json["items"].is_null() {
        json.as_object_mut().unwrap().remove("items");
    }
    json
}

/// A review without what is another for each: its metadata, the id of the request, the order in which roles were found.
fn timeless(review: &Value) -> Value {
    let mut review = review.clone();
    review["metadata"] = json!({});
    review["status"]["userInfo"]["extra"] = Value::Null;
    for rules in ["resourceRules", "nonResourceRules"] {
        if let Some(rules) = review["status"][rules].as_array_mut() {
            rules.sort_by_key(Value::to_string);
        }
    }
    full(&review)
}

#[tokio::test]
async fn reviews_are_those_of_kube_apiserver() {
    let plane = ControlPlane::shared().await;
    let original = Caller::through(plane.client("alice").await);
    let admin = Caller::through(plane.client("admin").await);
    let resource = json!({"namespace": "n", "verb": "get", "group": "g", "version": "v1", "resource": "r", "subresource": "s", "name": "o",
        "labelSelector": {"rawSelector": "a=b"}, "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]}});
    let review = |group: &str, kind: &str, spec: Value| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {}, "spec": spec});
    let extra = json!({"k": ["a", "b"], "e": ["c"]});
    for (who, group, kind, spec) in [
        (
            &original,
            "authorization.k8s.io",
            "SelfSubjectAccessReview",
            json!({"resourceAttributes": resource}),
        ),
        // allowed by one binding alone: of several, the answer names any
        (
            &original,
            "authorization.k8s.io",
            "SelfSubjectAccessReview",
            json!({"nonResourceAttributes": {"path": "/openapi/v2", "verb": "get"}}),
        ),
        (
            &original,
            "authorization.k8s.io",
            "SelfSubjectRulesReview",
            json!({"namespace": "default"}),
        ),
        (&original, "authentication.k8s.io", "SelfSubjectReview", Value::Null),
        (
            &admin,
            "authorization.k8s.io",
            "SubjectAccessReview",
            json!({"user": "u", "groups": ["g", "h"], "uid": "7", "extra": extra, "resourceAttributes": resource}),
        ),
    ] {
        let asked = review(group, kind, spec);
        let path = format!("/apis/{group}/v1/{}s", kind.to_lowercase());
        let bytes = protobuf::encode(&asked).unwrap();
        let ask = async |media: &str| {
            let headers = [("content-type", PROTOBUF), ("accept", media)];
            who.send(Method::POST, &path, &headers, bytes.clone()).await
        };
        // roles may be bound to everybody meanwhile: what is compared was answered between two equal answers
        let (json, answer) = eventually("the same before and after", DEADLINE, async || {
            let before = ask("application/json").await.expect(201);
            let answer = ask(PROTOBUF).await;
            let after = ask("application/json").await.expect(201);
            match timeless(&before) == timeless(&after) {
                true => Ok((before, answer)),
                false => Err(after.to_string()),
            }
        })
        .await;
        // what is answered to a question about rules does not repeat it
        if kind != "SelfSubjectRulesReview" {
            assert_eq!(full(&json["spec"]), full(&asked["spec"]), "{path}");
        }
        assert_eq!(answer.code, 201, "{}", answer.text());
        let read = protobuf::decode(&answer.body).unwrap().unwrap();
        assert_eq!(timeless(&read), timeless(&json), "{path}");
        assert_eq!(protobuf::encode(&read).unwrap(), answer.body.to_vec(), "{path}: {read}");
    }
}

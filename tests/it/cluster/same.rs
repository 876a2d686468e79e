//! The same requests to kube-apiserver and to us: the same objects, and the same refusals.

use http::Method;
use serde_json::{Value, json};

use super::{RBAC, binding, namespace, role, start, user};
use crate::harness::ControlPlane;
use crate::harness::in_process::{Answer, Caller};

/// What is the same for the same request: no uid, no time, no record of who owns what.
fn told(answer: &Answer) -> Value {
    let mut value = answer.json();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.retain(|field, _| {
            !matches!(
                field.as_str(),
                "uid" | "creationTimestamp" | "resourceVersion" | "managedFields" | "deletionTimestamp"
            )
        });
    }
    // causes come in a random order
    if let Some(causes) = value.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(Value::to_string);
        value["message"] = json!(
            value["message"]
                .as_str()
                .unwrap_or_default()
                .split(" is invalid: ")
                .next()
        );
    }
    if let Some(details) = value["details"].as_object_mut() {
        details.retain(|field, _| field != "uid");
    }
    if value["kind"] == "Table" {
        value = value["columnDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|column| column["name"].clone())
            .collect();
    }
    json!([answer.code, value])
}

#[tokio::test]
async fn kube_apiserver_answers_the_same() {
    let plane = ControlPlane::shared().await;
    let (server, _storage) = start().await;
    let (original, ours) = (Caller::through(plane.client("admin").await), server.admin());
    // which a cluster has from its start
    let public = namespace("kube-public");
    ours.post("/api/v1/namespaces", &public).await.expect(201);
    let mut wrong = Vec::new();
    for (method, path, media, body) in requests() {
        let headers = [("content-type", media), ("accept", "application/json")];
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let ask = async |caller: &Caller| caller.send(method.clone(), &path, &headers, text.clone()).await;
        let (wanted, got) = (told(&ask(&original).await), told(&ask(&ours).await));
        if wanted != got {
            wrong.push(format!(
                "{method} {path} {text}\n  kube-apiserver: {wanted}\n  ours:           {got}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} answers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

type Request = (Method, String, &'static str, Value);

fn requests() -> Vec<Request> {
    const JSON: &str = "application/json";
    const MERGE: &str = "application/merge-patch+json";
    const STRATEGIC: &str = "application/strategic-merge-patch+json";
    let mut all: Vec<Request> = Vec::new();
    let mut ask = |method: Method, path: &str, media, body: Value| all.push((method, path.to_owned(), media, body));
    let namespaces = "/api/v1/namespaces";
    let own = "/api/v1/namespaces/cluster-same";
    let roles = format!("{RBAC}/namespaces/cluster-same/roles");
    let bindings = format!("{RBAC}/namespaces/cluster-same/rolebindings");
    let wide = format!("{RBAC}/clusterroles");
    let wide_bindings = format!("{RBAC}/clusterrolebindings");
    let get = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["events"]}]);

    ask(Method::POST, namespaces, JSON, namespace("Not a name"));
    ask(Method::POST, namespaces, JSON, namespace("cluster-same"));
    ask(Method::POST, namespaces, JSON, namespace("cluster-same"));
    let mut odd = namespace("cluster-odd");
    odd["spec"] = json!({"finalizers": ["nobody", "a.io/x"]});
    ask(Method::POST, namespaces, JSON, odd);
    ask(Method::GET, own, JSON, Value::Null);
    ask(
        Method::PATCH,
        own,
        MERGE,
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"finalizers": []}}),
    );
    ask(
        Method::PATCH,
        own,
        STRATEGIC,
        json!({"metadata": {"finalizers": ["a.io/x", "b.io/y"]}}),
    );
    ask(
        Method::PATCH,
        own,
        STRATEGIC,
        json!({"metadata": {"finalizers": ["c.io/z"], "$deleteFromPrimitiveList/finalizers": ["a.io/x"], "$setElementOrder/finalizers": ["c.io/z", "b.io/y"]}}),
    );
    ask(Method::PATCH, own, STRATEGIC, json!({"metadata": {"finalizers": null}}));
    ask(
        Method::PATCH,
        &format!("{own}/status"),
        MERGE,
        json!({"status": {"phase": "Terminating"}}),
    );
    ask(Method::DELETE, "/api/v1/namespaces/cluster-none", JSON, Value::Null);
    ask(Method::DELETE, "/api/v1/namespaces/kube-public", JSON, Value::Null);
    ask(Method::PATCH, &format!("{own}/finalize"), MERGE, json!({}));

    ask(Method::POST, &roles, JSON, role("Role", "one", get.clone()));
    ask(Method::POST, &roles, JSON, role("Role", "a:b", get.clone()));
    ask(Method::POST, &roles, JSON, role("Role", "a/b", get.clone()));
    ask(Method::POST, &roles, JSON, role("Role", "empty", json!([{}])));
    ask(
        Method::POST,
        &roles,
        JSON,
        role(
            "Role",
            "urls",
            json!([{"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["y"]}]),
        ),
    );
    ask(Method::POST, &roles, JSON, role("ClusterRole", "other", get.clone()));
    ask(
        Method::POST,
        &format!("{RBAC}/namespaces/cluster-none/roles"),
        JSON,
        role("Role", "one", get.clone()),
    );
    ask(Method::GET, &format!("{roles}/one"), JSON, Value::Null);
    ask(
        Method::PATCH,
        &format!("{roles}/one"),
        STRATEGIC,
        json!({"rules": [{"verbs": ["list"], "apiGroups": ["x"], "resources": ["y"]}]}),
    );
    ask(
        Method::PUT,
        &format!("{roles}/one"),
        JSON,
        role("Role", "one", get.clone()),
    );
    ask(Method::DELETE, &format!("{roles}/a:b"), JSON, Value::Null);

    ask(
        Method::POST,
        &wide,
        JSON,
        role(
            "ClusterRole",
            "cluster-same:one",
            json!([{"verbs": ["get"], "nonResourceURLs": ["/x*"]}]),
        ),
    );
    let mut gathering = role("ClusterRole", "cluster-same:two", Value::Null);
    gathering["aggregationRule"] = json!({"clusterRoleSelectors": []});
    ask(Method::POST, &wide, JSON, gathering.clone());
    gathering["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchExpressions": [{"key": "a b", "operator": "Near"}, {"key": "a", "operator": "In"}]}]});
    ask(Method::POST, &wide, JSON, gathering);

    let bob = json!([user("bob")]);
    ask(
        Method::POST,
        &bindings,
        JSON,
        binding("RoleBinding", "bob", ("Role", "one"), bob.clone()),
    );
    ask(
        Method::POST,
        &bindings,
        JSON,
        binding("RoleBinding", "missing", ("Role", "none"), bob.clone()),
    );
    ask(
        Method::POST,
        &bindings,
        JSON,
        binding(
            "RoleBinding",
            "odd",
            ("Thing", "x/y"),
            json!([
                {"kind": "Robot", "name": "r"},
                {"kind": "ServiceAccount", "name": "Bad Name"},
                {"kind": "User", "apiGroup": "x", "name": ""},
                {"kind": "Group", "name": "g"},
            ]),
        ),
    );
    ask(
        Method::PATCH,
        &format!("{bindings}/bob"),
        MERGE,
        json!({"roleRef": {"name": "other"}}),
    );
    ask(
        Method::PATCH,
        &format!("{bindings}/bob"),
        STRATEGIC,
        json!({"subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "x"}, {"kind": "Group", "name": "g"}]}),
    );
    ask(
        Method::POST,
        &wide_bindings,
        JSON,
        binding(
            "ClusterRoleBinding",
            "cluster-same",
            ("Role", "one"),
            json!([{"kind": "ServiceAccount", "name": "s"}]),
        ),
    );
    ask(Method::DELETE, &format!("{bindings}/bob"), JSON, Value::Null);
    ask(Method::DELETE, &format!("{wide}/cluster-same:one"), JSON, Value::Null);
    all
}

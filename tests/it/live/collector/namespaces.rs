//! The namespace controller: a namespace goes with the Projects in it, and waits for those that it must wait for.

use http::Request;
use serde_json::{Value, json};

use super::{COLLECTED, FILTERED, STORAGE, Scene};
use crate::harness::{Bulward, ControlPlane, eventually};
use crate::live::{ask, get, project};

/// Waits until a condition of the namespace is True; answers its message.
async fn condition(admin: &kube::Client, namespace: &str, kinds: &[&str]) -> String {
    let check = async || {
        let answer = get(admin, &format!("/api/v1/namespaces/{namespace}")).await;
        let object = answer.json();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions
            .iter()
            .find(|one| one["status"] == "True" && kinds.iter().any(|kind| one["type"] == *kind));
        match found {
            Some(one) if object["status"]["phase"] == "Terminating" => Ok(one["message"].to_string()),
            _ => Err(object["status"].to_string()),
        }
    };
    eventually(&format!("namespace {namespace} says {kinds:?}"), COLLECTED, check).await
}

async fn namespace_gone(admin: &kube::Client, namespace: &str) {
    let check = async || {
        let answer = get(admin, &format!("/api/v1/namespaces/{namespace}")).await;
        if answer.code == 404 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    };
    eventually(&format!("namespace {namespace} is gone"), COLLECTED, check).await;
}

async fn delete_namespace(admin: &kube::Client, namespace: &str) {
    let answer = ask(admin, Request::delete(format!("/api/v1/namespaces/{namespace}")), "")
        .await
        .unwrap();
    assert_eq!(answer.code, 200, "{answer:?}");
}

/// A Project in the storage view.
fn stored_project(namespace: &str, name: &str, finalizers: &[&str]) -> Value {
    let mut body = project(namespace, name, &["somebody"]);
    body["apiVersion"] = json!(STORAGE);
    body["metadata"]["finalizers"] = json!(finalizers);
    body
}

async fn create_project(admin: &kube::Client, namespace: &str, name: &str, finalizers: &[&str]) {
    let request = Request::post(format!("/apis/{STORAGE}/namespaces/{namespace}/projects"));
    let body = stored_project(namespace, name, finalizers).to_string();
    let answer = ask(admin, request.header("content-type", "application/json"), &body)
        .await
        .unwrap();
    assert_eq!(answer.code, 201, "{answer:?}");
}

async fn project_code(admin: &kube::Client, namespace: &str, name: &str) -> u16 {
    get(
        admin,
        &format!("/apis/{STORAGE}/namespaces/{namespace}/projects/{name}"),
    )
    .await
    .code
}

#[tokio::test]
async fn namespaces_go_with_the_projects_in_them() {
    let scene = Scene::new("with-projects").await;
    scene.add_namespace("without-any").await;
    scene.add_namespace("with-finalizers").await;
    scene.add_namespace("bystander").await;
    let admin = &scene.admin;
    for name in ["web", "api", "db"] {
        create_project(admin, "with-projects", name, &[]).await;
    }
    create_project(admin, "with-finalizers", "free", &[]).await;
    create_project(admin, "with-finalizers", "held", &["collector.example.com/hold"]).await;
    create_project(admin, "bystander", "web", &[]).await;
    for namespace in ["with-projects", "without-any", "with-finalizers"] {
        delete_namespace(admin, namespace).await;
    }
    for namespace in ["with-projects", "without-any"] {
        namespace_gone(admin, namespace).await;
    }
    for name in ["web", "api", "db"] {
        assert_eq!(project_code(admin, "with-projects", name).await, 404);
    }
    let list = get(admin, &format!("/apis/{FILTERED}/namespaces/with-projects/projects")).await;
    assert_eq!(list.code, 200, "{list:?}");

    // The namespace waits for a Project with a finalizer, and says for what.
    let remaining = condition(admin, "with-finalizers", &["NamespaceFinalizersRemaining"]).await;
    assert!(remaining.contains("collector.example.com/hold in "), "{remaining}");
    let remaining = condition(admin, "with-finalizers", &["NamespaceContentRemaining"]).await;
    assert!(
        remaining.contains("projects.storage.bulward.io has 1 resource instances"),
        "{remaining}"
    );
    assert_eq!(project_code(admin, "with-finalizers", "free").await, 404);
    let held = format!("/apis/{STORAGE}/namespaces/with-finalizers/projects/held");
    let object = get(admin, &held).await.json();
    assert!(object["metadata"]["deletionTimestamp"].is_string(), "{object}");
    let request = Request::patch(&held).header("content-type", "application/merge-patch+json");
    let answer = ask(admin, request, r#"{"metadata":{"finalizers":null}}"#)
        .await
        .unwrap();
    assert_eq!(answer.code, 200, "{answer:?}");
    namespace_gone(admin, "with-finalizers").await;
    assert_eq!(project_code(admin, "bystander", "web").await, 200);
}

/// While we are away, nobody knows whether the namespace is empty: it waits, says why, and goes once we are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_waits_for_a_server_that_is_away() {
    let plane = ControlPlane::start("collector-away").await;
    let server = Bulward::start(&plane, &[]).await;
    server.register(&plane).await;
    let admin = &plane.client("admin").await;
    for namespace in ["left", "stays"] {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string();
        let request = Request::post("/api/v1/namespaces").header("content-type", "application/json");
        let answer = ask(admin, request, &body).await.unwrap();
        assert_eq!(answer.code, 201, "{answer:?}");
        create_project(admin, namespace, "web", &[]).await;
    }
    server.kill();
    delete_namespace(admin, "left").await;
    let failures = ["NamespaceDeletionDiscoveryFailure", "NamespaceDeletionContentFailure"];
    condition(admin, "left", &failures).await;
    server.restart().await;
    namespace_gone(admin, "left").await;
    let back = async || match project_code(admin, "stays", "web").await {
        200 => Ok(()),
        code => Err(code),
    };
    eventually("we are reached again", COLLECTED, back).await;
    assert_eq!(project_code(admin, "left", "web").await, 404);
}

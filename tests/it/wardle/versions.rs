//! One stored form, several versions.

use serde_json::json;

use super::registry;
use crate::harness::in_process::{InProcess, Settings, memory};

#[tokio::test]
async fn both_versions_serve_one_object() {
    let server = InProcess::serving(memory().await.storage, Settings::default(), registry()).await;
    let admin = server.admin();
    let path = |version: &str, rest: &str| format!("/apis/wardle.example.com/{version}/namespaces/sea{rest}");
    let body = json!({
        "apiVersion": "wardle.example.com/v1alpha1",
        "kind": "Flunder",
        "metadata": {"name": "one"},
        "spec": {},
    });
    let created = admin.post(&path("v1alpha1", "/flunders"), &body).await.expect(201);
    let read = admin.get(&path("v1beta1", "/flunders/one")).await.expect(200);
    assert_eq!(read["apiVersion"], "wardle.example.com/v1beta1");
    assert_eq!(read["metadata"]["uid"], created["metadata"]["uid"]);
}

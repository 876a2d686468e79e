//! The life of a Namespace, and what it means for what is in it.

use serde_json::json;

use super::{RBAC, namespace, role, start};

#[tokio::test]
async fn a_namespace_goes_when_its_finalizers_have_gone() {
    let (server, _storage) = start().await;
    let admin = server.admin();
    let made = admin.post("/api/v1/namespaces", &namespace("sea")).await.expect(201);
    assert_eq!(made["status"], json!({"phase": "Active"}));
    assert_eq!(made["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(
        made["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "sea"})
    );

    let roles = format!("{RBAC}/namespaces/sea/roles");
    let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["events"]}]);
    admin
        .post(&roles, &role("Role", "first", rules.clone()))
        .await
        .expect(201);
    let elsewhere = format!("{RBAC}/namespaces/land/roles");
    let refused = admin.post(&elsewhere, &role("Role", "first", rules.clone())).await;
    refused.refused_with(404, "NotFound", "namespaces \"land\" not found");

    // neither a change nor the status takes the finalizer
    let path = "/api/v1/namespaces/sea";
    let changed = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"finalizers": []}});
    let changed = admin.merge(path, &changed).await.expect(200);
    assert_eq!(changed["spec"], made["spec"]);
    let status = json!({"status": {"phase": "Terminating"}});
    let wrong = admin.merge("/api/v1/namespaces/sea/status", &status).await;
    wrong.invalid(&["status.Phase"]);

    let leaving = admin.delete(path).await.expect(200);
    assert_eq!(leaving["status"], json!({"phase": "Terminating"}));
    assert!(leaving["metadata"]["deletionTimestamp"].is_string(), "{leaving}");
    assert_eq!(admin.delete(path).await.expect(200), leaving, "once is enough");
    let late = admin.post(&roles, &role("Role", "late", rules.clone())).await;
    let late = late.refused(403, "Forbidden");
    assert_eq!(late["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let dry = admin
        .post(&format!("{roles}?dryRun=All"), &role("Role", "late", rules))
        .await;
    dry.refused(403, "Forbidden");
    admin.get(&format!("{roles}/first")).await.expect(200);

    let mut emptied = admin.get(path).await.expect(200);
    emptied["spec"] = json!({});
    let finalize = "/api/v1/namespaces/sea/finalize";
    admin.get(finalize).await.refused(405, "MethodNotAllowed");
    admin.put(finalize, &emptied).await.expect(200);
    admin.get(path).await.refused(404, "NotFound");
    let again = admin.post("/api/v1/namespaces", &namespace("sea")).await.expect(201);
    assert_ne!(again["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn some_namespaces_stay() {
    let (server, _storage) = start().await;
    let admin = server.admin();
    admin
        .post("/api/v1/namespaces", &namespace("default"))
        .await
        .expect(201);
    let refused = admin.delete("/api/v1/namespaces/default").await;
    let text = "namespaces \"default\" is forbidden: this namespace may not be deleted";
    refused.refused_with(403, "Forbidden", text);
    let generated = json!({"metadata": {"generateName": "n-"}});
    let generated = admin.post("/api/v1/namespaces", &generated).await.expect(201);
    let labels = &generated["metadata"]["labels"];
    assert_eq!(labels["kubernetes.io/metadata.name"], generated["metadata"]["name"]);
}

/// Both versions of an Event are one object.
#[tokio::test]
async fn events_are_read_in_either_words() {
    let (server, _storage) = start().await;
    let admin = server.admin();
    admin.post("/api/v1/namespaces", &namespace("sea")).await.expect(201);
    let event = json!({
        "metadata": {"name": "e"},
        "regarding": {"kind": "Organization", "name": "sea", "namespace": "sea"},
        "note": "it is wet",
        "reason": "Wet",
        "type": "Normal",
        "action": "Look",
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "reportingController": "bulward.io/controllers",
        "reportingInstance": "one",
    });
    let newer = "/apis/events.k8s.io/v1/namespaces/sea/events";
    admin.post(newer, &event).await.expect(201);
    let core = admin.get("/api/v1/namespaces/sea/events/e").await.expect(200);
    assert_eq!(core["message"], "it is wet");
    assert_eq!(core["involvedObject"]["kind"], "Organization");
    assert_eq!(core["reportingComponent"], "bulward.io/controllers");
    let selected = "/api/v1/namespaces/sea/events?fieldSelector=involvedObject.kind%3DOrganization";
    assert_eq!(admin.get(selected).await.names(), ["sea/e"]);
    let mut stray = event.clone();
    stray["regarding"]["namespace"] = json!("");
    admin.post(newer, &stray).await.invalid(&["regarding.namespace"]);
}

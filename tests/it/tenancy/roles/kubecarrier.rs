//! Providers and tenants of KubeCarrier (tenancy.md R13; case 11), and templates that come back.

use serde_json::{Value, json};

use super::{rule, settled, stage, templates, until_may};
use crate::harness::tenancy::{a_project, as_stored, project, projects, stored, user};

const LABEL: &str = "kubecarrier.io/project-role";
const CATALOG: &str = "catalog.kubecarrier.io";

#[tokio::test]
async fn members_of_providers_and_tenants_may_what_these_may() {
    let stage = stage().await;
    let admin = stage.admin().await;
    let alice = stage.caller("alice").await;
    admin.organization("role-kube", &[user("alice")]).await;
    admin.ready_organization("role-kube").await;
    for (name, member) in [("provider", "carol"), ("tenant", "bob")] {
        let mut body = as_stored(a_project(name, &[user("alice")]));
        body["metadata"]["labels"] = json!({LABEL: name});
        admin
            .caller
            .post(&stored(&projects("role-kube")), &body)
            .await
            .expect(201);
        admin.ready_project("role-kube", name).await;
        admin.bind(&format!("role-kube-{name}"), member, &[user(member)]).await;
    }
    for (who, kind, request, wanted) in [
        ("bob", "tenant", ["list", CATALOG, "offerings", ""], true),
        ("bob", "tenant", ["create", CATALOG, "catalogs", ""], false),
        ("bob", "tenant", ["get", "", "secrets", "x"], false),
        ("bob", "provider", ["list", CATALOG, "offerings", ""], false),
        ("carol", "provider", ["create", CATALOG, "catalogs", ""], true),
        ("carol", "provider", ["delete", "kubecarrier.io", "anything", "x"], true),
        ("carol", "provider", ["update", CATALOG, "tenants", "x"], true),
        ("carol", "provider", ["delete", CATALOG, "tenants", "x"], false),
        ("carol", "provider", ["create", "", "secrets", ""], true),
    ] {
        until_may(&admin, who, &format!("role-kube-{kind}"), request, wanted).await;
    }
    let selected = format!("{}?labelSelector={LABEL}%3Dprovider", projects("role-kube"));
    assert_eq!(alice.get(&selected).await.names(), ["role-kube/provider"]);

    // R13: whoever may write a Project may not make it a provider's, in whatever way.
    admin.project("role-kube", "plain", &[user("alice")]).await;
    let path = project("role-kube", "plain");
    let labelled = json!({"metadata": {"labels": {LABEL: "provider"}}});
    let refused = alice.merge(&path, &labelled).await.refused(403, "Forbidden");
    let text = refused["message"].as_str().unwrap();
    let wanted = r#"projects.apiserver.bulward.io "plain" is forbidden: User "alice" cannot assign resource "projects" in API group "apiserver.bulward.io" in the namespace "role-kube""#;
    assert!(text.starts_with(wanted), "{text}");
    // The controllers may write its status in between.
    let put = async || {
        let mut whole = alice.get(&path).await.expect(200);
        whole["metadata"]["labels"] = labelled["metadata"]["labels"].clone();
        let answer = alice.put(&path, &whole).await;
        if answer.code == 409 {
            Err(answer.text())
        } else {
            Ok(answer)
        }
    };
    let answer = crate::harness::eventually("an answer to a whole object", super::SOON, put).await;
    answer.refused(403, "Forbidden");
    let taken_off = json!({"metadata": {"labels": {LABEL: null}}});
    alice
        .merge(&project("role-kube", "provider"), &taken_off)
        .await
        .refused(403, "Forbidden");
    let other = json!({"metadata": {"labels": {"other": "label"}}});
    alice.merge(&project("role-kube", "provider"), &other).await.expect(200);
    until_may(
        &admin,
        "alice",
        "role-kube",
        ["create", "apiserver.bulward.io", "projects", ""],
        true,
    )
    .await;
    let mut new = a_project("new", &[user("alice")]);
    new["metadata"]["labels"] = json!({LABEL: "tenant"});
    alice.post(&projects("role-kube"), &new).await.refused(403, "Forbidden");
    let rbac = "rbac.authorization.k8s.io";
    stage
        .plane
        .apply(&[
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "role-kube"},
                "rules": [rule("apiserver.bulward.io", &["projects"], &["assign"])]}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "role-kube"},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "role-kube"}, "subjects": [user("alice")]}),
        ])
        .await;
    let allowed = async || {
        let answer = alice.merge(&path, &labelled).await;
        if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
    };
    crate::harness::eventually("alice may assign", super::SOON, allowed).await;
    until_may(
        &admin,
        "alice",
        "role-kube-plain",
        ["create", CATALOG, "catalogs", ""],
        true,
    )
    .await;
}

/// A template that is edited stays so; one that is deleted comes back, as it was at first, with all that it makes.
#[tokio::test]
async fn default_templates_may_be_edited_and_come_back() {
    let admin = stage().await.admin().await;
    let (edited, deleted) = (
        format!("{}/kubecarrier:provider", templates()),
        format!("{}/kubecarrier:tenant", templates()),
    );
    settled(&admin, &edited).await;
    let first = settled(&admin, &deleted).await;
    let words = json!({"displayName": "Edited", "description": "By an administrator."});
    admin.merge(&edited, json!({"spec": {"metadata": words}})).await;
    admin.merge(&deleted, json!({"spec": {"metadata": words}})).await;
    admin.delete(&deleted).await;
    let new = |it: &Value| it["metadata"]["uid"] != first["metadata"]["uid"];
    admin.until(&deleted, "new", new).await;
    let back = settled(&admin, &deleted).await;
    assert_eq!(back["spec"], first["spec"]);
    assert_eq!(admin.get(&edited).await["spec"]["metadata"], words);
}

//! The maximum, and what lies beyond it: owners' roles, users' own Roles, and those who try.

use serde_json::{Value, json};

use super::{a_maker, has_rules, makers, role, rule, settled, stage, templates, until_may, write_role};
use crate::harness::tenancy::{stored, user};

const ORIGINALS: &str = "/apis/storage.bulward.io/v1alpha1/namespaces";

/// A template shrinks and grows: what is derived from it follows, Roles that users wrote included.
#[tokio::test]
async fn roles_shrink_with_the_maximum_and_recover() {
    const GROUP: &str = "shrink.example.com";
    let stage = stage().await;
    let admin = stage.admin().await;
    let alice = stage.caller("alice").await;
    let things = |verbs: &[&str]| rule(GROUP, &["things"], verbs);
    let spec = json!({"scopes": ["Organization"], "rules": [things(&["get", "list"])]});
    admin
        .caller
        .post(&templates(), &a_maker("OrganizationRoleTemplate", "role-shrink", spec))
        .await
        .expect(201);
    admin.organization("role-shrink", &[user("alice")]).await;
    admin.ready_organization("role-shrink").await;
    until_may(
        &admin,
        "alice",
        "role-shrink",
        ["create", "bulward.io", "organizationroles", ""],
        true,
    )
    .await;
    let roles = makers("role-shrink", "organizationroles");
    let spec = json!({"subjects": [user("bob")], "rules": [things(&["delete", "get", "list"])]});
    alice
        .post(&roles, &a_maker("OrganizationRole", "viewer", spec))
        .await
        .expect(201);
    let viewer = settled(&admin, &format!("{roles}/viewer")).await;
    assert_eq!(viewer["status"]["effectiveRules"], json!([things(&["get", "list"])]));
    let cut = json!([{"rule": things(&["delete"]), "reason": "beyond what the Organization may do at most"}]);
    assert_eq!(viewer["status"]["cut"], cut);
    until_may(&admin, "bob", "role-shrink", ["list", GROUP, "things", ""], true).await;
    until_may(&admin, "bob", "role-shrink", ["delete", GROUP, "things", "x"], false).await;

    // What somebody wrote who may write more than the Organization may do.
    let all = json!([things(&["*"])]);
    write_role(&admin, "role-shrink", "own", all.clone(), "carol").await;
    let own = has_rules(&admin, "role-shrink", "own", json!([things(&["get", "list"])])).await;
    assert_eq!(own["metadata"].get("labels"), None, "nothing is kept in the Role");
    assert_eq!(own["metadata"].get("annotations"), None, "nothing is kept in the Role");
    let original = admin.get(&format!("{ORIGINALS}/role-shrink/roleoriginals/own")).await;
    assert_eq!(original["spec"]["rules"], all);
    until_may(&admin, "carol", "role-shrink", ["list", GROUP, "things", ""], true).await;
    until_may(&admin, "carol", "role-shrink", ["delete", GROUP, "things", "x"], false).await;
    let free = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "free", "labels": {"bulward.io/exempt": "true"}}, "rules": all,
    });
    let own_roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/role-shrink/roles";
    admin.caller.post(own_roles, &free).await.expect(201);

    let template = format!("{}/role-shrink", templates());
    let less = json!([things(&["get"])]);
    admin.merge(&template, json!({"spec": {"rules": less}})).await;
    for name in ["own", "organizationrole:viewer"] {
        has_rules(&admin, "role-shrink", name, less.clone()).await;
    }
    for who in ["bob", "carol"] {
        until_may(&admin, who, "role-shrink", ["list", GROUP, "things", ""], false).await;
        until_may(&admin, who, "role-shrink", ["get", GROUP, "things", "x"], true).await;
    }
    let shrunk = |it: &Value| it["status"]["effectiveRules"] == less;
    admin.until(&format!("{roles}/viewer"), "shrunk", shrunk).await;
    assert_eq!(admin.get(&role("role-shrink", "free")).await["rules"], all, "exempt");

    // It grows: what was cut is back, and nothing is kept any more.
    admin.merge(&template, json!({"spec": {"rules": all}})).await;
    has_rules(&admin, "role-shrink", "own", all.clone()).await;
    has_rules(
        &admin,
        "role-shrink",
        "organizationrole:viewer",
        json!([things(&["delete", "get", "list"])]),
    )
    .await;
    until_may(&admin, "carol", "role-shrink", ["delete", GROUP, "things", "x"], true).await;
    admin.gone(&format!("{ORIGINALS}/role-shrink/roleoriginals/own")).await;

    // An edit of what was cut is what comes back.
    admin.merge(&template, json!({"spec": {"rules": less}})).await;
    has_rules(&admin, "role-shrink", "own", less.clone()).await;
    let edited = json!([things(&["watch", "get"])]);
    admin.merge(&role("role-shrink", "own"), json!({"rules": edited})).await;
    has_rules(&admin, "role-shrink", "own", less.clone()).await;
    admin.merge(&template, json!({"spec": {"rules": all}})).await;
    has_rules(&admin, "role-shrink", "own", edited).await;

    // A template that goes takes its part of the maximum along.
    admin.delete(&template).await;
    admin.gone(&template).await;
    has_rules(&admin, "role-shrink", "own", json!([])).await;
    until_may(&admin, "bob", "role-shrink", ["get", GROUP, "things", "x"], false).await;
    admin.gone(&role("role-shrink", "role-shrink")).await;
    admin
        .delete(&stored("/apis/apiserver.bulward.io/v1alpha1/organizations/role-shrink"))
        .await;
    admin
        .gone(&stored("/apis/apiserver.bulward.io/v1alpha1/organizations/role-shrink"))
        .await;
}

/// A member who may write Roles, and who holds more elsewhere, can hand on no more than the Organization may do.
#[tokio::test]
async fn nobody_hands_on_more_than_the_organization_may_do() {
    let stage = stage().await;
    let admin = stage.admin().await;
    let (alice, bob) = (stage.caller("alice").await, stage.caller("bob").await);
    admin.organization("role-hand", &[user("alice")]).await;
    admin.ready_organization("role-hand").await;
    let rbac = "rbac.authorization.k8s.io";
    until_may(
        &admin,
        "alice",
        "role-hand",
        ["bind", rbac, "roles", "rbac-admin"],
        true,
    )
    .await;
    // alice hands on what the default template gives her.
    let bound = |name: &str, role: &str, who: &str| {
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": role}, "subjects": [user(who)],
        })
    };
    let bindings = super::super::stage::bindings("role-hand");
    alice
        .post(&bindings, &bound("helper", "rbac-admin", "bob"))
        .await
        .expect(201);
    until_may(&admin, "bob", "role-hand", ["create", rbac, "roles", ""], true).await;
    let mut wide = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": "wide"},
        "rules": [rule("", &["secrets"], &["get"]), rule(rbac, &["roles"], &["get"])],
    });
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/role-hand/roles";
    bob.post(roles, &wide).await.refused(403, "Forbidden");
    // Elsewhere he may read Secrets, and kube-apiserver lets him hand that on.
    let everywhere = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "role-hand"},
        "rules": [rule("", &["secrets"], &["get"])],
    });
    let grant = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "role-hand"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "role-hand"}, "subjects": [user("bob")],
    });
    stage.plane.apply(&[everywhere, grant]).await;
    until_may(&admin, "bob", "role-hand", ["get", "", "secrets", "x"], true).await;
    bob.post(roles, &wide).await.expect(201);
    bob.post(&bindings, &bound("wide", "wide", "carol")).await.expect(201);
    has_rules(&admin, "role-hand", "wide", json!([rule(rbac, &["roles"], &["get"])])).await;
    until_may(&admin, "carol", "role-hand", ["get", rbac, "roles", "x"], true).await;
    until_may(&admin, "carol", "role-hand", ["get", "", "secrets", "x"], false).await;
    // Once more, with the marks of what a controller made: they hide nothing.
    let made = admin.get(&role("role-hand", "rbac-admin")).await;
    wide["metadata"] = json!({"name": "marked", "labels": made["metadata"]["labels"]});
    bob.post(roles, &wide).await.expect(201);
    has_rules(&admin, "role-hand", "marked", json!([rule(rbac, &["roles"], &["get"])])).await;
}

//! What templates make, and how it is kept.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::stage::{Admin, Stage};
use super::{a_maker, binding, has_rules, makers, message, role, rule, settled, stage, subjects, templates, until_may};
use crate::harness::tenancy::{organization, stored, user};

/// A ready Organization of alice's.
async fn acme(name: &str) -> (&'static Stage, Admin) {
    let stage = stage().await;
    let admin = stage.admin().await;
    admin.organization(name, &[user("alice")]).await;
    admin.ready_organization(name).await;
    (stage, admin)
}

/// Waits until a binding has exactly these subjects.
async fn bound(admin: &Admin, namespace: &str, name: &str, wanted: &[&str]) -> Value {
    admin
        .until(&binding(namespace, name), &format!("binds {wanted:?}"), |it| {
            subjects(it) == wanted
        })
        .await
}

/// Case 8 and R7.
#[tokio::test]
async fn the_default_templates_are_there() {
    let admin = stage().await.admin().await;
    let all = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let bind = ["get", "list", "watch", "create", "update", "patch", "delete", "bind"];
    let made = ["projectroletemplates", "organizationroles", "projectroles"];
    let rbac = "rbac.authorization.k8s.io";
    for (name, scopes, rules) in [
        (
            "project-admin",
            json!(["Organization"]),
            json!([
                rule("apiserver.bulward.io", &["projects"], &all),
                rule("bulward.io", &made, &all)
            ]),
        ),
        (
            "rbac-admin",
            json!(["Organization", "Project"]),
            json!([rule(rbac, &["roles"], &bind), rule(rbac, &["rolebindings"], &all)]),
        ),
    ] {
        let template = settled(&admin, &format!("{}/{name}", templates())).await;
        assert_eq!(template["spec"]["scopes"], scopes, "{name}");
        assert_eq!(template["spec"]["bindTo"], json!(["Owners"]), "{name}");
        assert_eq!(template["spec"]["rules"], rules, "{name}");
        assert_eq!(
            template["metadata"]["finalizers"],
            json!(["organizationroletemplate.bulward.io/controller"])
        );
    }
}

/// Case 9 and R4.
#[tokio::test]
async fn owners_of_an_organization_are_bound_in_its_projects_whatever_is_done_to_the_binding() {
    let (_, admin) = acme("role-owners").await;
    admin.project("role-owners", "web", &[user("paul")]).await;
    let own = bound(&admin, "role-owners-web", "rbac-admin", &["alice"]).await;
    assert_eq!(own["roleRef"]["name"], "rbac-admin");
    bound(&admin, "role-owners", "rbac-admin", &["alice"]).await;
    bound(&admin, "role-owners", "project-admin", &["alice"]).await;
    let path = binding("role-owners-web", "rbac-admin");
    admin.merge(&path, json!({"subjects": [user("mallory")]})).await;
    bound(&admin, "role-owners-web", "rbac-admin", &["alice"]).await;
    // Not even without its marks is it anybody else's.
    let stripped = json!({"metadata": {"labels": null, "annotations": null}, "subjects": null});
    admin.merge(&path, stripped).await;
    let again = bound(&admin, "role-owners-web", "rbac-admin", &["alice"]).await;
    assert_eq!(again["metadata"]["uid"], own["metadata"]["uid"]);
    admin
        .until(&path, "marked", |it| {
            it["metadata"]["labels"] == own["metadata"]["labels"]
        })
        .await;
    admin.delete(&path).await;
    let new = bound(&admin, "role-owners-web", "rbac-admin", &["alice"]).await;
    assert_ne!(new["metadata"]["uid"], own["metadata"]["uid"]);
    let rules = admin.get(&role("role-owners-web", "rbac-admin")).await["rules"].clone();
    admin
        .merge(&role("role-owners-web", "rbac-admin"), json!({"rules": []}))
        .await;
    has_rules(&admin, "role-owners-web", "rbac-admin", rules).await;
    let owners = json!({"spec": {"owners": [user("dave"), user("alice")]}});
    admin.merge(&stored(&organization("role-owners")), owners).await;
    for namespace in ["role-owners", "role-owners-web"] {
        bound(&admin, namespace, "rbac-admin", &["alice", "dave"]).await;
    }
}

/// Case 10, written by an owner with the rights of the default templates.
#[tokio::test]
async fn a_project_role_template_binds_everyone_and_leaves_nothing() {
    let (stage, admin) = acme("role-every").await;
    let alice = stage.caller("alice").await;
    let path = makers("role-every", "projectroletemplates");
    until_may(
        &admin,
        "alice",
        "role-every",
        ["create", "bulward.io", "projectroletemplates", ""],
        true,
    )
    .await;
    let rules = [
        rule("rbac.authorization.k8s.io", &["roles"], &["get"]),
        rule("", &["secrets"], &["get"]),
    ];
    let spec = json!({"bindTo": ["Everyone"], "projectSelector": {}, "rules": rules});
    alice
        .post(&path, &a_maker("ProjectRoleTemplate", "all", spec))
        .await
        .expect(201);
    admin.project("role-every", "web", &[user("paul")]).await;
    // alice is a member by the binding of rbac-admin.
    bound(&admin, "role-every-web", "all", &["alice", "paul"]).await;
    admin.bind("role-every-web", "bob", &[user("bob")]).await;
    bound(&admin, "role-every-web", "all", &["alice", "bob", "paul"]).await;
    has_rules(&admin, "role-every-web", "all", json!([rules[0]])).await;
    let path = format!("{path}/all");
    let told = |it: &Value| {
        it["status"]["targets"]
            .as_array()
            .is_some_and(|targets| targets.len() == 1)
    };
    admin.until(&path, "one target", told).await;
    let template = settled(&admin, &path).await;
    let target = json!([{
        "apiGroup": "bulward.io", "kind": "Project", "name": "web", "namespace": "role-every", "observedGeneration": 1,
    }]);
    assert_eq!(template["status"]["targets"], target);
    let text =
        "the role is in place in 1 namespace; cut off: get of secrets (beyond what the Organization may do at most)";
    assert_eq!(message(&template), text);
    assert_eq!(template["status"]["phase"], "Ready");
    // What was bound for Everyone keeps nobody a member.
    admin.delete(&binding("role-every-web", "bob")).await;
    bound(&admin, "role-every-web", "all", &["alice", "paul"]).await;
    alice.delete(&path).await.expect(200);
    admin.gone(&path).await;
    assert_eq!(admin.caller.get(&role("role-every-web", "all")).await.code, 404);
    assert_eq!(admin.caller.get(&binding("role-every-web", "all")).await.code, 404);
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_until_it_is_free() {
    let (stage, admin) = acme("role-taken").await;
    let alice = stage.caller("alice").await;
    let rbac = "rbac.authorization.k8s.io";
    let taken = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": "organizationrole:taken"},
        "rules": [rule(rbac, &["roles"], &["list"])],
    });
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/role-taken/roles";
    admin.caller.post(roles, &taken).await.expect(201);
    let path = makers("role-taken", "organizationroles");
    until_may(
        &admin,
        "alice",
        "role-taken",
        ["create", "bulward.io", "organizationroles", ""],
        true,
    )
    .await;
    let rules = json!([rule(rbac, &["roles"], &["get"])]);
    let spec = json!({"subjects": [user("bob")], "rules": rules});
    alice
        .post(&path, &a_maker("OrganizationRole", "taken", spec))
        .await
        .expect(201);
    let path = format!("{path}/taken");
    let conflict = |it: &Value| super::super::stage::ready(it) == "False/NameConflict";
    let told = admin.until(&path, "a conflict", conflict).await;
    let text = "Role \"organizationrole:taken\" in namespace \"role-taken\" exists and is not made by this object";
    assert_eq!((message(&told), &told["status"]["phase"]), (text, &json!("NotReady")));
    let role = role("role-taken", "organizationrole:taken");
    assert_eq!(admin.get(&role).await["rules"], taken["rules"]);
    assert_eq!(
        admin
            .caller
            .get(&binding("role-taken", "organizationrole:taken"))
            .await
            .code,
        404
    );
    admin.delete(&role).await;
    let made = settled(&admin, &path).await;
    assert_eq!(made["status"]["effectiveRules"], rules);
    bound(&admin, "role-taken", "organizationrole:taken", &["bob"]).await;
    let events = "/apis/events.k8s.io/v1/namespaces/role-taken/events?limit=10000";
    let reasons = |list: &Value| {
        let items = list["items"].as_array().into_iter().flatten();
        let about = items.filter(|item| item["regarding"]["kind"] == "OrganizationRole");
        let told = about.map(|item| format!("{}/{}", item["type"], item["reason"]).replace('"', ""));
        told.collect::<BTreeSet<String>>()
    };
    let both = BTreeSet::from(["Normal/SetupComplete", "Warning/NameConflict"].map(str::to_owned));
    admin
        .until(events, "told in events", |list| reasons(list) == both)
        .await;
}

/// What the API refuses.
#[tokio::test]
async fn rules_subjects_and_selectors_are_looked_at() {
    let admin = stage().await.admin().await;
    let path = makers("default", "projectroles");
    let wrong = json!({
        "subjects": [{"kind": "User", "name": ""}],
        "projectSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": []},
            {"nonResourceURLs": ["/healthz"], "verbs": ["get"]},
            {"verbs": ["get"]},
        ],
    });
    let answer = admin.caller.post(&path, &a_maker("ProjectRole", "wrong", wrong)).await;
    answer.invalid(&[
        "spec.rules[0].verbs",
        "spec.rules[1].nonResourceURLs",
        "spec.rules[2].apiGroups",
        "spec.rules[2].resources",
        "spec.subjects[0].name",
        "spec.projectSelector.matchExpressions[0].values",
    ]);
    let nowhere = json!({"scopes": ["Organization"], "projectSelector": {}, "rules": []});
    let answer = admin
        .caller
        .post(&templates(), &a_maker("OrganizationRoleTemplate", "wrong", nowhere))
        .await;
    answer.invalid(&["spec.projectSelector"]);
    let rules = json!({"scopes": ["Project"], "projectSelector": {"matchLabels": {"none": "x"}}, "rules": []});
    let answer = admin
        .caller
        .post(&templates(), &a_maker("OrganizationRoleTemplate", "a:b", rules))
        .await;
    let made = answer.expect(201);
    assert_eq!(made["metadata"]["name"], "a:b");
    admin.delete(&format!("{}/a:b", templates())).await;
    admin.gone(&format!("{}/a:b", templates())).await;
}

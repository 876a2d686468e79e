//! What callers may do and who they are, as the server's own roles have it.

use serde_json::{Value, json};

use super::{RBAC, binding, namespace, role, start, user};
use crate::harness::eventually;
use crate::harness::in_process::{Caller, DEADLINE};

async fn may(caller: &Caller, spec: Value) -> Value {
    let review = json!({"spec": spec});
    let answer = caller
        .post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review)
        .await;
    answer.expect(201)["status"].clone()
}

#[tokio::test]
async fn roles_count_at_once_and_only_while_they_are_bound() {
    let (server, _storage) = start().await;
    let (admin, bob) = (server.admin(), server.user("bob", &["team-bob"]));
    admin.post("/api/v1/namespaces", &namespace("sea")).await.expect(201);
    let asks = json!([{"verbs": ["create"], "apiGroups": ["*"], "resources": ["*"]}]);
    admin
        .post(&format!("{RBAC}/clusterroles"), &role("ClusterRole", "ask", asks))
        .await
        .expect(201);
    let everybody = json!([{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}]);
    let ask = binding("ClusterRoleBinding", "ask", ("ClusterRole", "ask"), everybody);
    // without a role nobody but administrators may even ask
    let events = "/api/v1/namespaces/sea/events";
    bob.get(events).await.refused(403, "Forbidden");
    admin
        .post(&format!("{RBAC}/clusterrolebindings"), &ask)
        .await
        .expect(201);
    let get = json!([{"verbs": ["list"], "apiGroups": [""], "resources": ["events"]}]);
    let inside = |plural: &str| format!("{RBAC}/namespaces/sea/{plural}");
    admin
        .post(&inside("roles"), &role("Role", "look", get))
        .await
        .expect(201);
    admin
        .post(
            &inside("rolebindings"),
            &binding("RoleBinding", "bob", ("Role", "look"), json!([user("bob")])),
        )
        .await
        .expect(201);
    let read = |code: u16| {
        let bob = &bob;
        eventually("bob's right to follow the binding", DEADLINE, async move || {
            match bob.get(events).await.code {
                found if found == code => Ok(()),
                found => Err(found),
            }
        })
    };
    read(200).await;
    let spec = json!({"resourceAttributes": {"verb": "list", "resource": "events", "namespace": "sea"}});
    let reason = "RBAC: allowed by RoleBinding \"bob/sea\" of Role \"look\" to User \"bob\"";
    assert_eq!(
        may(&bob, spec.clone()).await,
        json!({"allowed": true, "reason": reason})
    );
    let other = json!({"resourceAttributes": {"verb": "list", "resource": "events", "namespace": "land"}});
    assert_eq!(may(&bob, other).await, json!({"allowed": false}));
    assert_eq!(may(&admin, spec.clone()).await["allowed"], true);

    let rules = json!({"spec": {"namespace": "sea"}});
    let rules = bob
        .post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &rules)
        .await
        .expect(201);
    let look = json!({"verbs": ["list"], "apiGroups": [""], "resources": ["events"]});
    assert!(
        rules["status"]["resourceRules"].as_array().unwrap().contains(&look),
        "{rules}"
    );
    assert_eq!(rules["status"]["incomplete"], false);
    let identity = bob
        .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({}))
        .await
        .expect(201);
    assert_eq!(identity["status"]["userInfo"]["username"], "bob");
    assert_eq!(
        identity["status"]["userInfo"]["groups"],
        json!(["team-bob", "system:authenticated"])
    );

    // what cannot be asked
    let both = json!({"spec": {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    bob.post(path, &both).await.invalid(&["spec.nonResourceAttributes"]);
    admin.get(path).await.refused(405, "MethodNotAllowed");

    admin
        .delete(&format!("{}/bob", inside("rolebindings")))
        .await
        .expect(200);
    read(403).await;
    assert_eq!(may(&bob, spec).await, json!({"allowed": false}));
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    let (server, _storage) = start().await;
    let (admin, carol) = (server.admin(), server.user("carol", &[]));
    admin.post("/api/v1/namespaces", &namespace("sea")).await.expect(201);
    let inside = |plural: &str| format!("{RBAC}/namespaces/sea/{plural}");
    let grants = json!([{"verbs": ["create", "update", "get"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]}]);
    admin
        .post(&inside("roles"), &role("Role", "grant", grants.clone()))
        .await
        .expect(201);
    admin
        .post(
            &inside("rolebindings"),
            &binding("RoleBinding", "carol", ("Role", "grant"), json!([user("carol")])),
        )
        .await
        .expect(201);
    let own = role("Role", "own", grants);
    let made = eventually("carol's right to follow the binding", DEADLINE, async || {
        let answer = carol.post(&inside("roles"), &own).await;
        if answer.code == 201 {
            Ok(answer.json())
        } else {
            Err(answer.text())
        }
    })
    .await;
    let more = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let refused = carol
        .post(&inside("roles"), &role("Role", "more", more.clone()))
        .await
        .refused(403, "Forbidden");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("attempting to grant RBAC permissions not currently held"),
        "{message}"
    );
    let mut wider = made.clone();
    wider["rules"] = more;
    carol
        .put(&format!("{}/own", inside("roles")), &wider)
        .await
        .refused(403, "Forbidden");
    let mut gathering = role("ClusterRole", "gathers", json!([]));
    gathering["aggregationRule"] = json!({"clusterRoleSelectors": [{}]});
    carol
        .post(&format!("{RBAC}/clusterroles"), &gathering)
        .await
        .refused(403, "Forbidden");
}

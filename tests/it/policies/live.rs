//! Policies, bindings and parameters as they come, change and go; and writes through either view of an Organization.

use http::Method;
use serde_json::{Value, json};

use super::{NAMESPACE, policy, thing, twin};
use crate::harness::in_process::{DEADLINE, InProcess, Settings, memory};
use crate::harness::twin::{Ask, Twin, registry};
use crate::harness::{ControlPlane, eventually};

const API: &str = "/apis/admissionregistration.k8s.io/v1";

/// Both servers answer with this part of a text.
async fn both_say(twin: &Twin, ask: &Ask, part: &str) {
    for (who, side) in [("kube-apiserver", &twin.theirs), ("our server", &twin.ours)] {
        eventually(&format!("{who} says {part:?}"), DEADLINE, async || {
            let answer = side.send(ask).await;
            let said = format!("{} {}", answer.code, answer.text());
            if said.contains(part) { Ok(()) } else { Err(said) }
        })
        .await;
    }
}

#[tokio::test]
async fn policies_apply_as_they_are_now() {
    let twin = twin("live.policies.io", Settings::default()).await;
    let plane = &twin.theirs.caller;
    let name = format!("live.{}", twin.group);
    let (policy_path, binding_path) = (
        format!("{API}/validatingadmissionpolicies/{name}"),
        format!("{API}/validatingadmissionpolicybindings/{name}"),
    );
    let ask = Ask::json(
        Method::POST,
        twin.path(&format!("namespaces/{NAMESPACE}/things?dryRun=All")),
        &thing(&twin.group, "live", json!({"count": 4})),
    );
    let patch = async |path: &str, body: Value| {
        let headers = [("content-type", "application/merge-patch+json")];
        let answer = plane.send(Method::PATCH, path, &headers, body.to_string()).await;
        assert_eq!(answer.code, 200, "{}", answer.text());
    };
    both_say(&twin, &ask, "201 ").await;

    // It is bound, and needs a parameter that comes later.
    let limited = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "object.spec.count <= int(params.data.most)", "messageExpression": "'most is ' + params.data.most"}],
    });
    let binding = json!({"paramRef": {"name": "live-limit", "parameterNotFoundAction": "Deny"}});
    let [definition, bound] = policy(&twin.group, "live", limited, binding);
    plane
        .post(&format!("{API}/validatingadmissionpolicies"), &definition)
        .await
        .expect(201);
    plane
        .post(&format!("{API}/validatingadmissionpolicybindings"), &bound)
        .await
        .expect(201);
    both_say(&twin, &ask, "no params found for policy binding").await;
    let limit = |most: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "live-limit", "namespace": NAMESPACE}, "data": {"most": most}});
    let limits = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    plane.post(&limits, &limit("3")).await.expect(201);
    both_say(&twin, &ask, "most is 3").await;
    patch(&format!("{limits}/live-limit"), json!({"data": {"most": "2"}})).await;
    both_say(&twin, &ask, "most is 2").await;

    // The binding warns, then denies again; the policy is another one; both go.
    patch(&binding_path, json!({"spec": {"validationActions": ["Warn"]}})).await;
    both_say(&twin, &ask, "201 ").await;
    patch(&binding_path, json!({"spec": {"validationActions": ["Deny"]}})).await;
    both_say(&twin, &ask, "most is 2").await;
    patch(
        &policy_path,
        json!({"spec": {"paramKind": null, "validations": [{"expression": "false", "message": "never"}]}}),
    )
    .await;
    patch(&binding_path, json!({"spec": {"paramRef": null}})).await;
    both_say(&twin, &ask, "never").await;
    plane.send(Method::DELETE, &binding_path, &[], "").await.expect(200);
    both_say(&twin, &ask, "201 ").await;
    plane
        .post(
            &format!("{API}/validatingadmissionpolicybindings"),
            &bound_without(&bound),
        )
        .await
        .expect(201);
    both_say(&twin, &ask, "never").await;
    plane.send(Method::DELETE, &policy_path, &[], "").await.expect(200);
    both_say(&twin, &ask, "201 ").await;
}

fn bound_without(binding: &Value) -> Value {
    let mut binding = binding.clone();
    if let Some(spec) = binding["spec"].as_object_mut() {
        spec.remove("paramRef");
    }
    binding
}

/// A kind of parameters that comes when the policy is there already, and goes again.
#[tokio::test]
async fn a_kind_of_parameters_may_come_later() {
    let twin = twin("later.policies.io", Settings::default()).await;
    let plane = &twin.theirs.caller;
    let group = "params.policies.io";
    let ask = Ask::json(
        Method::POST,
        twin.path(&format!("namespaces/{NAMESPACE}/things?dryRun=All")),
        &thing(&twin.group, "later", json!({"count": 4})),
    );
    let spec = json!({
        "paramKind": {"apiVersion": format!("{group}/v1"), "kind": "Limit"},
        "validations": [{"expression": "false", "messageExpression": "'most is ' + string(params.spec.most)"}],
    });
    let [definition, bound] = policy(
        &twin.group,
        "later",
        spec,
        json!({"paramRef": {"name": "l", "parameterNotFoundAction": "Deny"}}),
    );
    plane
        .post(&format!("{API}/validatingadmissionpolicies"), &definition)
        .await
        .expect(201);
    plane
        .post(&format!("{API}/validatingadmissionpolicybindings"), &bound)
        .await
        .expect(201);
    both_say(&twin, &ask, "failed to find resource referenced by paramKind").await;
    let definition = super::definition_of(group, "Limit");
    plane
        .post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition)
        .await
        .expect(201);
    both_say(&twin, &ask, "no params found for policy binding").await;
    let limit =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Limit", "metadata": {"name": "l"}, "spec": {"most": 7}});
    let limits = format!("/apis/{group}/v1/namespaces/{NAMESPACE}/limits");
    eventually("the kind is served", DEADLINE, async || {
        let answer = plane.post(&limits, &limit).await;
        if answer.code == 201 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    both_say(&twin, &ask, "most is 7").await;
}

/// What is bound to one view holds for writes through the other, in the words of the one that it names.
#[tokio::test]
async fn a_policy_about_one_view_judges_writes_through_both() {
    let plane = ControlPlane::shared().await;
    let settings = Settings {
        cluster_kubeconfig: Some(plane.kubeconfig("admin")),
        ..Settings::default()
    };
    let server = InProcess::with(memory().await.storage.clone(), settings).await;
    let name = "views-of-organizations.policies.io";
    let case = json!({"case": "views"});
    let object = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let message = "object.apiVersion + ' ' + request.kind.group + ' ' + request.resource.group + ' for ' + request.requestKind.group";
    let rule = json!([{"apiGroups": ["storage.bulward.io"], "apiVersions": ["*"], "resources": ["organizations"], "operations": ["CREATE"]}]);
    plane
        .apply(&[
            object(
                "ValidatingAdmissionPolicy",
                json!({
                    "matchConstraints": {"resourceRules": rule, "objectSelector": {"matchLabels": case}},
                    "validations": [{"expression": "false", "messageExpression": message}],
                }),
            ),
            object(
                "ValidatingAdmissionPolicyBinding",
                json!({"policyName": name, "validationActions": ["Deny"]}),
            ),
        ])
        .await;
    let admin = server.admin();
    let create = async |group: &str| {
        let organization = json!({
            "apiVersion": format!("{group}/v1alpha1"), "kind": "Organization",
            "metadata": {"name": "views-of-organizations", "labels": case},
            "spec": {"metadata": {"displayName": "Views", "description": "of it"}, "owners": [{"kind": "User", "name": "admin", "apiGroup": "rbac.authorization.k8s.io"}]},
        });
        admin
            .post(
                &format!("/apis/{group}/v1alpha1/organizations?dryRun=All"),
                &organization,
            )
            .await
    };
    for group in ["storage.bulward.io", "apiserver.bulward.io"] {
        let wanted = format!("storage.bulward.io/v1alpha1 storage.bulward.io storage.bulward.io for {group}");
        eventually(
            &format!("the policy judges writes through {group}"),
            DEADLINE,
            async || {
                let answer = create(group).await;
                if answer.code == 422 && answer.text().contains(&wanted) {
                    Ok(())
                } else {
                    Err(answer.text())
                }
            },
        )
        .await;
    }
    // `Exact`: the other view is none of its business.
    plane
        .apply(&[object(
            "ValidatingAdmissionPolicy",
            json!({
                "matchConstraints": {"matchPolicy": "Exact", "resourceRules": rule, "objectSelector": {"matchLabels": case}},
                "validations": [{"expression": "false", "messageExpression": message}],
            }),
        )])
        .await;
    eventually("the policy is about one view alone", DEADLINE, async || {
        let (own, other) = (create("storage.bulward.io").await, create("apiserver.bulward.io").await);
        if own.code == 422 && other.code == 201 {
            Ok(())
        } else {
            Err(format!("{} {}", own.text(), other.text()))
        }
    })
    .await;
}

/// Who has not read the policies is not ready: writes would be refused.
#[tokio::test]
async fn readiness_waits_for_policies_and_bindings() {
    let plane = ControlPlane::shared().await;
    let user = "reader.policies.io";
    let may_read = |configurations: &[&str]| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["admissionregistration.k8s.io"], "resources": configurations, "verbs": ["get", "list", "watch"]},
        ]})
    };
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    let mut readable = vec!["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    plane.apply(&[may_read(&readable), binding]).await;
    let settings = Settings {
        cluster_kubeconfig: Some(plane.add_user(user, &[])),
        ..Settings::default()
    };
    let registry = registry("ready.policies.io", vec![super::anything("Thing", true)]);
    let server = InProcess::beginning(memory().await.storage.clone(), settings, registry).await;
    let admin = server.admin();
    let says = async |code: u16, part: &str| {
        eventually(&format!("{code} {part}"), DEADLINE, async || {
            let answer = admin.get("/readyz/informer-sync").await;
            let said = answer.code == code && answer.text().contains(part);
            if said { Ok(()) } else { Err(answer.text()) }
        })
        .await;
    };
    for missing in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
        says(500, &format!("{missing} have not been read yet")).await;
        readable.push(missing);
        plane.apply(&[may_read(&readable)]).await;
    }
    says(200, "ok").await;
}

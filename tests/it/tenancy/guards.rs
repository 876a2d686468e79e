//! The policies of the manifest (`cli/manifests/guards.rs`) on a real control plane: who may write what decides whose a
//! Namespace is, and which Roles grant more than an Organization may. The controllers act under them all the while.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::stage::{Admin, SOON, Stage, namespace};
use crate::harness::eventually;
use crate::harness::in_process::{Answer, Caller};
use crate::harness::tenancy::{organization, stored, user};

const MANIFEST: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/bulward.yaml"));

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

const EVERYBODY: &[&str] = &["admin", "operator", "editor", "controllers"];
const CONTROLLERS: &[&str] = &["controllers"];
const MASTERS: &[&str] = &["admin", "controllers"];

/// A request that each of the four sends; none of them leaves a trace.
struct Case {
    what: &'static str,
    method: Method,
    path: String,
    media: &'static str,
    body: Value,
    /// Whom the guard lets.
    allowed: &'static [&'static str],
}

impl Case {
    fn new(what: &'static str, allowed: &'static [&'static str], method: Method, path: &str) -> Self {
        let separator = if path.contains('?') { '&' } else { '?' };
        Self {
            what,
            method,
            path: format!("{path}{separator}dryRun=All"),
            media: JSON,
            body: Value::Null,
            allowed,
        }
    }

    fn body(self, media: &'static str, body: Value) -> Self {
        Self { media, body, ..self }
    }

    async fn send(&self, caller: &Caller) -> Answer {
        match &self.body {
            Value::Null => caller.delete(&self.path).await,
            body => {
                caller
                    .with_body(self.method.clone(), &self.path, self.media, body)
                    .await
            }
        }
    }
}

fn creates(what: &'static str, allowed: &'static [&'static str], metadata: Value) -> Case {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    Case::new(what, allowed, Method::POST, "/api/v1/namespaces").body(JSON, body)
}

fn patches(what: &'static str, allowed: &'static [&'static str], path: &str, media: &'static str, body: Value) -> Case {
    Case::new(what, allowed, Method::PATCH, path).body(media, body)
}

fn applies(what: &'static str, allowed: &'static [&'static str], name: &str, labels: &Value) -> Case {
    let path = format!("{}?fieldManager=guards&force=true", namespace(name));
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    patches(what, allowed, &path, APPLY, body)
}

/// The policies and their bindings, as the manifest has them.
fn guards() -> String {
    let is_guard = |document: &&str| {
        document
            .lines()
            .any(|line| line.starts_with("kind: ValidatingAdmissionPolicy"))
    };
    let guards: Vec<&str> = MANIFEST.split("\n---\n").filter(is_guard).collect();
    assert_eq!(guards.len(), 4, "two policies, each with its binding");
    guards.join("\n---\n")
}

/// Installs the guards, and waits until they are there and are right in kube-apiserver's own eyes.
async fn guard(stage: &Stage, admin: &Admin) {
    stage.plane.apply_text(&guards()).await;
    for name in ["namespaces.bulward.io", "exempt-roles.bulward.io"] {
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}");
        let checked = |it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
        let policy = admin.until(&path, "checked", checked).await;
        let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
        assert!(warnings.is_null(), "{name}: {warnings}");
    }
    let role = json!({"metadata": {"name": "probe", "labels": {"bulward.io/exempt": ""}}});
    let namespace = json!({"metadata": {"name": "probe", "labels": {"bulward.io/probe": ""}}});
    let alice = stage.caller("alice").await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    admin.caller.post(roles, &role).await.expect(201);
    let grant = json!({"metadata": {"name": "probe"}, "rules": [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
    ]});
    admin.caller.put(&format!("{roles}/probe"), &grant).await.expect(200);
    let binding = json!({
        "metadata": {"name": "probe"}, "subjects": [user("alice")],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "probe"},
    });
    admin
        .caller
        .post(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            &binding,
        )
        .await
        .expect(201);
    let mut another = role.clone();
    another["metadata"]["name"] = json!("another");
    for (caller, path, body, policy) in [
        (&admin.caller, "/api/v1/namespaces", &namespace, "namespaces.bulward.io"),
        (&alice, roles, &another, "exempt-roles.bulward.io"),
    ] {
        eventually(&format!("{policy} acts"), SOON, async || {
            let answer = caller.post(&format!("{path}?dryRun=All"), body).await;
            if answer.code == 403 && answer.text().contains(policy) {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }
}

/// The four who may write namespaces by RBAC: what is refused is refused by the guard.
async fn people(stage: &Stage) -> BTreeMap<&'static str, Caller> {
    let plane = &stage.plane;
    plane.add_user("operator", &["operators"]);
    plane.add_user("editor", &["editors"]);
    let role = |name: &str, group: &str, to: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": to},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        })
    };
    let rule = |resources: &[&str]| json!({"apiGroups": [""], "resources": resources, "verbs": ["*"]});
    let namespaces = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "namespaces"},
        "rules": [rule(&["namespaces", "namespaces/status", "namespaces/finalize"])],
    });
    // The controllers hold no more than the manifest says, but for these two: it is the guard that is asked here.
    let subresources = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "subresources"},
        "rules": [rule(&["namespaces", "namespaces/status", "namespaces/finalize"])],
    });
    let mut controllers = role("subresources", "", "subresources");
    controllers["subjects"] =
        json!([{"kind": "ServiceAccount", "name": "bulward-controller-manager", "namespace": "bulward-system"}]);
    plane
        .apply(&[
            namespaces,
            subresources,
            controllers,
            role("operators", "operators", "cluster-admin"),
            role("editors", "editors", "namespaces"),
        ])
        .await;
    let account = ["create", "token", "bulward-controller-manager", "-n", "bulward-system"];
    let token = plane.kubectl("admin").run(account).await.ok();
    plane.add_token("controllers", token.trim());
    let mut callers = BTreeMap::new();
    for name in EVERYBODY {
        callers.insert(*name, stage.caller(name).await);
    }
    callers
}

/// All that is asked of namespaces: `owned` is an Organization's, `plain` nobody's, `handed` is to be adopted.
fn cases(owned: &Value) -> Vec<Case> {
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let annotations = |annotations: Value| json!({"metadata": {"annotations": annotations}});
    let path = namespace("guard-owned");
    let (plain, handed) = (namespace("guard-plain"), namespace("guard-handed"));
    let uid = &owned["metadata"]["labels"]["bulward.io/owner-uid"];
    let mut without = owned.clone();
    without["metadata"]["labels"] = json!({});
    let mut spec = owned.clone();
    spec["metadata"]["annotations"] = json!({"example.com/x": "y", "bulward.io/owner-uid": uid});
    let forged = json!({"bulward.io/owner-uid": "forged"});
    let mut cases = vec![
        creates("a Namespace", EVERYBODY, json!({"name": "guard-new"})),
        creates(
            "a label of ours",
            CONTROLLERS,
            json!({"name": "guard-new", "labels": forged}),
        ),
        creates(
            "the same with a generated name",
            CONTROLLERS,
            json!({"generateName": "guard-", "labels": forged}),
        ),
        creates(
            "an annotation of ours",
            CONTROLLERS,
            json!({"name": "guard-new", "annotations": forged}),
        ),
        creates(
            "adoption",
            MASTERS,
            json!({"name": "guard-new", "annotations": {"bulward.io/adopt": "organization/a"}}),
        ),
        creates(
            "adoption as a label",
            CONTROLLERS,
            json!({"name": "guard-new", "labels": {"bulward.io/adopt": "a"}}),
        ),
        creates(
            "adoption and more",
            CONTROLLERS,
            json!({"name": "guard-new", "annotations": {"bulward.io/adopt": "organization/a", "bulward.io/owner-uid": "x"}}),
        ),
        creates(
            "what looks like ours",
            EVERYBODY,
            json!({"name": "guard-new", "labels": {"notbulward.io/a": "", "x.bulward.io/a": "", "bulward.io": ""}}),
        ),
        applies(
            "a label of ours on what is not there yet",
            CONTROLLERS,
            "guard-new",
            &forged,
        ),
        applies(
            "another label on what is not there yet",
            EVERYBODY,
            "guard-new",
            &json!({"a": "b"}),
        ),
        applies("another value", CONTROLLERS, "guard-owned", &forged),
        applies(
            "the value that is there",
            EVERYBODY,
            "guard-owned",
            &json!({"bulward.io/owner-uid": uid}),
        ),
        patches(
            "a label of somebody's",
            EVERYBODY,
            &path,
            MERGE,
            labels(json!({"a": "b"})),
        ),
        patches("another value", CONTROLLERS, &path, MERGE, labels(forged.clone())),
        patches(
            "no label",
            CONTROLLERS,
            &path,
            MERGE,
            labels(json!({"bulward.io/owner-uid": null})),
        ),
        patches(
            "no annotation",
            CONTROLLERS,
            &path,
            MERGE,
            annotations(json!({"bulward.io/owner-uid": null})),
        ),
        patches(
            "no labels at all",
            CONTROLLERS,
            &path,
            STRATEGIC,
            labels(json!({"$patch": "replace"})),
        ),
        patches(
            "the annotation alone",
            CONTROLLERS,
            &path,
            STRATEGIC,
            annotations(forged.clone()),
        ),
        patches(
            "no labels",
            CONTROLLERS,
            &path,
            JSON_PATCH,
            json!([{"op": "remove", "path": "/metadata/labels"}]),
        ),
        patches(
            "a label where there was none",
            CONTROLLERS,
            &plain,
            MERGE,
            labels(forged.clone()),
        ),
        patches(
            "adoption",
            MASTERS,
            &plain,
            MERGE,
            annotations(json!({"bulward.io/adopt": "organization/a"})),
        ),
        patches(
            "another adoption",
            MASTERS,
            &handed,
            MERGE,
            annotations(json!({"bulward.io/adopt": "organization/b"})),
        ),
        patches(
            "no adoption",
            MASTERS,
            &handed,
            MERGE,
            annotations(json!({"bulward.io/adopt": null})),
        ),
        patches(
            "adoption of what is owned",
            MASTERS,
            &path,
            MERGE,
            annotations(json!({"bulward.io/adopt": "a"})),
        ),
        Case::new("an object without labels", CONTROLLERS, Method::PUT, &path).body(JSON, without.clone()),
        Case::new("the object as it is", EVERYBODY, Method::PUT, &path).body(JSON, spec.clone()),
        Case::new("the owned one", CONTROLLERS, Method::DELETE, &path),
        Case::new("the one to be adopted", MASTERS, Method::DELETE, &handed),
        Case::new("nobody's", EVERYBODY, Method::DELETE, &plain),
    ];
    for subresource in ["status", "finalize"] {
        let path = format!("{path}/{subresource}");
        cases.extend([
            Case::new("a subresource without labels", CONTROLLERS, Method::PUT, &path).body(JSON, without.clone()),
            Case::new("a subresource as it is", EVERYBODY, Method::PUT, &path).body(JSON, spec.clone()),
        ]);
    }
    let path = format!("{path}/status");
    cases.extend([
        patches(
            "a status with a forged label",
            CONTROLLERS,
            &path,
            MERGE,
            labels(forged),
        ),
        patches(
            "a status",
            EVERYBODY,
            &path,
            MERGE,
            json!({"status": {"conditions": []}}),
        ),
    ]);
    cases
}

#[tokio::test]
async fn the_guards_hold_and_the_controllers_work_under_them() {
    let stage = Stage::start("guards", &["--leader-elect=false"]).await;
    let admin = stage.admin().await;
    guard(&stage, &admin).await;
    let callers = people(&stage).await;

    // The controllers make a Namespace under the guards.
    admin.organization("guard-owned", &[user("alice")]).await;
    admin.ready_organization("guard-owned").await;
    let owned = admin.get(&namespace("guard-owned")).await;
    admin.namespace("guard-plain", json!({})).await;
    let adopt = json!({"annotations": {"bulward.io/adopt": "organization/guard-nobody"}});
    admin.namespace("guard-handed", adopt).await;

    let cases = cases(&owned);
    let (mut asked, mut wrong) = (0, Vec::new());
    for case in &cases {
        for (who, caller) in &callers {
            let answer = case.send(caller).await;
            asked += 1;
            let said = answer.text();
            let as_expected = match case.allowed.contains(who) {
                true => answer.code < 300,
                false => answer.code == 403 && said.contains("namespaces.bulward.io") && said.contains("bulward.io/"),
            };
            if !as_expected {
                wrong.push(format!("{who}: {} ({}): {} {said}", case.what, case.path, answer.code));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    eprintln!("guards: {asked} requests for namespaces, none decided wrongly");

    // The verb is not there for namespaces, so that it is no way around.
    let all = admin.caller.delete("/api/v1/namespaces").await;
    assert_eq!(all.code, 405, "{}", all.text());
    // The text says what it is about.
    let refused = callers["operator"].delete(&namespace("guard-owned")).await;
    let message = refused.refused(403, "Forbidden")["message"].to_string();
    for part in [
        "Bulward's controllers alone delete a Namespace with",
        "label bulward.io/organization",
    ] {
        assert!(message.contains(part), "{message}");
    }

    roles(&stage, &admin, &callers).await;
    large(&admin, &callers).await;

    // kube-controller-manager ends what the controllers deleted, with its own status and finalize writes.
    admin.delete(&stored(&organization("guard-owned"))).await;
    admin.gone(&namespace("guard-owned")).await;
    admin.gone(&stored(&organization("guard-owned"))).await;
}

/// Thousands of annotations cost less than a policy may: nobody locks a Namespace up with them.
async fn large(admin: &Admin, callers: &BTreeMap<&'static str, Caller>) {
    let annotations: serde_json::Map<String, Value> = (0..4_000).map(|at| (format!("k{at:05}"), json!(""))).collect();
    let body = json!({"metadata": {"name": "guard-large", "annotations": annotations}});
    callers["operator"].post("/api/v1/namespaces", &body).await.expect(201);
    let path = namespace("guard-large");
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    callers["operator"].merge(&path, &labels).await.expect(200);
    let labels = json!({"metadata": {"labels": {"bulward.io/owner-uid": "x"}}});
    callers["operator"]
        .merge(&path, &labels)
        .await
        .refused(403, "Forbidden");
    callers["controllers"].merge(&path, &labels).await.expect(200);
    let labels = json!({"metadata": {"labels": {"bulward.io/owner-uid": null}}});
    callers["controllers"].merge(&path, &labels).await.expect(200);
    callers["operator"].delete(&path).await;
    admin.gone(&path).await;
}

/// Who may exempt a Role: alice owns the Organization and may write its Roles, the others may escalate.
async fn roles(stage: &Stage, admin: &Admin, callers: &BTreeMap<&'static str, Caller>) {
    let alice = stage.caller("alice").await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/guard-owned/roles";
    let a_role = |metadata: Value, rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules,
        })
    };
    let exempt = |name: &str, value: &str| json!({"name": name, "labels": {"bulward.io/exempt": value}});
    // What alice holds herself, so that RBAC would let her.
    let held = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["get"]}]);
    let may = async || {
        let answer = alice
            .post(
                &format!("{roles}?dryRun=All"),
                &a_role(json!({"name": "mine"}), held.clone()),
            )
            .await;
        if answer.code == 201 { Ok(()) } else { Err(answer.text()) }
    };
    eventually("alice writes Roles of her Organization", SOON, may).await;
    admin
        .caller
        .post(roles, &a_role(exempt("free", "true"), json!([])))
        .await
        .expect(201);
    alice
        .post(roles, &a_role(json!({"name": "mine"}), held.clone()))
        .await
        .expect(201);

    let (free, mine) = (format!("{roles}/free"), format!("{roles}/mine"));
    let labels = |value: Value| json!({"metadata": {"labels": {"bulward.io/exempt": value}}});
    let apply = |name: &str| format!("{roles}/{name}?fieldManager=guards&force=true");
    let dry = |what, method, path: &str, media, body| Case::new(what, &[], method, path).body(media, body);
    let refused = [
        dry(
            "a new one",
            Method::POST,
            roles,
            JSON,
            a_role(exempt("new", ""), json!([])),
        ),
        dry(
            "a generated name",
            Method::POST,
            roles,
            JSON,
            a_role(
                json!({"generateName": "new-", "labels": {"bulward.io/exempt": "false"}}),
                json!([]),
            ),
        ),
        dry(
            "a new one by apply",
            Method::PATCH,
            &apply("new"),
            APPLY,
            a_role(exempt("new", ""), json!([])),
        ),
        dry("one's own", Method::PATCH, &mine, MERGE, labels(json!("true"))),
        dry(
            "one's own by apply",
            Method::PATCH,
            &apply("mine"),
            APPLY,
            a_role(exempt("mine", ""), held.clone()),
        ),
        dry(
            "one's own replaced",
            Method::PUT,
            &mine,
            JSON,
            a_role(exempt("mine", ""), held.clone()),
        ),
        dry("another value", Method::PATCH, &free, MERGE, labels(json!("false"))),
        dry("other rules", Method::PATCH, &free, MERGE, json!({"rules": held})),
    ];
    let allowed = [
        dry(
            "a Role",
            Method::POST,
            roles,
            JSON,
            a_role(json!({"name": "new"}), held.clone()),
        ),
        dry(
            "another label",
            Method::PATCH,
            &free,
            MERGE,
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        dry(
            "the same",
            Method::PUT,
            &free,
            JSON,
            a_role(exempt("free", "true"), json!([])),
        ),
        dry("no more exempt", Method::PATCH, &free, MERGE, labels(Value::Null)),
        dry(
            "other rules of one's own",
            Method::PATCH,
            &mine,
            MERGE,
            json!({"rules": []}),
        ),
        Case::new("one that is exempt", &[], Method::DELETE, &free),
    ];
    for case in &refused {
        let answer = case.send(&alice).await;
        let said = answer.refused(403, "Forbidden")["message"].to_string();
        assert!(said.contains("exempt-roles.bulward.io"), "{}: {said}", case.what);
        for (who, caller) in callers.iter().filter(|(who, _)| **who != "editor") {
            // The controllers never replace a Role.
            if *who == "controllers" && case.method == Method::PUT {
                continue;
            }
            let answer = case.send(caller).await;
            assert!(answer.code < 300, "{who}: {}: {}", case.what, answer.text());
        }
    }
    for case in &allowed {
        let answer = case.send(&alice).await;
        assert!(answer.code < 300, "{}: {}", case.what, answer.text());
    }
}

//! Templates, owners' roles, what an Organization may do at most, and users' own Roles (tenancy.md R4, R7, R8, R12, R13; cases
//! 8 to 11), each judged by what kube-apiserver's RBAC then allows.

mod agreement;
mod kubecarrier;
mod own;
mod templates;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::stage::{Admin, SOON, Stage, ready};
use crate::harness::{eventually, started_once};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ROLES: &str = "/apis/bulward.io/v1alpha1";

/// A control plane of these tests' own: templates are everybody's. Each test has its Organization, and API groups of its own
/// in what it permits.
async fn stage() -> &'static Stage {
    static SHARED: OnceCell<Result<Stage, String>> = OnceCell::const_new();
    let start = async || {
        let flags = ["--leader-elect=false", "--kubecarrier-templates"];
        Ok(Stage::serving("roles", &["--kubecarrier-templates"], &flags).await)
    };
    started_once("the role tests' control plane", &SHARED, start).await
}

/// Where templates of Organizations are.
fn templates() -> String {
    format!("{ROLES}/organizationroletemplates")
}

/// Where a kind of the group of roles is in a namespace.
fn makers(namespace: &str, plural: &str) -> String {
    format!("{ROLES}/namespaces/{namespace}/{plural}")
}

fn a_maker(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "bulward.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn role(namespace: &str, name: &str) -> String {
    format!("{RBAC}/namespaces/{namespace}/roles/{name}")
}

fn binding(namespace: &str, name: &str) -> String {
    format!("{RBAC}/namespaces/{namespace}/rolebindings/{name}")
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// Names of a binding's subjects.
fn subjects(binding: &Value) -> Vec<&str> {
    let all = binding["subjects"].as_array();
    all.into_iter()
        .flatten()
        .filter_map(|subject| subject["name"].as_str())
        .collect()
}

fn message(object: &Value) -> &str {
    let all = object["status"]["conditions"].as_array();
    let mut ready = all
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] == "Ready");
    ready
        .next()
        .and_then(|ready| ready["message"].as_str())
        .unwrap_or_default()
}

/// Waits until the maker at this path is ready and has seen its newest spec.
async fn settled(admin: &Admin, path: &str) -> Value {
    let seen = |it: &Value| {
        ready(it) == "True/SetupComplete" && it["status"]["observedGeneration"] == it["metadata"]["generation"]
    };
    admin.until(path, "settled", seen).await
}

/// Waits until a Role has exactly these rules.
async fn has_rules(admin: &Admin, namespace: &str, name: &str, rules: Value) -> Value {
    let same = |it: &Value| it["rules"] == rules || it["rules"].is_null() && rules == json!([]);
    admin
        .until(&role(namespace, name), &format!("rules {rules}"), same)
        .await
}

/// Makes a Role and binds it to a user.
async fn write_role(admin: &Admin, namespace: &str, name: &str, rules: Value, user: &str) {
    let rbac = "rbac.authorization.k8s.io";
    let own = json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": name}, "rules": rules});
    admin
        .caller
        .post(&format!("{RBAC}/namespaces/{namespace}/roles"), &own)
        .await
        .expect(201);
    let bound = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
    });
    admin
        .caller
        .post(&super::stage::bindings(namespace), &bound)
        .await
        .expect(201);
}

/// What somebody may be asked to do: verb, API group, resource with its subresource, name.
type Request<'a> = [&'a str; 4];

/// Whether kube-apiserver's authorizer lets a user do it.
async fn may(admin: &Admin, user: &str, namespace: &str, [verb, group, resource, name]: Request<'_>) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {
            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name,
        }},
    });
    let answer = admin
        .caller
        .post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review)
        .await
        .expect(201);
    answer["status"]["allowed"] == true
}

/// Waits until a user may do something, or may not.
async fn until_may(admin: &Admin, user: &str, namespace: &str, request: Request<'_>, wanted: bool) {
    let what = format!("{user} may {request:?} in {namespace}: {wanted}");
    let look = async || match may(admin, user, namespace, request).await == wanted {
        true => Ok(()),
        false => Err("not yet"),
    };
    eventually(&what, SOON, look).await;
}

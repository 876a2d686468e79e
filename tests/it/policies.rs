//! ValidatingAdmissionPolicies of the main cluster, applied here: the same policy for a CustomResource on kube-apiserver and for
//! an equal kind that our library serves; the same writes go to both, and the answers have to be equal, word by word.

mod expressions;
mod live;
mod outcomes;
mod random;

use bulward::rest::resource::Kind;
use futures::stream::{self, StreamExt};
use http::Method;
use serde_json::{Value, json};

use crate::harness::in_process::{Answer, Settings};
use crate::harness::twin::{Ask, Twin, definition, kind};
use crate::harness::{ControlPlane, STARTUP, eventually};

/// The namespace of what is written.
const NAMESPACE: &str = "policies";

/// Two equal servers that follow the policies of the shared control plane; what they serve is in `group`.
async fn twin(group: &str, settings: Settings) -> Twin {
    let plane = ControlPlane::shared().await;
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"tier": "gold"}, "annotations": {"note": "n"}}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limit", "namespace": NAMESPACE,
            "labels": {"param": "yes"}}, "data": {"most": "3"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": NAMESPACE,
            "labels": {"param": "yes"}}, "data": {"most": "5"}}),
    ];
    plane.apply(&objects).await;
    let settings = Settings {
        cluster_kubeconfig: Some(plane.kubeconfig("admin")),
        ..settings
    };
    Twin::with(
        group,
        vec![anything("Thing", true), anything("Global", false)],
        settings,
    )
    .await
}

fn anything(name: &str, namespaced: bool) -> Kind {
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    kind(
        name,
        namespaced,
        json!({"type": "object", "properties": {"spec": free, "status": free}}),
    )
}

/// A CustomResourceDefinition of anything, in namespaces.
fn definition_of(group: &str, name: &str) -> Value {
    definition(group, &anything(name, true))
}

/// A policy for objects of the group that carry the label `case: <name>`, with a binding of the same name.
fn policy(group: &str, name: &str, spec: Value, binding: Value) -> [Value; 2] {
    let mut whole = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {
            "objectSelector": {"matchLabels": {"case": name}},
            "resourceRules": [{"apiGroups": [group], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}],
        },
    });
    merge(&mut whole, spec);
    let mut bound = json!({"policyName": format!("{name}.{group}"), "validationActions": ["Deny"]});
    merge(&mut bound, binding);
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": format!("{name}.{group}")}, "spec": spec,
        })
    };
    [
        object("ValidatingAdmissionPolicy", whole),
        object("ValidatingAdmissionPolicyBinding", bound),
    ]
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// How many requests are sent at once.
const AT_ONCE: usize = 8;

/// Creates policies and bindings. Answers with those that kube-apiserver refuses, and why.
async fn configure_all(twin: &Twin, policies: Vec<[Value; 2]>) -> Vec<(String, String)> {
    let (policies, bindings): (Vec<Value>, Vec<Value>) = policies.into_iter().map(|[p, b]| (p, b)).unzip();
    let mut refused = Vec::new();
    for (plural, objects) in [("policies", policies), ("policybindings", bindings)] {
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingadmission{plural}");
        let create = async |object: Value| {
            let answer = twin.theirs.caller.post(&path, &object).await;
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            (answer.code != 201).then(|| (name, answer.text()))
        };
        let created = stream::iter(objects).map(create).buffered(AT_ONCE);
        refused.extend(created.collect::<Vec<_>>().await.into_iter().flatten());
    }
    refused
}

/// Creates policies, and waits until both servers know them all, and those before.
async fn configure(twin: &Twin, policies: Vec<[Value; 2]>) {
    let group = twin.group.clone();
    // Each stream of changes has an order: who knows the last policy and binding knows them all.
    let last = policy(
        &group,
        "zz-last",
        json!({"validations": [{"expression": "false", "message": "seen"}]}),
        json!({}),
    );
    let refused = configure_all(twin, policies.into_iter().chain([last]).collect()).await;
    assert!(refused.is_empty(), "{refused:#?}");
    let path = twin.path(&format!("namespaces/{NAMESPACE}/things?dryRun=All"));
    let probe = Ask::json(Method::POST, &path, &thing(&group, "zz-last", json!({})));
    for (who, side) in [("kube-apiserver", &twin.theirs), ("our server", &twin.ours)] {
        eventually(&format!("{who} knows the policies"), STARTUP, async || {
            let answer = side.send(&probe).await;
            if answer.text().contains("denied request: seen") {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }
}

/// An object with the label.
fn thing(group: &str, case: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{group}/v1"), "kind": "Thing",
        "metadata": {"name": format!("thing-{case}"), "labels": {"case": case, "app.io/name": "n"}},
        "spec": spec,
    })
}

/// What both answered: code, Status and warnings.
struct Compared {
    ours: String,
    theirs: String,
}

/// Sends a request to both and takes down code, Status and warnings.
async fn compare(twin: &Twin, ask: &Ask) -> Compared {
    let answers = twin.send(ask).await;
    let shown = |answer: &Answer| {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status = if answer.code < 300 { Value::Null } else { body };
        let said = format!("{} {status}\n    {}", answer.code, warnings(answer).join("\n    "));
        // Names that a server makes up end differently.
        let mut parts = said.split("made-");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |said, part| {
            said + "made-" + part.trim_start_matches(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
    };
    Compared {
        ours: shown(&answers.ours),
        theirs: shown(&answers.theirs),
    }
}

/// The warnings of an answer, without who warns.
fn warnings(answer: &Answer) -> Vec<String> {
    // A header each, or all in one: the same to every client.
    let headers = answer.headers.get_all("warning").iter();
    let joined: Vec<&str> = headers
        .filter_map(|header| std::str::from_utf8(header.as_bytes()).ok())
        .collect();
    let joined = format!(", {}", joined.join(", "));
    joined.split(", 299 - ").skip(1).map(str::to_owned).collect()
}

//! What a new cluster has from its start: namespaces, the usual ClusterRoles, and those that `deploy/bulward.yaml` adds.
//! What is there is left as it is.
//!
//! k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go, as far as it speaks of what is served here.

use kube::Client;
use serde_json::{Value, json};

use super::client::create;
use crate::cli::manifests;
use crate::groups;
use crate::wire::subject::RBAC_GROUP;
use crate::wire::user::{GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED};
use crate::wire::{body, meta};

const NAMESPACES: [&str; 4] = ["default", "kube-public", "kube-system", "bulward-system"];

/// Makes what is missing.
pub(super) async fn make(admin: &Client) -> Result<(), String> {
    for name in NAMESPACES {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create(admin, "/api/v1/namespaces", &namespace).await?;
    }
    let mut all = usual();
    all.extend(own()?);
    for object in all {
        let plural = match meta::kind(&object) {
            "ClusterRole" => "clusterroles",
            "ClusterRoleBinding" => "clusterrolebindings",
            _ => continue,
        };
        create(admin, &format!("/apis/{RBAC_GROUP}/v1/{plural}"), &object).await?;
    }
    Ok(())
}

/// The documents of `deploy/bulward.yaml`; without them nobody could do anything.
fn own() -> Result<Vec<Value>, String> {
    let registry = groups::registry(&groups::Options::default());
    let files = manifests::render(&registry, &manifests::Options::default(), None);
    let file = files.iter().find(|file| file.path == "deploy/bulward.yaml");
    let file = file.ok_or("the manifest is not rendered")?;
    let documents = file.content.split("---\n");
    let documents = documents.map(|text| body::decode_yaml(text.as_bytes()).map(|decoded| decoded.value));
    documents.collect()
}

/// The roles that users expect, and who has them.
fn usual() -> Vec<Value> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
    let both = [&READ[..], &WRITE[..]].concat();
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let paths = |paths: &[&str]| json!({"nonResourceURLs": paths, "verbs": ["get"]});

    let info = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery = [
        &["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"],
        &info[..],
    ]
    .concat();
    let own_access = rule(
        &["authorization.k8s.io"],
        &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        &["create"],
    );
    let own_identity = rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]);
    let view = vec![
        rule(&[""], &["namespaces", "events"], &READ),
        rule(&["events.k8s.io"], &["events"], &READ),
    ];
    let edit = [view.clone(), vec![rule(&["", "events.k8s.io"], &["events"], &WRITE)]].concat();
    let admin = [
        edit.clone(),
        vec![
            rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]),
            rule(&[RBAC_GROUP], &["rolebindings", "roles"], &both),
        ],
    ]
    .concat();
    let everything = vec![
        rule(&["*"], &["*"], &["*"]),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let everybody = [GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED];
    let roles: [(&str, Vec<Value>, &[&str]); 7] = [
        ("cluster-admin", everything, &[GROUP_MASTERS]),
        (
            "system:basic-user",
            vec![own_access, own_identity],
            &[GROUP_AUTHENTICATED],
        ),
        ("system:discovery", vec![paths(&discovery)], &[GROUP_AUTHENTICATED]),
        ("system:public-info-viewer", vec![paths(&info)], &everybody),
        ("admin", admin, &[]),
        ("edit", edit, &[]),
        ("view", view, &[]),
    ];
    let mut all = Vec::new();
    for (name, rules, groups) in roles {
        let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        let metadata = json!({"name": name, "labels": labels});
        let version = format!("{RBAC_GROUP}/v1");
        all.push(json!({"apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules}));
        if groups.is_empty() {
            continue;
        }
        let subjects = groups
            .iter()
            .map(|group| json!({"kind": "Group", "apiGroup": RBAC_GROUP, "name": group}));
        all.push(json!({
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name},
            "subjects": subjects.collect::<Vec<_>>(),
        }));
    }
    all
}

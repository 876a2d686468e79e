//! CustomResources equal to our kinds: the yardstick for them (decision 0004).

use std::time::Duration;

use bulward::groups;
use bulward::rest::resource::Kind;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{ControlPlane, GROUPS, eventually, started_once};

/// The groups of the CustomResources, each as long as the view of ours that it stands beside, so that tables are as wide.
const EQUAL: [(&str, &str); 2] = [
    ("apiserver.bulward.io", "apiserver.example.io"),
    ("storage.bulward.io", "storage.example.io"),
];
const VERSION: &str = GROUPS[0].1;

/// Publishing a definition's OpenAPI document takes kube-apiserver some seconds; generous, it matters only in a failure.
const PUBLISHED: Duration = Duration::from_secs(120);

/// The group of the CustomResources that are equal to the view `group`.
pub(crate) fn equal_group(group: &str) -> &'static str {
    let found = EQUAL.iter().find(|(ours, _)| *ours == group);
    found.map(|(_, theirs)| *theirs).expect("one of our groups")
}

/// Defines them on the shared control plane, once, and waits until kubectl can work with them.
pub(crate) async fn custom_resources() -> &'static ControlPlane {
    static SHARED: OnceCell<Result<(), String>> = OnceCell::const_new();
    let plane = ControlPlane::shared().await;
    let define = async || {
        let mut kinds = groups::registry(&groups::Options::default()).kinds();
        kinds.retain(|kind| ["Organization", "Project"].contains(&kind.kind.as_str()));
        let mut objects = vec![role(), binding()];
        for (ours, theirs) in EQUAL {
            objects.extend(kinds.iter().map(|kind| definition(kind, ours, theirs)));
        }
        plane.apply(&objects).await;
        for (_, group) in EQUAL {
            for kind in &kinds {
                let resource = format!("{}.{group}", kind.plural);
                published(plane, &resource).await;
            }
        }
        Ok(())
    };
    started_once("the equal CustomResources", &SHARED, define).await;
    plane
}

/// Waits until kubectl can explain a resource, in either version of OpenAPI: then it can do everything.
pub(crate) async fn published(plane: &ControlPlane, resource: &str) {
    let admin = plane.kubectl("admin");
    for output in ["plaintext", "plaintext-openapiv2"] {
        let explained = async || {
            let got = admin.run(["explain", resource, "--output", output]).await;
            if got.status.success() { Ok(()) } else { Err(got) }
        };
        eventually(&format!("{resource} in OpenAPI"), PUBLISHED, explained).await;
    }
}

/// The definition that makes `kind` of the view `ours` a CustomResource in the group `theirs`.
pub(crate) fn definition(kind: &Kind, ours: &str, theirs: &str) -> Value {
    let mut schema = kind.schema.clone();
    schema["description"] = json!(kind.description);
    let scope = if kind.namespaced { "Namespaced" } else { "Cluster" };
    let mut names = json!({"kind": kind.kind, "plural": kind.plural, "singular": kind.singular});
    if ours.starts_with("storage") {
        // ours are iorg and iprj
        names["shortNames"] = json!([format!("j{}", if kind.namespaced { "prj" } else { "org" })]);
    }
    let selectable = kind
        .selectable_fields
        .iter()
        .map(|path| json!({"jsonPath": format!(".{path}")}));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{theirs}", kind.plural)},
        "spec": {
            "group": theirs,
            "scope": scope,
            "names": names,
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
                "selectableFields": selectable.collect::<Vec<_>>(),
                "additionalPrinterColumns": columns(kind),
            }],
        },
    })
}

/// A CustomResource can show the first owner only, and no role of the caller.
fn columns(kind: &Kind) -> Vec<Value> {
    let path = |name: &str| match name {
        "Display Name" => Some(".spec.metadata.displayName"),
        "Status" => Some(".status.phase"),
        "Age" => Some(".metadata.creationTimestamp"),
        "Namespace" => Some(".status.namespace.name"),
        "Owners" => Some(".spec.owners[*].name"),
        "Members" => Some(".status.members[*].name"),
        _ => None,
    };
    let column = |column: &bulward::rest::resource::Column| {
        let path = path(&column.name)?;
        let kind = if column.name == "Age" { "date" } else { "string" };
        Some(
            json!({"name": column.name, "type": kind, "jsonPath": path, "priority": column.priority,
            "description": column.description}),
        )
    };
    kind.columns.iter().filter_map(column).collect()
}

/// What every user may do in our filtered view, they may do with its CustomResources; creating Projects is granted to some.
fn role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "custom-resources"},
        "rules": [
            {"apiGroups": [EQUAL[0].1], "resources": ["organizations"],
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]},
            {"apiGroups": [EQUAL[0].1], "resources": ["projects"],
                "verbs": ["delete", "deletecollection", "get", "list", "patch", "update", "watch"]},
        ],
    })
}

fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "custom-resources"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "custom-resources"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}],
    })
}

//! Client libraries on our kinds and on equal CustomResources: the same steps, and the same transcripts.

mod kube_rs;
mod transcript;

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use self::transcript::{differences, normal};
use super::subjects;
use crate::harness::custom_resource::{custom_resources, equal_group};
use crate::harness::lines::Lines;
use crate::harness::process::{Log, Process};
use crate::harness::{Bulward, ControlPlane, programs};

/// Longer than the program's own patience.
const PATIENCE: Duration = Duration::from_secs(240);
const NAMESPACE: &str = "clients";

/// A resource as a user works with it.
struct Case {
    user: &'static str,
    group: &'static str,
    resource: &'static str,
    kind: &'static str,
    namespace: &'static str,
    /// Whether this view lets the status be written.
    status: bool,
}

const CASES: [Case; 4] = [
    Case {
        user: "alice",
        group: "apiserver.bulward.io",
        resource: "organizations",
        kind: "Organization",
        namespace: "",
        status: false,
    },
    Case {
        user: "alice",
        group: "apiserver.bulward.io",
        resource: "projects",
        kind: "Project",
        namespace: NAMESPACE,
        status: false,
    },
    Case {
        user: "admin",
        group: "storage.bulward.io",
        resource: "organizations",
        kind: "Organization",
        namespace: "",
        status: true,
    },
    Case {
        user: "admin",
        group: "storage.bulward.io",
        resource: "projects",
        kind: "Project",
        namespace: NAMESPACE,
        status: true,
    },
];

/// Both views are of one store, so that the cases of a kind take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The control plane with our server, the CustomResources, and a namespace where alice may work with Projects.
async fn prepared() -> &'static ControlPlane {
    let (plane, _server) = Bulward::shared().await;
    custom_resources().await;
    let group = CASES[0].group;
    let rbac = "rbac.authorization.k8s.io";
    plane
        .apply(&[
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "Role",
                "metadata": {"name": "projects", "namespace": NAMESPACE},
                "rules": [{"apiGroups": [group, equal_group(group)], "resources": ["projects"], "verbs": ["*"]}],
            }),
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "projects", "namespace": NAMESPACE},
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "projects"},
                "subjects": subjects(&["alice"]),
            }),
        ])
        .await;
    plane
}

/// What the Go program printed, from its first step to its last.
async fn go(plane: &ControlPlane, group: &str, case: &Case) -> Vec<Value> {
    let program = programs::find("clients").await.unwrap_or_else(|e| panic!("{e}"));
    let name = format!("clients-{group}-{}", case.resource);
    let log = Log::create(&name);
    let mut command = Command::new(program);
    command.arg("-kubeconfig").arg(plane.kubeconfig(case.user));
    command.args(["-group", group, "-resource", case.resource, "-kind", case.kind]);
    command.args(["-namespace", case.namespace, "-owner", case.user, "-set", "go-client"]);
    command.arg(format!("-status={}", case.status));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.appender());
    let process = Process::spawn_as_set(&name, &mut command, &log);
    let mut lines = Lines::of(&name, process.take_stdout());
    let end = tokio::time::Instant::now() + PATIENCE;
    while lines.next(end).await.is_ok() {}
    let ended = process.wait(PATIENCE).await.unwrap_or_else(|why| panic!("{why}"));
    assert!(ended.success(), "{name}: {ended}; {}", process.log_tail());
    let parsed = lines.seen().iter().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

fn compare(case: &Case, ours: Vec<Value>, theirs: Vec<Value>) {
    let ours = normal(ours, case.group);
    let theirs = normal(theirs, equal_group(case.group));
    println!("{} of {}: {} lines", case.resource, case.group, ours.len());
    let differences = differences(&ours, &theirs);
    assert!(
        differences.is_empty(),
        "{} differences with {} of {}:\n{}",
        differences.len(),
        case.resource,
        case.group,
        differences.join("\n\n")
    );
}

async fn go_libraries(case: &Case) {
    let plane = prepared().await;
    let _turn = TURN.lock().await;
    let ours = go(plane, case.group, case).await;
    let theirs = go(plane, equal_group(case.group), case).await;
    compare(case, ours, theirs);
}

async fn rust_library(case: &Case) {
    let plane = prepared().await;
    let _turn = TURN.lock().await;
    let client = plane.client(case.user).await;
    let ours = kube_rs::transcript(client.clone(), case.group, case).await;
    let theirs = kube_rs::transcript(client, equal_group(case.group), case).await;
    compare(case, ours, theirs);
}

#[tokio::test]
async fn go_organizations_filtered() {
    go_libraries(&CASES[0]).await;
}

#[tokio::test]
async fn go_projects_filtered() {
    go_libraries(&CASES[1]).await;
}

#[tokio::test]
async fn go_organizations_stored() {
    go_libraries(&CASES[2]).await;
}

#[tokio::test]
async fn go_projects_stored() {
    go_libraries(&CASES[3]).await;
}

#[tokio::test]
async fn kube_rs_organizations_filtered() {
    rust_library(&CASES[0]).await;
}

#[tokio::test]
async fn kube_rs_projects_filtered() {
    rust_library(&CASES[1]).await;
}

#[tokio::test]
async fn kube_rs_organizations_stored() {
    rust_library(&CASES[2]).await;
}

#[tokio::test]
async fn kube_rs_projects_stored() {
    rust_library(&CASES[3]).await;
}

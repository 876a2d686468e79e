//! `bulward migrate accounts` on a cluster with KubeCarrier's Accounts.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{SOON, names, object, set_status, subjects};
use crate::harness::process::{Log, Process};
use crate::harness::{Bulward, ControlPlane, eventually};

/// Tells the Accounts of the tests apart.
const LABEL: &str = "bulward-test";

/// KubeCarrier's CustomResourceDefinition. Like its original it leaves it to a webhook that roles are unique.
fn definition() -> Value {
    let text = json!({"type": "string"});
    let subject = json!({
        "type": "object",
        "required": ["kind", "name"],
        "properties": {"kind": text, "name": text, "apiGroup": text, "namespace": text},
    });
    let metadata = json!({
        "type": "object",
        "properties": {
            "displayName": text, "shortDescription": text, "description": text,
            "logo": {"type": "object", "properties": {"mediaType": text, "data": {"type": "string", "format": "byte"}}},
            "icon": {"type": "object", "properties": {"mediaType": text, "data": {"type": "string", "format": "byte"}}},
        },
    });
    let spec = json!({
        "type": "object",
        "required": ["roles", "subjects"],
        "properties": {
            "metadata": metadata,
            "roles": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["Provider", "Tenant"]}},
            "subjects": {"type": "array", "minItems": 1, "items": subject},
        },
    });
    let status = json!({
        "type": "object",
        "properties": {
            "namespace": {"type": "object", "properties": {"name": text}},
            "observedGeneration": {"type": "integer", "format": "int64"},
            "phase": text,
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "accounts.catalog.kubecarrier.io"},
        "spec": {
            "group": "catalog.kubecarrier.io",
            "scope": "Cluster",
            "names": {"kind": "Account", "plural": "accounts", "singular": "account", "shortNames": ["acc"]},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}

pub(super) fn account(test: &str, name: &str, roles: &[&str], owners: &[&str]) -> Value {
    json!({
        "apiVersion": "catalog.kubecarrier.io/v1alpha1",
        "kind": "Account",
        "metadata": {"name": name, "labels": {LABEL: test}},
        "spec": {
            "metadata": {"displayName": format!("{name} Inc."), "shortDescription": format!("What {name} does")},
            "roles": roles,
            "subjects": subjects(owners),
        },
    })
}

/// Makes Accounts as KubeCarrier has them: each with a Namespace of its name.
pub(super) async fn accounts(plane: &ControlPlane, all: &[Value]) {
    plane.apply(&[definition()]).await;
    let admin = plane.kubectl("admin");
    let established = "--for=condition=established";
    let definition = "crd/accounts.catalog.kubecarrier.io";
    admin
        .run(["wait", established, definition, "--timeout=120s"])
        .await
        .ok();
    let names = all.iter().map(|account| account["metadata"]["name"].as_str().unwrap());
    let namespaces = names
        .clone()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    plane
        .apply(&all.iter().cloned().chain(namespaces).collect::<Vec<_>>())
        .await;
    for name in names {
        let status = json!({"status": {"namespace": {"name": name}, "phase": "Ready"}}).to_string();
        let patch = [
            "patch",
            "account",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ];
        admin.run(patch).await.ok();
    }
}

fn command(plane: &ControlPlane, test: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command.args(["migrate", "accounts", &format!("--selector={LABEL}={test}")]);
    command.arg("--kubeconfig").arg(plane.kubeconfig("admin")).args(flags);
    command
}

/// Runs it to its end.
pub(super) async fn migrate(plane: &ControlPlane, test: &str, flags: &[&str]) -> Output {
    let mut command = command(plane, test, flags);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

pub(super) fn printed(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    texts.join("\n")
}

/// What a controller does: says that the Organization has its namespace, once it is there.
async fn give_namespace(plane: &ControlPlane, organization: &str) {
    let made = async || {
        let got = plane.kubectl("admin").run(["get", "iorg", organization]).await;
        if got.status.success() { Ok(()) } else { Err(got) }
    };
    eventually(&format!("Organization {organization}"), SOON, made).await;
    set_status(plane, organization, json!({"namespace": {"name": organization}})).await;
}

async fn is_absent(plane: &ControlPlane, organization: &str) {
    let refused = plane
        .kubectl("admin")
        .run(["get", "iorg", organization])
        .await
        .refused();
    assert!(refused.contains("NotFound"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_planned_tried_and_migrated_once() {
    let (plane, _server) = Bulward::shared().await;
    let test = "once";
    let all = [
        account(test, "mig-both", &["Provider", "Tenant"], &["alice"]),
        account(test, "mig-tenant", &["Tenant"], &["bob", "sa:default/robot"]),
        account(test, "mig-twice", &["Provider", "Provider"], &["alice"]),
    ];
    accounts(plane, &all).await;

    // A look.
    let refused = "account mig-twice is refused: role Provider is duplicated";
    for flags in [&[][..], &["--apply", "--dry-run=client"]] {
        let output = migrate(plane, test, flags).await;
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(refused) && text.contains("5 to create"), "{text}");
        assert!(text.contains("of 3 accounts, 1 are refused"), "{text}");
    }
    let output = migrate(plane, test, &["-o", "json"]).await;
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        plan["summary"],
        json!({"create": 5, "handOver": 0, "keep": 0, "refused": 1}),
        "{plan}"
    );
    assert_eq!(
        plan["accounts"][0]["steps"][1]["object"]["metadata"]["labels"]["kubecarrier.io/project-role"],
        "provider"
    );
    is_absent(plane, "mig-both-org").await;

    // A try.
    let output = migrate(plane, test, &["--dry-run=server"]).await;
    let text = printed(&output);
    for line in [
        "organization/mig-both-org created (server dry run)",
        "project/tenant in mig-tenant-org created (server dry run)",
        "account/mig-twice refused: role Provider is duplicated",
        "1 are refused as they are and 0 failed",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    is_absent(plane, "mig-both-org").await;

    // The thing itself.
    let (output, (), ()) = tokio::join!(
        migrate(plane, test, &["--apply", "--timeout=120s"]),
        give_namespace(plane, "mig-both-org"),
        give_namespace(plane, "mig-tenant-org"),
    );
    let text = printed(&output);
    assert!(text.contains("1 are refused as they are and 0 failed"), "{text}");
    let alice = plane.kubectl("alice");
    let organization = object(&alice, &["organization", "mig-both-org"]).await;
    let metadata = json!({"displayName": "mig-both Inc.", "description": "What mig-both does"});
    assert_eq!(
        organization["spec"],
        json!({"metadata": metadata, "owners": subjects(&["alice"])})
    );
    for (role, expected) in [("provider", &["provider"][..]), ("tenant", &["tenant"])] {
        let label = format!("kubecarrier.io/project-role={role}");
        let found = names(&alice, &["projects", "-n", "mig-both-org", "-l", &label]).await;
        assert_eq!(found, expected);
    }
    let project = object(&plane.kubectl("bob"), &["project", "-n", "mig-tenant-org", "tenant"]).await;
    assert_eq!(project["spec"]["owners"], json!(subjects(&["bob", "sa:default/robot"])));
    is_absent(plane, "mig-twice-org").await;

    // Again: nothing is left to do, and nothing is written.
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    let output = migrate(plane, test, &["--apply"]).await;
    let text = printed(&output);
    assert!(
        text.contains("project/provider in mig-both-org unchanged") && !text.contains("created"),
        "{text}"
    );
    assert_eq!(
        uid(&organization),
        uid(&object(&alice, &["organization", "mig-both-org"]).await)
    );
    let output = migrate(plane, test, &["-o", "json"]).await;
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        plan["summary"],
        json!({"create": 0, "handOver": 0, "keep": 5, "refused": 1}),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_migration_goes_on_and_hands_namespaces_over() {
    let (plane, _server) = Bulward::shared().await;
    let test = "killed";
    accounts(plane, &[account(test, "mig-adopt", &["Tenant"], &["alice"])]).await;
    let admin = plane.kubectl("admin");
    let before = object(&admin, &["namespace", "mig-adopt"]).await;

    // It waits for a namespace that nobody gives it.
    let log = Log::create("migrate-killed");
    let flags = ["--apply", "--adopt-namespaces", "--timeout=10m"];
    let process = Process::spawn("bulward migrate", &mut command(plane, test, &flags), &log);
    let waits = async || {
        let text = log.text();
        if text.contains("namespace/mig-adopt handed over") {
            Ok(())
        } else {
            Err(text)
        }
    };
    eventually("the Namespace is handed over", SOON, waits).await;
    process.kill();

    give_namespace(plane, "mig-adopt").await;
    let output = migrate(plane, test, &["--apply", "--adopt-namespaces"]).await;
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("organization/mig-adopt unchanged"), "{text}");
    let project = object(&plane.kubectl("alice"), &["project", "-n", "mig-adopt", "tenant"]).await;
    assert_eq!(project["metadata"]["labels"]["kubecarrier.io/project-role"], "tenant");
    let after = object(&admin, &["namespace", "mig-adopt"]).await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(
        after["metadata"]["annotations"]["bulward.io/adopt"],
        "organization/mig-adopt"
    );
}

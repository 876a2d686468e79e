//! V16 with the real garbage collector and namespace controller: they harm nothing of ours, and we do not hold them up.

use serde_json::{Value, json};

use super::{FILTERED, SOON, STORAGE, create, get, names, object, organization, project};
use crate::harness::{Bulward, ControlPlane, eventually};

/// A ConfigMap that lives as long as its owner.
fn dependent(name: &str, group: &str, owner: &str, uid: &Value) -> Value {
    let reference = json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": "Organization", "name": owner, "uid": uid, "blockOwnerDeletion": true,
    });
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": [reference]},
    })
}

async fn gone(plane: &ControlPlane, arguments: &[&str]) {
    let admin = plane.kubectl("admin");
    let check = async || {
        let got = admin.run(["get"].iter().chain(arguments)).await;
        if got.stderr.contains("NotFound") {
            Ok(())
        } else {
            Err(got)
        }
    };
    eventually(&format!("{arguments:?} is gone"), SOON, check).await;
}

#[tokio::test]
async fn v16_dependents_live_and_die_with_their_owner() {
    let (plane, _server) = Bulward::shared().await;
    let (alice, admin) = (plane.kubectl("alice"), plane.kubectl("admin"));
    for (group, short) in [("apiserver.bulward.io", "filtered"), ("storage.bulward.io", "storage")] {
        for policy in ["background", "foreground", "orphan"] {
            let (owner, child) = (format!("owner-{short}-{policy}"), format!("child-{short}-{policy}"));
            create(plane, "alice", &organization(&owner, &["alice"])).await;
            let uid = object(&alice, &["organization", &owner]).await["metadata"]["uid"].clone();
            create(plane, "admin", &dependent(&child, group, &owner, &uid)).await;
        }
    }
    // An owner that is not there: once the collector has taken this one, it has looked at the others, too.
    let marker = dependent(
        "marker",
        "apiserver.bulward.io",
        "never-was",
        &json!("00000000-0000-0000-0000-000000000000"),
    );
    create(plane, "admin", &marker).await;
    gone(plane, &["configmap", "marker"]).await;
    let left = names(&admin, &["configmaps"]).await;
    for short in ["filtered", "storage"] {
        for policy in ["background", "foreground", "orphan"] {
            assert!(left.contains(&format!("child-{short}-{policy}")), "{left:?}");
        }
    }
    for (group, short) in [("apiserver.bulward.io", "filtered"), ("storage.bulward.io", "storage")] {
        let user = if short == "filtered" { &alice } else { &admin };
        for policy in ["background", "foreground", "orphan"] {
            let (owner, child) = (format!("owner-{short}-{policy}"), format!("child-{short}-{policy}"));
            let resource = format!("organizations.{group}");
            user.run([
                "delete",
                &resource,
                &owner,
                &format!("--cascade={policy}"),
                "--timeout=60s",
            ])
            .await
            .ok();
            gone(plane, &["organizations.storage.bulward.io", &owner]).await;
            if policy == "orphan" {
                let orphan = object(&admin, &["configmap", &child]).await;
                assert_eq!(orphan["metadata"].get("ownerReferences"), None, "{orphan}");
            } else {
                gone(plane, &["configmap", &child]).await;
            }
        }
    }
}

#[tokio::test]
async fn namespaces_go_with_the_projects_in_them() {
    let (plane, _server) = Bulward::shared().await;
    let admin = plane.kubectl("admin");
    for name in ["with-projects", "without-any"] {
        admin.run(["create", "namespace", name]).await.ok();
    }
    let mut body = project("with-projects", "web", &["somebody"]);
    body["apiVersion"] = json!("storage.bulward.io/v1alpha1");
    create(plane, "admin", &body).await;
    let client = plane.client("admin").await;
    assert_eq!(
        get(&client, &format!("{STORAGE}/namespaces/with-projects/projects/web"))
            .await
            .code,
        200
    );
    admin
        .run(["delete", "namespace", "with-projects", "without-any", "--timeout=120s"])
        .await
        .ok();
    assert_eq!(
        get(&client, &format!("{STORAGE}/namespaces/with-projects/projects/web"))
            .await
            .code,
        404
    );
    assert_eq!(
        get(&client, &format!("{FILTERED}/namespaces/with-projects/projects"))
            .await
            .code,
        200
    );
}

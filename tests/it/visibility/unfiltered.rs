//! V16: the cluster's own controllers are not filtered, by their exact user names; nobody else has a way around.

use serde_json::json;

use crate::harness::in_process::{Opened, Settings, each_storage};
use crate::harness::tenancy::{World, all_projects, organization, organizations, project, projects, user};

const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

async fn v16_named_users_are_not_filtered(opened: Opened) {
    let settings = Settings {
        unfiltered_users: vec![COLLECTOR.to_owned()],
        ..Settings::default()
    };
    let world = World::with(opened, settings).await;
    world.organization("acme", &[user("alice")]).await;
    world.project("acme", "web", &[user("alice")]).await;
    let collector = world.server.introduced(COLLECTOR, &["system:serviceaccounts"]);
    collector.get(&organization("acme")).await.expect(200);
    assert_eq!(collector.get(&all_projects()).await.names(), ["acme/web"]);
    let mut watch = collector.watch(&format!("{}?resourceVersion=0", organizations())).await;
    watch.expect("ADDED", "acme").await;
    world.organization("later", &[user("bob")]).await;
    watch.expect("ADDED", "later").await;

    // Finalizers are taken away and dependents deleted without ownership.
    let foreground = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"});
    let marked = world
        .user("alice")
        .delete_with(&organization("acme"), &foreground)
        .await
        .expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let free = json!({"metadata": {"uid": marked["metadata"]["uid"], "finalizers": []}});
    collector.merge(&organization("acme"), &free).await.expect(200);
    collector.get(&organization("acme")).await.refused(404, "NotFound");
    assert_eq!(collector.delete(&projects("acme")).await.names(), ["acme/web"]);
    world
        .user("alice")
        .get(&project("acme", "web"))
        .await
        .refused(404, "NotFound");

    // An almost equal name, an administrator and the aggregator see what they own or belong to.
    for caller in [
        world
            .server
            .introduced(&format!("{COLLECTOR}2"), &["system:serviceaccounts"]),
        world.server.introduced("system:kube-aggregator", &["system:masters"]),
        world.admin.clone(),
    ] {
        assert!(caller.get(&organizations()).await.names().is_empty());
        caller.get(&organization("later")).await.refused(404, "NotFound");
    }
}
each_storage!(v16_named_users_are_not_filtered);

//! What only this server has to count: what callers do not see, and what they gain and lose sight of.

use serde_json::{Value, json};

use super::scrape::Scrape;
use crate::harness::eventually;
use crate::harness::in_process::{Caller, DEADLINE, InProcess, memory};

const FILTERED: &str = "/apis/apiserver.bulward.io/v1alpha1/organizations";
const STORED: [(&str, &str); 2] = [("group", "storage.bulward.io"), ("resource", "organizations")];

fn organization(name: &str, owners: &[&str]) -> Value {
    let owner = |name: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
    let owners: Vec<Value> = owners.iter().map(owner).collect();
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Organization",
        "metadata": {"name": name},
        "spec": {"metadata": {"displayName": name, "description": name}, "owners": owners},
    })
}

async fn create(caller: &Caller, name: &str, owners: &[&str]) {
    caller.post(FILTERED, &organization(name, owners)).await.expect(201);
}

#[tokio::test]
async fn what_is_hidden_gained_and_lost_is_counted() {
    let opened = memory().await;
    let server = InProcess::start(opened.storage.clone()).await;
    let (alice, bob, admin) = (server.user("alice", &[]), server.user("bob", &[]), server.admin());
    for name in ["one", "two", "three"] {
        create(&alice, name, &["alice"]).await;
    }
    let before = Scrape::of(&admin).await;
    let seen = bob.get(FILTERED).await.expect(200);
    assert_eq!(seen["items"], json!([]));
    let mut watch = bob.watch(FILTERED).await;
    let both = json!({"spec": organization("one", &["alice", "bob"])["spec"]});
    let alone = json!({"spec": organization("one", &["alice"])["spec"]});
    let path = format!("{FILTERED}/one");
    let merge = "application/merge-patch+json";
    alice
        .with_body(http::Method::PATCH, &path, merge, &both)
        .await
        .expect(200);
    watch.expect("ADDED", "one").await;
    alice
        .with_body(http::Method::PATCH, &path, merge, &alone)
        .await
        .expect(200);
    watch.expect("DELETED", "one").await;

    let during = Scrape::of(&admin).await;
    let grown = |name: &str| during.sum(name, &STORED) - before.sum(name, &STORED);
    assert_eq!(grown("apiserver_cache_list_total"), 1.0);
    assert_eq!(grown("apiserver_cache_list_fetched_objects_total"), 0.0);
    assert_eq!(grown("bulward_list_hidden_objects_total"), 3.0);
    assert_eq!(grown("apiserver_watch_cache_events_received_total"), 2.0);
    assert_eq!(during.sum("apiserver_resource_objects", &STORED), 3.0);
    assert_eq!(
        during.sum("apiserver_watch_events_total", &[("resource", "organizations")]),
        2.0
    );
    assert_eq!(during.sum("bulward_watchers", &[]), 1.0);
    assert_eq!(during.sum("bulward_watchcache_lag_revisions", &[]), 0.0);
    assert_eq!(during.sum("bulward_watchcache_loads_total", &[]), 1.0);
    assert_eq!(
        during.sum("etcd_requests_total", &[("operation", "create"), STORED[1]]),
        3.0
    );
    assert_eq!(
        during.sum("etcd_requests_total", &[("operation", "update"), STORED[1]]),
        2.0
    );
    let probes = "bulward_revision_probe_duration_seconds_count";
    assert!(during.sum(probes, &[]) > before.sum(probes, &[]));
    drop(watch);
    eventually("the watch is gone", DEADLINE, async || {
        match Scrape::of(&admin).await.sum("bulward_watchers", &[]) {
            0.0 => Ok(()),
            others => Err(others),
        }
    })
    .await;
}

//! Lists and watches: representations, revisions, options.

use serde_json::json;

use crate::harness::in_process::{InProcess, memory};
use crate::harness::tenancy::{World, organization, organizations, project, user};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[tokio::test]
async fn tables_tell_the_callers_own_role() {
    let world = World::new(memory().await).await;
    for name in ["joined", "mine", "seen"] {
        world
            .organization(name, &[user(if name == "mine" { "bob" } else { "alice" })])
            .await;
    }
    world.members(&organization("joined"), &[user("bob")]).await;
    world.claim(&organization("seen"), "seen").await;
    for name in ["second", "first"] {
        world.project("seen", name, &[user("alice")]).await;
        world.members(&project("seen", name), &[user("bob")]).await;
    }
    let bob = world.user("bob");
    let table = bob.get_as(&organizations(), TABLE).await.expect(200);
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns: Vec<&str> = columns.map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(
        columns,
        [
            "Name",
            "Display Name",
            "Status",
            "Role",
            "Age",
            "Namespace",
            "Owners",
            "Members"
        ]
    );
    let rows = table["rows"].as_array().unwrap().iter();
    let roles: Vec<_> = rows
        .map(|row| (row["cells"][0].as_str().unwrap(), row["cells"][3].as_str().unwrap()))
        .collect();
    assert_eq!(
        roles,
        [("joined", "member"), ("mine", "owner"), ("seen", "via project first")]
    );
    // Where everybody sees everything, nobody has a role.
    let stored = world
        .admin
        .get_as(&crate::harness::tenancy::stored(&organizations()), TABLE)
        .await
        .expect(200);
    assert!(!stored["columnDefinitions"].to_string().contains("Role"), "{stored}");

    let one = bob
        .get_as(&format!("{}?includeObject=None", organization("mine")), TABLE)
        .await
        .expect(200);
    assert_eq!(
        (one["rows"].as_array().unwrap().len(), &one["rows"][0]["object"]),
        (1, &json!(null))
    );
    let whole = bob
        .get_as(&format!("{}?includeObject=Object", organization("mine")), TABLE)
        .await
        .expect(200);
    assert_eq!(whole["rows"][0]["object"]["kind"], "Organization");
    bob.get_as(&format!("{}?includeObject=Bogus", organizations()), TABLE)
        .await
        .refused(400, "BadRequest");
    let mut watch = bob
        .watch_as(&format!("{}?resourceVersion=0", organizations()), TABLE)
        .await;
    let (first, second) = (watch.event().await, watch.event().await);
    assert_eq!((first.kind.as_str(), &first.object["kind"]), ("ADDED", &json!("Table")));
    assert!(first.object["columnDefinitions"].is_array() && second.object["columnDefinitions"].is_null());
}

#[tokio::test]
async fn metadata_alone_and_other_forms() {
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let list = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let (_, json) = list.split_once(',').unwrap();
    let metadata = alice.get_as(&organizations(), json).await.expect(200);
    let protobuf = alice.get_as(&organizations(), list).await;
    assert_eq!(
        Some(&protobuf.body[..]),
        bulward::wire::protobuf::encode(&metadata).as_deref()
    );
    assert_eq!(metadata["kind"], "PartialObjectMetadataList");
    assert_eq!(metadata["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(metadata["items"][0].get("spec"), None);
    alice
        .get_as(
            &organizations(),
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        )
        .await
        .refused(406, "NotAcceptable");
    alice
        .get_as(&organizations(), "application/cbor")
        .await
        .refused(406, "NotAcceptable");
    let falling = "application/vnd.kubernetes.protobuf,application/json";
    assert_eq!(alice.get_as(&organizations(), falling).await.names(), ["acme"]);
    let yaml = alice.get_as(&organization("acme"), "application/yaml").await;
    assert_eq!(
        (yaml.code, yaml.header("content-type")),
        (200, Some("application/yaml"))
    );
    let pretty = alice.get(&format!("{}?pretty=true", organization("acme"))).await;
    assert!(pretty.text().starts_with("{\n  \"apiVersion\""));
}

#[tokio::test]
async fn revisions_follow_kubernetes() {
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let old = alice.get(&organizations()).await.revision();
    world.organization("later", &[user("alice")]).await;
    let exact = alice
        .get(&format!(
            "{}?resourceVersion={old}&resourceVersionMatch=Exact",
            organizations()
        ))
        .await;
    assert_eq!((exact.names(), exact.revision()), (vec!["acme".to_owned()], old));
    let newer = alice
        .get(&format!(
            "{}?resourceVersion={old}&resourceVersionMatch=NotOlderThan",
            organizations()
        ))
        .await;
    assert_eq!(newer.names(), ["acme", "later"]);
    let future = alice
        .get(&format!("{}?resourceVersion=99999", organization("acme")))
        .await;
    let status = future.refused(504, "Timeout");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Timeout: Too large resource version: 99999, current: ")
    );
    assert_eq!(
        (future.header("retry-after"), &status["details"]["causes"][0]["reason"]),
        (Some("1"), &json!("ResourceVersionTooLarge"))
    );
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "sendInitialEvents=true",
        "resourceVersion=1&resourceVersionMatch=Odd",
    ] {
        alice
            .get(&format!("{}?{query}", organizations()))
            .await
            .refused(422, "Invalid");
    }
    for query in [
        "resourceVersion=abc",
        "limit=abc",
        "labelSelector=a+in",
        "fieldSelector=spec.x%3Dy",
        "continue=abc",
        "timeout=abc",
    ] {
        alice
            .get(&format!("{}?{query}", organizations()))
            .await
            .refused(400, "BadRequest");
    }
}

#[tokio::test]
async fn watches_begin_and_end_as_asked() {
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let path = organizations();
    let mut initial = alice
        .watch(&format!(
            "{path}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
        ))
        .await;
    assert_eq!(initial.initial().await.0, ["acme"]);
    initial.end().await;
    // Nobody asked for bookmarks here.
    let mut plain = alice.watch(&format!("{path}?timeoutSeconds=1")).await;
    plain.expect("ADDED", "acme").await;
    plain.end().await;
    // Shortly before the end a bookmark says how far the watch came.
    let list = alice.get(&path).await.revision();
    let mut last = alice
        .watch(&format!(
            "{path}?resourceVersion={list}&allowWatchBookmarks=true&timeoutSeconds=3"
        ))
        .await;
    assert!(last.bookmark().await >= list);
    last.end().await;
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersion=1&sendInitialEvents=false",
    ] {
        alice
            .get(&format!("{path}?watch=true&{query}"))
            .await
            .refused(422, "Invalid");
    }
    // A watch is no YAML, but the error is, as asked.
    let yaml = alice.get_as(&format!("{path}?watch=true"), "application/yaml").await;
    assert_eq!(
        (yaml.code, yaml.header("content-type")),
        (406, Some("application/yaml"))
    );
    let future = alice
        .watch(&format!(
            "{path}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999"
        ))
        .await;
    let mut future = future;
    let error = future.event().await;
    assert_eq!((error.kind.as_str(), &error.object["code"]), ("ERROR", &json!(504)));
    future.end().await;
    // The deprecated form of the path.
    let mut old = alice
        .watch("/apis/apiserver.bulward.io/v1alpha1/watch/organizations?resourceVersion=0")
        .await;
    old.expect("ADDED", "acme").await;
}

/// History that is gone is said as an event of the stream, and the client lists again.
#[tokio::test]
async fn a_watch_from_too_long_ago_is_expired() {
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let old = world.user("alice").get(&organizations()).await.revision();
    world.organization("later", &[user("alice")]).await;
    // A server that starts now has no history of what was before.
    let restarted = InProcess::start(world.opened().again().await).await;
    let path = format!("{}?resourceVersion={old}", organizations());
    let mut watch = restarted.user("alice", &[]).watch(&path).await;
    let error = watch.event().await;
    assert_eq!(
        (error.kind.as_str(), &error.object["code"], &error.object["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    let message = error.object["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("too old resource version: {old} (")),
        "{message}"
    );
    watch.end().await;
    // The one that was there replays it.
    world.user("alice").watch(&path).await.expect("ADDED", "later").await;
}

/// kube-rs' own watcher, both ways of getting the first state.
#[tokio::test]
async fn kube_rs_follows() {
    use futures::StreamExt;
    use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
    use kube::runtime::{WatchStreamExt, watcher};

    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiserver.bulward.io",
        "v1alpha1",
        "Organization",
    ));
    let api: Api<DynamicObject> = Api::all_with(alice.kube(), &kind);
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut names = Box::pin(watcher(api.clone(), config).applied_objects());
        let mut next = async || {
            let object = tokio::time::timeout(crate::harness::in_process::DEADLINE, names.next()).await;
            object
                .expect("in time")
                .expect("goes on")
                .expect("no error")
                .metadata
                .name
                .unwrap()
        };
        assert_eq!(next().await, "acme");
        let name = format!("later-{}", world.admin.get(&organizations()).await.revision());
        world.organization(&name, &[user("alice")]).await;
        let mut heard = next().await;
        while heard != name {
            heard = next().await;
        }
    }
}

//! V1: visibility is a function of what the store holds at a revision, and of nothing else.

use serde_json::json;

use crate::harness::in_process::{InProcess, Opened, each_storage};
use crate::harness::tenancy::{World, group, organization, organizations, user};

/// Two servers that know nothing of each other answer the same bytes from the same store.
async fn v01_two_replicas_answer_alike(opened: Opened) {
    let world = World::new(opened).await;
    let other = InProcess::start(world.opened().again().await).await;
    world.organization("acme", &[user("alice")]).await;
    world.organization("beta", &[group("devs")]).await;
    world.organization("gamma", &[user("zoe")]).await;
    world.members(&organization("gamma"), &[user("alice")]).await;
    for (name, groups) in [("alice", &[][..]), ("bob", &["devs"][..]), ("nobody", &[][..])] {
        let here = world.server.user(name, groups).get(&organizations()).await;
        let there = other.user(name, groups).get(&organizations()).await;
        here.expect(200);
        assert_eq!(here.body, there.body, "{name}");
    }
    // A server that starts later, too: no history is needed to know who sees what now.
    let third = InProcess::start(world.opened().again().await).await;
    assert_eq!(
        third.user("alice", &[]).get(&organizations()).await.names(),
        ["acme", "gamma"]
    );
}
each_storage!(v01_two_replicas_answer_alike);

/// An exact old revision shows the old state, as long as the caller has lost nothing since.
async fn v01_exact_lists_show_the_state_then_or_410(opened: Opened) {
    let world = World::new(opened).await;
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.organization("acme", &[user("alice"), user("bob")]).await;
    world.organization("beta", &[user("alice")]).await;
    let then = alice.get(&organizations()).await;
    let exactly = format!(
        "{}?resourceVersionMatch=Exact&resourceVersion={}",
        organizations(),
        then.revision()
    );

    world
        .edit(&organization("beta"), json!({"metadata": {"labels": {"new": "yes"}}}))
        .await;
    world.organization("gamma", &[user("alice")]).await;
    world.remove(&organization("beta")).await;
    assert_eq!(alice.get(&organizations()).await.names(), ["acme", "gamma"]);
    let old = alice.get(&exactly).await;
    assert_eq!(
        old.body, then.body,
        "the deleted object is there, as it was; the new one is not"
    );

    // bob loses sight of acme: the old state would show him what he may no longer see.
    assert_eq!(bob.get(&exactly).await.names(), ["acme"]);
    world
        .edit(&organization("acme"), json!({"spec": {"owners": [user("alice")]}}))
        .await;
    let text = "The resourceVersion for the provided list is too old.";
    bob.get(&exactly).await.refused_with(410, "Expired", text);
    assert_eq!(alice.get(&exactly).await.body, then.body, "alice has lost nothing");
    assert!(bob.get(&organizations()).await.names().is_empty());
}
each_storage!(v01_exact_lists_show_the_state_then_or_410);

/// A resumed watch replays what the caller was allowed to see then.
async fn v01_a_resumed_watch_replays_what_was_visible_then(opened: Opened) {
    let world = World::new(opened).await;
    let bob = world.user("bob");
    world.organization("acme", &[user("alice"), user("bob")]).await;
    let start = bob.get(&organizations()).await.revision();
    world
        .edit(&organization("acme"), json!({"metadata": {"labels": {"step": "one"}}}))
        .await;
    let revoked = world
        .edit(&organization("acme"), json!({"spec": {"owners": [user("alice")]}}))
        .await;
    world
        .edit(
            &organization("acme"),
            json!({"metadata": {"labels": {"step": "secret"}}}),
        )
        .await;
    world.organization("marker", &[user("bob")]).await;

    let mut watch = bob.watch(&format!("{}?resourceVersion={start}", organizations())).await;
    let modified = watch.expect("MODIFIED", "acme").await;
    assert_eq!(modified["metadata"]["labels"]["step"], "one");
    let deleted = watch.expect("DELETED", "acme").await;
    assert_eq!(deleted["metadata"]["labels"]["step"], "one");
    assert_eq!(
        deleted["metadata"]["resourceVersion"],
        revoked["metadata"]["resourceVersion"]
    );
    watch.expect("ADDED", "marker").await;
}
each_storage!(v01_a_resumed_watch_replays_what_was_visible_then);

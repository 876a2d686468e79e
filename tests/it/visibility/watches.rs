//! V3, V4, V5: what a watch says when visibility changes.

use serde_json::{Value, json};

use crate::harness::in_process::{Opened, each_storage};
use crate::harness::tenancy::{World, group, organization, organizations, user};

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn label(step: &str) -> Value {
    json!({"metadata": {"labels": {"step": step}}})
}

fn owners(owners: &[Value]) -> Value {
    json!({"spec": {"owners": owners}})
}

/// Each transition once and in order, whatever caused it: owners, members, a group, the object.
async fn v03_transitions_are_events(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    let bob = world.server.user("bob", &["devs"]);
    let start = bob.get(&organizations()).await.revision();
    let mut watch = bob.watch(&format!("{}?resourceVersion={start}", organizations())).await;
    let mut alice = world
        .user("alice")
        .watch(&format!("{}?resourceVersion={start}", organizations()))
        .await;

    // Nothing is said while it is hidden.
    world.edit(&acme, label("hidden")).await;
    // As a member.
    let granted = world.members(&acme, &[user("bob")]).await;
    assert_eq!(watch.expect("ADDED", "acme").await["metadata"], granted["metadata"]);
    let edited = world.edit(&acme, label("one")).await;
    assert_eq!(watch.expect("MODIFIED", "acme").await["metadata"], edited["metadata"]);
    // A second reason changes the object, not the sight of it.
    world.members(&acme, &[user("bob"), group("devs")]).await;
    watch.expect("MODIFIED", "acme").await;
    world.members(&acme, &[group("devs")]).await;
    watch.expect("MODIFIED", "acme").await;
    let revoked = world.members(&acme, &[]).await;
    let deleted = watch.expect("DELETED", "acme").await;
    assert_eq!(revision(&deleted), revision(&revoked));
    // Nothing is said while it is hidden again.
    world.edit(&acme, label("secret")).await;
    // As an owner.
    world.edit(&acme, owners(&[user("alice"), user("bob")])).await;
    assert_eq!(
        watch.expect("ADDED", "acme").await["metadata"]["labels"]["step"],
        "secret"
    );
    world.edit(&acme, owners(&[user("alice")])).await;
    watch.expect("DELETED", "acme").await;
    // As an owner's group, and the object's end.
    world.edit(&acme, owners(&[group("devs")])).await;
    watch.expect("ADDED", "acme").await;
    world.remove(&acme).await;
    watch.expect("DELETED", "acme").await;
    world.organization("marker", &[user("bob")]).await;
    watch.expect("ADDED", "marker").await;

    // alice saw the object all the time: to her everything was a change of it.
    for _ in 0..9 {
        alice.expect("MODIFIED", "acme").await;
    }
    alice.expect("DELETED", "acme").await;
}
each_storage!(v03_transitions_are_events);

/// A watch never tells of what its caller does not see, and a stranger's watch stays silent.
async fn v03_strangers_hear_nothing(opened: Opened) {
    let world = World::new(opened).await;
    let eve = world.user("eve");
    let mut watches = [
        eve.watch(&organizations()).await,
        eve.watch(&format!("{}?resourceVersion=0", organizations())).await,
        eve.watch(&format!("{}?labelSelector=step", organizations())).await,
    ];
    for number in 0..20 {
        let name = format!("o{number}");
        let path = organization(&name);
        world.organization(&name, &[user("alice")]).await;
        world.edit(&path, label("x")).await;
        world.members(&path, &[user("bob"), group("eve")]).await;
        world.claim(&path, &name).await;
        world.project(&name, "p", &[user("carol")]).await;
        if number % 2 == 0 {
            world.remove(&path).await;
        }
    }
    world.organization("marker", &[user("eve")]).await;
    let step = world.edit(&organization("marker"), label("x")).await;
    let (labelled, others) = watches.split_last_mut().unwrap();
    for watch in others {
        watch.expect("ADDED", "marker").await;
        watch.expect("MODIFIED", "marker").await;
    }
    assert_eq!(revision(&labelled.expect("ADDED", "marker").await), revision(&step));
}
each_storage!(v03_strangers_hear_nothing);

/// "Visible and matches" is one condition: entering and leaving a selector look like grant and revocation.
async fn v03_selectors_and_visibility_are_one_condition(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    let bob = world.user("bob");
    let mut watch = bob.watch(&format!("{}?labelSelector=step%3Din", organizations())).await;
    world.members(&acme, &[user("bob")]).await;
    world.edit(&acme, label("out")).await;
    world.edit(&acme, label("in")).await;
    watch.expect("ADDED", "acme").await;
    world
        .edit(&acme, json!({"metadata": {"annotations": {"a": "b"}}}))
        .await;
    watch.expect("MODIFIED", "acme").await;
    let left = world.edit(&acme, label("out")).await;
    let deleted = watch.expect("DELETED", "acme").await;
    assert_eq!(revision(&deleted), revision(&left));
    assert_eq!(
        deleted["metadata"]["labels"]["step"], "in",
        "the last state that matched"
    );
    // Hidden while it matches, matching while it is hidden: neither is an event.
    world.members(&acme, &[]).await;
    world.edit(&acme, label("in")).await;
    world.edit(&acme, label("out")).await;
    world.members(&acme, &[user("bob")]).await;
    world.organization("marker", &[user("bob")]).await;
    world.edit(&organization("marker"), label("in")).await;
    watch.expect("ADDED", "marker").await;
}
each_storage!(v03_selectors_and_visibility_are_one_condition);

/// DELETED carries the whole object as the caller last saw it, with the revision at which it went.
async fn v04_deleted_carries_the_last_visible_state(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    world.edit(&acme, label("seen")).await;
    world
        .status(&acme, json!({"members": [user("bob")], "phase": "Ready"}))
        .await;
    let bob = world.user("bob");
    let seen = bob.get(&acme).await.expect(200);
    let queries = [
        "",
        "labelSelector=step%3Dseen&",
        "fieldSelector=status.phase%3DReady&",
        "fieldSelector=metadata.name%3Dacme&",
    ];
    let mut watches = Vec::new();
    for query in queries {
        let path = format!("{}?{query}resourceVersion={}", organizations(), revision(&seen));
        watches.push(bob.watch(&path).await);
    }
    // The same write takes bob out and changes everything that he must not see any more.
    let status = json!({"members": [], "phase": "NotReady", "namespace": {"name": "secret"}});
    let gone = world.status(&acme, status).await;
    let mut expected = seen.clone();
    expected["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"].clone();
    for watch in &mut watches {
        assert_eq!(watch.expect("DELETED", "acme").await, expected);
    }
}
each_storage!(v04_deleted_carries_the_last_visible_state);

/// A real deletion reaches everyone who could see the object just before: owner, member, group, through a Project; and
/// under selectors.
async fn v04_a_real_deletion_reaches_everyone_who_could_see(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    world.edit(&acme, label("x")).await;
    world
        .status(
            &acme,
            json!({"members": [user("bob"), group("devs")], "namespace": {"name": "acme"}}),
        )
        .await;
    world.project("acme", "web", &[user("zoe")]).await;
    world
        .members(&crate::harness::tenancy::project("acme", "web"), &[user("dan")])
        .await;
    let callers = [
        world.user("alice"),
        world.user("bob"),
        world.server.user("carol", &["devs"]),
        world.user("zoe"),
        world.user("dan"),
    ];
    let mut watches = Vec::new();
    for caller in &callers {
        let start = caller.get(&organizations()).await.revision();
        for query in ["", "&labelSelector=step", "&fieldSelector=metadata.name%3Dacme"] {
            let path = format!("{}?resourceVersion={start}{query}", organizations());
            watches.push((caller.get(&acme).await.expect(200), caller.watch(&path).await));
        }
    }
    world.remove(&acme).await;
    for (mut seen, mut watch) in watches {
        let deleted = watch.expect("DELETED", "acme").await;
        assert!(revision(&deleted) > revision(&seen));
        seen["metadata"]["resourceVersion"] = deleted["metadata"]["resourceVersion"].clone();
        assert_eq!(deleted, seen);
    }
}
each_storage!(v04_a_real_deletion_reaches_everyone_who_could_see);

/// LIST at n and WATCH from n add up to LIST at any later m; an object older than n that is granted later arrives.
async fn v05_list_and_watch_add_up(opened: Opened) {
    let world = World::new(opened).await;
    let bob = world.user("bob");
    for name in ["a", "b", "c", "d"] {
        world.organization(name, &[user("alice")]).await;
    }
    world.members(&organization("a"), &[user("bob")]).await;
    world.members(&organization("b"), &[user("bob")]).await;
    let list = bob.get(&organizations()).await;
    let mut known: std::collections::BTreeSet<String> = list.names().into_iter().collect();
    let mut watch = bob
        .watch(&format!("{}?resourceVersion={}", organizations(), list.revision()))
        .await;
    for step in 0..40 {
        let name = ["a", "b", "c", "d"][step * 7 % 4];
        let members = if step % 3 == 0 { vec![] } else { vec![user("bob")] };
        // Written anew each time, so that every step is a change.
        let status = json!({"members": members, "observedGeneration": step + 1});
        world.status(&organization(name), status).await;
        let now: std::collections::BTreeSet<String> = bob.get(&organizations()).await.names().into_iter().collect();
        let was = known.contains(name);
        let kind = match (was, now.contains(name)) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => continue,
        };
        watch.expect(kind, name).await;
        if kind == "DELETED" {
            known.remove(name)
        } else {
            known.insert(name.to_owned())
        };
        assert_eq!(known, now, "step {step}");
    }
}
each_storage!(v05_list_and_watch_add_up);

/// A list's, a bookmark's and an event's revision are places from which a watch goes on without gap or repetition.
async fn v05_exactly_once_across_reconnects(opened: Opened) {
    let world = World::new(opened).await;
    let bob = world.user("bob");
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    let mut from = bob.get(&organizations()).await.revision();
    for round in 0..12 {
        let members = if round % 2 == 0 { vec![user("bob")] } else { vec![] };
        world.members(&acme, &members).await;
        let kind = if round % 2 == 0 { "ADDED" } else { "DELETED" };
        let mut watch = bob.watch(&format!("{}?resourceVersion={from}", organizations())).await;
        from = revision(&watch.expect(kind, "acme").await);
    }
    // About two seconds before its end a watch with bookmarks says how far it came; a shorter one does not.
    let path = format!(
        "{}?resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=3",
        organizations()
    );
    let mut watch = bob.watch(&path).await;
    let bookmark = watch.bookmark().await;
    assert!(bookmark >= from);
    watch.end().await;
    world.members(&acme, &[user("bob")]).await;
    let mut watch = bob
        .watch(&format!("{}?resourceVersion={bookmark}", organizations()))
        .await;
    watch.expect("ADDED", "acme").await;
}
each_storage!(v05_exactly_once_across_reconnects);

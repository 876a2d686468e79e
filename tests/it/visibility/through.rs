//! V3 and V5 where an Organization is seen through the Projects in its namespace.

use serde_json::{Value, json};

use crate::harness::in_process::{Caller, Opened, Watching, each_storage};
use crate::harness::tenancy::{World, organization, organizations, project, user};

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// A watch from now on, with bookmarks.
async fn watch(caller: &Caller) -> Watching {
    let list = caller.get(&organizations()).await;
    let path = format!(
        "{}?allowWatchBookmarks=true&resourceVersion={}",
        organizations(),
        list.revision()
    );
    caller.watch(&path).await
}

/// ADDED carries the Organization as stored, and a bookmark at the causing revision leaves in the same write.
async fn v05_a_grant_on_a_project_brings_the_organization(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    let claimed = world.claim(&acme, "acme").await;
    world.project("acme", "web", &[user("alice")]).await;
    let bob = world.user("bob");
    bob.get(&acme).await.refused(404, "NotFound");
    let mut events = watch(&bob).await;

    let granted = world.members(&project("acme", "web"), &[user("bob")]).await;
    let added = events.expect("ADDED", "acme").await;
    assert_eq!(revision(&added), revision(&claimed), "as stored");
    assert_eq!(added, bob.get(&acme).await.expect(200));
    assert!(events.has_line(), "the bookmark leaves in the same write");
    assert_eq!(events.bookmark().await, revision(&granted));

    // From the bookmark nothing is repeated, from the ADDED's own revision it is.
    let from = |revision: u64| {
        format!(
            "{}?allowWatchBookmarks=true&resourceVersion={revision}",
            organizations()
        )
    };
    let mut again = bob.watch(&from(revision(&added))).await;
    assert_eq!(again.expect("ADDED", "acme").await, added);
    let mut resumed = bob.watch(&from(revision(&granted))).await;

    let revoked = world.members(&project("acme", "web"), &[]).await;
    let mut expected = added.clone();
    expected["metadata"]["resourceVersion"] = revoked["metadata"]["resourceVersion"].clone();
    assert_eq!(events.expect("DELETED", "acme").await, expected);
    assert_eq!(resumed.expect("DELETED", "acme").await, expected);
    bob.get(&acme).await.refused(404, "NotFound");
}
each_storage!(v05_a_grant_on_a_project_brings_the_organization);

/// With several Projects only the first grant and the last revocation count; the owners of a Project see it, too.
async fn v03_several_projects_count_once(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("acme", &[user("alice")]).await;
    world.claim(&organization("acme"), "acme").await;
    for name in ["one", "two", "three"] {
        world.project("acme", name, &[user("alice")]).await;
    }
    let bob = world.user("bob");
    let mut events = watch(&bob).await;
    let first = world.members(&project("acme", "one"), &[user("bob")]).await;
    events.expect("ADDED", "acme").await;
    assert_eq!(events.bookmark().await, revision(&first));
    // Further reasons, then one reason after the other goes: no event until the last.
    world.members(&project("acme", "two"), &[user("bob")]).await;
    world
        .edit(
            &project("acme", "three"),
            json!({"spec": {"owners": [user("alice"), user("bob")]}}),
        )
        .await;
    world.members(&project("acme", "one"), &[]).await;
    world.remove(&project("acme", "two")).await;
    let last = world
        .edit(&project("acme", "three"), json!({"spec": {"owners": [user("alice")]}}))
        .await;
    let deleted = events.expect("DELETED", "acme").await;
    assert_eq!(revision(&deleted), revision(&last));

    // Through a Project and as a member at once.
    world.members(&organization("acme"), &[user("bob")]).await;
    events.expect("ADDED", "acme").await;
    world.members(&project("acme", "one"), &[user("bob")]).await;
    let changed = world.members(&organization("acme"), &[]).await;
    assert_eq!(revision(&events.expect("MODIFIED", "acme").await), revision(&changed));
    world.remove(&project("acme", "one")).await;
    events.expect("DELETED", "acme").await;
}
each_storage!(v03_several_projects_count_once);

/// The namespace decides through which Projects an Organization is seen, and it may move.
async fn v03_a_moving_claim_moves_sight(opened: Opened) {
    let world = World::new(opened).await;
    let acme = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    world.project("one", "p", &[user("bob")]).await;
    world.project("two", "p", &[user("carol")]).await;
    let (mut bob, mut carol) = (watch(&world.user("bob")).await, watch(&world.user("carol")).await);

    let claimed = world.claim(&acme, "one").await;
    assert_eq!(revision(&bob.expect("ADDED", "acme").await), revision(&claimed));
    let moved = world.claim(&acme, "two").await;
    let deleted = bob.expect("DELETED", "acme").await;
    assert_eq!(revision(&deleted), revision(&moved));
    assert_eq!(
        deleted["status"]["namespace"]["name"], "one",
        "bob never learns where it went"
    );
    let added = carol.expect("ADDED", "acme").await;
    assert_eq!(added["status"]["namespace"]["name"], "two");
    // Similar names are other namespaces.
    world.project("two-x", "p", &[user("bob")]).await;
    world.project("tw", "p", &[user("bob")]).await;
    world.claim(&acme, "").await;
    carol.expect("DELETED", "acme").await;
    // A Project that comes after the claim.
    world.claim(&acme, "three").await;
    let came = world.project("three", "p", &[user("bob")]).await;
    bob.expect("ADDED", "acme").await;
    assert_eq!(bob.bookmark().await, revision(&came));
    world.remove(&acme).await;
    bob.expect("DELETED", "acme").await;
    world.organization("marker", &[user("bob"), user("carol")]).await;
    bob.expect("ADDED", "marker").await;
    carol.expect("ADDED", "marker").await;
}
each_storage!(v03_a_moving_claim_moves_sight);

/// Seeing an Organization through a Project shows neither its other Projects nor lets anybody write.
async fn v03_through_shows_the_organization_alone(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("acme", &[user("alice")]).await;
    world.claim(&organization("acme"), "acme").await;
    world.project("acme", "web", &[user("bob")]).await;
    world.project("acme", "db", &[user("alice")]).await;
    let bob = world.user("bob");
    assert_eq!(bob.get(&organizations()).await.names(), ["acme"]);
    assert_eq!(
        bob.get(&crate::harness::tenancy::all_projects()).await.names(),
        ["acme/web"]
    );
    bob.get(&project("acme", "db")).await.refused(404, "NotFound");
    let refused = bob
        .merge(&organization("acme"), &json!({"metadata": {"labels": {"a": "b"}}}))
        .await;
    let text = r#"organizations.apiserver.bulward.io "acme" is forbidden: ownership is required for patch operation"#;
    refused.refused_with(403, "Forbidden", text);
    // The owner of an Organization does not see the Projects in it: members(p) alone count.
    world
        .edit(&project("acme", "web"), json!({"metadata": {"labels": {"x": "y"}}}))
        .await;
    assert_eq!(
        world
            .user("alice")
            .get(&crate::harness::tenancy::all_projects())
            .await
            .names(),
        ["acme/db"]
    );
}
each_storage!(v03_through_shows_the_organization_alone);

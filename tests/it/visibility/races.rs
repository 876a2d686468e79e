//! V11 and V17 across two replicas at once, and what a replica answers that has not seen the history asked for.

use serde_json::json;

use crate::harness::in_process::{InProcess, Opened, each_storage};
use crate::harness::tenancy::{World, a_project, organization, organizations, projects, stored, user};

/// Two owners remove each other through different replicas: exactly one stays.
async fn v11_a_duel_through_two_replicas_leaves_one_owner(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let (alice, bob) = (world.user("alice"), replica.user("bob", &[]));
    for round in 0..50 {
        let name = format!("duel-{round}");
        world.organization(&name, &[user("alice"), user("bob")]).await;
        let path = organization(&name);
        let only = |name: &str| json!({"spec": {"owners": [user(name)]}});
        let (alone_alice, alone_bob) = (only("alice"), only("bob"));
        let (first, second) = tokio::join!(alice.merge(&path, &alone_alice), bob.merge(&path, &alone_bob));
        let (winner, won, lost) = if first.code == 200 {
            ("alice", first, second)
        } else {
            ("bob", second, first)
        };
        assert_eq!(
            won.expect(200)["spec"]["owners"],
            json!([user(winner)]),
            "round {round}"
        );
        lost.refused(404, "NotFound");
        let left = world.admin.get(&stored(&path)).await.expect(200);
        assert_eq!(left["spec"]["owners"], json!([user(winner)]), "round {round}");
    }
}
each_storage!(v11_a_duel_through_two_replicas_leaves_one_owner);

/// Whoever is thrown out while they create a Project through another replica either was earlier, or gets nothing.
async fn v17_a_membership_removed_meanwhile_admits_nobody(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let bob = replica.user("bob", &[]);
    let path = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    world.claim(&path, "acme").await;
    for round in 0..40 {
        let granted = json!({"members": [user("bob")], "ownMembers": [user("bob")]});
        world.status(&path, granted).await;
        let (collection, body) = (projects("acme"), a_project(&format!("p{round}"), &[user("bob")]));
        let revocation = world.status(&path, json!({"members": [], "ownMembers": []}));
        let (created, revoked) = tokio::join!(bob.post(&collection, &body), revocation);
        let revoked: u64 = revoked["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if created.code == 201 {
            assert!(
                created.revision() < revoked,
                "round {round}: created at {} although revoked at {revoked}",
                created.revision()
            );
        } else {
            created.refused(403, "Forbidden");
        }
    }
}
each_storage!(v17_a_membership_removed_meanwhile_admits_nobody);

/// The same where the Organization claims the namespace only while a stranger creates: no order lets a stranger in later.
async fn v17_a_claim_made_meanwhile_shuts_strangers_out(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let eve = replica.user("eve", &[]);
    for round in 0..30 {
        let name = format!("acme-{round}");
        let path = organization(&name);
        world.organization(&name, &[user("alice")]).await;
        let (collection, body) = (projects(&name), a_project("web", &[user("eve")]));
        let (created, claimed) = tokio::join!(eve.post(&collection, &body), world.claim(&path, &name));
        let claimed: u64 = claimed["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if created.code == 201 {
            assert!(created.revision() < claimed, "round {round}");
        } else {
            created.refused(403, "Forbidden");
        }
        let late = eve.post(&collection, &a_project("late", &[user("eve")])).await;
        late.refused(403, "Forbidden");
    }
}
each_storage!(v17_a_claim_made_meanwhile_shuts_strangers_out);

/// A replica that started later does not know what went before: 410 in the stream, never a silent gap.
async fn v05_history_that_is_not_there_is_said_to_be_gone(opened: Opened) {
    let world = World::new(opened).await;
    let old = world.organization("acme", &[user("alice"), user("bob")]).await;
    let old = old["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    world.members(&organization("acme"), &[user("carol")]).await;
    world.organization("beta", &[user("bob")]).await;
    let late = InProcess::start(world.opened().again().await).await;
    let bob = late.user("bob", &[]);
    for bookmarks in ["", "&allowWatchBookmarks=true"] {
        let path = format!("{}?resourceVersion={old}{bookmarks}", organizations());
        let mut watch = bob.watch(&path).await;
        let error = watch.event().await;
        assert_eq!(error.kind, "ERROR", "{}", error.object);
        assert_eq!(error.object["code"], 410);
        assert_eq!(error.object["reason"], "Expired");
        let message = error.object["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with(&format!("too old resource version: {old} (")),
            "{message}"
        );
        watch.end().await;
    }
    let newest = bob.get(&organizations()).await;
    assert_eq!(newest.names(), ["acme", "beta"]);
    let mut watch = bob
        .watch(&format!("{}?resourceVersion={}", organizations(), newest.revision()))
        .await;
    world.remove(&organization("beta")).await;
    watch.expect("DELETED", "beta").await;
}
each_storage!(v05_history_that_is_not_there_is_said_to_be_gone);

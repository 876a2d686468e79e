//! Namespaces are claimed once, whatever replica the claim is written through.

use serde_json::json;

use crate::harness::in_process::{InProcess, Opened, each_storage};
use crate::harness::tenancy::{World, a_project, organization, projects, stored, user};

async fn a_namespace_is_claimed_once(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let other = replica.admin();
    for round in 0..20 {
        let (one, two) = (format!("one-{round}"), format!("two-{round}"));
        for name in [&one, &two] {
            world.organization(name, &[user("alice")]).await;
        }
        let claim = json!({"status": {"namespace": {"name": format!("space-{round}")}}});
        let status = |name: &str| format!("{}/status", stored(&organization(name)));
        let (path_one, path_two) = (status(&one), status(&two));
        let (first, second) = tokio::join!(world.admin.merge(&path_one, &claim), other.merge(&path_two, &claim));
        let (won, lost) = if first.code == 200 {
            (first, second)
        } else {
            (second, first)
        };
        won.expect(200);
        lost.invalid(&["status.namespace.name"]);
    }
}
each_storage!(a_namespace_is_claimed_once);

async fn a_claim_ends_with_the_object_or_its_change(opened: Opened) {
    let world = World::new(opened).await;
    for name in ["one", "two"] {
        world.organization(name, &[user("alice")]).await;
    }
    let claim = |namespace: &str| json!({"status": {"namespace": {"name": namespace}}});
    let status = |name: &str| format!("{}/status", stored(&organization(name)));
    world.claim(&organization("one"), "space").await;
    // Saying the same again is no second claim.
    world.claim(&organization("one"), "space").await;
    world
        .admin
        .merge(&status("two"), &claim("space"))
        .await
        .invalid(&["status.namespace.name"]);
    world.claim(&organization("one"), "elsewhere").await;
    world.claim(&organization("two"), "space").await;
    world.remove(&organization("two")).await;
    world.claim(&organization("one"), "space").await;
    // A name that was used before starts without a claim.
    world.remove(&organization("one")).await;
    world.organization("one", &[user("bob")]).await;
    let eve = world.user("eve");
    eve.post(&projects("space"), &a_project("web", &[user("eve")]))
        .await
        .expect(201);
    eve.get(&organization("one")).await.refused(404, "NotFound");
}
each_storage!(a_claim_ends_with_the_object_or_its_change);

/// The same object's claim written twice at once is one claim, not a conflict with itself; moves that cross leave exactly
/// the claim that the object says it has.
async fn a_claim_never_loses_to_itself(opened: Opened) {
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let other = replica.admin();
    for name in ["one", "two"] {
        world.organization(name, &[user("alice")]).await;
    }
    let status = |name: &str| format!("{}/status", stored(&organization(name)));
    let claim = |namespace: &str| json!({"status": {"namespace": {"name": namespace}}});
    let (path, rival) = (status("one"), status("two"));
    for round in 0..20 {
        let (left, right) = (format!("left-{round}"), format!("right-{round}"));
        let (claim_left, claim_right) = (claim(&left), claim(&right));
        let (first, second) = tokio::join!(world.admin.merge(&path, &claim_left), other.merge(&path, &claim_left));
        assert_eq!(
            first.expect(200)["metadata"],
            second.expect(200)["metadata"],
            "round {round}"
        );
        let (first, second) = tokio::join!(world.admin.merge(&path, &claim_right), other.merge(&path, &claim_left));
        first.expect(200);
        second.expect(200);
        let held = world.admin.get(&stored(&organization("one"))).await.expect(200);
        let held = held["status"]["namespace"]["name"].as_str().unwrap().to_owned();
        let free = if held == left { &right } else { &left };
        other
            .merge(&rival, &claim(&held))
            .await
            .invalid(&["status.namespace.name"]);
        other.merge(&rival, &claim(free)).await.expect(200);
    }
}
each_storage!(a_claim_never_loses_to_itself);

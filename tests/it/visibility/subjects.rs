//! V13: subjects are checked on write, and an old bad one hurts nobody.

use serde_json::{Value, json};

use crate::harness::in_process::{Opened, each_storage, memory};
use crate::harness::tenancy::{
    World, an_organization, group, organization, organizations, service_account, stored, user,
};

#[tokio::test]
async fn v13_every_bad_subject_is_refused_by_its_field() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let rbac = "rbac.authorization.k8s.io";
    let cases: [(Value, &[&str]); 11] = [
        (json!({"kind": "Robot", "name": "x"}), &["spec.owners[1].kind"]),
        (json!({"name": "x"}), &["spec.owners[1].kind"]),
        (json!({"kind": "User"}), &["spec.owners[1].name"]),
        (json!({"kind": "User", "name": ""}), &["spec.owners[1].name"]),
        (
            json!({"kind": "User", "name": "x", "namespace": "n"}),
            &["spec.owners[1].namespace"],
        ),
        (
            json!({"kind": "Group", "name": "x", "apiGroup": "apps"}),
            &["spec.owners[1].apiGroup"],
        ),
        (
            json!({"kind": "ServiceAccount", "name": "x"}),
            &["spec.owners[1].namespace"],
        ),
        (
            json!({"kind": "ServiceAccount", "name": "x", "namespace": "n", "apiGroup": rbac}),
            &["spec.owners[1].apiGroup"],
        ),
        (json!({"kind": "User", "name": "alice"}), &["spec.owners[1]"]),
        (
            json!({"kind": "User", "name": "alice", "apiGroup": rbac}),
            &["spec.owners[1]"],
        ),
        (json!({"kind": "User", "name": 7}), &["spec.owners[1].name"]),
    ];
    for (bad, fields) in cases {
        let answer = alice
            .post(&organizations(), &an_organization("acme", &[user("alice"), bad]))
            .await;
        answer.invalid(fields);
        assert!(
            world.admin.get(&stored(&organizations())).await.names().is_empty(),
            "nothing is stored"
        );
    }
    for bad in [json!("alice"), json!(null), json!([])] {
        let answer = alice
            .post(&organizations(), &an_organization("acme", &[user("alice"), bad]))
            .await;
        assert_eq!(answer.code, 422, "{}", answer.text());
    }
    // The status is checked as well, when it is the status that is written.
    world.organization("acme", &[user("alice")]).await;
    let status = format!("{}/status", stored(&organization("acme")));
    let bad = json!({"status": {"members": [{"kind": "ServiceAccount", "name": "x"}]}});
    world
        .admin
        .merge(&status, &bad)
        .await
        .invalid(&["status.members[0].namespace"]);
}

#[tokio::test]
async fn v13_api_groups_are_defaulted_and_names_are_free() {
    let world = World::new(memory().await).await;
    let odd = "Organization Owner / Jörg 💡 <a&b>";
    let owners = [
        json!({"kind": "User", "name": odd}),
        json!({"kind": "Group", "name": "team a", "apiGroup": ""}),
        json!({"kind": "ServiceAccount", "namespace": "default", "name": "default", "apiGroup": ""}),
        json!({"kind": "User", "name": "admin"}),
    ];
    let created = world
        .admin
        .post(&organizations(), &an_organization("acme", &owners))
        .await
        .expect(201);
    let expected = json!([
        user(odd),
        group("team a"),
        service_account("default", "default"),
        user("admin")
    ]);
    assert_eq!(created["spec"]["owners"], expected);
    for caller in [
        world.user(odd),
        world.server.user("somebody", &["team a"]),
        world
            .server
            .introduced("system:serviceaccount:default:default", &["system:serviceaccounts"]),
    ] {
        assert_eq!(caller.get(&organizations()).await.names(), ["acme"]);
    }
    // A user who is called like a group is not that group, and the other way round.
    assert!(world.user("team a").get(&organizations()).await.names().is_empty());
    assert!(
        world
            .server
            .user("x", &["admin", odd])
            .get(&organizations())
            .await
            .names()
            .is_empty()
    );
}

/// A subject that nobody would be let store today, written by other hands.
async fn v13_an_old_bad_subject_hurts_nobody(opened: Opened) {
    let world = World::new(opened).await;
    let bad = json!({
        "metadata": {"name": "old", "uid": "u-1", "generation": 1, "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"owners": [{"kind": "Robot", "name": "alice"}, 7, {"kind": "User"}, user("alice")]},
        "status": {"members": ["x", {"kind": "ServiceAccount", "name": "sa"}, user("bob")]},
    });
    world
        .storage()
        .create("organizations/old", bad.to_string().into())
        .await
        .unwrap();
    world
        .storage()
        .create("organizations/broken", "{".into())
        .await
        .unwrap();
    world.organization("good", &[user("alice")]).await;
    assert_eq!(world.user("alice").get(&organizations()).await.names(), ["good", "old"]);
    assert_eq!(world.user("bob").get(&organizations()).await.names(), ["old"]);
    assert!(
        world
            .server
            .introduced("system:serviceaccount::sa", &[])
            .get(&organizations())
            .await
            .names()
            .is_empty()
    );
    // Its owner can mend it.
    let mended = json!({"spec": {"owners": [user("alice")]}});
    world
        .user("alice")
        .merge(&organization("old"), &mended)
        .await
        .expect(200);
}
each_storage!(v13_an_old_bad_subject_hurts_nobody);

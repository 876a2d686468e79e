//! V11, V12, V14, V15, and the table of who may write what.

use serde_json::json;

use crate::harness::in_process::{Opened, each_storage};
use crate::harness::tenancy::{
    World, a_project, all_projects, an_organization, group, organization, organizations, project, projects, stored,
    user,
};

/// Who may do what: strangers 404, members 403, owners 200.
async fn v11_owners_write_members_read(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("acme", &[user("alice")]).await;
    world.members(&organization("acme"), &[user("bob")]).await;
    let (alice, bob, eve) = (world.user("alice"), world.user("bob"), world.user("eve"));
    let path = organization("acme");
    let change = json!({"metadata": {"labels": {"a": "b"}}});
    for (caller, code) in [(&eve, 404), (&bob, 403)] {
        caller.merge(&path, &change).await.expect(code);
        caller.delete(&path).await.expect(code);
    }
    bob.get(&path).await.expect(200);
    let text = r#"organizations.apiserver.bulward.io "acme" is forbidden: ownership is required for"#;
    let body = bob.get(&path).await.json();
    let refused = [
        (bob.put(&path, &body).await, "update"),
        (bob.merge(&path, &change).await, "patch"),
        (bob.delete(&path).await, "delete"),
    ];
    for (answer, verb) in refused {
        answer.refused_with(403, "Forbidden", &format!("{text} {verb} operation"));
    }
    alice.merge(&path, &change).await.expect(200);
    alice.delete(&path).await.expect(200);
    alice.get(&path).await.refused(404, "NotFound");
}
each_storage!(v11_owners_write_members_read);

/// Two owners who remove each other at once leave exactly one.
async fn v11_two_owners_who_remove_each_other(opened: Opened) {
    let world = World::new(opened).await;
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    for round in 0..30 {
        let name = format!("duel-{round}");
        world.organization(&name, &[user("alice"), user("bob")]).await;
        let path = organization(&name);
        let only = |name: &str| json!({"spec": {"owners": [user(name)]}});
        let (alone_alice, alone_bob) = (only("alice"), only("bob"));
        let (first, second) = tokio::join!(alice.merge(&path, &alone_alice), bob.merge(&path, &alone_bob));
        let codes = [first.code, second.code];
        assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
        // Who lost is no longer an owner, nor anything else.
        assert!(codes.contains(&404), "{codes:?}");
        let left = world.admin.get(&stored(&path)).await.expect(200);
        assert_eq!(left["spec"]["owners"].as_array().map(Vec::len), Some(1), "{left}");
    }
}
each_storage!(v11_two_owners_who_remove_each_other);

#[tokio::test]
async fn v11_somebody_stays_owner() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    world.organization("acme", &[user("alice"), user("bob")]).await;
    let alice = world.user("alice");
    let path = organization("acme");
    alice
        .merge(&path, &json!({"spec": {"owners": []}}))
        .await
        .invalid(&["spec.owners"]);
    alice
        .merge(&path, &json!({"spec": {"owners": null}}))
        .await
        .invalid(&["spec.owners"]);
    alice
        .json_patch(&path, &json!([{"op": "remove", "path": "/spec/owners"}]))
        .await
        .invalid(&["spec.owners"]);
    // An owner may leave while another stays; the answer is the updated object.
    let left = alice
        .json_patch(&path, &json!([{"op": "remove", "path": "/spec/owners/0"}]))
        .await
        .expect(200);
    assert_eq!(left["spec"]["owners"], json!([user("bob")]));
    alice.get(&path).await.refused(404, "NotFound");
    world.user("bob").get(&path).await.expect(200);
}

/// What is deleted is visible, owned and selected; strangers' objects and those of which one is only a member survive.
async fn v12_deletecollection_spares_strangers(opened: Opened) {
    let world = World::new(opened).await;
    for (name, owner) in [
        ("mine-1", "alice"),
        ("mine-2", "alice"),
        ("kept", "alice"),
        ("joined", "dave"),
        ("hers", "dave"),
    ] {
        world.organization(name, &[user(owner)]).await;
        world.project("space", name, &[user(owner)]).await;
    }
    for path in [organization("joined"), project("space", "joined")] {
        world.members(&path, &[user("alice")]).await;
    }
    for path in [organization("kept"), project("space", "kept")] {
        world
            .edit(&path, json!({"metadata": {"labels": {"keep": "yes"}}}))
            .await;
    }
    let alice = world.user("alice");
    for collection in [organizations(), projects("space")] {
        let gone = alice.delete(&format!("{collection}?labelSelector=keep!%3Dyes")).await;
        let names: Vec<String> = gone
            .names()
            .iter()
            .map(|key| key.rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["mine-1", "mine-2"]);
        let left = world.admin.get(&stored(&collection)).await.names();
        let left: Vec<&str> = left.iter().map(|key| key.rsplit('/').next().unwrap()).collect();
        assert_eq!(left, ["hers", "joined", "kept"]);
    }
    // All namespaces at once cannot be deleted, as everywhere in Kubernetes.
    alice.delete(&all_projects()).await.refused(405, "MethodNotAllowed");
}
each_storage!(v12_deletecollection_spares_strangers);

#[tokio::test]
async fn v14_status_and_spec_keep_apart() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    let alice = world.user("alice");
    let path = organization("acme");
    let mut body = an_organization("acme", &[user("alice")]);
    body["status"] = json!({"members": [user("mallory")], "phase": "Ready"});
    let created = alice.post(&organizations(), &body).await.expect(201);
    assert_eq!(created.get("status"), None, "a new object has no status");

    // Through the main resource the status is ignored, in both views.
    world
        .status(&path, json!({"phase": "Ready", "members": [user("bob")]}))
        .await;
    alice
        .merge(&path, &json!({"status": {"members": [user("mallory")]}}))
        .await
        .expect(200);
    world
        .admin
        .merge(&stored(&path), &json!({"status": {"members": [user("mallory")]}}))
        .await
        .expect(200);
    world.user("mallory").get(&path).await.refused(404, "NotFound");
    // Through the status everything else is.
    let generation = alice.get(&path).await.json()["metadata"]["generation"].clone();
    let change = json!({
        "metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/x"]},
        "spec": {"owners": [user("mallory")]},
        "status": {"phase": "NotReady"},
    });
    let status = format!("{}/status", stored(&path));
    let written = world.admin.merge(&status, &change).await.expect(200);
    assert_eq!(written["status"]["phase"], "NotReady");
    assert_eq!(written["spec"]["owners"], json!([user("alice")]));
    assert_eq!(written["metadata"].get("labels"), None);
    assert_eq!(written["metadata"].get("finalizers"), None);
    assert_eq!(
        written["metadata"]["generation"], generation,
        "the status is not counted"
    );
    // The filtered view has no status of its own to write.
    for answer in [
        alice.get(&format!("{path}/status")).await,
        alice.merge(&format!("{path}/status"), &change).await,
        alice.put(&format!("{path}/status"), &written).await,
    ] {
        answer.refused_with(404, "NotFound", "the server could not find the requested resource");
    }
}

/// In the filtered view finalizers under bulward.io stay as they are stored.
async fn v15_own_finalizers_are_not_the_owners(opened: Opened) {
    let world = World::new(opened).await;
    let alice = world.user("alice");
    let path = organization("acme");
    let mut body = an_organization("acme", &[user("alice")]);
    body["metadata"]["finalizers"] = json!(["organization.bulward.io/controller", "bulward.io/x", "example.com/mine"]);
    let created = alice.post(&organizations(), &body).await.expect(201);
    assert_eq!(
        created["metadata"]["finalizers"],
        json!(["example.com/mine"]),
        "nobody gives themselves ours"
    );

    let ours = json!(["organization.bulward.io/controller"]);
    world.edit(&path, json!({"metadata": {"finalizers": ours}})).await;
    for change in [json!(null), json!([]), json!(["bulward.io/other"])] {
        let left = alice
            .merge(&path, &json!({"metadata": {"finalizers": change}}))
            .await
            .expect(200);
        assert_eq!(left["metadata"]["finalizers"], ours);
    }
    // So a deletion by the owner waits for the controllers.
    let marked = alice.delete(&path).await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    alice
        .merge(&path, &json!({"metadata": {"finalizers": null}}))
        .await
        .expect(200);
    alice.get(&path).await.expect(200);
    world.edit(&path, json!({"metadata": {"finalizers": null}})).await;
    alice.get(&path).await.refused(404, "NotFound");
}
each_storage!(v15_own_finalizers_are_not_the_owners);

/// Labels and owner references never influence who sees what.
#[tokio::test]
async fn v15_labels_and_references_open_nothing() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    let acme = world.organization("acme", &[user("alice")]).await;
    world.claim(&organization("acme"), "acme").await;
    let bob = world.user("bob");
    let mut body = a_project("web", &[user("bob")]);
    body["metadata"]["labels"] = json!({"bulward.io/organization": "acme", "bulward.io/project": "web"});
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "storage.bulward.io/v1alpha1", "kind": "Organization", "name": "acme", "uid": acme["metadata"]["uid"],
    }]);
    bob.post(&projects("elsewhere"), &body).await.expect(201);
    bob.get(&organization("acme")).await.refused(404, "NotFound");
    assert!(bob.get(&organizations()).await.names().is_empty());
}

/// In a namespace that an Organization owns, only its owners and own members create Projects.
async fn v17_strangers_cannot_join_by_making_a_project(opened: Opened) {
    let world = World::new(opened).await;
    let path = organization("acme");
    world.organization("acme", &[user("alice")]).await;
    world
        .status(&path, json!({"namespace": {"name": "acme"}, "members": [user("bob"), group("devs"), user("pat")], "ownMembers": [user("bob"), group("devs")]}))
        .await;
    let denied = |name: &str| {
        format!(
            r#"projects.apiserver.bulward.io is forbidden: User "{name}" cannot create resource "projects" in API group "apiserver.bulward.io" in the namespace "acme""#
        )
    };
    // pat is a member only through a Project.
    for name in ["eve", "pat"] {
        for query in ["", "?dryRun=All"] {
            let answer = world
                .user(name)
                .post(
                    &format!("{}{query}", projects("acme")),
                    &a_project("web", &[user(name)]),
                )
                .await;
            answer.refused_with(403, "Forbidden", &denied(name));
        }
    }
    let carol = world.server.user("carol", &["devs"]);
    for (caller, name) in [
        (&world.user("alice"), "alice"),
        (&world.user("bob"), "bob"),
        (&carol, "carol"),
    ] {
        caller
            .post(&projects("acme"), &a_project(&format!("of-{name}"), &[user(name)]))
            .await
            .expect(201);
    }
    // Through the storage view RBAC alone decides; in a namespace that nobody owns as well.
    world.project("acme", "by-admin", &[user("eve")]).await;
    world
        .user("eve")
        .post(&projects("free"), &a_project("web", &[user("eve")]))
        .await
        .expect(201);
    // A namespace that a Project owns belongs to no Organization.
    world.claim(&project("acme", "of-alice"), "acme-of-alice").await;
    world
        .user("eve")
        .post(&projects("acme-of-alice"), &a_project("web", &[user("eve")]))
        .await
        .expect(201);
    world
        .user("eve")
        .post(&projects("acme-of-alice"), &a_project("web2", &[user("eve")]))
        .await
        .expect(201);
    // Whoever is thrown out cannot create any more, on the spot.
    for round in 0..20 {
        world.status(&path, json!({"ownMembers": [user("bob")]})).await;
        world
            .user("bob")
            .post(&projects("acme"), &a_project(&format!("r{round}"), &[user("bob")]))
            .await
            .expect(201);
        world.status(&path, json!({"ownMembers": []})).await;
        let answer = world
            .user("bob")
            .post(&projects("acme"), &a_project("never", &[user("bob")]))
            .await;
        answer.refused_with(403, "Forbidden", &denied("bob"));
    }
}
each_storage!(v17_strangers_cannot_join_by_making_a_project);

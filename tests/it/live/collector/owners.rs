//! Several owners, owners that wait for their dependents, and circles.

use serde_json::{Value, json};

use super::{CORE, FILTERED, STORAGE, Scene, Thing, owners_of};

const HOLD: &str = "collector.example.com/hold";

/// Of two owners one goes: the other one keeps the dependent, which loses the reference. For our own kinds the collector
/// tries a strategic merge patch first and needs a 415 for it, then sends a merge patch.
#[tokio::test]
async fn one_owner_of_two_is_enough() {
    let scene = Scene::new("two-owners").await;
    let mut families = Vec::new();
    for (view, short) in [(FILTERED, "seen"), (STORAGE, "stored")] {
        for policy in ["Background", "Foreground", "Orphan"] {
            let name = |what: &str| format!("{what}-{short}-{}", policy.to_lowercase());
            let goes = scene
                .make(STORAGE, "Organization", &name("goes"), &[])
                .await
                .through(view);
            let stays = scene
                .make(STORAGE, "Organization", &name("stays"), &[])
                .await
                .through(view);
            let mut dependents = Vec::new();
            for (api, kind) in [(CORE, "ConfigMap"), (STORAGE, "Project"), (STORAGE, "Organization")] {
                dependents.push(scene.make(api, kind, &name("both"), &[&goes, &stays]).await);
            }
            families.push((policy, goes, stays, dependents));
        }
    }
    scene
        .collector_knows(&[(CORE, "ConfigMap"), (STORAGE, "Project"), (STORAGE, "Organization")])
        .await;
    for (policy, goes, _, _) in &families {
        scene.delete(goes, &json!({"propagationPolicy": policy})).await;
    }
    for (_, goes, stays, dependents) in &families {
        scene.gone(goes).await;
        for dependent in dependents {
            let left = |metadata: &Value| owners_of(&json!({"metadata": metadata})) == [&json!(stays.uid)];
            scene.until(dependent, "has one owner left", left).await;
        }
        scene.delete(stays, &json!({})).await;
    }
    for (_, _, stays, dependents) in &families {
        scene.gone(stays).await;
        for dependent in dependents {
            scene.gone(dependent).await;
        }
    }
}

/// In foreground deletion an owner waits for the dependents that block it, and for no others.
#[tokio::test]
async fn an_owner_waits_for_what_blocks_it() {
    let scene = Scene::new("blocking").await;
    let mut cases = Vec::new();
    for (view, short) in [(FILTERED, "seen"), (STORAGE, "stored")] {
        for (api, kind) in [(CORE, "ConfigMap"), (STORAGE, "Project")] {
            for blocks in [true, false] {
                let name = format!("{short}-{}-{blocks}", kind.to_lowercase());
                let owner = scene.make(STORAGE, "Organization", &format!("owner-{name}"), &[]).await;
                let dependent = scene.make_in(scene.namespace, api, kind, &name, &[], &[HOLD]).await;
                let mut reference = owner.through(view).reference();
                reference["blockOwnerDeletion"] = json!(blocks);
                scene
                    .merge(&dependent, &json!({"metadata": {"ownerReferences": [reference]}}))
                    .await;
                cases.push((owner.through(view), dependent, blocks));
            }
        }
    }
    scene
        .collector_knows(&[(CORE, "ConfigMap"), (STORAGE, "Project")])
        .await;
    for (owner, _, _) in &cases {
        scene.delete(owner, &json!({"propagationPolicy": "Foreground"})).await;
    }
    for (owner, dependent, blocks) in &cases {
        // The collector has deleted it, and it stays for its own finalizer.
        scene
            .until(dependent, "is being deleted", |metadata| {
                metadata["deletionTimestamp"].is_string()
            })
            .await;
        if *blocks {
            let waiting = scene.present(owner).await;
            assert_eq!(
                waiting["metadata"]["finalizers"],
                json!(["foregroundDeletion"]),
                "{waiting}"
            );
        } else {
            scene.gone(owner).await;
            scene.present(dependent).await;
        }
    }
    for (owner, dependent, _) in &cases {
        scene.merge(dependent, &json!({"metadata": {"finalizers": null}})).await;
        scene.gone(dependent).await;
        scene.gone(owner).await;
    }
}

/// Two that own each other: the collector unblocks one of them (again by a patch that we refuse, and by one that we take).
#[tokio::test]
async fn a_circle_of_owners_goes() {
    let scene = Scene::new("circle").await;
    let mut circles: Vec<[Thing; 2]> = Vec::new();
    for (view, short) in [(FILTERED, "seen"), (STORAGE, "stored")] {
        let first = scene
            .make(STORAGE, "Organization", &format!("first-{short}"), &[])
            .await
            .through(view);
        let second = scene
            .make(STORAGE, "Organization", &format!("second-{short}"), &[&first])
            .await
            .through(view);
        let change = json!({"metadata": {"ownerReferences": [second.reference()]}});
        scene.merge(&first.through(STORAGE), &change).await;
        circles.push([first, second]);
    }
    scene.collector_knows(&[(STORAGE, "Organization")]).await;
    for [first, _] in &circles {
        scene.delete(first, &json!({"propagationPolicy": "Foreground"})).await;
    }
    for [first, second] in &circles {
        scene.gone(first).await;
        scene.gone(second).await;
    }
}

//! Owners that are not there, or not where a reference may point.

use serde_json::{Value, json};

use super::{COLLECTED, CORE, FILTERED, RBAC, STORAGE, Scene, Thing, owners_of};
use crate::harness::eventually;
use crate::live::get;

const ORGANIZATION: (&str, &str) = (STORAGE, "Organization");
const PROJECT: (&str, &str) = (STORAGE, "Project");
const CONFIG_MAP: (&str, &str) = (CORE, "ConfigMap");

#[tokio::test]
async fn dependents_of_absent_owners_are_collected() {
    let scene = Scene::new("absent").await;
    let there = scene.make(STORAGE, "Organization", "there", &[]).await;
    let project = scene.make(STORAGE, "Project", "there", &[]).await;
    let before = scene.make(STORAGE, "Organization", "made-twice", &[]).await;
    scene.delete(&before, &json!({})).await;
    let again = scene.make(STORAGE, "Organization", "made-twice", &[]).await;

    let absent = |api, kind| Thing::absent(api, kind, scene.namespace, "never-was");
    let mut cases = vec![
        (PROJECT, absent(CORE, "ConfigMap")),
        (PROJECT, absent(RBAC, "ClusterRole")),
        (ORGANIZATION, absent(RBAC, "ClusterRole")),
    ];
    for view in [FILTERED, STORAGE] {
        cases.push((CONFIG_MAP, absent(view, "Organization")));
        cases.push((CONFIG_MAP, absent(view, "Project")));
        cases.push((CONFIG_MAP, there.through(view).impostor()));
        cases.push((CONFIG_MAP, project.through(view).impostor()));
        cases.push((CONFIG_MAP, before.through(view)));
        cases.push((PROJECT, absent(view, "Organization")));
        cases.push((PROJECT, there.through(view).impostor()));
        cases.push((ORGANIZATION, absent(view, "Organization")));
        cases.push((ORGANIZATION, before.through(view)));
    }
    let (mut doomed, mut kept, mut halved) = (Vec::new(), Vec::new(), Vec::new());
    for (number, ((api, kind), owner)) in cases.iter().enumerate() {
        doomed.push(scene.make(api, kind, &format!("doomed-{number}"), &[owner]).await);
    }
    for (number, view) in [FILTERED, STORAGE].into_iter().enumerate() {
        for (api, kind) in [CONFIG_MAP, PROJECT, ORGANIZATION] {
            let owner = there.through(view);
            kept.push(scene.make(api, kind, &format!("kept-{number}"), &[&owner]).await);
            kept.push(
                scene
                    .make(api, kind, &format!("kept-again-{number}"), &[&again.through(view)])
                    .await,
            );
            let nobody = absent(view, "Organization");
            halved.push(
                scene
                    .make(api, kind, &format!("halved-{number}"), &[&nobody, &owner])
                    .await,
            );
        }
    }
    for thing in &doomed {
        scene.gone(thing).await;
    }
    for thing in &halved {
        let left = |metadata: &Value| owners_of(&json!({"metadata": metadata})) == [&json!(there.uid)];
        scene.until(thing, "has lost the absent owner", left).await;
    }
    scene.collector_knows(&[CONFIG_MAP, PROJECT, ORGANIZATION]).await;
    for thing in &kept {
        assert_eq!(scene.present(thing).await["metadata"].get("deletionTimestamp"), None);
    }
}

/// An owner in another namespace is none: an event says so, and the dependent goes. An object without a namespace cannot be
/// owned by one that has one: an event, and it stays.
#[tokio::test]
async fn owners_in_another_namespace_are_none() {
    let scene = Scene::new("here").await;
    scene.add_namespace("elsewhere").await;
    let elsewhere = async |api, kind, name: &str| scene.make_in("elsewhere", api, kind, name, &[], &[]).await;
    let project = elsewhere(STORAGE, "Project", "owner").await;
    let config_map = elsewhere(CORE, "ConfigMap", "owner").await;
    // The event is made of an owner that the collector has seen.
    scene.collector_knows(&[CONFIG_MAP, PROJECT]).await;
    let doomed = [
        scene
            .make(CORE, "ConfigMap", "of-seen-project", &[&project.through(FILTERED)])
            .await,
        scene.make(CORE, "ConfigMap", "of-stored-project", &[&project]).await,
        scene
            .make(STORAGE, "Project", "of-seen-project", &[&project.through(FILTERED)])
            .await,
        scene.make(STORAGE, "Project", "of-stored-project", &[&project]).await,
        scene.make(STORAGE, "Project", "of-config-map", &[&config_map]).await,
    ];
    let kept = [
        scene
            .make(
                STORAGE,
                "Organization",
                "of-seen-project",
                &[&project.through(FILTERED)],
            )
            .await,
        scene
            .make(STORAGE, "Organization", "of-stored-project", &[&project])
            .await,
        scene
            .make(STORAGE, "Organization", "of-config-map", &[&config_map])
            .await,
    ];
    for thing in &doomed {
        told(&scene, thing, scene.namespace).await;
        scene.gone(thing).await;
    }
    for thing in &kept {
        told(&scene, thing, "default").await;
    }
    scene.collector_knows(&[ORGANIZATION]).await;
    for thing in kept.iter().chain([&project, &config_map]) {
        assert_eq!(scene.present(thing).await["metadata"].get("deletionTimestamp"), None);
    }
}

/// Waits for the event about a reference that points nowhere.
async fn told(scene: &Scene, thing: &Thing, namespace: &str) {
    let selector = format!("involvedObject.uid={},reason=OwnerRefInvalidNamespace", thing.uid);
    let path = format!(
        "/api/v1/namespaces/{namespace}/events?fieldSelector={}",
        selector.replace('=', "%3D")
    );
    let check = async || {
        let answer = get(&scene.admin, &path).await;
        let found = answer.code == 200 && answer.json()["items"].as_array().is_some_and(|items| !items.is_empty());
        if found { Ok(()) } else { Err(format!("{answer:?}")) }
    };
    eventually(&format!("an event about {thing:?}"), COLLECTED, check).await;
}

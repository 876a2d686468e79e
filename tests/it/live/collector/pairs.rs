//! Owners and dependents of every sort under every propagation policy, all at once.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use super::{CORE, FILTERED, RBAC, STORAGE, Scene, Thing, owners_of};

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// One sort of pair: the owner as it is made, the view that the reference names, the view it is deleted through, and the
/// dependent.
struct Sort {
    name: &'static str,
    owner: (&'static str, &'static str),
    named: &'static str,
    deleted: &'static str,
    dependent: (&'static str, &'static str),
}

const fn sort(
    name: &'static str,
    owner: (&'static str, &'static str),
    named: &'static str,
    deleted: &'static str,
    dependent: (&'static str, &'static str),
) -> Sort {
    Sort {
        name,
        owner,
        named,
        deleted,
        dependent,
    }
}

const ORGANIZATION: (&str, &str) = (STORAGE, "Organization");
const PROJECT: (&str, &str) = (STORAGE, "Project");
const CONFIG_MAP: (&str, &str) = (CORE, "ConfigMap");
const ROLE: (&str, &str) = (RBAC, "ClusterRole");

const SORTS: [Sort; 12] = [
    sort("org-cm-seen", ORGANIZATION, FILTERED, FILTERED, CONFIG_MAP),
    sort("org-cm-stored", ORGANIZATION, STORAGE, STORAGE, CONFIG_MAP),
    // the reference names one view, the deletion comes through the other
    sort("org-cm-there", ORGANIZATION, FILTERED, STORAGE, CONFIG_MAP),
    sort("org-cm-back", ORGANIZATION, STORAGE, FILTERED, CONFIG_MAP),
    sort("prj-cm-seen", PROJECT, FILTERED, FILTERED, CONFIG_MAP),
    sort("prj-cm-stored", PROJECT, STORAGE, STORAGE, CONFIG_MAP),
    sort("org-prj-seen", ORGANIZATION, FILTERED, FILTERED, PROJECT),
    sort("org-prj-stored", ORGANIZATION, STORAGE, STORAGE, PROJECT),
    sort("org-org-stored", ORGANIZATION, STORAGE, STORAGE, ORGANIZATION),
    sort("role-org", ROLE, RBAC, RBAC, ORGANIZATION),
    sort("role-prj", ROLE, RBAC, RBAC, PROJECT),
    sort("cm-prj", CONFIG_MAP, CORE, CORE, PROJECT),
];

/// What becomes of a dependent when its owner goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Collected,
    Orphaned,
}

/// A way to delete: the options, the finalizer that they set, and what follows.
fn ways() -> [(&'static str, Value, Option<&'static str>, Fate); 6] {
    let policy = |policy: &str| json!({"propagationPolicy": policy});
    [
        ("default", json!({}), None, Fate::Collected),
        ("background", policy("Background"), None, Fate::Collected),
        (
            "foreground",
            policy("Foreground"),
            Some("foregroundDeletion"),
            Fate::Collected,
        ),
        ("orphan", policy("Orphan"), Some("orphan"), Fate::Orphaned),
        (
            "old-orphan",
            json!({"orphanDependents": true}),
            Some("orphan"),
            Fate::Orphaned,
        ),
        ("old-collect", json!({"orphanDependents": false}), None, Fate::Collected),
    ]
}

struct Pair {
    owner: Thing,
    dependent: Thing,
    options: Value,
    finalizer: Option<&'static str>,
    fate: Fate,
}

#[tokio::test]
async fn v16_dependents_live_and_die_with_their_owner() {
    let scene = Scene::new("pairs").await;
    let mut tasks = Vec::new();
    for sort in &SORTS {
        for (way, options, finalizer, fate) in ways() {
            let scene = &scene;
            tasks.push(async move {
                let name = format!("{}-{way}", sort.name);
                let owner = scene
                    .make(sort.owner.0, sort.owner.1, &format!("owner-{name}"), &[])
                    .await;
                let named = owner.through(sort.named);
                let dependent = scene
                    .make(sort.dependent.0, sort.dependent.1, &format!("child-{name}"), &[&named])
                    .await;
                let owner = owner.through(sort.deleted);
                Pair {
                    owner,
                    dependent,
                    options,
                    finalizer,
                    fate,
                }
            });
        }
    }
    let pairs: Vec<Pair> = futures::stream::iter(tasks).buffer_unordered(AT_ONCE).collect().await;
    let strangers = strangers(&scene).await;
    let kinds = [CONFIG_MAP, ORGANIZATION, PROJECT];
    scene.collector_knows(&kinds).await;
    // Everything was looked at, and everything lives.
    let versions = versions(&scene, &strangers).await;
    for pair in &pairs {
        let dependent = scene.present(&pair.dependent).await;
        assert_eq!(owners_of(&dependent), [&json!(pair.owner.uid)], "{dependent}");
        assert_eq!(dependent["metadata"].get("deletionTimestamp"), None, "{dependent}");
    }

    let deletions = pairs.iter().map(async |pair| {
        let answer = scene.delete(&pair.owner, &pair.options).await;
        match pair.finalizer {
            Some(finalizer) => {
                assert_eq!(answer["metadata"]["finalizers"], json!([finalizer]), "{answer}");
                assert!(answer["metadata"]["deletionTimestamp"].is_string(), "{answer}");
            }
            None => assert_eq!(
                (&answer["kind"], &answer["status"]),
                (&json!("Status"), &json!("Success")),
                "{answer}"
            ),
        }
    });
    futures::stream::iter(deletions)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    for pair in &pairs {
        scene.gone(&pair.owner).await;
        match pair.fate {
            Fate::Collected => scene.gone(&pair.dependent).await,
            Fate::Orphaned => {
                let orphan = scene.present(&pair.dependent).await;
                assert_eq!(orphan["metadata"].get("ownerReferences"), None, "{orphan}");
                assert_eq!(orphan["metadata"].get("deletionTimestamp"), None, "{orphan}");
            }
        }
    }
    // Once more everything was looked at: orphans stay, and nobody has touched what belongs to others.
    scene.collector_knows(&kinds).await;
    for pair in pairs.iter().filter(|pair| pair.fate == Fate::Orphaned) {
        scene.present(&pair.dependent).await;
    }
    assert_eq!(self::versions(&scene, &strangers).await, versions);
}

/// Objects that nothing happens to: some of nobody, some whose owner stays.
async fn strangers(scene: &Scene) -> Vec<Thing> {
    let mut all = Vec::new();
    let owner = scene.make(STORAGE, "Organization", "stranger", &[]).await;
    let role = scene.make(RBAC, "ClusterRole", "stranger", &[]).await;
    for (api, kind) in [CONFIG_MAP, ORGANIZATION, PROJECT] {
        all.push(scene.make(api, kind, "stranger-free", &[]).await);
        for (number, owners) in [
            vec![owner.through(FILTERED)],
            vec![owner.clone()],
            vec![role.clone()],
            vec![role.clone(), owner.through(FILTERED)],
        ]
        .iter()
        .enumerate()
        {
            let owners: Vec<&Thing> = owners.iter().collect();
            all.push(scene.make(api, kind, &format!("stranger-{number}"), &owners).await);
        }
    }
    all.push(owner);
    all
}

async fn versions(scene: &Scene, things: &[Thing]) -> BTreeMap<String, Value> {
    let mut versions = BTreeMap::new();
    for thing in things {
        let object = scene.present(thing).await;
        versions.insert(thing.path(), object["metadata"]["resourceVersion"].clone());
    }
    versions
}

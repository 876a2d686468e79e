//! Writers: an administrator as controllers write, and owners in the filtered view, all at once.

use std::collections::HashMap;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::super::client::number;
use super::super::record::{Key, Kind, Labels, Outcome, Query, Revision};
use super::cast::STRANGER;
use super::{Stage, cast};
use crate::harness::eventually;
use crate::harness::in_process::DEADLINE;
use crate::harness::tenancy::group;

const HOLD: &str = "example.org/hold";

/// Writes until enough has been recorded.
pub(super) async fn write(stage: Arc<Stage>, number: usize) {
    let mut random = stage.random(1, number);
    let mut step = 0;
    while !stage.enough() {
        step += 1;
        let label = format!("{number}-{step}");
        one(&stage, &mut random, &label, step).await;
    }
}

/// Reads an object, and does something about it. `label` makes every write a change.
async fn one(stage: &Stage, random: &mut StdRng, label: &str, step: i64) {
    let key = cast::key(random);
    let admin = stage.anywhere(stage.admin(), random).clone();
    if random.random_bool(0.015) {
        return collection(stage, random, &key).await;
    }
    let Some(object) = admin.get(&key).await else {
        return create(stage, random, &key, label).await;
    };
    let changed = json!({"annotations": {"step": label}});
    if object["metadata"]["deletionTimestamp"].is_string() && random.random_bool(0.5) {
        admin.merge(&key, json!({"metadata": {"finalizers": null}})).await;
        return;
    }
    match random.random_range(0..100) {
        0..12 => {
            let version = random
                .random_bool(0.5)
                .then(|| number(&object["metadata"]["resourceVersion"]));
            let client = stage.anywhere(writer(stage, random, &object), random);
            client.delete(&key, version.flatten()).await;
        }
        12..32 => edit(stage, random, &key, object, label).await,
        32..62 => {
            let members = cast::subjects(random, 0);
            let status = json!({"members": members, "observedGeneration": step});
            admin.status(&key, status).await;
        }
        62..72 => {
            let mut metadata = changed;
            let labels = [json!("yes"), json!("no"), Value::Null];
            metadata["labels"] = json!({"sel": labels[random.random_range(0..3)].clone()});
            admin.merge(&key, json!({"metadata": metadata})).await;
        }
        72..80 => {
            let phase = ["Ready", "NotReady", "Unknown"][random.random_range(0..3)];
            admin
                .status(&key, json!({"phase": phase, "observedGeneration": step}))
                .await;
        }
        80..93 if key.kind == Kind::Organizations => {
            // A namespace that another one has is refused.
            let claimed = if random.random_bool(0.2) {
                String::new()
            } else {
                cast::namespace(random)
            };
            let status = json!({"namespace": {"name": claimed}, "observedGeneration": step});
            admin.status(&key, status).await;
        }
        93..96 => {
            let mut metadata = changed;
            metadata["finalizers"] = json!([HOLD]);
            admin.merge(&key, json!({"metadata": metadata})).await;
        }
        _ => {
            admin.merge(&key, json!({"metadata": changed})).await;
        }
    }
}

/// Mostly an owner, sometimes the administrator or somebody who may not.
fn writer(stage: &Stage, random: &mut StdRng, object: &Value) -> usize {
    let people = stage.recorder.who.iter().enumerate().filter(|(_, who)| !who.everything);
    let owners: Vec<usize> = people
        .filter(|(_, who)| cast::owns(who, object))
        .map(|(number, _)| number)
        .collect();
    match random.random_range(0..10) {
        0 | 1 => stage.anybody(random),
        2..5 => stage.admin(),
        _ if owners.is_empty() => stage.admin(),
        _ => owners[random.random_range(0..owners.len())],
    }
}

/// New owners, by a replacement of what was read or by a patch of what is there now.
async fn edit(stage: &Stage, random: &mut StdRng, key: &Key, mut object: Value, label: &str) {
    let client = stage.anywhere(writer(stage, random, &object), random);
    let owners = cast::subjects(random, 1);
    if random.random_bool(0.5) {
        object["spec"]["owners"] = json!(owners);
        object["metadata"]["annotations"]["step"] = json!(label);
        client.replace(key, object).await;
    } else {
        let change = json!({"metadata": {"annotations": {"step": label}}, "spec": {"owners": owners}});
        client.merge(key, change).await;
    }
}

async fn create(stage: &Stage, random: &mut StdRng, key: &Key, label: &str) {
    let mut owners = cast::subjects(random, 0);
    let who = match stage.anybody(random) {
        who if random.random_bool(0.5) || stage.recorder.who[who].name == STRANGER => stage.admin(),
        who => who,
    };
    let own = cast::as_subject(&stage.recorder.who[who], random);
    if owners.is_empty() || random.random_bool(0.9) && !owners.contains(&own) {
        owners.push(own);
    }
    let body = cast::body(key, &owners, label);
    stage.anywhere(who, random).create(key, body).await;
}

/// Deletes what is labelled `no`, and owned by whoever asks.
async fn collection(stage: &Stage, random: &mut StdRng, key: &Key) {
    let who = if random.random_bool(0.3) {
        stage.admin()
    } else {
        stage.anybody(random)
    };
    let (namespace, _) = key.split();
    let query = Query {
        labels: Labels::Is("no"),
        namespace: (key.kind == Kind::Projects).then(|| namespace.into()),
        ..Query::all(key.kind)
    };
    stage.anywhere(who, random).delete_collection(&query).await;
}

/// Makes everything visible to everybody and selected by every selector; answers the last revision of each object. That is
/// the end of every watch.
pub(super) async fn close(stage: &Stage) -> HashMap<Key, Revision> {
    let admin = &stage.clients[0][stage.admin()];
    let mut last = HashMap::new();
    for key in cast::keys() {
        let closed = async || {
            match admin.get(&key).await {
                None => {
                    let body = cast::body(&key, &[group(cast::EVERYBODY)], "last");
                    admin.create(&key, body).await;
                }
                Some(object) if object["metadata"]["deletionTimestamp"].is_string() => {
                    admin.merge(&key, json!({"metadata": {"finalizers": null}})).await;
                    return Err("it is being deleted");
                }
                Some(_) => {}
            }
            let status = json!({"members": [group(cast::EVERYBODY)], "phase": "Ready", "observedGeneration": 0});
            if !matches!(admin.status(&key, status).await, Outcome::Stored(_)) {
                return Err("its status was not written");
            }
            let metadata = json!({"labels": {"sel": "yes"}, "annotations": {"step": "closed"}});
            match admin.merge(&key, json!({"metadata": metadata})).await {
                Outcome::Stored(seen) => Ok(seen.revision),
                _ => Err("it was not labelled"),
            }
        };
        last.insert(
            key.clone(),
            eventually("the last write to an object", DEADLINE, closed).await,
        );
    }
    last
}

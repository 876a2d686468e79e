//! What a follower believes to exist, and how that is compared with a list.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::super::get;
use crate::harness::{ControlPlane, eventually};

/// For followers that may have to wait for their turn several times before they try again: client-go's and kube-rs'
/// pauses grow with every trouble.
const CONVERGED: Duration = Duration::from_secs(180);

/// Namespace and name.
pub(super) type Key = (String, String);

/// What is compared of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) labels: BTreeMap<String, String>,
}

/// All that a follower knows of one resource.
pub(super) type Picture = BTreeMap<Key, Known>;

/// An entry of a picture from an object as JSON.
pub(super) fn known(object: &Value) -> (Key, Known) {
    let metadata = &object["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let known = Known {
        uid: text("uid"),
        version: text("resourceVersion"),
        labels: labels
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    };
    ((text("namespace"), text("name")), known)
}

/// A list as its user gets it.
pub(super) struct Listed {
    pub(super) items: Vec<Value>,
    pub(super) picture: Picture,
}

/// Says where a follower is not yet what a list is.
pub(super) type Check = Box<dyn Fn(&Listed) -> Result<(), String> + Send + Sync>;

/// Whoever follows a resource as a user.
pub(super) struct Follower {
    pub(super) name: String,
    pub(super) user: &'static str,
    pub(super) path: &'static str,
    /// Whether it has come to what a list says.
    pub(super) check: Check,
}

/// Whether a picture is that of a list; `Err` says where it is not.
pub(super) fn compare(picture: &Picture, listed: &Picture) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (key, known) in listed {
        match picture.get(key) {
            None => wrong.push(format!("lacks {key:?}")),
            Some(own) if own != known => wrong.push(format!("{key:?} is {own:?}, should be {known:?}")),
            Some(_) => {}
        }
    }
    let extra = picture.keys().filter(|key| !listed.contains_key(*key));
    wrong.extend(extra.map(|key| format!("still has {key:?}")));
    if wrong.is_empty() {
        return Ok(());
    }
    let count = wrong.len();
    wrong.truncate(4);
    Err(format!("{count} of {}: {}", listed.len(), wrong.join("; ")))
}

/// Waits until every follower has come to what a fresh list of its user says. Nobody may be writing meanwhile.
/// Returns the lists.
pub(super) async fn converged(
    stage: &str,
    plane: &ControlPlane,
    followers: &[Follower],
) -> BTreeMap<(&'static str, &'static str), Picture> {
    let mut clients = HashMap::new();
    for follower in followers {
        if !clients.contains_key(follower.user) {
            clients.insert(follower.user, plane.client(follower.user).await);
        }
    }
    let started = tokio::time::Instant::now();
    let check = async || {
        let mut lists = BTreeMap::new();
        let mut behind = Vec::new();
        for follower in followers {
            let place = (follower.user, follower.path);
            if let Entry::Vacant(vacant) = lists.entry(place) {
                let answer = get(&clients[follower.user], follower.path).await;
                if answer.code != 200 {
                    return Err(format!("{place:?}: {answer:?}"));
                }
                let items = answer.json()["items"].as_array().unwrap().clone();
                let picture = items.iter().map(known).collect();
                vacant.insert(Listed { items, picture });
            }
            if let Err(why) = (follower.check)(&lists[&place]) {
                behind.push(format!("{} as {}: {why}", follower.name, follower.user));
            }
        }
        if behind.is_empty() {
            Ok(lists)
        } else {
            Err(behind.join("\n"))
        }
    };
    let lists = eventually(&format!("everybody has come to the truth {stage}"), CONVERGED, check).await;
    println!("{stage}: {} followers after {:?}", followers.len(), started.elapsed());
    lists
        .into_iter()
        .map(|(place, listed)| (place, listed.picture))
        .collect()
}

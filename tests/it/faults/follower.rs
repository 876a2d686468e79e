//! A client that follows a list by a watch, goes on at another server when one fails, and takes every rule literally.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::SOON;
use crate::harness::eventually;
use crate::harness::in_process::{Answer, Caller, Event, Watching};

/// Between two attempts to reach a server.
const PAUSE: Duration = Duration::from_millis(50);

/// A running follower; it ends when dropped.
pub(super) struct Follower {
    who: String,
    callers: Vec<Caller>,
    path: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What a follower has been told.
#[derive(Debug, Default)]
struct Seen {
    /// Key and resourceVersion of every object that it believes to be there.
    objects: BTreeMap<String, u64>,
    /// From where it would resume.
    position: u64,
    /// Added since the last event of another kind: a watch that broke off before the bookmark which belongs to such an
    /// event is resumed before it, and repeats it (visibility rule V5).
    unconfirmed: BTreeSet<String>,
    /// What a resumed watch may repeat.
    repeatable: BTreeSet<String>,
    /// An object came that is older than the position, so that a bookmark must follow.
    owed: bool,
    /// How often it has listed.
    lists: usize,
    /// How often it has gone on without listing.
    resumes: usize,
    events: usize,
    /// Rules that were broken.
    broken: Vec<String>,
}

impl Follower {
    /// Follows `path` as whoever `callers` are at each server, beginning at the one with this number.
    pub(super) fn start(who: &str, callers: Vec<Caller>, path: String, first: usize) -> Follower {
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(follow(callers.clone(), path.clone(), first, seen.clone()));
        Follower {
            who: who.to_owned(),
            callers,
            path,
            seen,
            task,
        }
    }

    pub(super) fn lists(&self) -> usize {
        self.seen.lock().lists
    }

    pub(super) fn events(&self) -> usize {
        self.seen.lock().events
    }

    /// Waits until it has listed once.
    pub(super) async fn begun(&self) {
        eventually("the first list", SOON, async || match self.lists() {
            0 => Err("none yet"),
            _ => Ok(()),
        })
        .await;
    }

    /// Waits until it has gone on with a watch that broke off.
    pub(super) async fn resumed(&self) {
        eventually("a resumed watch", SOON, async || match self.seen.lock().resumes {
            0 => Err("none yet"),
            _ => Ok(()),
        })
        .await;
    }

    /// Waits until it has what every server lists.
    pub(super) async fn converged(&self, what: &str) {
        for caller in &self.callers {
            let what = format!("{what}: {} has what is listed at {}", self.who, self.path);
            eventually(&what, SOON, async || {
                let answer = caller.attempt(Method::GET, &self.path, &[], "").await?;
                if answer.code != 200 {
                    return Err(format!("{}: {}", answer.code, answer.text()));
                }
                let listed = items(&answer);
                let seen = self.seen.lock();
                assert!(
                    seen.broken.is_empty(),
                    "{} at {}: {:#?}",
                    self.who,
                    self.path,
                    seen.broken
                );
                if seen.objects == listed {
                    return Ok(());
                }
                Err(difference(&listed, &seen))
            })
            .await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As much of a list as is needed here.
#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: Option<String>,
    resource_version: String,
}

/// Keys and revisions of a list.
pub(super) fn items(list: &Answer) -> BTreeMap<String, u64> {
    let list: List = serde_json::from_slice(&list.body).unwrap_or_else(|error| panic!("{error}: {}", list.text()));
    let count = list.items.len();
    let pair = |item: Item| {
        let Metadata {
            name,
            namespace,
            resource_version,
        } = item.metadata;
        let key = namespace.map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        (key, resource_version.parse().expect("a revision"))
    };
    let unique: BTreeMap<String, u64> = list.items.into_iter().map(pair).collect();
    assert_eq!(unique.len(), count, "twice in one list");
    unique
}

fn difference(listed: &BTreeMap<String, u64>, seen: &Seen) -> String {
    let only = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| -> Vec<String> {
        let odd = a.iter().filter(|(key, revision)| b.get(*key) != Some(revision));
        odd.take(10)
            .map(|(key, revision)| format!("{key}@{revision}"))
            .collect()
    };
    let (listed_only, seen_only) = (only(listed, &seen.objects), only(&seen.objects, listed));
    let (position, lists, resumes) = (seen.position, seen.lists, seen.resumes);
    format!(
        "listed only {listed_only:?}, seen only {seen_only:?}; at {position} after {lists} lists, {resumes} resumes"
    )
}

async fn follow(callers: Vec<Caller>, path: String, first: usize, seen: Arc<Mutex<Seen>>) {
    let mut at = first;
    let mut listed = false;
    loop {
        let caller = &callers[at % callers.len()];
        if !listed {
            match caller.attempt(Method::GET, &path, &[], "").await {
                Ok(answer) if answer.code == 200 => seen.lock().list(&answer),
                _ => {
                    at += 1;
                    sleep(PAUSE).await;
                    continue;
                }
            }
        } else {
            seen.lock().resume();
        }
        listed = true;
        let position = seen.lock().position;
        let query = format!("{path}?resourceVersion={position}&allowWatchBookmarks=true");
        if let Ok(watch) = caller.try_watch(&query, "application/json").await {
            listed = !watched(watch, &seen).await;
        }
        if listed {
            at += 1;
        }
        sleep(PAUSE).await;
    }
}

/// Reads a watch to its end; whether that end says to list again.
async fn watched(mut watch: Watching, seen: &Mutex<Seen>) -> bool {
    while let Ok(Some(event)) = watch.try_next().await {
        if event.kind == "ERROR" {
            let mut seen = seen.lock();
            let gone = event.object["code"] == 410;
            if !gone && event.object["code"] != 504 {
                seen.broken.push(format!("an error in a watch: {}", event.object));
            }
            return gone;
        }
        seen.lock().event(&event);
    }
    false
}

impl Seen {
    fn list(&mut self, answer: &Answer) {
        let at = answer.revision();
        if at < self.position {
            self.broken
                .push(format!("a fresh list at {at}, but {} was seen before", self.position));
        }
        self.position = at;
        self.objects = items(answer);
        self.lists += 1;
        self.repeatable.clear();
        self.confirm();
    }

    fn resume(&mut self) {
        self.resumes += 1;
        self.repeatable = std::mem::take(&mut self.unconfirmed);
        self.owed = false;
    }

    fn confirm(&mut self) {
        self.unconfirmed.clear();
        self.owed = false;
    }

    fn event(&mut self, event: &Event) {
        let (at, name, position) = (event.revision(), event.key(), self.position);
        let known = self.objects.get(&name).copied();
        let right = match (event.kind.as_str(), known) {
            ("BOOKMARK", _) => at >= position,
            ("ADDED", None) => true,
            ("ADDED", Some(_)) => self.repeatable.remove(&name),
            ("MODIFIED" | "DELETED", Some(before)) => at > before && at > position && !self.owed,
            _ => false,
        };
        if !right {
            self.broken.push(format!(
                "out of place: {} {name} at {at}, known as {known:?}, position {position}, a bookmark is owed: {}",
                event.kind, self.owed
            ));
        }
        match event.kind.as_str() {
            "BOOKMARK" => {
                self.repeatable.clear();
                self.confirm();
            }
            "ADDED" => {
                self.owed |= at <= position;
                self.unconfirmed.insert(name.clone());
                self.objects.insert(name, at);
                self.events += 1;
            }
            "DELETED" => {
                self.confirm();
                self.objects.remove(&name);
                self.events += 1;
            }
            _ => {
                self.confirm();
                self.objects.insert(name, at);
                self.events += 1;
            }
        }
        self.position = position.max(at);
    }
}

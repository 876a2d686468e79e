//! The store's own order: what it has committed, read where no server is in between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bulward::storage::{Batch, Error, Storage};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::print;
use super::record::{Key, Kind, Moment, Revision, Version};
use crate::harness::in_process::DEADLINE;

/// Follows a storage from now on.
pub(crate) struct Truth {
    storage: Arc<dyn Storage>,
    pub(crate) begin: Revision,
    heard: Arc<Mutex<Heard>>,
    reached: watch::Receiver<Revision>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    subjects: Subjects,
    moments: Vec<Moment>,
}

#[derive(Default)]
struct Subjects {
    names: Vec<Arc<str>>,
    places: HashMap<Arc<str>, u32>,
}

impl Truth {
    /// From the storage's newest revision on; nothing of ours may be in it yet.
    pub(crate) async fn follow(storage: Arc<dyn Storage>) -> Self {
        let begin = storage.current_revision().await.expect("the storage answers");
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let (sender, reached) = watch::channel(begin);
        let task = tokio::spawn(listen(storage.clone(), begin, heard.clone(), sender));
        Self {
            storage,
            begin,
            heard,
            reached,
            task,
        }
    }

    /// Up to where it has followed.
    pub(crate) fn reached(&self) -> Revision {
        *self.reached.borrow()
    }

    /// The storage's newest revision; nothing if it does not answer.
    pub(crate) async fn newest(&self) -> Option<Revision> {
        self.storage.current_revision().await.ok()
    }

    /// Everything until now, and the subjects that it names.
    pub(crate) async fn finish(self) -> (Vec<Moment>, Vec<Arc<str>>) {
        let newest = self.storage.current_revision().await.expect("the storage answers");
        let mut reached = self.reached.clone();
        let followed = tokio::time::timeout(DEADLINE, reached.wait_for(|reached| *reached >= newest)).await;
        assert!(
            matches!(followed, Ok(Ok(_))),
            "the storage's own watch stays at {} and does not reach {newest}",
            self.reached()
        );
        self.task.abort();
        let mut heard = std::mem::take(&mut *self.heard.lock());
        heard.moments.retain(|moment| moment.revision <= newest);
        (heard.moments, heard.subjects.names)
    }
}

async fn listen(
    storage: Arc<dyn Storage>,
    begin: Revision,
    heard: Arc<Mutex<Heard>>,
    reached: watch::Sender<Revision>,
) {
    loop {
        let after = *reached.borrow();
        let followed = follow(&storage, after, begin, &heard, &reached).await;
        if let Err(Error::Compacted { .. }) = followed {
            panic!("the storage was compacted beyond {after}, up to which its order is recorded");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn follow(
    storage: &Arc<dyn Storage>,
    after: Revision,
    begin: Revision,
    heard: &Mutex<Heard>,
    reached: &watch::Sender<Revision>,
) -> Result<(), Error> {
    let mut watch = storage.watch("", after).await?;
    loop {
        // Foreign keys move the revision without a batch: ask now and then.
        let batch = match tokio::time::timeout(Duration::from_millis(200), watch.batches.recv()).await {
            Ok(Some(batch)) => batch?,
            Ok(None) => return Ok(()),
            Err(_) => {
                let _ = watch.progress.try_send(());
                continue;
            }
        };
        if batch.revision > begin && !batch.events.is_empty() {
            let mut heard = heard.lock();
            // Not of our kinds: claims, keys of tokens.
            let moment = moment(&batch, &mut heard.subjects);
            if !moment.changes.is_empty() {
                heard.moments.push(moment);
            }
        }
        reached.send_if_modified(|own| {
            let further = batch.revision > *own;
            *own = batch.revision.max(*own);
            further
        });
    }
}

fn moment(batch: &Batch, subjects: &mut Subjects) -> Moment {
    let changes = batch.events.iter().filter_map(|event| {
        let key = key(&event.key)?;
        let version = event.value.as_ref().map(|value| {
            let object: Value = serde_json::from_slice(value).expect("what is stored is JSON");
            Arc::new(version(&key, batch.revision, object, subjects))
        });
        Some((key, version))
    });
    Moment {
        revision: batch.revision,
        changes: changes.collect(),
    }
}

/// `organizations/acme`, `projects/acme/web`; other keys are not objects of ours.
fn key(text: &str) -> Option<Key> {
    let (plural, name) = text.split_once('/')?;
    let kind = [Kind::Organizations, Kind::Projects]
        .into_iter()
        .find(|kind| kind.plural() == plural)?;
    Some(Key::new(kind, name))
}

fn version(key: &Key, revision: Revision, object: Value, subjects: &mut Subjects) -> Version {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let mut named = |path: &str| -> Box<[u32]> {
        let list = object.pointer(path).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.map(|subject| subjects.place(&name(subject, "/"))).collect()
    };
    let (owners, members) = (named("/spec/owners"), named("/status/members"));
    Version {
        key: key.clone(),
        revision,
        uid: text("/metadata/uid").unwrap_or_default().into(),
        owners,
        members,
        claim: text("/status/namespace/name").unwrap_or_default().into(),
        label: text("/metadata/labels/sel").map(Into::into),
        phase: text("/status/phase").unwrap_or_default().into(),
        leaving: text("/metadata/deletionTimestamp").is_some(),
        prints: print::all(object.clone(), &cells(key, &object)),
    }
}

/// `Kind/name`, `ServiceAccount/namespace/name`.
fn name(subject: &Value, separator: &str) -> String {
    let part = |field: &str| subject[field].as_str().unwrap_or_default();
    let namespace = part("namespace");
    let between = if namespace.is_empty() { "" } else { "/" };
    format!("{}{separator}{namespace}{between}{}", part("kind"), part("name"))
}

/// What a table shows of the object, but for the role and the age.
fn cells(key: &Key, object: &Value) -> Vec<Value> {
    let text = |path: &str| object.pointer(path).cloned().unwrap_or_default();
    let subjects = |path: &str| {
        let list = object.pointer(path).and_then(Value::as_array);
        let list = list.filter(|list| !list.is_empty())?;
        let shown = list.iter().map(|subject| match subject["kind"].as_str() {
            Some("User") => subject["name"].as_str().unwrap_or_default().to_owned(),
            Some(kind) => name(subject, ":").replacen(kind, &kind.to_lowercase(), 1),
            None => String::new(),
        });
        Some(shown.collect::<Vec<_>>().join(","))
    };
    let mut cells = vec![json!(key.split().1)];
    if key.kind == Kind::Organizations {
        cells.push(text("/spec/metadata/displayName"));
    }
    cells.extend([
        text("/status/phase"),
        text("/status/namespace/name"),
        json!(subjects("/spec/owners")),
        json!(subjects("/status/members")),
    ]);
    cells
}

impl Subjects {
    fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.names.len()).expect("so many subjects");
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.places.insert(name, place);
        place
    }
}

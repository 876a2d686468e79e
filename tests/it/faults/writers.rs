//! Writers that know exactly what was acknowledged, and what may have happened without an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{SOON, seed};
use crate::harness::eventually;
use crate::harness::in_process::{Caller, key};
use crate::harness::tenancy::{
    a_project, all_projects, an_organization, as_stored, organizations, projects, stored, user,
};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Objects that a writer has at a time.
const OBJECTS: usize = 6;
/// After an attempt whose outcome is unknown.
const PAUSE: Duration = Duration::from_millis(20);

/// Running writers. Their objects are named `w<batch>-<writer>-<write>`.
pub(super) struct Writers {
    batch: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Ledger>>,
}

/// What may be stored of each object: the number of the write that made it so, or none for one that is not there. The
/// first is what was acknowledged last, the others are attempts since then without an answer.
#[derive(Debug)]
pub(super) struct Ledger {
    batch: usize,
    objects: BTreeMap<String, Vec<Option<u64>>>,
}

/// What an answer says about a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
    Unknown,
}

impl Writers {
    /// Starts `count` writers, who begin at different servers and move on when one fails. What each of them tries follows
    /// from the seed and `batch`.
    pub(super) fn start(admins: &[Caller], count: usize, batch: usize) -> Writers {
        let seed = seed();
        println!("writers {batch} with BULWARD_FAULTS_SEED={seed}");
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let writer = |number: usize| Writer {
            name: format!("w{batch}-{number}"),
            rng: StdRng::seed_from_u64(seed.wrapping_add((batch << 32 | number) as u64)),
            admins: admins.to_vec(),
            at: number,
            serial: 0,
            objects: Vec::new(),
            ledger: Ledger::new(batch),
            acknowledged: acknowledged.clone(),
        };
        let tasks = (0..count).map(|number| tokio::spawn(writer(number).run(stop.clone())));
        Writers {
            batch,
            tasks: tasks.collect(),
            acknowledged,
            stop,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many further writes have been acknowledged.
    pub(super) async fn advance(&self, further: usize) {
        let wanted = self.count() + further;
        eventually("further writes are acknowledged", SOON, async || match self.count() {
            count if count >= wanted => Ok(()),
            count => Err(format!("{count} of {wanted}")),
        })
        .await;
    }

    /// Stops them; what may be stored.
    pub(super) async fn finish(self) -> Ledger {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Ledger::new(self.batch);
        for task in self.tasks {
            let one = task.await.expect("a writer goes on whatever happens");
            all.objects.extend(one.objects);
        }
        all
    }
}

impl Ledger {
    fn new(batch: usize) -> Ledger {
        Ledger {
            batch,
            objects: BTreeMap::new(),
        }
    }

    /// Compares with what an administrator reads at each server.
    pub(super) async fn holds(&self, admins: &[Caller]) {
        for admin in admins {
            let mut there = BTreeMap::new();
            for path in [stored(&organizations()), stored(&all_projects())] {
                let list = eventually("a list", SOON, async || {
                    let answer = admin.attempt(Method::GET, &path, &[], "").await?;
                    if answer.code == 200 {
                        Ok(answer.json())
                    } else {
                        Err(answer.text())
                    }
                });
                for item in list.await["items"].as_array().expect("a list has items") {
                    let metadata = &item["metadata"];
                    let name = metadata["name"].as_str().unwrap_or_default();
                    if !name.starts_with(&format!("w{}-", self.batch)) {
                        continue;
                    }
                    let number = metadata["labels"]["write"].as_str().expect("the writers' mark");
                    let half = metadata["annotations"]["write"] != number;
                    assert!(!half, "half of a write: {item}");
                    there.insert(key(item), number.parse::<u64>().expect("the writers' own number"));
                }
            }
            for (key, possible) in &self.objects {
                let now = there.remove(key);
                assert!(
                    possible.contains(&now),
                    "{key} is {now:?}, which none of {possible:?} is"
                );
            }
            assert!(there.is_empty(), "nobody wrote {there:?}");
        }
    }

    /// Objects whose state is certain, and that are there.
    pub(super) fn certain(&self) -> usize {
        self.objects
            .values()
            .filter(|possible| matches!(possible[..], [Some(_)]))
            .count()
    }
}

struct Writer {
    name: String,
    rng: StdRng,
    admins: Vec<Caller>,
    at: usize,
    serial: u64,
    /// Keys of what is there for certain.
    objects: Vec<String>,
    ledger: Ledger,
    acknowledged: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Ledger {
        while !stop.load(Ordering::SeqCst) {
            self.serial += 1;
            let choice = self.rng.random_range(0..10);
            if self.objects.len() < OBJECTS && choice < 5 {
                self.create().await;
            } else if let Some(key) = self.choose() {
                if choice == 9 {
                    self.delete(key).await;
                } else {
                    self.change(key, choice).await;
                }
            }
        }
        self.ledger
    }

    fn choose(&mut self) -> Option<String> {
        match self.objects.len() {
            0 => None,
            count => Some(self.objects[self.rng.random_range(0..count)].clone()),
        }
    }

    fn some_users(&mut self) -> Vec<Value> {
        let chosen: Vec<&str> = USERS.into_iter().filter(|_| self.rng.random()).collect();
        chosen.into_iter().map(user).collect()
    }

    fn mark(&self) -> Value {
        let number = self.serial.to_string();
        json!({"labels": {"write": number}, "annotations": {"write": number}})
    }

    async fn create(&mut self) {
        let mut owners = self.some_users();
        owners.push(user("dave"));
        let name = format!("{}-{}", self.name, self.serial);
        let (path, mut body, key) = if self.rng.random_range(0..3) == 0 {
            let namespace = format!("in-{}", self.name);
            let key = format!("{namespace}/{name}");
            (projects(&namespace), a_project(&name, &owners), key)
        } else {
            (organizations(), an_organization(&name, &owners), name.clone())
        };
        body["metadata"]["labels"] = self.mark()["labels"].clone();
        body["metadata"]["annotations"] = self.mark()["annotations"].clone();
        let outcome = self
            .send(Method::POST, &stored(&path), "application/json", &as_stored(body))
            .await;
        match outcome {
            Outcome::Done => {
                self.ledger.objects.insert(key.clone(), vec![Some(self.serial)]);
                self.objects.push(key);
            }
            // Never touched again: it may still come about.
            Outcome::Unknown => {
                self.ledger.objects.insert(key, vec![None, Some(self.serial)]);
            }
            Outcome::Refused => {}
        }
    }

    /// Changes the object together with who sees it; sometimes its status, and then the mark stays as it was.
    async fn change(&mut self, key: String, choice: u32) {
        let path = path_of(&key);
        if choice >= 6 {
            // Who belongs to a Project in the claimed namespace sees the Organization, too.
            let claimed = if choice == 8 && !key.contains('/') {
                format!("in-{}", self.name)
            } else {
                String::new()
            };
            let status = json!({"status": {"members": self.some_users(), "namespace": {"name": claimed}}});
            self.send(
                Method::PATCH,
                &format!("{path}/status"),
                "application/merge-patch+json",
                &status,
            )
            .await;
            return;
        }
        let mut owners = self.some_users();
        owners.push(user("dave"));
        let change = json!({"metadata": self.mark(), "spec": {"owners": owners}});
        let outcome = self
            .send(Method::PATCH, &path, "application/merge-patch+json", &change)
            .await;
        self.note(key, Some(self.serial), outcome);
    }

    async fn delete(&mut self, key: String) {
        let outcome = self
            .send(Method::DELETE, &path_of(&key), "application/json", &json!({}))
            .await;
        if outcome != Outcome::Refused {
            self.objects.retain(|own| *own != key);
        }
        self.note(key, None, outcome);
    }

    fn note(&mut self, key: String, state: Option<u64>, outcome: Outcome) {
        let possible = self.ledger.objects.entry(key).or_default();
        match outcome {
            Outcome::Done => *possible = vec![state],
            Outcome::Unknown => possible.push(state),
            Outcome::Refused => {}
        }
    }

    async fn send(&mut self, method: Method, path: &str, media: &str, body: &Value) -> Outcome {
        let caller = &self.admins[self.at % self.admins.len()];
        let headers = [("content-type", media)];
        let answer = caller.attempt(method, path, &headers, body.to_string()).await;
        match answer {
            Ok(answer) if answer.code < 300 => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                Outcome::Done
            }
            Ok(answer) if answer.code < 500 => {
                // The cache is being loaded.
                if answer.code == 429 {
                    self.at += 1;
                    sleep(PAUSE).await;
                }
                Outcome::Refused
            }
            _ => {
                self.at += 1;
                sleep(PAUSE).await;
                Outcome::Unknown
            }
        }
    }
}

fn path_of(key: &str) -> String {
    match key.split_once('/') {
        Some((namespace, name)) => format!("{}/{name}", stored(&projects(namespace))),
        None => format!("{}/{key}", stored(&organizations())),
    }
}

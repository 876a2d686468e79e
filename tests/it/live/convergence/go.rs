//! The Go program `follow`: client-go's informers and RetryWatcher, controller-runtime's cache, and a leader election.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::picture::{Follower, Known, Listed, Picture, compare};
use crate::harness::lines::Lines;
use crate::harness::process::{Log, Process};
use crate::harness::programs;

/// Who follows each resource in the program.
const FOLLOWERS: [&str; 4] = ["informer", "metadata", "retry", "reconciler"];
/// The Lease that the programs vie for.
pub(super) const LEASE: (&str, &str) = ("default", "followers");
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// What a program is told to follow.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) user: &'static str,
    pub(super) watch_list: bool,
    /// `group/version`.
    pub(super) group_version: &'static str,
    /// Paths of the lists of Organizations and Projects, in this order.
    pub(super) paths: [&'static str; 2],
}

/// A running program. Dropping it kills it.
pub(super) struct Program {
    pub(super) name: String,
    heard: Arc<Mutex<Heard>>,
    process: Arc<Process>,
    reading: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    leads: bool,
    followers: HashMap<(String, String), State>,
}

#[derive(Default)]
struct State {
    picture: Picture,
    synced: bool,
    /// How often it began anew.
    resets: usize,
    owned: Option<usize>,
}

/// One line of the program's output.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    follower: String,
    resource: String,
    #[serde(rename = "type")]
    kind: String,
    namespace: String,
    name: String,
    resource_version: String,
    uid: String,
    labels: BTreeMap<String, String>,
    owned: Option<usize>,
}

impl Program {
    /// Starts it through `kubeconfig`; its errors go to `target/it-logs/<name>.log`.
    pub(super) async fn start(name: &str, kubeconfig: &Path, told: &Told) -> Program {
        let program = programs::find("follow").await.unwrap_or_else(|e| panic!("{e}"));
        let log = Log::create(name);
        let resources = ["organizations/Organization", "projects/Project"];
        let resources = resources.map(|resource| format!("{}/{resource}", told.group_version));
        let mut command = Command::new(program);
        command.arg("-kubeconfig").arg(kubeconfig);
        command.args(["-resources", &resources.join(",")]);
        command.args(["-identity", name, "-lease", &format!("{}/{}", LEASE.0, LEASE.1)]);
        command.args(["-owner", told.user]);
        command.arg(format!("-watchlist={}", told.watch_list));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.appender());
        let process = Process::spawn_as_set(name, &mut command, &log);
        let mut lines = Lines::of(name, process.take_stdout());
        let heard = Arc::<Mutex<Heard>>::default();
        let hearing = heard.clone();
        let reading = tokio::spawn(async move {
            while let Ok(line) = lines.next(Instant::now() + FOREVER).await {
                let line = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
                hearing.lock().hear(line);
            }
        });
        Program {
            name: name.to_owned(),
            heard,
            process: Arc::new(process),
            reading,
        }
    }

    /// Its followers, to be compared with lists.
    pub(super) fn followers(&self, told: &Told) -> Vec<Follower> {
        let mut all = Vec::new();
        for (resource, path) in ["organizations", "projects"].into_iter().zip(told.paths) {
            for follower in FOLLOWERS {
                let (heard, process, user) = (self.heard.clone(), self.process.clone(), told.user);
                let reading = self.reading.abort_handle();
                let key = (follower.to_owned(), resource.to_owned());
                all.push(Follower {
                    name: format!("{}: {follower} of {resource}", self.name),
                    user,
                    path,
                    check: Box::new(move |listed| {
                        let ended = process.ended().is_some() || reading.is_finished();
                        assert!(!ended, "{} has ended; {}", process.name(), process.log_tail());
                        heard.lock().check(&key, user, listed)
                    }),
                });
            }
        }
        all
    }

    /// Whether it says that it leads.
    pub(super) fn leads(&self) -> bool {
        self.heard.lock().leads
    }

    /// How often its RetryWatcher of a resource has begun with a list.
    pub(super) fn lists_of_retry_watcher(&self, resource: &str) -> usize {
        let key = ("retry".to_owned(), resource.to_owned());
        self.heard.lock().followers.get(&key).map_or(0, |state| state.resets)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its followers hold it, too.
        self.process.kill();
        self.reading.abort();
    }
}

impl Heard {
    fn hear(&mut self, line: Line) {
        if line.follower == "leader" {
            self.leads = line.kind == "LED";
            return;
        }
        let state = self.followers.entry((line.follower, line.resource)).or_default();
        state.owned = line.owned.or(state.owned);
        let key = (line.namespace, line.name);
        match line.kind.as_str() {
            "RESET" => {
                state.picture.clear();
                state.resets += 1;
            }
            "SYNCED" => state.synced = true,
            "GONE" => {
                state.picture.remove(&key);
            }
            _ => {
                let known = Known {
                    uid: line.uid,
                    version: line.resource_version,
                    labels: line.labels,
                };
                state.picture.insert(key, known);
            }
        }
    }

    fn check(&self, key: &(String, String), user: &str, listed: &Listed) -> Result<(), String> {
        let state = self.followers.get(key).ok_or("has said nothing")?;
        if !state.synced {
            return Err("has not synced".to_owned());
        }
        compare(&state.picture, &listed.picture)?;
        let Some(owned) = state.owned else { return Ok(()) };
        let owns = |item: &&serde_json::Value| {
            let owners = item["spec"]["owners"].as_array().into_iter().flatten();
            owners.into_iter().any(|owner| owner["name"] == user)
        };
        let count = listed.items.iter().filter(owns).count();
        if owned != count {
            return Err(format!("its index finds {owned} of {user}, there are {count}"));
        }
        Ok(())
    }
}

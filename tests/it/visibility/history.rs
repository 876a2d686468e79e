//! What watchers saw, compared with a brute-force model: Complete, Exact, Ordered, Once, Resumable (V3–V5).
//!
//! An administrator grants, revokes, edits, claims and deletes at random; the model keeps the whole state after every step.
//! From it follows, for every watcher, the one sequence of events that is right. A failure prints its seed;
//! `BULWARD_HISTORY_SEED` replays it, `BULWARD_HISTORY_STEPS` makes the run longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch as signal;
use tokio::task::JoinHandle;

use crate::harness::in_process::{Caller, DEADLINE, InProcess, Opened, each_storage, key, revision};
use crate::harness::tenancy::{
    World, a_project, all_projects, an_organization, as_stored, group, organization, organizations, project, projects,
    stored, user,
};

/// Everybody is in it: the marker at the end is for all.
const EVERYBODY: &str = "system:authenticated";
const MARKER: &str = "zz-marker";
/// The callers: each a user, the last two also in a group of their own.
const CALLERS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Organizations,
    Projects,
}

#[derive(Clone, Debug, PartialEq)]
struct Object {
    /// The step that wrote it.
    step: usize,
    owners: BTreeSet<usize>,
    members: BTreeSet<usize>,
    claim: Option<usize>,
    selected: bool,
}

/// Objects by kind, namespace number (none for Organizations) and name.
type State = BTreeMap<(Kind, String), Object>;

fn subject(number: usize) -> Value {
    if number < CALLERS {
        user(&format!("u{number}"))
    } else {
        group(&format!("g{}", number - CALLERS))
    }
}

fn subjects(numbers: &BTreeSet<usize>) -> Vec<Value> {
    numbers.iter().map(|number| subject(*number)).collect()
}

/// The subjects that a caller matches.
fn matching(caller: usize) -> Vec<usize> {
    if caller + 2 < CALLERS {
        vec![caller]
    } else {
        vec![caller, caller + 2]
    }
}

/// The rule, word for word.
fn visible(state: &State, key: &(Kind, String), caller: usize) -> bool {
    let Some(object) = state.get(key) else { return false };
    if key.1.ends_with(MARKER) {
        return true;
    }
    let named = |object: &Object| {
        let mut subjects = matching(caller).into_iter();
        subjects.any(|subject| object.owners.contains(&subject) || object.members.contains(&subject))
    };
    let inside = |namespace: usize| {
        let prefix = format!("n{namespace}/");
        let mut projects = state.iter().filter(|((kind, _), _)| *kind == Kind::Projects);
        projects.any(|((_, name), project)| name.starts_with(&prefix) && named(project))
    };
    named(object) || (key.0 == Kind::Organizations && object.claim.is_some_and(inside))
}

/// The state after a step, and a revision up to which nothing else has happened.
struct Moment {
    state: State,
    upper: u64,
}

struct Run {
    world: World,
    /// A second server on the same store: half of the lists and of the resumed watches go there.
    replica: InProcess,
    random: StdRng,
    history: Vec<Moment>,
}

/// A watcher: what it heard is judged at the end.
struct Watcher {
    caller: usize,
    kind: Kind,
    selecting: bool,
    /// Where its safe position was when it started or resumed, and the events since.
    start: u64,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    done: signal::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Run {
    fn people(&mut self) -> BTreeSet<usize> {
        let count = self.random.random_range(0..3);
        (0..count).map(|_| self.random.random_range(0..CALLERS + 2)).collect()
    }

    /// One random write; the model follows what was accepted.
    async fn step(&mut self) {
        let number = self.history.len();
        let mut state = self.history[number - 1].state.clone();
        let organizations_first = self.random.random_bool(0.5);
        let (kind, name, path) = if organizations_first {
            let name = format!("o{}", self.random.random_range(0..5));
            let path = organization(&name);
            (Kind::Organizations, name, path)
        } else {
            let (namespace, name) = (
                format!("n{}", self.random.random_range(0..4)),
                format!("p{}", self.random.random_range(0..2)),
            );
            let path = project(&namespace, &name);
            (Kind::Projects, format!("{namespace}/{name}"), path)
        };
        let key = (kind, name.clone());
        let choice = self.random.random_range(0..10);
        let mut people = self.people();
        if choice < 3 {
            people.insert(self.random.random_range(0..CALLERS));
        }
        let wanted = self.random.random_range(0..4);
        let taken = state.values().any(|object| object.claim == Some(wanted));
        let claim = (!taken).then_some(wanted);
        match (state.contains_key(&key), choice) {
            (false, _) => {
                let mut owners = people;
                owners.insert(self.random.random_range(0..CALLERS));
                let short = name.rsplit('/').next().unwrap();
                let (collection, body) = match kind {
                    Kind::Organizations => (organizations(), an_organization(short, &subjects(&owners))),
                    Kind::Projects => (
                        projects(name.split('/').next().unwrap()),
                        a_project(short, &subjects(&owners)),
                    ),
                };
                self.world
                    .admin
                    .post(&stored(&collection), &as_stored(body))
                    .await
                    .expect(201);
                let object = Object {
                    step: number,
                    owners,
                    members: BTreeSet::new(),
                    claim: None,
                    selected: false,
                };
                state.insert(key, object);
            }
            (true, 0) => {
                self.world.remove(&path).await;
                state.remove(&key);
            }
            (true, choice) => {
                let object = state.get_mut(&key).unwrap();
                object.step = number;
                // Every write changes the object, if only by its number.
                let metadata = |labels: Value| json!({"annotations": {"step": number.to_string()}, "labels": labels});
                match choice {
                    1..=2 => {
                        object.owners = people;
                        let owners = subjects(&object.owners);
                        let change = json!({"metadata": metadata(json!({})), "spec": {"owners": owners}});
                        self.world.edit(&path, change).await;
                    }
                    3..=6 => {
                        object.members = people;
                        let status = json!({"members": subjects(&object.members), "observedGeneration": number});
                        self.world.status(&path, status).await;
                    }
                    7 => {
                        object.selected = !object.selected;
                        let label = if object.selected { json!("yes") } else { json!(null) };
                        self.world
                            .edit(&path, json!({"metadata": metadata(json!({"sel": label}))}))
                            .await;
                    }
                    _ if kind == Kind::Organizations => {
                        object.claim = claim;
                        let namespace = claim.map(|number| format!("n{number}")).unwrap_or_default();
                        let status = json!({"namespace": {"name": namespace}, "observedGeneration": number});
                        self.world.status(&path, status).await;
                    }
                    _ => {
                        self.world.edit(&path, json!({"metadata": metadata(json!({}))})).await;
                    }
                }
            }
        }
        self.moment(state).await;
    }

    async fn moment(&mut self, state: State) {
        let upper = self.world.admin.get(&stored(&organizations())).await.revision();
        self.history.push(Moment { state, upper });
    }

    fn caller(&self, number: usize, server: &InProcess) -> Caller {
        let name = format!("u{number}");
        let own = matching(number).into_iter().filter(|subject| *subject >= CALLERS);
        let groups: Vec<String> = own.map(|subject| format!("g{}", subject - CALLERS)).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        server.user(&name, &groups)
    }

    /// The caller at either server.
    fn any_client(&mut self, number: usize) -> Caller {
        let first = self.random.random_bool(0.5);
        self.caller(number, if first { &self.world.server } else { &self.replica })
    }

    /// Starts a watch from what a list says, or with the initial events.
    async fn start(&mut self) -> Watcher {
        let caller = self.random.random_range(0..CALLERS);
        let kind = if self.random.random_bool(0.6) {
            Kind::Organizations
        } else {
            Kind::Projects
        };
        let selecting = self.random.random_bool(0.3);
        let collection = collection(kind, selecting);
        if self.random.random_bool(0.5) {
            let client = self.any_client(caller);
            let list = client.get(&collection).await;
            let start = list.revision();
            self.initial(caller, kind, selecting, start, list.names());
            return self.follow(&client, caller, kind, selecting, start).await;
        }
        let client = self.caller(caller, &self.world.server);
        let mut watching = client
            .watch(&format!("{collection}&resourceVersion=0&allowWatchBookmarks=true"))
            .await;
        let (names, start) = watching.initial().await;
        self.initial(caller, kind, selecting, start, names);
        drop(watching);
        self.follow(&client, caller, kind, selecting, start).await
    }

    /// What a list or the initial events show is the model's state at that revision.
    fn initial(&self, caller: usize, kind: Kind, selecting: bool, revision: u64, mut names: Vec<String>) {
        let at = self
            .history
            .iter()
            .rposition(|moment| moment.upper <= revision)
            .unwrap();
        names.sort();
        let shown: Vec<String> = shown(&self.history[at].state, caller, kind, selecting)
            .into_keys()
            .collect();
        assert_eq!(names, shown, "caller {caller}, {kind:?} at {revision}");
    }

    async fn follow(&self, client: &Caller, caller: usize, kind: Kind, selecting: bool, start: u64) -> Watcher {
        let path = format!(
            "{}&resourceVersion={start}&allowWatchBookmarks=true",
            collection(kind, selecting)
        );
        let mut watching = client.watch(&path).await;
        let heard: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let (sender, done) = signal::channel(false);
        let kept = heard.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = watching.next().await {
                let last = event.kind == "ADDED" && event.key().ends_with(MARKER);
                kept.lock().push((event.kind, event.object));
                if last {
                    let _ = sender.send(true);
                    return;
                }
            }
        });
        Watcher {
            caller,
            kind,
            selecting,
            start,
            heard,
            done,
            task,
        }
    }

    /// Cuts a watch and resumes it, at either server, from its last bookmark or its newest event; what came after that
    /// is to be said again. An ADDED that another object caused has an older revision and is no such place (V5).
    async fn resume(&mut self, watcher: Watcher) -> Watcher {
        watcher.task.abort();
        let _ = watcher.task.await;
        let mut heard = std::mem::take(&mut *watcher.heard.lock());
        let bookmarks_only = self.random.random_bool(0.5);
        let own = |kind: &str| match kind {
            "BOOKMARK" => true,
            "ADDED" => !bookmarks_only && watcher.kind == Kind::Projects,
            _ => !bookmarks_only,
        };
        let safe = heard.iter().rposition(|(kind, _)| own(kind));
        heard.truncate(safe.map_or(0, |at| at + 1));
        let position = heard.last().map_or(watcher.start, |(_, object)| revision(object));
        let client = self.any_client(watcher.caller);
        let resumed = self
            .follow(&client, watcher.caller, watcher.kind, watcher.selecting, position)
            .await;
        // What the new stream says is judged as the continuation of the old one.
        resumed.heard.lock().splice(0..0, heard);
        Watcher {
            start: watcher.start,
            ..resumed
        }
    }

    /// The one sequence of events that is right, step by step.
    fn judge(&self, watcher: &Watcher, seed: u64) {
        let heard = watcher.heard.lock();
        let mut heard = heard.iter().filter(|(kind, _)| kind != "BOOKMARK");
        let begin = self
            .history
            .iter()
            .rposition(|moment| moment.upper <= watcher.start)
            .unwrap();
        let mut shows: BTreeMap<String, Value> = BTreeMap::new();
        let of = |state: &State| shown(state, watcher.caller, watcher.kind, watcher.selecting);
        for pair in self.history[begin..].windows(2) {
            let (before, after) = (of(&pair[0].state), of(&pair[1].state));
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let mut expected = BTreeSet::new();
            for key in keys {
                match (before.get(key), after.get(key)) {
                    (None, Some(_)) => expected.insert(("ADDED", key.clone())),
                    (Some(old), Some(new)) if old != new => expected.insert(("MODIFIED", key.clone())),
                    (Some(_), None) => expected.insert(("DELETED", key.clone())),
                    _ => false,
                };
            }
            let context = || {
                format!(
                    "seed {seed}, caller {}, {:?}, step to {}",
                    watcher.caller, watcher.kind, pair[1].upper
                )
            };
            let mut said = BTreeSet::new();
            while said != expected {
                let Some((kind, object)) = heard.next() else {
                    panic!("{}: {expected:?} was not said", context())
                };
                let at = revision(object);
                let within = at > pair[0].upper && at <= pair[1].upper || kind == "ADDED" && at <= pair[0].upper;
                let kind = match kind.as_str() {
                    "ADDED" => "ADDED",
                    "MODIFIED" => "MODIFIED",
                    "DELETED" => "DELETED",
                    other => panic!("{}: {other}: {object}", context()),
                };
                let key = key(object);
                assert!(within, "{}: {kind} {key} at {at}", context());
                assert!(
                    expected.contains(&(kind, key.clone())),
                    "{}: {kind} {key} instead of {expected:?}",
                    context()
                );
                if kind == "DELETED" {
                    // V4: as this watcher saw it last, but for the revision.
                    if let Some(mut last) = shows.remove(&key) {
                        last["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
                        assert_eq!(&last, object, "{}", context());
                    }
                } else {
                    if let Some(step) = written_at(object) {
                        assert_eq!(step, after[&key], "{}: another state of {object}", context());
                    }
                    shows.insert(key.clone(), object.clone());
                }
                said.insert((kind, key));
            }
        }
        assert_eq!(heard.next(), None, "seed {seed}: more than the truth");
    }
}

/// The step that wrote an object, as the object tells it itself; nothing if it was only created.
fn written_at(object: &Value) -> Option<usize> {
    let annotation = object["metadata"]["annotations"]["step"].as_str();
    let edited = annotation.and_then(|step| step.parse().ok());
    let observed = object["status"]["observedGeneration"].as_u64();
    let observed = observed.and_then(|step| usize::try_from(step).ok());
    edited.max(observed)
}

fn collection(kind: Kind, selecting: bool) -> String {
    let collection = match kind {
        Kind::Organizations => organizations(),
        Kind::Projects => all_projects(),
    };
    format!("{collection}?labelSelector={}", if selecting { "sel" } else { "" })
}

/// What a watcher shows in a state: names and the steps that wrote them.
fn shown(state: &State, caller: usize, kind: Kind, selecting: bool) -> BTreeMap<String, usize> {
    let mine = state
        .iter()
        .filter(|(key, _)| key.0 == kind && visible(state, key, caller));
    let selected = mine.filter(|(_, object)| !selecting || object.selected);
    selected.map(|(key, object)| (key.1.clone(), object.step)).collect()
}

async fn run(opened: Opened, steps: usize) {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = given("BULWARD_HISTORY_SEED").unwrap_or_else(rand::random);
    let steps = given("BULWARD_HISTORY_STEPS")
        .and_then(|steps| usize::try_from(steps).ok())
        .unwrap_or(steps);
    println!("seed {seed}");
    let world = World::new(opened).await;
    let replica = InProcess::start(world.opened().again().await).await;
    let upper = world.admin.get(&stored(&organizations())).await.revision();
    let mut run = Run {
        world,
        replica,
        random: StdRng::seed_from_u64(seed),
        history: vec![Moment {
            state: State::new(),
            upper,
        }],
    };
    let mut watchers = Vec::new();
    for number in 0..steps {
        run.step().await;
        if number % 10 == 0 && watchers.len() < 40 {
            watchers.push(run.start().await);
        }
        if number % 7 == 0 && !watchers.is_empty() {
            let at = run.random.random_range(0..watchers.len());
            let watcher = watchers.swap_remove(at);
            watchers.push(run.resume(watcher).await);
        }
    }
    for (kind, name, collection, body) in [
        (
            Kind::Organizations,
            MARKER.to_owned(),
            organizations(),
            an_organization(MARKER, &[group(EVERYBODY)]),
        ),
        (
            Kind::Projects,
            format!("zz/{MARKER}"),
            projects("zz"),
            a_project(MARKER, &[group(EVERYBODY)]),
        ),
    ] {
        let mut body = as_stored(body);
        body["metadata"]["labels"] = json!({"sel": "yes"});
        run.world.admin.post(&stored(&collection), &body).await.expect(201);
        let mut state = run.history.last().unwrap().state.clone();
        let object = Object {
            step: run.history.len(),
            owners: BTreeSet::new(),
            members: BTreeSet::new(),
            claim: None,
            selected: true,
        };
        state.insert((kind, name), object);
        run.moment(state).await;
    }
    let mut events = 0;
    for watcher in watchers {
        let mut done = watcher.done.clone();
        let reached = tokio::time::timeout(DEADLINE, done.wait_for(|done| *done)).await;
        let reached = matches!(reached, Ok(Ok(_)));
        assert!(reached, "seed {seed}: a watcher did not hear of the marker");
        events += watcher.heard.lock().len();
        // The other kind's marker is a step that says nothing here.
        run.judge(&watcher, seed);
    }
    println!("{events} events");
}

async fn v03_watchers_hear_the_one_right_sequence(opened: Opened) {
    run(opened, 400).await;
}
each_storage!(v03_watchers_hear_the_one_right_sequence);

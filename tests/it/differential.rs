//! One corpus of requests to `k8s.io/sample-apiserver` and to our library serving the toy group: straight, and through the
//! aggregators of two control planes. Answers are equal, or the difference is in `known/` with its reason.
//!
//! `BULWARD_DIFFERENTIAL=<text>,<text>` sends only the scenarios that have such a text in their names; then nothing is said of
//! listed differences that are gone; with `BULWARD_DIFFERENTIAL_STRAIGHT=1` nothing is sent through the aggregators. All differences, also the listed ones, are written to `it-logs/differential.txt`, and the
//! Go server's answers to `it-logs/differential-go.txt`.

mod compare;
mod corpus;
mod exchange;
mod known;
mod normal;
mod own_kinds;
mod protobuf;
mod report;

use futures::StreamExt;
use std::sync::Arc;

use bulward::storage::Storage;
use bulward::storage::etcd::{Config, Etcd};
use serde_json::{Value, json};

use crate::harness::in_process::{InProcess, Settings};
use crate::harness::{ControlPlane, Registration, SampleApiserver};
use crate::wardle;
use compare::{Difference, compare};
use corpus::Scenario;
use known::Entry;
use report::Report;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/differential");

/// How many scenarios are played at once.
const AT_ONCE: usize = 12;

/// A corpus that is smaller than this has lost something.
const REQUESTS: usize = 1_000;

/// How often a scenario is played again, alone, before what was found in it counts.
const AGAIN: usize = 2;

/// What was found in one form of the comparison.
#[derive(Default)]
struct Outcome {
    requests: usize,
    places: usize,
    differences: Vec<Difference>,
    /// How many scenarios were played again.
    again: usize,
}

impl Outcome {
    fn add(&mut self, scenario: &Scenario, theirs: &[Value], ours: &[Value]) {
        for ((step, theirs), ours) in scenario.steps.iter().zip(theirs).zip(ours) {
            let (found, compared) = compare(&step.name, theirs, ours);
            self.requests += 1;
            self.places += compared;
            self.differences.extend(found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_toy_group_answers_as_sample_apiserver() {
    let filter = std::env::var("BULWARD_DIFFERENTIAL").ok();
    let mut scenarios = corpus::read(&format!("{FOLDER}/corpus"));
    if let Some(text) = &filter {
        scenarios.retain(|scenario| text.split(',').any(|part| scenario.name.contains(part)));
    }
    let requests: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    assert!(filter.is_some() || requests >= REQUESTS, "only {requests} requests");

    let list = known::read(&format!("{FOLDER}/known"));
    let shared = ControlPlane::shared().await;
    let (own_whim, straight) = straight(shared, &list, &scenarios).await;
    let aggregated = aggregated(shared, &list, &scenarios).await;

    let report = Report::new(
        "differential",
        &list,
        vec![("straight", &straight), ("aggregated", &aggregated)],
    );
    println!("{}", report.summary());
    let whims = report::show(&own_whim.differences.iter().collect::<Vec<_>>());
    assert!(
        own_whim.differences.is_empty(),
        "sample-apiserver disagrees with itself: {whims}"
    );
    report.assert(filter.is_none() && aggregated.requests > 0);
}

async fn namespaces(plane: &ControlPlane, scenarios: &[Scenario]) {
    let objects = scenarios
        .iter()
        .map(|scenario| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenario.namespace}}));
    plane.apply(&objects.collect::<Vec<_>>()).await;
}

/// Where the Go server keeps its objects as well: then revisions are as old for the one as for the other.
async fn storage(plane: &ControlPlane) -> Arc<dyn Storage> {
    let config = Config {
        endpoints: vec![plane.etcd().endpoint()],
        prefix: "/differential".to_owned(),
        ..Config::default()
    };
    Arc::new(Etcd::connect(config).await.expect("etcd serves"))
}

/// Whom a scenario is played to: a Go server, where it is asked straight a second of its kind, and ours.
struct Players<'a> {
    planes: Vec<&'a ControlPlane>,
    go: kube::Client,
    other_go: Option<kube::Client>,
    ours: kube::Client,
}

/// The answers to one scenario.
struct Played {
    go: Vec<Value>,
    other_go: Option<Vec<Value>>,
    ours: Vec<Value>,
}

impl Played {
    /// Where Go differs from itself, and where ours differs from Go.
    fn judge(&self, scenario: &Scenario, own_whim: &mut Outcome, outcome: &mut Outcome) {
        if let Some(other_go) = &self.other_go {
            own_whim.add(scenario, &self.go, other_go);
        }
        outcome.add(scenario, &self.go, &self.ours);
    }

    /// Whether chance may have a hand in it: on a busy machine Go itself does not always answer the same.
    fn is_doubtful(&self, scenario: &Scenario, list: &[Entry]) -> bool {
        let (mut own_whim, mut outcome) = Default::default();
        self.judge(scenario, &mut own_whim, &mut outcome);
        let unlisted = |difference: &Difference| !list.iter().any(|entry| entry.lists(difference));
        let late = self.go.iter().any(|answer| answer["body"]["text"] == exchange::LATE);
        late || !own_whim.differences.is_empty() || outcome.differences.iter().any(unlisted)
    }
}

impl Players<'_> {
    async fn play(&self, scenario: &Scenario) -> Played {
        let other_go = async {
            match &self.other_go {
                Some(client) => Some(exchange::play(client, scenario).await),
                None => None,
            }
        };
        let go = exchange::play(&self.go, scenario);
        let ours = exchange::play(&self.ours, scenario);
        let (go, other_go, ours) = tokio::join!(go, other_go, ours);
        Played { go, other_go, ours }
    }

    async fn namespaces(&self, scenarios: &[Scenario]) {
        for plane in &self.planes {
            namespaces(plane, scenarios).await;
        }
    }

    /// Plays everything, and alone again what may be chance: what does not repeat counts for nothing.
    async fn play_all(&self, list: &[Entry], scenarios: &[Scenario]) -> (Outcome, Outcome, Vec<Played>) {
        self.namespaces(scenarios).await;
        let plays = scenarios.iter().map(|scenario| self.play(scenario));
        let mut all: Vec<Played> = futures::stream::iter(plays).buffered(AT_ONCE).collect().await;
        let (mut own_whim, mut outcome) = (Outcome::default(), Outcome::default());
        for (scenario, played) in scenarios.iter().zip(&mut all) {
            for time in 1..=AGAIN {
                if !played.is_doubtful(scenario, list) {
                    break;
                }
                let again = scenario.again(time);
                self.namespaces(std::slice::from_ref(&again)).await;
                *played = self.play(&again).await;
                outcome.again += usize::from(time == 1);
            }
            played.judge(scenario, &mut own_whim, &mut outcome);
        }
        (own_whim, outcome, all)
    }
}

/// The Go server against a second of its kind, and against ours.
async fn straight(plane: &ControlPlane, list: &[Entry], scenarios: &[Scenario]) -> (Outcome, Outcome) {
    let (first, second) = tokio::join!(SampleApiserver::start(plane), SampleApiserver::start(plane));
    let (first, second) = (first.expect("it starts"), second.expect("it starts"));
    let storage = storage(plane).await;
    let server = InProcess::serving(storage, Settings::default(), wardle::registry()).await;
    let admin = plane.ca().client("admin", &["system:masters"]);
    let players = Players {
        planes: vec![plane],
        go: plane.client_past_aggregator(&first.url(), &admin).await,
        other_go: Some(plane.client_past_aggregator(&second.url(), &admin).await),
        ours: server.admin().kube(),
    };
    let (own_whim, outcome, all) = players.play_all(list, scenarios).await;
    let mut answers = String::new();
    for (scenario, played) in scenarios.iter().zip(&all) {
        for (step, answer) in scenario.steps.iter().zip(&played.go) {
            answers += &format!("{}  {answer}\n", step.name);
        }
    }
    report::log("differential-go.txt", &answers);
    (own_whim, outcome)
}

/// Each registered on a control plane of its own for the same group.
async fn aggregated(shared: &ControlPlane, list: &[Entry], scenarios: &[Scenario]) -> Outcome {
    let scenarios: Vec<Scenario> = scenarios.iter().filter_map(Scenario::for_the_aggregator).collect();
    if scenarios.is_empty() || std::env::var_os("BULWARD_DIFFERENTIAL_STRAIGHT").is_some() {
        return Outcome::default();
    }
    SampleApiserver::shared().await;
    let plane = ControlPlane::start("differential").await;
    let storage = storage(&plane).await;
    let settings = Settings {
        front_proxy_ca: Some(plane.front_proxy_ca()),
        ..Settings::default()
    };
    let server = InProcess::serving(storage, settings, wardle::registry()).await;
    let registration = Registration {
        namespace: "wardle",
        service: "api",
        port: server.port(),
        versions: &SampleApiserver::VERSIONS,
        ca: None,
    };
    registration.apply(&plane).await;
    let (theirs, ours) = tokio::join!(shared.client("admin"), plane.client("admin"));
    let players = Players {
        planes: vec![shared, &plane],
        go: theirs,
        other_go: None,
        ours,
    };
    players.play_all(list, &scenarios).await.1
}

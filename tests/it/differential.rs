//! One corpus of requests to `k8s.io/sample-apiserver` and to our library serving the toy group: straight, and through the
//! aggregators of two control planes. Answers are equal, or the difference is in `known/` with its reason.
//!
//! `BULWARD_DIFFERENTIAL=<text>,<text>` sends only the scenarios that have such a text in their names; then nothing is said of
//! listed differences that are gone. All differences, also the listed ones, are written to `it-logs/differential.txt`, and the
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
use report::Report;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/differential");

/// How many scenarios are played at once.
const AT_ONCE: usize = 12;

/// A corpus that is smaller than this has lost something.
const REQUESTS: usize = 1_000;

/// What was found in one form of the comparison.
#[derive(Default)]
struct Outcome {
    requests: usize,
    places: usize,
    differences: Vec<Difference>,
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

    let shared = ControlPlane::shared().await;
    namespaces(shared, &scenarios).await;
    let (own_whim, straight) = straight(shared, &scenarios).await;
    let aggregated = aggregated(shared, &scenarios).await;

    let list = known::read(&format!("{FOLDER}/known"));
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
    report.assert(filter.is_none());
}

async fn namespaces(plane: &ControlPlane, scenarios: &[Scenario]) {
    let objects = scenarios
        .iter()
        .map(|scenario| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenario.namespace()}}));
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

/// The Go server against a second of its kind, and against ours.
async fn straight(plane: &ControlPlane, scenarios: &[Scenario]) -> (Outcome, Outcome) {
    let (first, second) = tokio::join!(SampleApiserver::start(plane), SampleApiserver::start(plane));
    let (first, second) = (first.expect("it starts"), second.expect("it starts"));
    let storage = storage(plane).await;
    let server = InProcess::serving(storage, Settings::default(), wardle::registry()).await;
    let admin = plane.ca().client("admin", &["system:masters"]);
    let go = plane.client_past_aggregator(&first.url(), &admin).await;
    let other_go = plane.client_past_aggregator(&second.url(), &admin).await;
    let ours = server.admin().kube();

    let plays = scenarios.iter().map(async |scenario| {
        let answers = tokio::join!(
            exchange::play(&go, scenario),
            exchange::play(&other_go, scenario),
            exchange::play(&ours, scenario)
        );
        (scenario, answers)
    });
    let (mut own_whim, mut outcome) = (Outcome::default(), Outcome::default());
    let mut plays = futures::stream::iter(plays).buffered(AT_ONCE);
    let mut answers = String::new();
    while let Some((scenario, (go, other_go, ours))) = plays.next().await {
        for (step, answer) in scenario.steps.iter().zip(&go) {
            answers += &format!("{}  {answer}\n", step.name);
        }
        own_whim.add(scenario, &go, &other_go);
        outcome.add(scenario, &go, &ours);
    }
    report::log("differential-go.txt", &answers);
    (own_whim, outcome)
}

/// Each registered on a control plane of its own for the same group.
async fn aggregated(shared: &ControlPlane, scenarios: &[Scenario]) -> Outcome {
    let scenarios: Vec<Scenario> = scenarios.iter().filter_map(Scenario::for_the_aggregator).collect();
    if scenarios.is_empty() {
        return Outcome::default();
    }
    SampleApiserver::shared().await;
    let plane = ControlPlane::start("differential").await;
    namespaces(&plane, &scenarios).await;
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

    let plays = scenarios.iter().map(async |scenario| {
        let answers = tokio::join!(exchange::play(&theirs, scenario), exchange::play(&ours, scenario));
        (scenario, answers)
    });
    let mut outcome = Outcome::default();
    let mut plays = futures::stream::iter(plays).buffered(AT_ONCE);
    while let Some((scenario, (theirs, ours))) = plays.next().await {
        outcome.add(scenario, &theirs, &ours);
    }
    outcome
}

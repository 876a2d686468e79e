//! One corpus of requests to `k8s.io/sample-apiserver` and to our library serving the toy group: straight, and through the
//! aggregators of two control planes. Answers are equal, or the difference is in `known.txt` with its reason.
//!
//! `BULWARD_DIFFERENTIAL=<text>` sends only what has this text in its scenario's name; then nothing is said of listed
//! differences that are gone.

mod compare;
mod corpus;
mod exchange;
mod known;
mod normal;
mod protobuf;

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::in_process::{self, InProcess, Settings};
use crate::harness::{ControlPlane, SampleApiserver};
use compare::{Difference, compare};
use corpus::{Scenario, Step};

/// How many scenarios are played at once.
const AT_ONCE: usize = 6;

/// Differences that a failure shows.
const SHOWN: usize = 60;

/// What a comparison came to.
#[derive(Default)]
struct Outcome {
    requests: usize,
    places: usize,
    differences: Vec<Difference>,
}

impl Outcome {
    fn add(&mut self, steps: &[Step], theirs: &[Value], ours: &[Value]) {
        for ((step, theirs), ours) in steps.iter().zip(theirs).zip(ours) {
            let (found, compared) = compare(&step.name, theirs, ours);
            self.requests += 1;
            self.places += compared;
            self.differences.extend(found);
        }
    }
}

fn chosen() -> (Vec<Scenario>, bool) {
    let mut all = corpus::read();
    let filter = std::env::var("BULWARD_DIFFERENTIAL").ok();
    if let Some(text) = &filter {
        all.retain(|scenario| scenario.name.contains(text));
    }
    (all, filter.is_none())
}

async fn namespaces(plane: &ControlPlane, scenarios: &[Scenario]) {
    let objects = scenarios
        .iter()
        .map(|scenario| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenario.namespace()}}));
    plane.apply(&objects.collect::<Vec<_>>()).await;
}

/// Plays everything on both servers, and compares.
async fn both(scenarios: &[Scenario], theirs: &kube::Client, ours: &kube::Client) -> Outcome {
    let plays = scenarios.iter().map(|scenario| async move {
        let answers = tokio::join!(exchange::play(theirs, scenario), exchange::play(ours, scenario));
        (scenario, answers)
    });
    let mut outcome = Outcome::default();
    let mut plays = futures::stream::iter(plays).buffered(AT_ONCE);
    while let Some((scenario, (theirs, ours))) = plays.next().await {
        outcome.add(&scenario.steps, &theirs, &ours);
    }
    outcome
}

async fn sample_client(plane: &ControlPlane, sample: &SampleApiserver) -> kube::Client {
    let admin = plane.ca().client("admin", &["system:masters"]);
    plane.client_past_aggregator(&sample.url(), &admin).await
}

/// Without this, a difference could be Go's own whim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sample_apiserver_agrees_with_itself() {
    let plane = ControlPlane::shared().await;
    let (scenarios, _) = chosen();
    namespaces(plane, &scenarios).await;
    let (first, second) = tokio::join!(SampleApiserver::start(plane), SampleApiserver::start(plane));
    let (first, second) = (first.unwrap(), second.unwrap());
    let clients = tokio::join!(sample_client(plane, &first), sample_client(plane, &second));
    let outcome = both(&scenarios, &clients.0, &clients.1).await;
    println!("{} requests, {} places", outcome.requests, outcome.places);
    assert!(outcome.differences.is_empty(), "{}", shown(&outcome.differences));
}

fn shown(differences: &[Difference]) -> String {
    let mut text = format!("{} places differ:\n", differences.len());
    let mut by_request: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        by_request.entry(&difference.request).or_default().push(difference);
    }
    let mut left = SHOWN;
    for (request, places) in by_request {
        text += &format!("{request}\n");
        for difference in places {
            let Difference {
                place, theirs, ours, ..
            } = difference;
            text += &format!("    {place}\n      theirs {theirs}\n      ours   {ours}\n");
        }
        left = left.saturating_sub(1);
        if left == 0 {
            text += "…\n";
            break;
        }
    }
    text
}

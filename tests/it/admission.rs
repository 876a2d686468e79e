//! The admission configuration of the main cluster, applied to our resources: the same webhooks for our kinds, behind the
//! aggregator, and for equal CustomResources, in kube-apiserver itself. The same requests go to both; what they answer, what
//! they store, and what the webhooks were asked has to be equal.
//!
//! `BULWARD_ADMISSION=<scene>,<scene>` plays some scenes alone. `BULWARD_ADMISSION_JUDGE=1` asks kube-apiserver alone, and
//! prints what it answers: how a new scene is written. What differs is in `target/it-logs/admission.txt`.

mod counted;
mod credentials;
mod following;
mod scene;
mod scenes;
mod stage;

use scene::{Known, Part};
use stage::Stage;

/// Where we differ, on purpose.
const KNOWN: &[Known] = &[
    Known {
        scene: "rules",
        steps: &["create with a name that is not valid"],
        parts: &[Part::Answer],
        why: "a name becomes a namespace's: it is a label, not a subdomain",
    },
    Known {
        scene: "rules",
        steps: &["update", "update in dry run", "update nothing", "update an old version"],
        parts: &[Part::Asked, Part::Annotations],
        why: VERSION,
    },
    Known {
        scene: "views",
        steps: &["update", "update in the other view"],
        parts: &[Part::Asked, Part::Annotations],
        why: VERSION,
    },
    Known {
        scene: "mutating",
        steps: &["update"],
        parts: &[Part::Asked, Part::Annotations],
        why: VERSION,
    },
    Known {
        scene: "mutating",
        steps: &["m-kind", "m-api-version"],
        parts: &[Part::Answer, Part::Annotations],
        why: OTHER_KIND,
    },
    Known {
        scene: "metrics",
        steps: &["m-kind", "m-api-version"],
        parts: &[Part::Metrics],
        why: OTHER_KIND,
    },
    Known {
        scene: "mutating",
        steps: &["m-label-number"],
        parts: &[Part::Answer, Part::Annotations],
        why: NUMBER,
    },
    Known {
        scene: "metrics",
        steps: &["m-label-number"],
        parts: &[Part::Metrics],
        why: NUMBER,
    },
    Known {
        scene: "mutating",
        steps: &[
            "m-path-missing",
            "m-path-missing-ignored",
            "m-test-fails",
            "m-op-unknown",
        ],
        parts: &[Part::Answer],
        why: "the words of Go's library for JSON patches",
    },
];
/// What is refused for the revision that it names, or does not name, is refused before anybody is asked; the answer is the same.
const VERSION: &str = "webhooks are spared what is refused for its revision";
const NUMBER: &str = "Go drops all labels where one is no text; here that is an error";
const OTHER_KIND: &str = "a webhook that makes another kind of an object is told of as by servers of typed objects, not as with CustomResources";

/// A run that compares less has lost something: outcomes, reviews, annotations, series of metrics.
const LEAST: [usize; 4] = [475, 1000, 640, 1080];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_decide_as_in_kube_apiserver() {
    let filter = std::env::var("BULWARD_ADMISSION").ok();
    let alone = std::env::var_os("BULWARD_ADMISSION_JUDGE").is_some();
    let stage = Stage::start(alone).await;
    let mut report = scene::Report::default();
    for scene in scenes::all() {
        if filter
            .as_ref()
            .is_none_or(|names| names.split(',').any(|name| name == scene.name))
        {
            stage.play(scene, &mut report).await;
        }
    }
    stage.compare_annotations(&mut report).await;
    if !alone {
        stage.compare_metrics(&mut report).await;
    }
    if filter.is_none() && !alone {
        stage.proves_nothing_without_the_file().await;
        stage.follows().await;
        stage.starts_before_it_may_read().await;
        stage.tells_of_mutating_policies().await;
    }
    println!("{}", report.summary(KNOWN));
    if !alone {
        report.assert(KNOWN, filter.is_none().then_some(LEAST));
    }
}

//! The admission configuration of the main cluster, applied to our resources: the same webhooks for our kinds, behind the
//! aggregator, and for equal CustomResources, in kube-apiserver itself. The same requests go to both; what they answer, what
//! they store, and what the webhooks were asked has to be equal.
//!
//! `BULWARD_ADMISSION=<scene>,<scene>` plays some scenes alone. `BULWARD_ADMISSION_JUDGE=1` asks kube-apiserver alone, and
//! prints what it answers: how a new scene is written. What differs is in `target/it-logs/admission.txt`.

mod following;
mod scene;
mod scenes;
mod stage;

use scene::Known;
use stage::Stage;

/// Where we differ, on purpose: scene, the beginning of the step, and why.
const KNOWN: &[Known] = &[
    Known {
        scene: "rules",
        step: "create with a name that is not valid",
        why: "a name becomes a namespace's: it is a label, not a subdomain",
    },
    Known {
        scene: "rules",
        step: "update",
        why: VERSION,
    },
    Known {
        scene: "views",
        step: "update",
        why: VERSION,
    },
    Known {
        scene: "mutating",
        step: "update",
        why: VERSION,
    },
    Known {
        scene: "mutating",
        step: "m-kind",
        why: OTHER_KIND,
    },
    Known {
        scene: "mutating",
        step: "m-api-version",
        why: OTHER_KIND,
    },
    Known {
        scene: "mutating",
        step: "m-label-number",
        why: "Go drops all labels where one is no text; here that is an error",
    },
    Known {
        scene: "mutating",
        step: "m-path-missing",
        why: WORDS,
    },
    Known {
        scene: "mutating",
        step: "m-test-fails",
        why: WORDS,
    },
    Known {
        scene: "mutating",
        step: "m-op-unknown",
        why: WORDS,
    },
];
/// What is refused for the revision that it names, or does not name, is refused before anybody is asked; the answer is the same.
const VERSION: &str = "webhooks are spared what is refused for its revision";
const OTHER_KIND: &str = "a webhook that makes another kind of an object is told of as by servers of typed objects, not as with CustomResources";
const WORDS: &str = "the words of Go's library for JSON patches";

/// A run that compares less has lost something: outcomes, reviews, annotations.
const LEAST: [usize; 3] = [250, 300, 100];

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
    if filter.is_none() && !alone {
        stage.follows().await;
        stage.starts_before_it_may_read().await;
    }
    println!("{}", report.summary(KNOWN));
    if !alone {
        report.assert(KNOWN, filter.is_none().then_some(LEAST));
    }
}

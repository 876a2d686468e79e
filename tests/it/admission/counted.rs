//! What both sides have counted of the webhooks of all scenes.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::{Part, Report};
use super::stage::Stage;
use crate::metrics::scrape::{Labels, Scrape};

/// What of webhooks is counted, by their names.
const COUNTED: [&str; 4] = [
    "apiserver_admission_webhook_admission_duration_seconds_count",
    "apiserver_admission_webhook_rejection_count",
    "apiserver_admission_webhook_request_total",
    "apiserver_admission_webhook_fail_open_count",
];
/// Its buckets have to be the same.
const TIMES: &str = "apiserver_admission_webhook_admission_duration_seconds";

impl Stage {
    /// Compares the counts. Both servers were started for these scenes, so that what is there has grown with them; left out
    /// is what was asked beside the steps.
    pub(super) async fn compare_metrics(&self, report: &mut Report) {
        let direct = self.server.caller(&self.plane, "admin", &["system:masters"]).await;
        let (ours, theirs) = (Scrape::of(&direct).await, Scrape::of(&self.admin).await);
        if ours.buckets(TIMES) != theirs.buckets(TIMES) {
            let text = format!(
                "  ours   {:?}\n  theirs {:?}",
                ours.buckets(TIMES),
                theirs.buckets(TIMES)
            );
            report.differs("metrics", TIMES, Part::Metrics, text);
        }
        for name in COUNTED {
            let (ours, theirs) = (self.counted(&ours, name, true), self.counted(&theirs, name, false));
            for labels in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
                report.series += 1;
                let (ours, theirs) = (ours.get(labels), theirs.get(labels));
                if ours != theirs {
                    let text = format!("  {name}{}\n    ours   {ours:?}\n    theirs {theirs:?}", shown(labels));
                    let (hook, _) = call(labels).expect("one of our webhooks");
                    report.differs("metrics", &hook, Part::Metrics, text);
                }
            }
        }
    }

    /// The samples of a name that are of our webhooks. What we did not ask because a request was refused before, as the review
    /// of each step has shown, is added to what we have counted: such calls allow.
    fn counted(&self, scrape: &Scrape, name: &str, ours: bool) -> BTreeMap<Labels, f64> {
        let calls = self.calls.lock();
        let mut counted = BTreeMap::new();
        for (labels, value) in scrape.samples(name) {
            let Some((hook, call)) = call(labels) else { continue };
            let asked_beside = |(other, operation): &(String, String)| {
                // Without an operation, all operations are in one count.
                *other == hook && call.as_ref().is_none_or(|(_, own)| own == operation)
            };
            if hook.starts_with("probe-") || calls.others.iter().any(asked_beside) {
                continue;
            }
            counted.insert(labels.clone(), value);
        }
        if ours && name != COUNTED[1] && name != COUNTED[3] {
            for (labels, value) in &mut counted {
                let more = call(labels).and_then(|(_, call)| calls.theirs_more.get(&call?));
                if let Some(more) = more.filter(|_| labels.get("rejected").is_some_and(|rejected| rejected == "false"))
                {
                    *value += *more as f64;
                }
            }
        }
        counted
    }
}

/// The webhook of a series, with its operation if there is one.
fn call(labels: &Labels) -> Option<(String, Option<(String, String)>)> {
    let hook = labels.get("name")?.strip_suffix(".hooks.example.com")?.to_owned();
    let operation = labels.get("operation").cloned();
    let call = operation.map(|operation| (hook.clone(), operation));
    Some((hook, call))
}

fn shown(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", labels.join(","))
}

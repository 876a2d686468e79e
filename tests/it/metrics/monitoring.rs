//! The dashboard and the alert rules ask for nothing that is not exported.

use std::collections::{BTreeMap, BTreeSet};

use bulward::telemetry::metrics::Metrics;
use bulward::telemetry::metrics::controllers::ControllerMetrics;
use http::Method;
use serde_json::{Value, json};

use super::scrape::Scrape;
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{an_organization, organization, organizations, user};
use crate::harness::{Bulward, ControlPlane};
use crate::source::files;
use crate::tenancy::stage::Stage;

/// What Prometheus adds to every sample.
const ADDED: [&str; 2] = ["job", "instance"];
/// What Prometheus says itself.
const OWN: &str = "up";
/// What a server shows once something has happened that does not happen to a healthy one that nobody presses, or that needs a
/// configuration of the cluster.
const AFTER_AN_EVENT: &[(&str, &str)] = &[
    (
        "apiserver_admission_webhook_admission_duration_seconds_bucket",
        "a webhook has been called",
    ),
    (
        "apiserver_admission_webhook_fail_open_count",
        "a webhook that may be ignored has failed",
    ),
    (
        "apiserver_admission_webhook_rejection_count",
        "a webhook has refused a request",
    ),
    ("apiserver_audit_error_total", "something could not be recorded"),
    (
        "apiserver_flowcontrol_rejected_requests_total",
        "a request has been refused with 429",
    ),
    (
        "apiserver_request_aborts_total",
        "a client went away before it was answered",
    ),
    (
        "apiserver_request_terminations_total",
        "a request was refused or took too long",
    ),
    (
        "apiserver_validating_admission_policy_check_duration_seconds_bucket",
        "a policy has been asked",
    ),
    ("etcd_request_errors_total", "etcd has failed"),
    (
        "leader_election_master_status",
        "replicas choose one, as these controllers do not",
    ),
];
/// Words of the query language that are followed by neither a parenthesis nor an operator of their own.
const WORDS: [&str; 9] = [
    "by", "without", "on", "ignoring", "and", "or", "unless", "bool", "offset",
];

/// What an expression asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Metrics, with the labels that are matched.
    metrics: Vec<(String, BTreeSet<String>)>,
    /// Labels that something is grouped by.
    grouped: BTreeSet<String>,
}

/// Reads as much of the query language as is used here.
fn asked(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || matches!(c, '"' | '[' | '{' | '(')) {
        rest = &rest[start..];
        match rest.as_bytes()[0] {
            b'"' => rest = &rest[1 + rest[1..].find('"').expect("a text ends") + 1..],
            b'[' => rest = &rest[rest.find(']').expect("a range ends")..],
            b'(' => rest = &rest[1..],
            b'{' => panic!("{expression}: labels without a metric"),
            _ => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                rest = after;
                let next = after.trim_start();
                if matches!(word, "by" | "on") {
                    let list = &next[1..next.find(')').expect("a list of labels ends")];
                    asked
                        .grouped
                        .extend(list.split(',').map(|label| label.trim().to_owned()));
                    asked.grouped.remove("");
                    rest = &next[list.len() + 2..];
                } else if !WORDS.contains(&word) && !next.starts_with('(') && !next.starts_with("by ") {
                    let mut labels = BTreeSet::new();
                    if let Some(inner) = after.strip_prefix('{') {
                        let end = closing(inner);
                        labels.extend(matched(&inner[..end]));
                        rest = &inner[end + 1..];
                    }
                    asked.metrics.push((word.to_owned(), labels));
                }
            }
        }
    }
    asked
}

/// Where the matchers end: not at a brace in a text.
fn closing(matchers: &str) -> usize {
    let mut quoted = false;
    let end = matchers.find(|c| {
        quoted ^= c == '"';
        c == '}' && !quoted
    });
    end.expect("matchers end")
}

fn matched(matchers: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = matchers;
    while let Some(at) = rest.find(['=', '!']) {
        names.push(rest[..at].trim_matches([' ', ',']).to_owned());
        let value = &rest[rest.find('"').expect("a value") + 1..];
        rest = &value[value.find('"').expect("a value ends") + 1..];
    }
    names
}

fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut strings = |place: &str, value: &Value| {
        let mut waiting = vec![value.clone()];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        match (name.as_str(), value) {
                            ("expr", Value::String(text)) => found.push((place.to_owned(), text)),
                            // `label_values(metric{…}, label)`: a metric as well.
                            ("query", Value::String(text)) if text.contains('{') => found.push((
                                place.to_owned(),
                                text.rsplit_once(',')
                                    .expect("two arguments")
                                    .0
                                    .replace("label_values(", "("),
                            )),
                            (_, value) => waiting.push(value),
                        }
                    }
                }
                Value::Array(values) => waiting.extend(values),
                _ => {}
            }
        }
    };
    for file in files("deploy/grafana", &[".json"]) {
        strings(&file.path, &serde_json::from_str(&file.text).unwrap());
    }
    for file in files("deploy/prometheus", &[".yaml"]) {
        strings(&file.path, &serde_saphyr::from_str(&file.text).unwrap());
    }
    found
}

#[test]
fn what_is_shown_and_alerted_on_is_exported() {
    let (apiserver, controllers) = (Metrics::new(), ControllerMetrics::new());
    let mut exported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for metric in apiserver.described().iter().chain(controllers.described()) {
        let labels: BTreeSet<String> = metric.labels.iter().cloned().collect();
        if metric.kind == "histogram" {
            let mut of_buckets = labels.clone();
            of_buckets.insert("le".to_owned());
            exported.insert(format!("{}_bucket", metric.name), of_buckets);
            exported.insert(format!("{}_count", metric.name), labels.clone());
            exported.insert(format!("{}_sum", metric.name), labels);
        } else {
            exported.insert(metric.name.clone(), labels);
        }
    }
    exported.insert(OWN.to_owned(), BTreeSet::new());
    let expressions = expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for (place, expression) in &expressions {
        let asked = asked(expression);
        assert!(!asked.metrics.is_empty(), "{place}: {expression} asks for nothing");
        let mut known: BTreeSet<&str> = ADDED.into();
        for (name, labels) in &asked.metrics {
            names.insert(name.clone());
            let Some(own) = exported.get(name) else {
                wrong.push(format!("{place}: {name} is not exported: {expression}"));
                continue;
            };
            known.extend(own.iter().map(String::as_str));
            for label in labels
                .iter()
                .filter(|label| !own.contains(*label) && !ADDED.contains(&label.as_str()))
            {
                wrong.push(format!("{place}: {name} has no label {label}: {expression}"));
            }
        }
        for label in asked.grouped.iter().filter(|label| !known.contains(label.as_str())) {
            wrong.push(format!("{place}: nothing has the label {label}: {expression}"));
        }
    }
    println!("{} expressions ask for {} metrics", expressions.len(), names.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A server of its own with a cluster behind it, after some requests of callers of each sort; and the controllers that the tenancy
/// tests share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_and_alerted_on_is_there_after_some_requests() {
    let plane = ControlPlane::shared().await;
    let server = Bulward::start(plane, &[]).await;
    let masters = ["system:masters"];
    let (alice, bob) = (
        server.caller(plane, "alice", &masters).await,
        server.caller(plane, "bob", &masters).await,
    );
    alice
        .post(&organizations(), &an_organization("shown", &[user("alice")]))
        .await
        .expect(201);
    assert_eq!(bob.get(&organizations()).await.expect(200)["items"], json!([]));
    let mut watch = bob.watch(&organizations()).await;
    let owned = |owners: &[&str]| {
        let owners: Vec<Value> = owners.iter().map(|name| user(name)).collect();
        json!({"spec": {"owners": owners}})
    };
    for (owners, event) in [(&["alice", "bob"][..], "ADDED"), (&["alice"], "DELETED")] {
        alice.merge(&organization("shown"), &owned(owners)).await.expect(200);
        watch.expect(event, "shown").await;
    }
    let streamed = format!(
        "{}?timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        organizations()
    );
    alice.watch(&streamed).await.rest().await;
    let token = plane
        .kubectl("admin")
        .run(["create", "token", "default", "-n", "default"])
        .await
        .ok();
    let robot = Caller::through(plane.client_with_token(&server.url(), Some(token.trim())).await);
    assert_eq!(robot.send(Method::GET, "/version", &[], "").await.code, 200);
    assert_eq!(alice.get("/readyz").await.code, 200);

    let apiserver = Scrape::of(&alice).await;
    let indicators = Scrape::at(&alice, "/metrics/slis").await;
    drop(watch);
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("shown", &[user("alice")]).await;
    admin.ready_organization("shown").await;
    let controllers = Scrape::parse(&stage.controllers.metrics().await.expect("they answer"));
    let scrapes = [apiserver, indicators, controllers];
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for (place, expression) in expressions() {
        for (name, _) in asked(&expression).metrics {
            let there = scrapes.iter().any(|scrape| scrape.samples(&name).next().is_some());
            let later = AFTER_AN_EVENT.iter().any(|(known, _)| *known == name);
            if !there && !later && name != OWN {
                wrong.push(format!("{place}: {name} is not there: {expression}"));
            }
            names.insert(name);
        }
    }
    for (name, until) in AFTER_AN_EVENT {
        if !names.contains(*name) {
            wrong.push(format!("nobody asks for {name}"));
        }
        if scrapes.iter().any(|scrape| scrape.samples(name).next().is_some()) {
            wrong.push(format!("{name} is said to be there once {until}, and is there already"));
        }
    }
    println!(
        "{} metrics asked for, {} of them after an event",
        names.len(),
        AFTER_AN_EVENT.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_are_read() {
    let read = asked("sum by (le, verb) (rate(a_bucket{job=\"x\",code=~\"5.{2}\"}[5m])) / b > 1 and on () c{d!=\"e\"}");
    let names: Vec<&str> = read.metrics.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a_bucket", "b", "c"]);
    assert_eq!(read.metrics[0].1, BTreeSet::from(["job".to_owned(), "code".to_owned()]));
    assert_eq!(read.metrics[2].1, BTreeSet::from(["d".to_owned()]));
    assert_eq!(read.grouped, BTreeSet::from(["le".to_owned(), "verb".to_owned()]));
    assert_eq!(asked("histogram_quantile(0.99, sum(rate(x[5m])))").metrics.len(), 1);
}

//! Our own kinds, in the storage view (where nobody is filtered), beside CustomResources of the same schemas: the same
//! corpus to both, through one kube-apiserver. Answers are equal, or the difference is in `own_kinds/known`.
//!
//! `{group}` in the corpus is the group that is asked. `BULWARD_DIFFERENTIAL` works as for the toy group.

use bulward::groups;
use bulward::rest::resource::Kind;
use futures::StreamExt;
use serde_json::{Value, json};

use super::corpus::{self, Scenario};
use super::report::Report;
use super::{Outcome, exchange, known, namespaces};
use crate::harness::{Bulward, ControlPlane, STARTUP, eventually};

const OURS: &str = "storage.bulward.io";
const THEIRS: &str = "equals.example.com";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/differential/own_kinds");

/// How many scenarios are played at once.
const AT_ONCE: usize = 4;

/// A corpus that is smaller than this has lost something.
const REQUESTS: usize = 700;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_kinds_answer_as_custom_resources() {
    let filter = std::env::var("BULWARD_DIFFERENTIAL").ok();
    let mut scenarios = corpus::read(&format!("{FOLDER}/corpus"));
    if let Some(text) = &filter {
        scenarios.retain(|scenario| text.split(',').any(|part| scenario.name.contains(part)));
    }
    let requests: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    assert!(filter.is_some() || requests >= REQUESTS, "only {requests} requests");

    let (plane, _server) = Bulward::shared().await;
    let client = plane.client("admin").await;
    define(plane, &client).await;
    namespaces(plane, &scenarios).await;
    let plays = scenarios.iter().map(async |scenario| {
        let answers = tokio::join!(play(&client, scenario, THEIRS), play(&client, scenario, OURS));
        (scenario, answers)
    });
    let mut outcome = Outcome::default();
    let mut plays = futures::stream::iter(plays).buffered(AT_ONCE);
    while let Some((scenario, (theirs, ours))) = plays.next().await {
        outcome.add(scenario, &theirs, &ours);
    }
    let list = known::read(&format!("{FOLDER}/known"));
    let report = Report::new("own-kinds", &list, vec![("own kinds", &outcome)]);
    println!("{}", report.summary());
    report.assert(filter.is_none());
}

/// The answers of one group, in which the group has no name.
async fn play(client: &kube::Client, scenario: &Scenario, group: &str) -> Vec<Value> {
    let answers = exchange::play(client, &scenario.with("group", group)).await;
    let text = Value::from(answers).to_string().replace(group, "{group}");
    // Go shows but the beginning of a body that it cannot read; both names have the same length.
    let text = text.replace(&format!("{} ...", &group[..15]), "{group} ...");
    match serde_json::from_str(&text) {
        Ok(Value::Array(answers)) => answers
            .into_iter()
            .map(|answer| ordered(ageless(told_once(answer))))
            .collect(),
        other => panic!("{}: {other:?}", scenario.name),
    }
}

/// kube-apiserver sets Cache-Control itself, and passes on what a server behind it says as well: the same, once more.
fn told_once(mut answer: Value) -> Value {
    if let Some(value) = answer.pointer_mut("/header/cache-control")
        && let Some((first, second)) = value.as_str().and_then(|text| text.split_once('\n'))
        && first == second
    {
        *value = json!(first);
    }
    answer
}

/// Tables without the ages in their cells.
fn ageless(mut value: Value) -> Value {
    let aged = |text: &str| {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < text.len() && matches!(rest, "s" | "m" | "h") || rest.contains('m') && text.ends_with('s')
    };
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = ageless(item.take())),
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match member {
                    Value::Array(cells) if key == "cells" => {
                        for cell in cells.iter_mut().filter(|cell| cell.as_str().is_some_and(aged)) {
                            *cell = json!("{age}");
                        }
                    }
                    member => *member = ageless(member.take()),
                }
            }
        }
        _ => {}
    }
    value
}

/// An answer with several causes in one order: Go walks the fields of a schema in a random one.
fn ordered(mut answer: Value) -> Value {
    let Some(Value::Array(causes)) = answer.pointer_mut("/body/json/details/causes") else {
        return answer;
    };
    causes.sort_by_key(Value::to_string);
    let texts: Vec<String> = causes
        .iter()
        .map(|cause| {
            format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or_default(),
                cause["message"].as_str().unwrap_or_default()
            )
        })
        .collect();
    if let Some(Value::String(message)) = answer.pointer_mut("/body/json/message") {
        for text in texts {
            *message = message.replace(&text, "{cause}");
        }
    }
    answer
}

/// Makes the CustomResourceDefinitions, and waits until they are served.
async fn define(plane: &ControlPlane, client: &kube::Client) {
    let mut kinds = groups::registry(&groups::Options::default()).kinds();
    kinds.retain(|kind| ["Organization", "Project"].contains(&kind.kind.as_str()));
    let definitions: Vec<Value> = kinds.iter().map(|kind| definition(kind)).collect();
    plane.apply(&definitions).await;
    for kind in &kinds {
        let path = format!("/apis/{THEIRS}/v1alpha1/{}", kind.plural);
        let request = || http::Request::get(&path).body(Vec::new()).expect("a request");
        eventually(&format!("{path} is served"), STARTUP, async || {
            client.request_text(request()).await.map(drop)
        })
        .await;
    }
}

/// The columns as far as JSONPath can say them.
fn columns(kind: &Kind) -> Vec<Value> {
    let path = |name: &str| match name {
        "Display Name" => Some(".spec.metadata.displayName"),
        "Status" => Some(".status.phase"),
        "Age" => Some(".metadata.creationTimestamp"),
        "Namespace" => Some(".status.namespace.name"),
        "Owners" => Some(".spec.owners[*].name"),
        "Members" => Some(".status.members[*].name"),
        _ => None,
    };
    let columns = kind.columns.iter().filter_map(|column| {
        let kind = if column.name == "Age" { "date" } else { "string" };
        Some(json!({
            "name": column.name, "type": kind, "description": column.description, "priority": column.priority,
            "jsonPath": path(&column.name)?,
        }))
    });
    columns.collect()
}

fn definition(kind: &Kind) -> Value {
    let fields = kind.selectable_fields.iter();
    let fields: Vec<Value> = fields.map(|field| json!({"jsonPath": format!(".{field}")})).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{THEIRS}", kind.plural)},
        "spec": {
            "group": THEIRS,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.singular},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": kind.schema},
                "additionalPrinterColumns": columns(kind),
                "selectableFields": fields,
            }],
        },
    })
}

//! The dashboard and the alert rules ask for nothing that is not exported.

use std::collections::{BTreeMap, BTreeSet};

use bulward::telemetry::metrics::Metrics;
use bulward::telemetry::metrics::controllers::ControllerMetrics;
use serde_json::Value;

use crate::source::files;

/// What Prometheus adds to every sample.
const ADDED: [&str; 2] = ["job", "instance"];
/// What Prometheus says itself.
const OWN: &str = "up";
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

//! Kubernetes' own library as a judge: `tests/controlplane/merge` and our implementation are asked the same questions.
//!
//! Questions and answers are JSON (the program says what there is to ask), so that what is compared is what was asked.

mod cases;
mod ours;
mod random;
mod values;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use self::ours::Kinds;
use crate::harness::process::Log;
use crate::harness::programs;

/// What was asked, and what we answered. Whoever asks about an object goes on with our answer: it is compared in the end.
#[derive(Default)]
struct Questions {
    kinds: Kinds,
    asked: Vec<(String, Value, Value)>,
}

impl Questions {
    /// Asks us; `about` names the case.
    fn ask(&mut self, about: &str, question: Value) -> Value {
        let answer = self.kinds.answer(&question);
        self.asked.push((about.to_owned(), question, answer.clone()));
        answer
    }

    /// Asks the judge all of it, and tells what differs; what the judge complains about is in the log of that name.
    async fn differences(self, name: &'static str) -> Vec<String> {
        let program = programs::find("merge").await.expect("the judge is built");
        let asked = tokio::task::spawn_blocking(move || {
            let lines: Vec<String> = self.asked.iter().map(|(_, question, _)| question.to_string()).collect();
            let answers = run(&program, name, lines);
            assert_eq!(answers.len(), self.asked.len(), "every question has an answer");
            let judged = self.asked.into_iter().zip(answers);
            judged
                .filter_map(|((about, question, ours), theirs)| {
                    let (ours, theirs) = (normal(&question, ours), normal(&question, theirs));
                    let mut places = Vec::new();
                    compare(&ours, &theirs, String::new(), &mut places);
                    (!places.is_empty()).then(|| format!("{about}: {question}\n{}", places.join("\n")))
                })
                .collect()
        });
        asked.await.expect("no panic")
    }
}

/// Everything is written by one thread and read by another, so that no pipe is ever full for good.
fn run(program: &std::path::Path, name: &str, questions: Vec<String>) -> Vec<Value> {
    let mut judge = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Log::create(name).appender())
        .spawn()
        .expect("the judge starts");
    let mut stdin = judge.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        for question in questions {
            writeln!(stdin, "{question}").expect("the judge reads");
        }
    });
    let lines = BufReader::new(judge.stdout.take().expect("piped")).lines();
    let answers = lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
    let answers = answers.collect();
    writer.join().expect("no panic");
    assert!(judge.wait().expect("it ends").success());
    answers
}

/// An answer without what differs from run to run: the time of a write is `now`, and Go walks maps in random order.
fn normal(question: &Value, mut answer: Value) -> Value {
    let times = |object: &Value| -> Vec<Value> {
        let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        entries.map(|entry| entry["time"].clone()).collect()
    };
    let mut known = times(&question["live"]);
    known.extend(times(&question["object"]));
    let entries = answer.pointer_mut("/object/metadata/managedFields");
    for entry in entries.and_then(Value::as_array_mut).into_iter().flatten() {
        if !known.contains(&entry["time"]) {
            entry["time"] = json!("now");
        }
    }
    if let Some(causes) = answer.get_mut("causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(ToString::to_string);
    }
    // Go walks maps in random order: of several unknown fields it names one, and a map in a text has any order
    if let Some(text) = answer["error"].as_str().filter(|_| answer.get("causes").is_none()) {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        answer["error"] = if text.contains("not declared in schema") {
            json!("a field is not declared in the schema")
        } else {
            json!({"letters": letters.into_iter().collect::<String>(), "start": text.lines().next().and_then(|line| line.get(..24))})
        };
    }
    answer
}

/// Where two answers differ as JSON: 1 is 1.0.
fn compare(ours: &Value, theirs: &Value, path: String, places: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, format!("{path}/{at}"), places);
            }
        }
        (Value::Object(left), Value::Object(right)) => {
            let more = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(more) {
                let absent = json!("(absent)");
                let (left, right) = (left.get(key).unwrap_or(&absent), right.get(key).unwrap_or(&absent));
                compare(left, right, format!("{path}/{key}"), places);
            }
        }
        _ if ours == theirs => {}
        _ => places.push(format!("  at {path}\n    ours   {ours}\n    theirs {theirs}")),
    }
}

/// An object of the kind that the judge knows.
fn object(spec: &Value) -> Value {
    json!({"apiVersion": ours::VERSION, "kind": ours::KIND, "metadata": {"name": "x"}, "spec": spec})
}

/// The live object after a write, as the next one finds it: it has a uid, and entries were written one after another,
/// or all at once.
fn live(answer: &Value, at_once: bool) -> Value {
    let mut live = answer["object"].clone();
    live["metadata"]["uid"] = json!("1");
    let entries = live
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut);
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let second = if at_once { 0 } else { at % 60 };
        entry["time"] = json!(format!("2020-01-01T00:00:{second:02}Z"));
    }
    live
}

fn report(wrong: &[String], asked: usize) {
    let some: Vec<&str> = wrong
        .iter()
        .take(8)
        .map(|text| text.get(..3000).unwrap_or(text))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {asked} answers differ:\n{}",
        wrong.len(),
        some.join("\n")
    );
}

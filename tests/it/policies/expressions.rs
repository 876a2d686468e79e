//! Expressions, evaluated by both: what each makes of it comes back as a warning.

use futures::stream::{self, StreamExt};
use http::Method;
use serde_json::{Value, json};

use super::random::Generator;
use super::{NAMESPACE, configure, policy, thing, twin, warnings};
use crate::harness::in_process::Settings;
use crate::harness::twin::{Ask, Twin};

/// How many values one policy shows: Go shortens warnings when there are too many.
const AT_ONCE: usize = 6;

/// A line of the table.
struct Line {
    expression: String,
    /// Why ours answers otherwise.
    differs: Option<String>,
}

/// Lines that are asked together.
struct Batch {
    name: String,
    /// Whether they are validations themselves; else their values are compared.
    truths: bool,
    lines: Vec<Line>,
}

fn table() -> Vec<Batch> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/policies/expressions.txt");
    let text = std::fs::read_to_string(path).expect("the table");
    let (mut theme, mut truths, mut count) = ("", false, 0);
    let mut batches: Vec<Batch> = Vec::new();
    for line in text.lines() {
        if let Some(why) = line.strip_prefix("differs: ") {
            let last = batches.last_mut().and_then(|batch| batch.lines.last_mut());
            last.expect("an expression").differs = Some(why.to_owned());
        } else if let Some(name) = line.strip_prefix("= ").or(line.strip_prefix("? ")) {
            (theme, truths, count) = (name, line.starts_with('?'), 0);
        } else if !line.is_empty() && !line.starts_with('#') {
            // Not every truth makes a warning, so that no two are asked together.
            if count % if truths { 1 } else { AT_ONCE } == 0 {
                let (name, lines) = (format!("{theme}-{count}"), Vec::new());
                batches.push(Batch { name, truths, lines });
            }
            count += 1;
            batches.last_mut().expect("a batch").lines.push(Line {
                expression: line.to_owned(),
                differs: None,
            });
        }
    }
    batches
}

impl Batch {
    /// What is to come back: the type and the text of the value, or the error. `string` knows no lists, `format` does.
    fn validations(&self) -> Value {
        let lines = self.lines.iter().enumerate().map(|(at, line)| {
            let expression = &line.expression;
            if self.truths {
                return json!({"expression": expression, "message": "it is false"});
            }
            let shown = format!("'{at} %s: %s'.format([dyn(type({expression})), dyn({expression})])");
            json!({"expression": format!("{shown} == ''"), "messageExpression": shown, "message": "no value"})
        });
        lines.collect()
    }
}

/// What is asked about.
fn spec() -> Value {
    json!({
        "count": 4, "ratio": 0.5, "text": "abc", "pattern": "^a", "broken": "(", "nothing": null, "flag": true,
        "list": [1, 2, 3], "empty": [], "map": {"a": 1, "b": 2}, "big": i64::MAX, "small": i64::MIN, "huge": 1e30,
        "exponent": 1500.25, "whole": 2.0, "negative": -7, "cpu": "1500m", "unicode": "äöü€😀", "since": "2020-02-29T12:30:45Z",
        "percent": "%", "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
        "texts": {"none": "", "space": " 1", "hexadecimal": "0x10", "over": "9223372036854775808", "nan": "NaN", "minus": "-1",
            "five": "5", "day": "1d", "date": "2020-01-01", "ahead": "a(?=b)"},
    })
}

/// Policies of the batches, by their names.
fn policies(group: &str, batches: &[Batch]) -> Vec<[Value; 2]> {
    let policies = batches.iter().map(|batch| {
        let validations = json!({"validations": batch.validations()});
        policy(group, &batch.name, validations, json!({"validationActions": ["Warn"]}))
    });
    policies.collect()
}

/// Asks both, and takes down what differs. Answers with how many are compared, and how many differ with a reason.
async fn ask(twin: &Twin, batches: &[Batch], wrong: &mut Vec<String>) -> (usize, usize) {
    let path = twin.path(&format!("namespaces/{NAMESPACE}/things?dryRun=All"));
    let (mut compared, mut known) = (0, 0);
    let answers = batches.iter().map(async |batch| {
        let ask = Ask::json(Method::POST, &path, &thing(&twin.group, &batch.name, spec()));
        twin.send(&ask).await
    });
    let answers: Vec<_> = stream::iter(answers).buffered(super::AT_ONCE).collect().await;
    for (batch, answers) in batches.iter().zip(&answers) {
        let answers = answers.expect(201);
        let (ours, theirs) = (warnings(&answers.ours), warnings(&answers.theirs));
        if !batch.truths {
            assert_eq!(theirs.len(), batch.lines.len(), "a warning each: {theirs:#?}");
        }
        for (at, line) in batch.lines.iter().enumerate() {
            compared += 1;
            let (ours, theirs) = (ours.get(at), theirs.get(at));
            let (name, expression) = (&batch.name, &line.expression);
            match (&line.differs, ours == theirs) {
                (None, true) => {}
                (None, false) => wrong.push(format!("{name}: {expression}\n  ours   {ours:?}\n  theirs {theirs:?}")),
                (Some(_), false) => known += 1,
                (Some(why), true) => wrong.push(format!("{expression}: is said to differ, and does not: {why}")),
            }
        }
    }
    (compared, known)
}

#[tokio::test]
async fn expressions_mean_what_they_mean_to_cel_go() {
    let twin = twin("expressions.policies.io", Settings::default()).await;
    let batches = table();
    configure(&twin, policies(&twin.group, &batches)).await;
    let mut wrong = Vec::new();
    let (compared, known) = ask(&twin, &batches, &mut wrong).await;
    println!(
        "{compared} expressions compared, {known} differ with a reason, {} without",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first seed; `BULWARD_EXPRESSIONS_SEED` begins elsewhere.
const SEED: u64 = 1;
/// How many batches; `BULWARD_EXPRESSIONS_BATCHES` makes it the long form.
const BATCHES: u64 = 25;

#[tokio::test]
async fn random_expressions_mean_what_they_mean_to_cel_go() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("BULWARD_EXPRESSIONS_SEED").unwrap_or(SEED);
    let count = number("BULWARD_EXPRESSIONS_BATCHES").unwrap_or(BATCHES);
    let twin = twin("random.policies.io", Settings::default()).await;
    let batches = (seed..seed + count).map(|seed| {
        let mut generator = Generator::new(seed);
        let line = |_| Line {
            expression: generator.expression(),
            differs: None,
        };
        Batch {
            name: format!("seed-{seed}"),
            truths: false,
            lines: (0..AT_ONCE).map(line).collect(),
        }
    });
    let mut batches: Vec<Batch> = batches.collect();
    // What Go finds to be constant it evaluates at once, and takes no policy in which that goes wrong.
    let refused = super::configure_all(&twin, policies(&twin.group, &batches)).await;
    let own = |batch: &Batch| format!("{}.{}", batch.name, twin.group);
    batches.retain(|batch| refused.iter().all(|(name, _)| *name != own(batch)));
    configure(&twin, Vec::new()).await;
    let mut wrong = Vec::new();
    let (compared, _) = ask(&twin, &batches, &mut wrong).await;
    println!(
        "{compared} random expressions compared from seed {seed}, {} policies refused",
        refused.len()
    );
    assert!(
        wrong.is_empty(),
        "from seed {seed}: {} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        compared as u64 * 2 > count * AT_ONCE as u64,
        "too many are refused: {refused:#?}"
    );
}

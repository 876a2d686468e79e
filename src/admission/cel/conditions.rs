//! `matchConditions` of webhooks and policies (k8s.io/apiserver pkg/admission/plugin/webhook/matchconditions/matcher.go).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::budget::{self, Budget};
use super::error::Failure;
use super::evaluate::Evaluator;
use super::{Compiled, Inputs, Variables, pool};
use kube::core::cel::cel::Value;
use tokio::time::Instant;

/// Conditions, compiled; all of them have to hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<[Condition]>);

#[derive(Debug)]
struct Condition {
    name: String,
    compiled: Compiled,
}

/// What conditions say of a request, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What they say.
    pub matched: Matched,
    /// How many went wrong.
    pub errors: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// What conditions say of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Matched {
    /// All hold.
    #[default]
    Yes,
    /// This one does not, whatever became of the others.
    No(String),
    /// None is false, and some went wrong: the failure policy decides (`Fail`: refuse with this text, `Ignore`: no match).
    Failed(String),
}

impl Conditions {
    /// Compiles. What does not compile goes wrong at each request.
    pub async fn compile(conditions: &[MatchCondition]) -> Self {
        let conditions = conditions.to_vec();
        let compiled = pool::run(move || Self::compiled(&conditions)).await;
        compiled.unwrap_or_default()
    }

    pub(crate) fn compiled(conditions: &[MatchCondition]) -> Self {
        let condition = |condition: &MatchCondition| Condition {
            name: condition.name.clone(),
            compiled: Compiled::new(&condition.expression),
        };
        Self(conditions.iter().map(condition).collect())
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks, on a thread of its own.
    pub async fn matches(&self, inputs: &Arc<Inputs>) -> Matched {
        self.ask(inputs).await.matched
    }

    /// As [`Conditions::matches`], with what the metrics want to know.
    pub async fn ask(&self, inputs: &Arc<Inputs>) -> Asked {
        if self.is_empty() {
            return Asked::default();
        }
        let (conditions, inputs) = (self.clone(), inputs.clone());
        let asked = pool::run(move || conditions.evaluate(&inputs, &Variables::default())).await;
        asked.unwrap_or_else(|aborted| Asked {
            matched: Matched::Failed(aborted.to_string()),
            ..Asked::default()
        })
    }

    /// Asks, here.
    pub(crate) fn evaluate(&self, inputs: &Inputs, variables: &Variables) -> Asked {
        let started = Instant::now();
        let (matched, errors) = self.judged(inputs, variables);
        Asked {
            matched,
            errors,
            elapsed: started.elapsed(),
        }
    }

    /// The judgement, and how many conditions went wrong before it was clear.
    fn judged(&self, inputs: &Inputs, variables: &Variables) -> (Matched, usize) {
        let mut evaluator = Evaluator::new(inputs, variables, Budget::new(budget::CONDITIONS));
        let mut outcomes = Vec::with_capacity(self.0.len());
        for condition in self.0.iter() {
            match condition.compiled.run(&mut evaluator) {
                Ok(value) => outcomes.push((&condition.name, Ok(value))),
                Err((failure, text)) => {
                    if failure.as_ref().is_some_and(Failure::is_final) {
                        return (Matched::Failed(text), 0);
                    }
                    outcomes.push((&condition.name, Err(text)));
                }
            }
        }
        judge(outcomes)
    }
}

/// One that is false decides; otherwise one that went wrong.
fn judge(outcomes: Vec<(&String, Result<Value, String>)>) -> (Matched, usize) {
    let mut wrong: Vec<String> = Vec::new();
    let mut errors = 0;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Value::Bool(false)) => return (Matched::No(name.clone()), errors),
            Ok(_) => {}
            Err(text) => {
                errors += 1;
                if !wrong.contains(&text) {
                    wrong.push(text);
                }
            }
        }
    }
    let matched = match wrong.as_slice() {
        [] => Matched::Yes,
        [one] => Matched::Failed(one.clone()),
        // k8s.io/apimachinery pkg/util/errors Aggregate
        many => Matched::Failed(format!("[{}]", many.join(", "))),
    };
    (matched, errors)
}

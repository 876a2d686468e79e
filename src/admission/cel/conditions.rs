//! `matchConditions` of webhooks and policies (k8s.io/apiserver pkg/admission/plugin/webhook/matchconditions/matcher.go).

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::budget::{self, Budget};
use super::error::Failure;
use super::evaluate::Evaluator;
use super::{Compiled, Inputs, Variables, pool};
use kube::core::cel::cel::Value;

/// Conditions, compiled; all of them have to hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<[Condition]>);

#[derive(Debug)]
struct Condition {
    name: String,
    compiled: Compiled,
}

/// What conditions say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// All hold.
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
        if self.is_empty() {
            return Matched::Yes;
        }
        let (conditions, inputs) = (self.clone(), inputs.clone());
        let asked = pool::run(move || conditions.evaluate(&inputs, &Variables::default())).await;
        asked.unwrap_or_else(|aborted| Matched::Failed(aborted.to_string()))
    }

    /// Asks, here.
    pub(crate) fn evaluate(&self, inputs: &Inputs, variables: &Variables) -> Matched {
        let mut evaluator = Evaluator::new(inputs, variables, Budget::new(budget::CONDITIONS));
        let mut outcomes = Vec::with_capacity(self.0.len());
        for condition in self.0.iter() {
            match condition.compiled.run(&mut evaluator) {
                Ok(value) => outcomes.push((&condition.name, Ok(value))),
                Err((failure, text)) => {
                    if failure.as_ref().is_some_and(Failure::is_final) {
                        return Matched::Failed(text);
                    }
                    outcomes.push((&condition.name, Err(text)));
                }
            }
        }
        judge(outcomes)
    }
}

/// One that is false decides; otherwise one that went wrong.
fn judge(outcomes: Vec<(&String, Result<Value, String>)>) -> Matched {
    let mut wrong: Vec<String> = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Value::Bool(false)) => return Matched::No(name.clone()),
            Ok(_) => {}
            Err(text) if wrong.contains(&text) => {}
            Err(text) => wrong.push(text),
        }
    }
    match wrong.as_slice() {
        [] => Matched::Yes,
        [one] => Matched::Failed(one.clone()),
        // k8s.io/apimachinery pkg/util/errors Aggregate
        many => Matched::Failed(format!("[{}]", many.join(", "))),
    }
}

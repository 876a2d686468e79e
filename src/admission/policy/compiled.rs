//! A policy, compiled, and what it says of one request (k8s.io/apiserver
//! pkg/admission/plugin/policy/validating/validator.go).

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{ParamKind, ValidatingAdmissionPolicy, Validation};
use kube::core::cel::cel::Value;
use tokio::time::Instant;

use crate::admission::cel::{
    Asked, Budget, Compiled, Conditions, Evaluator, Failure, Inputs, Matched, POLICY, Variables, type_name,
};
use crate::admission::matching::Matcher;

/// The longest message that an expression may make.
const LONGEST_MESSAGE: usize = 5 << 10;

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) ignores_failures: bool,
    pub(super) matching: Matcher,
    pub(super) param_kind: Option<ParamKind>,
    conditions: Conditions,
    variables: Variables,
    validations: Vec<Rule>,
    annotations: Vec<(String, Compiled)>,
}

#[derive(Debug)]
struct Rule {
    compiled: Compiled,
    message: Option<String>,
    message_expression: Option<Compiled>,
    reason: Option<String>,
}

/// What one validation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) denies: bool,
    /// Whether the expression went wrong, and the failure policy decided.
    pub(super) error: bool,
    pub(super) message: String,
    /// Empty: none was said.
    pub(super) reason: String,
    pub(super) elapsed: Duration,
}

/// What one audit annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    Publish {
        key: String,
        value: String,
    },
    /// Denies.
    Error(String),
    Exclude,
}

/// What a policy says of one request and parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What its match conditions said, if there are any.
    pub(super) conditions: Option<Asked>,
    pub(super) decisions: Vec<Decision>,
    pub(super) annotations: Vec<Annotation>,
}

impl Policy {
    pub(super) fn compile(policy: &ValidatingAdmissionPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let variables = spec.variables.unwrap_or_default();
        let annotations = spec.audit_annotations.unwrap_or_default();
        Self {
            name: policy.metadata.name.clone().unwrap_or_default(),
            ignores_failures: spec.failure_policy.as_deref() == Some("Ignore"),
            matching: Matcher::new(&spec.match_constraints.unwrap_or_default()),
            param_kind: spec.param_kind,
            conditions: Conditions::compiled(&spec.match_conditions.unwrap_or_default()),
            variables: Variables::compile(variables.iter().map(|v| (v.name.as_str(), v.expression.as_str()))),
            validations: spec
                .validations
                .unwrap_or_default()
                .into_iter()
                .map(Rule::compile)
                .collect(),
            annotations: annotations
                .into_iter()
                .map(|annotation| (annotation.key, Compiled::new(&annotation.value_expression)))
                .collect(),
        }
    }

    /// A policy that could not be compiled at all.
    pub(super) fn broken(policy: &ValidatingAdmissionPolicy, error: &str) -> Self {
        let mut policy = policy.clone();
        let spec = policy.spec.get_or_insert_default();
        (
            spec.variables,
            spec.match_conditions,
            spec.audit_annotations,
            spec.validations,
        ) = (None, None, None, None);
        let broken = Rule {
            compiled: Compiled {
                source: String::new(),
                program: Err(error.to_owned()),
            },
            message: None,
            message_expression: None,
            reason: None,
        };
        Self {
            validations: vec![broken],
            ..Self::compile(&policy)
        }
    }

    /// What the policy says. It may take a while: never call it on a thread of the runtime.
    pub(super) fn validate(&self, inputs: &Inputs) -> Verdict {
        // Conditions do not see the namespace's object.
        let conditions = Inputs {
            namespace: Value::Null,
            ..inputs.clone()
        };
        let asked = (!self.conditions.is_empty()).then(|| self.conditions.evaluate(&conditions, &self.variables));
        let verdict = match asked.as_ref().map(|asked| &asked.matched) {
            None | Some(Matched::Yes) => self.judge(inputs),
            Some(Matched::No(_)) => Verdict::default(),
            // With `Ignore` a failed condition is no match.
            Some(Matched::Failed(_)) if self.ignores_failures => Verdict::default(),
            Some(Matched::Failed(message)) => self.failed(message.clone()),
        };
        Verdict {
            conditions: asked,
            ..verdict
        }
    }

    /// What the policy says of what it is about.
    fn judge(&self, inputs: &Inputs) -> Verdict {
        let mut evaluator = Evaluator::new(inputs, &self.variables, Budget::new(POLICY));
        let mut outcomes = Vec::with_capacity(self.validations.len());
        for rule in &self.validations {
            let started = Instant::now();
            let outcome = rule.compiled.run(&mut evaluator);
            if let Err((Some(failure), message)) = &outcome
                && failure.is_final()
            {
                return self.failed(message.clone());
            }
            outcomes.push((rule, outcome, started.elapsed()));
        }
        let messages = self.messages(inputs, evaluator.into_budget(), &outcomes);
        let decisions = outcomes
            .into_iter()
            .zip(messages)
            .map(|((rule, outcome, elapsed), message)| {
                let mut decision = self.decision(rule, outcome, message);
                decision.elapsed = elapsed;
                decision
            });
        let decisions = decisions.collect();
        match self.annotations(inputs) {
            Ok(annotations) => Verdict {
                decisions,
                annotations,
                ..Verdict::default()
            },
            Err(message) => self.failed(message),
        }
    }

    /// Messages, where an expression makes one and it is needed; they spend what the validations have left.
    fn messages(&self, inputs: &Inputs, budget: Budget, outcomes: &[Outcome<'_>]) -> Vec<Message> {
        let mut evaluator = Evaluator::new(inputs, &self.variables, budget);
        evaluator.authorizes = false;
        let mut spent: Option<Failure> = None;
        let mut messages = Vec::with_capacity(outcomes.len());
        for (rule, (_, outcome, _)) in self.validations.iter().zip(outcomes) {
            let expression = rule.message_expression.as_ref();
            let needed = !matches!(outcome, Err(_) | Ok(Value::Bool(true)));
            messages.push(match (expression.filter(|_| needed), &spent) {
                (None, _) => None,
                (Some(_), Some(failure)) => Some(Err(failure.clone())),
                (Some(expression), None) => match expression.run(&mut evaluator) {
                    Ok(Value::String(text)) => Some(Ok(text.trim().to_owned())),
                    Err((Some(failure), _)) if failure.is_final() => {
                        spent = Some(failure.clone());
                        Some(Err(failure))
                    }
                    _ => None,
                },
            });
        }
        messages
    }

    fn decision(&self, rule: &Rule, outcome: Result<Value, (Option<Failure>, String)>, message: Message) -> Decision {
        let wrong = |message: String| Decision {
            denies: !self.ignores_failures,
            error: true,
            message,
            ..Decision::admit()
        };
        match (outcome, message) {
            (Ok(Value::Bool(true)), _) => Decision::admit(),
            (Err((_, message)), _) => wrong(message),
            (Ok(_), Some(Err(failure))) => wrong(format!("failed messageExpression: {failure}")),
            (Ok(_), message) => Decision {
                denies: true,
                message: rule.message(message.and_then(Result::ok)),
                reason: rule.reason.clone().unwrap_or_else(|| "Invalid".to_owned()),
                ..Decision::admit()
            },
        }
    }

    fn annotations(&self, inputs: &Inputs) -> Result<Vec<Annotation>, String> {
        let mut evaluator = Evaluator::new(inputs, &self.variables, Budget::new(POLICY));
        evaluator.authorizes = false;
        let mut all = Vec::with_capacity(self.annotations.len());
        for (key, compiled) in &self.annotations {
            all.push(match compiled.run(&mut evaluator) {
                Ok(Value::String(text)) if text.trim().is_empty() => Annotation::Exclude,
                Ok(Value::String(text)) => Annotation::Publish { key: key.clone(), value: text.trim().to_owned() },
                Ok(Value::Null) => Annotation::Exclude,
                Ok(other) => Annotation::Error(format!(
                    "valueExpression '{}' resulted in unsupported return type: {}. Return type must be either string or null.",
                    compiled.source,
                    type_name(&other)
                )),
                Err((Some(failure), message)) if failure.is_final() => return Err(message),
                Err(_) if self.ignores_failures => Annotation::Exclude,
                Err((_, message)) => Annotation::Error(message),
            });
        }
        Ok(all)
    }

    /// The one decision where the policy as a whole went wrong.
    pub(super) fn failed(&self, message: String) -> Verdict {
        let denies = !self.ignores_failures;
        Verdict {
            decisions: vec![Decision {
                denies,
                error: true,
                message,
                ..Decision::admit()
            }],
            ..Verdict::default()
        }
    }
}

type Outcome<'a> = (&'a Rule, Result<Value, (Option<Failure>, String)>, Duration);
type Message = Option<Result<String, Failure>>;

impl Rule {
    fn compile(validation: Validation) -> Self {
        Self {
            compiled: Compiled::new(&validation.expression),
            message: validation.message,
            message_expression: validation
                .message_expression
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(Compiled::new),
            reason: validation.reason,
        }
    }

    /// What an expression made, else what the policy says, else the expression.
    fn message(&self, made: Option<String>) -> String {
        let fit = |text: &String| !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
        made.filter(fit)
            .or_else(|| {
                self.message
                    .as_ref()
                    .map(|text| text.trim().to_owned())
                    .filter(|text| !text.is_empty())
            })
            .unwrap_or_else(|| format!("failed expression: {}", self.compiled.source.trim()))
    }
}

impl Decision {
    fn admit() -> Self {
        Self {
            denies: false,
            error: false,
            message: String::new(),
            reason: String::new(),
            elapsed: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;

//! The evaluation of an expression.
//!
//! The cel crate parses; its own interpreter is not used. That one answers `false` for a field of something that has none
//! (Kubernetes: an error, so that the failure policy decides), copies every list that it walks, and cannot be stopped.

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::{Key, KeyRef};

use super::authorizer;
use super::budget::Budget;
use super::error::Failure;
use super::library::times::{Duration, Timestamp};
use super::library::{self, SORT_BY};
use super::node::{Call, Comprehension, Entry, Index, Node, Over, Pairs, Select};
use super::operators;
use super::value::{as_opaque, held, list, map, optional, type_named};
use super::{Inputs, Program, Variables};

type Outcome = Result<Value, Failure>;

/// How many steps may be open within each other. One expression has few (`DEPTH` and `CHAIN` bound it), but a variable that
/// needs another one, which needs another one, would go on for as long as there is a stack.
const LEVELS: usize = 4_000;

/// Bytes of a failure to which further variables are added.
const LONGEST: usize = 1_024;

/// What cel-go charges for a new list and a new map (common/cost.go).
const NEW_LIST: u64 = 10;
const NEW_MAP: u64 = 30;

/// Evaluates expressions over the same inputs and variables.
pub(crate) struct Evaluator<'a> {
    inputs: &'a Inputs,
    variables: &'a Variables,
    /// Whether the expressions may ask the authorizer.
    pub(crate) authorizes: bool,
    budget: Budget,
    /// Variables that have a value, or are about to have one (`None`).
    known: HashMap<&'a str, Option<Outcome>>,
    /// Steps that are open.
    levels: usize,
    scope: Vec<(&'a str, Outcome)>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(inputs: &'a Inputs, variables: &'a Variables, budget: Budget) -> Self {
        Self {
            inputs,
            variables,
            authorizes: true,
            budget,
            known: HashMap::new(),
            levels: 0,
            scope: Vec::new(),
        }
    }

    /// What is left of the budget.
    pub(crate) fn into_budget(self) -> Budget {
        self.budget
    }

    /// The value of a whole expression.
    pub(crate) fn run(&mut self, program: &'a Program) -> Outcome {
        self.budget.time_left()?;
        let scope = std::mem::take(&mut self.scope);
        let left = self.budget.enter();
        let outcome = self.value(&program.node);
        self.budget.leave(left);
        self.scope = scope;
        outcome
    }

    fn value(&mut self, node: &'a Node) -> Outcome {
        self.budget.spend(1)?;
        if self.levels == LEVELS {
            return Err(Failure::new("nested too deep"));
        }
        self.levels += 1;
        let outcome = self.step(node);
        self.levels -= 1;
        outcome
    }

    fn step(&mut self, node: &'a Node) -> Outcome {
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.name(name),
            Node::Variable(name) => self.variable(name),
            Node::Select(select) => self.select(select),
            Node::Index(index) => self.index(index),
            Node::And(operands) => self.logical(operands, false),
            Node::Or(operands) => self.logical(operands, true),
            Node::Not(operand) => Ok(Value::Bool(!self.truth(operand)?)),
            Node::Negate(operand) => operators::negate(&self.value(operand)?),
            Node::NotStrictlyFalse(operand) => match self.value(operand) {
                Err(failure) if !failure.is_absorbed() => Err(failure),
                outcome => Ok(Value::Bool(!matches!(outcome, Ok(Value::Bool(false))))),
            },
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                if self.truth(condition)? {
                    self.value(yes)
                } else {
                    self.value(no)
                }
            }
            Node::Binary(operator, operands) => {
                let left = self.value(&operands[0])?;
                let right = self.value(&operands[1])?;
                operators::binary(*operator, left, right, &mut self.budget)
            }
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Comprehension(comprehension) => self.comprehension(comprehension),
            Node::Append(item) => self.append(item),
            Node::Pairs(pairs) => self.pairs(pairs),
            Node::Bind(name, parts) => {
                let value = self.value(&parts[0])?;
                self.with(name, value, &parts[1])
            }
            Node::OptionalMap(name, parts, flat) => match held(&self.value(&parts[0])?) {
                Some(Some(value)) => {
                    let value = self.with(name, value, &parts[1])?;
                    Ok(if *flat { value } else { optional(Some(value)) })
                }
                Some(None) => Ok(optional(None)),
                None => Err(Failure::overload()),
            },
            Node::Call(call) => self.call(call),
            Node::SortBy(name, parts) => self.sort_by(name, parts),
        }
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Failure> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(Failure::overload()),
        }
    }

    fn with(&mut self, name: &'a str, value: Value, body: &'a Node) -> Outcome {
        self.scope.push((name, Ok(value)));
        let outcome = self.value(body);
        self.scope.pop();
        outcome
    }

    fn name(&self, name: &str) -> Outcome {
        if let Some((_, value)) = self.scope.iter().rev().find(|(own, _)| *own == name) {
            return value.clone();
        }
        let input = match name {
            "object" => Some(&self.inputs.object),
            "oldObject" => Some(&self.inputs.old_object),
            "request" => Some(&self.inputs.request),
            "namespaceObject" => Some(&self.inputs.namespace),
            "params" => Some(&self.inputs.params),
            _ => None,
        };
        if let Some(value) = input {
            return Ok(value.clone());
        }
        if self.authorizes
            && let Some(authorizer) = &self.inputs.authorizer
            && let Some(value) = authorizer.named(name)
        {
            return Ok(value);
        }
        type_named(name).ok_or_else(|| Failure::new(format!("undeclared reference to '{name}'")))
    }

    /// Evaluated when it is first needed, and once.
    fn variable(&mut self, name: &'a str) -> Outcome {
        match self.known.get(name) {
            Some(Some(outcome)) => return outcome.clone(),
            Some(None) => return Err(Failure::new(format!("composited variable {name:?} needs itself"))),
            None => {}
        }
        let variables = self.variables;
        let Some(program) = variables.get(name) else {
            return Err(Failure::key(name));
        };
        self.known.insert(name, None);
        let outcome = match program {
            Ok(program) => self.run(program).map_err(|failure| match failure {
                Failure::OutOfBudget | Failure::OutOfTime => failure,
                failure => through(name, failure),
            }),
            Err(error) => Err(Failure::new(format!(
                "composited variable {name:?} fails to compile: {error}"
            ))),
        };
        self.known.insert(name, Some(outcome.clone()));
        outcome
    }

    /// `a || b` with `decides` true, `a && b` with false: one operand that decides is enough, whatever becomes of the other.
    fn logical(&mut self, operands: &'a [Node; 2], decides: bool) -> Outcome {
        let first = match self.truth(&operands[0]) {
            Ok(value) if value == decides => return Ok(Value::Bool(value)),
            Err(failure) if !failure.is_absorbed() => return Err(failure),
            first => first,
        };
        match self.truth(&operands[1]) {
            Ok(value) if value == decides => Ok(Value::Bool(value)),
            Err(failure) if !failure.is_absorbed() => Err(failure),
            second => first.and(second).map(Value::Bool),
        }
    }

    fn select(&mut self, select: &'a Select) -> Outcome {
        let operand = self.value(&select.operand)?;
        let (operand, chained) = match held(&operand) {
            Some(Some(value)) => (value, true),
            Some(None) if select.test => return Ok(Value::Bool(false)),
            Some(None) => return Ok(optional(None)),
            None => (operand, select.optional),
        };
        let found = match &operand {
            Value::Map(map) => map.get(&KeyRef::String(&select.field)).cloned(),
            Value::List(_) => return Err(Failure::new("unsupported index type 'string' in list")),
            _ => None,
        };
        match found {
            found if select.test => Ok(Value::Bool(found.is_some())),
            found if chained => Ok(optional(found)),
            Some(value) => Ok(value),
            None => Err(Failure::key(&select.field)),
        }
    }

    fn index(&mut self, index: &'a Index) -> Outcome {
        let operand = self.value(&index.operand)?;
        let key = self.value(&index.index)?;
        let (operand, chained) = match held(&operand) {
            Some(Some(value)) => (value, true),
            Some(None) => return Ok(optional(None)),
            None => (operand, index.optional),
        };
        match operators::at(&operand, &key) {
            Ok(found) if chained => Ok(optional(Some(found))),
            Err(failure) if chained && failure.is_absorbed() => Ok(optional(None)),
            found => found,
        }
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Outcome {
        self.budget.spend(NEW_LIST)?;
        let mut list = Vec::with_capacity(items.len());
        for (item, is_optional) in items {
            let value = self.value(item)?;
            match held(&value) {
                Some(held) if *is_optional => list.extend(held),
                _ => list.push(value),
            }
        }
        Ok(Value::List(Arc::new(list)))
    }

    fn map(&mut self, entries: &'a [Entry]) -> Outcome {
        self.budget.spend(NEW_MAP)?;
        let mut all = HashMap::with_capacity(entries.len());
        for entry in entries {
            let key = key(self.value(&entry.key)?)?;
            let value = self.value(&entry.value)?;
            match held(&value) {
                Some(held) if entry.optional => all.extend(held.map(|value| (key, value))),
                _ => {
                    all.insert(key, value);
                }
            }
        }
        Ok(map(all))
    }

    fn comprehension(&mut self, of: &'a Comprehension) -> Outcome {
        let range = self.value(&of.range)?;
        let init = self.value(&of.init)?;
        let base = self.scope.len();
        self.scope.push((&of.accumulator, Ok(init)));
        self.scope.push((&of.variable, Ok(Value::Null)));
        let outcome = self.iterate(of, &range, base);
        self.scope.truncate(base);
        outcome
    }

    fn iterate(&mut self, of: &'a Comprehension, range: &Value, base: usize) -> Outcome {
        for item in items(range)? {
            if let Some(condition) = &of.condition
                && !self.truth(condition)?
            {
                break;
            }
            self.scope[base + 1].1 = Ok(item);
            let step = self.value(&of.step);
            match step {
                Err(failure) if of.condition.is_none() || !failure.is_absorbed() => return Err(failure),
                // One element goes wrong: another may still decide, as with `||` and `&&`.
                step => self.scope[base].1 = step,
            }
        }
        self.value(&of.result)
    }

    fn append(&mut self, item: &'a Node) -> Outcome {
        self.budget.spend(NEW_LIST)?;
        let item = self.value(item)?;
        let place = self.scope.iter_mut().rev().find(|(name, _)| *name == "@result");
        let Some((_, accumulator)) = place else {
            return Err(Failure::overload());
        };
        match std::mem::replace(accumulator, Ok(Value::Null))? {
            Value::List(mut list) => {
                Arc::make_mut(&mut list).push(item);
                Ok(Value::List(list))
            }
            _ => Err(Failure::overload()),
        }
    }

    fn pairs(&mut self, of: &'a Pairs) -> Outcome {
        let range = self.value(&of.range)?;
        let base = self.scope.len();
        self.scope.push((&of.names[0], Ok(Value::Null)));
        self.scope.push((&of.names[1], Ok(Value::Null)));
        let outcome = self.iterate_pairs(of, &range, base);
        self.scope.truncate(base);
        outcome
    }

    fn iterate_pairs(&mut self, of: &'a Pairs, range: &Value, base: usize) -> Outcome {
        let mut list = Vec::new();
        let mut entries = HashMap::new();
        let mut hits = 0_u64;
        let mut wrong = None;
        for (first, second) in two(range)? {
            self.scope[base].1 = Ok(first.clone());
            self.scope[base + 1].1 = Ok(second);
            if let Some(filter) = &of.filter
                && !self.truth(filter)?
            {
                continue;
            }
            match of.over {
                Over::All | Over::Exists => match self.truth(&of.body) {
                    Ok(truth) if truth == (of.over == Over::Exists) => return Ok(Value::Bool(truth)),
                    Ok(_) => {}
                    Err(failure) if failure.is_absorbed() => wrong = Some(failure),
                    Err(failure) => return Err(failure),
                },
                Over::ExistsOne => hits += u64::from(self.truth(&of.body)?),
                Over::TransformList => list.push(self.value(&of.body)?),
                Over::TransformMap => {
                    entries.insert(key(first)?, self.value(&of.body)?);
                }
                Over::TransformMapEntry => match self.value(&of.body)? {
                    Value::Map(new) => {
                        self.budget.spend(new.map.len() as u64)?;
                        for (key, value) in new.map.iter() {
                            if entries.insert(key.clone(), value.clone()).is_some() {
                                return Err(Failure::new(format!("insert failed: key {key} already exists")));
                            }
                        }
                    }
                    _ => return Err(Failure::overload()),
                },
            }
        }
        match (wrong, of.over) {
            (Some(failure), _) => Err(failure),
            (None, Over::All) => Ok(Value::Bool(true)),
            (None, Over::Exists) => Ok(Value::Bool(false)),
            (None, Over::ExistsOne) => Ok(Value::Bool(hits == 1)),
            (None, Over::TransformList) => Ok(Value::List(Arc::new(list))),
            (None, Over::TransformMap | Over::TransformMapEntry) => Ok(map(entries)),
        }
    }

    fn sort_by(&mut self, name: &'a str, parts: &'a [Node; 2]) -> Outcome {
        let range = self.value(&parts[0])?;
        let mut keys = Vec::new();
        for item in items(&range)? {
            keys.push(self.with(name, item, &parts[1])?);
        }
        let arguments = [range, list(keys)];
        library::call(&library::of(SORT_BY), SORT_BY, &arguments, &mut self.budget)
    }

    fn call(&mut self, call: &'a Call) -> Outcome {
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            let value = self.value(argument)?;
            // What stands in is evaluated when it is needed.
            if let ("or" | "orValue", Some(Some(held))) = (call.name.as_str(), held(&value)) {
                return Ok(if call.name == "or" { optional(Some(held)) } else { held });
            }
            if let ("or" | "orValue", Some(None), [_, otherwise]) = (call.name.as_str(), held(&value), &*call.arguments)
            {
                return self.value(otherwise);
            }
            arguments.push(value);
        }
        if let Some(of) = arguments.first().and_then(authorizer::of) {
            return of.call(&call.name, &arguments[1..], &mut self.budget);
        }
        library::call(&call.libraries, &call.name, &arguments, &mut self.budget)
    }
}

/// A failure with the variable by which it came, unless it has come a long way: texts that grow with each would fill the memory.
fn through(name: &str, failure: Failure) -> Failure {
    let why = failure.to_string();
    match why.len() {
        0..LONGEST => Failure::Expression(format!("composited variable {name:?} fails to evaluate: {why}")),
        _ => Failure::Expression(why),
    }
}

fn key(value: Value) -> Result<Key, Failure> {
    value.try_into().map_err(|_| Failure::new("unsupported key type"))
}

/// The elements of a list, the keys of a map.
fn items(range: &Value) -> Result<Box<dyn Iterator<Item = Value> + '_>, Failure> {
    match range {
        Value::List(list) => Ok(Box::new(list.iter().cloned())),
        Value::Map(map) => Ok(Box::new(map.map.keys().map(Value::from))),
        other => {
            let why = format!("got '{}', expected iterable type", go_type(other));
            Err(Failure::new(why))
        }
    }
}

/// Indices and elements of a list, keys and values of a map.
fn two(range: &Value) -> Result<Box<dyn Iterator<Item = (Value, Value)> + '_>, Failure> {
    match range {
        Value::List(list) => Ok(Box::new((0_i64..).map(Value::Int).zip(list.iter().cloned()))),
        Value::Map(map) => Ok(Box::new(map.map.iter().map(|(key, value)| (key.into(), value.clone())))),
        other => {
            let why = format!("unsupported comprehension range type: {}", go_type(other));
            Err(Failure::new(why))
        }
    }
}

/// What cel-go calls the type in its own code.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "types.Bool",
        Value::Bytes(_) => "types.Bytes",
        Value::Float(_) => "types.Double",
        Value::Int(_) => "types.Int",
        Value::Null => "types.Null",
        Value::String(_) => "types.String",
        Value::UInt(_) => "types.Uint",
        value if as_opaque::<Duration>(value).is_some() => "types.Duration",
        value if as_opaque::<Timestamp>(value).is_some() => "types.Timestamp",
        _ => "a value of a type without elements",
    }
}

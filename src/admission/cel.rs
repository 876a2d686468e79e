//! Expressions of the Common Expression Language, as admission uses them: compiled once, evaluated within bounds.
//!
//! | bounded | by |
//! |---|---|
//! | steps and copies of an expression | 1,000,000, as in Kubernetes |
//! | of all validations of a policy for one binding and parameter | 10,000,000 |
//! | of the match conditions of a webhook or a policy | 2,500,000 |
//! | the time of all that | 10 seconds, checks of the authorizer included |
//! | nesting | the parser's depth of 250; evaluations have stacks for it |
//!
//! A step costs one, and what is copied or searched one for every ten bytes: about what cel-go counts, not the same.
//! Evaluations run on threads of their own (`pool`), never on the runtime's.

mod authorizer;
mod budget;
mod conditions;
mod error;
mod evaluate;
mod library;
mod lower;
mod node;
mod operators;
mod plain;
mod pool;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Write;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::parser::Parser;

pub use authorizer::Authorizer;
pub(crate) use budget::{Budget, POLICY};
pub use conditions::{Asked, Conditions, Matched};
pub use error::Failure;
pub(crate) use evaluate::Evaluator;
pub(crate) use pool::run;
use value::of_json;
pub(crate) use value::type_name;

/// How deep an expression may be nested (cel-go's default).
const DEPTH: u16 = 250;
/// Bytes of the parser's complaints that are told.
const TOLD: usize = 2_048;
/// How many operators may follow each other, in all brackets that are open.
const CHAIN: usize = 1_000;

/// What expressions know of a request. Absent values are null, as in Kubernetes.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub(crate) object: Value,
    pub(crate) old_object: Value,
    pub(crate) request: Value,
    pub(crate) namespace: Value,
    pub(crate) params: Value,
    pub(crate) authorizer: Option<Authorizer>,
}

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Program {
    node: node::Node,
}

/// An expression with its text, or why it does not compile.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) source: String,
    pub(crate) program: Result<Program, String>,
}

/// `variables`, by name.
#[derive(Debug, Default)]
pub(crate) struct Variables(Vec<(String, Result<Program, String>)>);

impl Inputs {
    /// What is known of a request: the objects, the request as an AdmissionRequest without them, the namespace's object.
    pub fn new(
        object: Option<&serde_json::Value>,
        old_object: Option<&serde_json::Value>,
        request: &serde_json::Value,
        namespace: Option<&serde_json::Value>,
        authorizer: Option<Authorizer>,
    ) -> Self {
        let convert = |json: Option<&serde_json::Value>| json.map_or(Value::Null, of_json);
        Self {
            object: convert(object),
            old_object: convert(old_object),
            request: of_json(request),
            namespace: convert(namespace),
            params: Value::Null,
            authorizer,
        }
    }

    /// The same with `params`.
    #[must_use]
    pub(crate) fn with_params(&self, params: Option<&serde_json::Value>) -> Self {
        Self {
            params: params.map_or(Value::Null, of_json),
            ..self.clone()
        }
    }
}

impl Program {
    /// Parses. Types are not checked: kube-apiserver has done so when it took the policy.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        let source = &plain::plain(source)?;
        if too_deep(source) {
            return Err("expression recursion limit exceeded: 250".to_owned());
        }
        let parser = Parser::new().enable_optional_syntax(true).max_recursion_depth(DEPTH);
        match parser.parse(source) {
            Ok(expression) => lower::lower(expression).map(|node| Self { node }),
            Err(errors) => Err(short(&errors)),
        }
    }
}

/// The beginning of what the parser says: it shows the whole line anew with each mistake.
fn short(errors: &impl std::fmt::Display) -> String {
    struct Short(String);

    impl Write for Short {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let room = TOLD.saturating_sub(self.0.len());
            let fits = (0..=room.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            let fits = &text[..fits.unwrap_or(0)];
            self.0.push_str(fits);
            if fits.len() < text.len() {
                // Ends the writing.
                return Err(std::fmt::Error);
            }
            Ok(())
        }
    }

    let mut told = Short(String::new());
    match write!(told, "{errors}") {
        Ok(()) => told.0,
        Err(_) => told.0 + "...",
    }
}

/// Whether brackets, or operators one after the other, are nested deeper than there is a stack for: the parser counts too, but
/// only after it has gone down. cel-go takes no such expression either, so that none comes from kube-apiserver.
fn too_deep(source: &str) -> bool {
    let mut levels = vec![0_usize];
    let mut quote = None;
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[' | '{') => levels.push(0),
            (None, ')' | ']' | '}') if levels.len() > 1 => drop(levels.pop()),
            (None, ',' | '&' | '|') => levels.last_mut().into_iter().for_each(|chain| *chain = 0),
            (None, '+' | '-' | '*' | '/' | '%' | '?' | '.' | '!' | '<' | '>' | '=') => {
                levels.last_mut().into_iter().for_each(|chain| *chain += 1);
            }
            (None, _) => {}
        }
        if levels.len() > usize::from(DEPTH) || levels.iter().sum::<usize>() > CHAIN {
            return true;
        }
    }
    false
}

impl Compiled {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            program: Program::compile(source),
        }
    }

    /// The value, or the failure (none: it did not compile) with its text.
    pub(crate) fn run<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Result<Value, (Option<Failure>, String)> {
        match &self.program {
            Ok(program) => evaluator.run(program).map_err(|failure| {
                let text = if failure.is_final() {
                    failure.to_string()
                } else {
                    format!("expression '{}' resulted in error: {failure}", self.source)
                };
                (Some(failure), text)
            }),
            Err(error) => Err((None, format!("compilation error: compilation failed: {error}"))),
        }
    }
}

impl Variables {
    pub(crate) fn compile<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            variables
                .map(|(name, source)| (name.to_owned(), Program::compile(source)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&Result<Program, String>> {
        self.0
            .iter()
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, program)| program)
    }
}

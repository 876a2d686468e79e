//! Regular expressions (k8s.io/apiserver pkg/cel/library/regex.go, cel-go `matches`). Both Go's and Rust's are descended from
//! RE2; `translate` is about where they differ.

mod translate;

use std::collections::HashMap;
use std::sync::LazyLock;

use kube::core::cel::cel::Value;
use parking_lot::Mutex;
use regex::Regex;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{string, strings};

pub(super) const NAMES: &[&str] = &["find", "findAll", "matches"];

/// How many expressions are kept ready.
const KEPT: usize = 512;

static READY: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    let [Value::String(text), Value::String(pattern), rest @ ..] = arguments else {
        return Ok(None);
    };
    // What is searched is paid for each character of the pattern, as in cel-go.
    budget.spend((text.len() as u64 / 10 + 1).saturating_mul(pattern.len() as u64 / 4 + 1))?;
    let compiled = compiled(pattern);
    let legal = |regex: Result<Regex, String>| regex.map_err(|why| Failure::new(format!("Illegal regex: {why}")));
    Ok(Some(match (name, rest) {
        ("matches", []) => Value::Bool(compiled.map_err(Failure::new)?.is_match(text)),
        ("find", []) => {
            let found = legal(compiled)?.find(text).map_or("", |found| found.as_str());
            string(found)
        }
        ("findAll", []) => all(&legal(compiled)?, text, -1),
        ("findAll", [Value::Int(most)]) => all(&legal(compiled)?, text, *most),
        _ => return Ok(None),
    }))
}

fn all(regex: &Regex, text: &str, most: i64) -> Value {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    strings(regex.find_iter(text).take(most).map(|found| found.as_str()))
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    if let Some(regex) = READY.lock().get(pattern) {
        return Ok(regex.clone());
    }
    let wrong = |why: String| format!("error parsing regexp: {why}");
    let translated = translate::translate(pattern).map_err(wrong)?;
    let regex = Regex::new(&translated).map_err(|_| wrong(format!("not supported by this server: `{pattern}`")))?;
    let mut ready = READY.lock();
    if ready.len() >= KEPT {
        ready.clear();
    }
    ready.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

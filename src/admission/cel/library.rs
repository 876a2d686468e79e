//! The functions of expressions: those of cel-go and of its extensions that Kubernetes has, and Kubernetes' own
//! (k8s.io/apiserver pkg/cel/environment/base.go says which).
//!
//! As in cel-go a method is a function whose first argument it is called on. Libraries may share a name: the types of the
//! arguments decide.

mod addresses;
pub(super) mod conversions;
mod format;
mod formats;
mod lists;
mod optionals;
mod quantities;
mod regexes;
mod sets;
mod strings;
pub(super) mod times;
mod urls;
mod versions;

pub(super) use lists::SORT_BY;

use kube::core::cel::cel::Value;

use super::budget::Budget;
use super::error::Failure;
use super::value::type_name;

/// Calls a function; `None`: it does not know such arguments.
pub(super) type Library = fn(&str, &[Value], &mut Budget) -> Result<Option<Value>, Failure>;

const LIBRARIES: [(&[&str], Library); 13] = [
    (addresses::NAMES, addresses::call),
    (conversions::NAMES, conversions::call),
    (format::NAMES, format::call),
    (formats::NAMES, formats::call),
    (lists::NAMES, lists::call),
    (optionals::NAMES, optionals::call),
    (quantities::NAMES, quantities::call),
    (regexes::NAMES, regexes::call),
    (sets::NAMES, sets::call),
    (strings::NAMES, strings::call),
    (times::NAMES, times::call),
    (urls::NAMES, urls::call),
    (versions::NAMES, versions::call),
];

/// Functions that have an answer for whatever has their trait, and say no types where it is missing.
const SINGLE: [&str; 2] = ["size", "sort"];

/// Functions that say nothing but that they do not know such values.
const BARE: [&str; 4] = ["contains", "endsWith", "matches", "startsWith"];

/// Functions that look into what is inside of lists and maps.
const DEEP: [&str; 6] = ["format", "indexOf", "isSorted", "lastIndexOf", "max", "min"];

/// Functions for which it does not matter how large something is.
const GLANCING: [&str; 8] = [
    "dyn",
    "first",
    "hasValue",
    "last",
    "optional.of",
    "optional.ofNonZeroValue",
    "type",
    "value",
];

/// Spends what a look at an argument costs: at all of a text, at the places of a list.
fn read(value: &Value, budget: &mut Budget) -> Result<(), Failure> {
    match value {
        Value::String(text) => budget.spend_bytes(text.len()),
        Value::Bytes(bytes) => budget.spend_bytes(bytes.len()),
        _ => budget.spend(1),
    }
}

/// The libraries that know a function of that name.
pub(super) fn of(name: &str) -> Vec<Library> {
    let knowing = LIBRARIES.iter().filter(|(names, _)| names.contains(&name));
    knowing.map(|(_, library)| *library).collect()
}

/// Calls a function of one of the libraries.
pub(super) fn call(
    libraries: &[Library],
    name: &str,
    arguments: &[Value],
    budget: &mut Budget,
) -> Result<Value, Failure> {
    for value in arguments {
        if DEEP.contains(&name) {
            budget.spend_value(value)?;
        } else if !GLANCING.contains(&name) {
            read(value, budget)?;
        }
    }
    for library in libraries {
        if let Some(value) = library(name, arguments, budget)? {
            return Ok(value);
        }
    }
    if BARE.contains(&name) {
        return Err(Failure::overload());
    }
    if SINGLE.contains(&name) {
        return Err(Failure::new(format!("no such overload: {name}")));
    }
    let types: Vec<&str> = arguments.iter().map(type_name).collect();
    Err(Failure::new(format!("no such overload: {name}({})", types.join(", "))))
}

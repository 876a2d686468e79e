//! Lists (k8s.io/apiserver pkg/cel/library/lists.go, cel-go ext/lists.go, version 3).

use std::cmp::Ordering;
use std::sync::Arc;

use kube::core::cel::cel::Value;

use super::times::Duration;
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::operators;
use crate::admission::cel::value::{as_opaque, compare, equal, is_ordered, list, type_name};

pub(super) const NAMES: &[&str] = &[
    "distinct",
    "flatten",
    "indexOf",
    "isSorted",
    "lastIndexOf",
    "lists.range",
    "max",
    "min",
    "reverse",
    "slice",
    "sort",
    SORT_BY,
    "sum",
];

/// What `sortBy` becomes: a list, and the keys of its elements.
pub(in crate::admission::cel) const SORT_BY: &str = "@sortByAssociatedKeys";

pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    if let ("lists.range", [Value::Int(count)]) = (name, arguments) {
        budget.spend(u64::try_from(*count).unwrap_or(0))?;
        return Ok(Some(list((0..*count).map(Value::Int).collect())));
    }
    let [Value::List(items), rest @ ..] = arguments else {
        return Ok(None);
    };
    budget.spend(items.len() as u64)?;
    Ok(Some(match (name, rest) {
        ("distinct", []) => distinct(items, budget)?,
        ("flatten", []) => list(flatten(items, 1, budget)?),
        ("flatten", [Value::Int(depth)]) => {
            if *depth < 0 {
                return Err(Failure::new("level must be non-negative"));
            }
            list(flatten(items, *depth, budget)?)
        }
        ("indexOf", [item]) => index(items.iter().position(|other| equal(other, item))),
        ("lastIndexOf", [item]) => index(items.iter().rposition(|other| equal(other, item))),
        ("isSorted" | "max" | "min" | "sum", []) if !alike(name, items) => return Ok(None),
        ("isSorted", []) => Value::Bool(is_sorted(items)),
        ("max", []) => best(name, items, Ordering::Less)?,
        ("min", []) => best(name, items, Ordering::Greater)?,
        ("sum", []) => sum(items, budget)?,
        ("reverse", []) => list(items.iter().rev().cloned().collect()),
        ("slice", [Value::Int(start), Value::Int(end)]) => slice(items, *start, *end)?,
        ("sort", []) => sort(items, items, budget)?,
        (SORT_BY, [Value::List(keys)]) => sort(items, keys, budget)?,
        _ => return Ok(None),
    }))
}

/// Whether the first element is of a type that the function knows: as cel-go looks for the overload.
fn alike(name: &str, items: &[Value]) -> bool {
    let summed = |value: &Value| {
        matches!(value, Value::Int(_) | Value::UInt(_) | Value::Float(_)) || as_opaque::<Duration>(value).is_some()
    };
    items.first().is_none_or(|first| match name {
        "sum" => summed(first),
        _ => is_ordered(first),
    })
}

fn index(at: Option<usize>) -> Value {
    Value::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

fn distinct(items: &[Value], budget: &mut Budget) -> Result<Value, Failure> {
    let mut unique: Vec<Value> = Vec::with_capacity(items.len());
    for item in items {
        let mut seen = false;
        for other in &unique {
            budget.spend_value(other)?;
            if equal(item, other) {
                seen = true;
                break;
            }
        }
        if !seen {
            unique.push(item.clone());
        }
    }
    Ok(list(unique))
}

fn flatten(items: &[Value], depth: i64, budget: &mut Budget) -> Result<Vec<Value>, Failure> {
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::List(nested) if depth > 0 => {
                budget.spend(nested.len() as u64)?;
                flat.extend(flatten(nested, depth - 1, budget)?);
            }
            other => flat.push(other.clone()),
        }
    }
    Ok(flat)
}

fn is_sorted(items: &[Value]) -> bool {
    items
        .windows(2)
        .all(|pair| !matches!(compare(&pair[0], &pair[1]), Ok(Ordering::Greater)))
}

/// The element that no other one is better than; the one is worse that compares to the other as `worse` says.
fn best(name: &str, items: &[Value], worse: Ordering) -> Result<Value, Failure> {
    let mut best: Option<&Value> = None;
    for item in items {
        if !is_ordered(item) {
            return Err(Failure::overload());
        }
        if best.is_none_or(|best| compare(best, item) == Ok(worse)) {
            best = Some(item);
        }
    }
    best.cloned()
        .ok_or_else(|| Failure::new(format!("{name} called on empty list")))
}

fn sum(items: &[Value], budget: &mut Budget) -> Result<Value, Failure> {
    let mut items = items.iter().cloned();
    let Some(first) = items.next() else {
        return Ok(Value::Int(0));
    };
    items.try_fold(first, |sum, item| operators::add(sum, item, budget))
}

fn slice(items: &[Value], start: i64, end: i64) -> Result<Value, Failure> {
    let wrong = |why: &str| Failure::new(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err(wrong("negative indexes not supported"));
    };
    if from > to {
        return Err(wrong("start index must be less than or equal to end index"));
    }
    let part = items.get(from..to);
    let part = part.ok_or_else(|| wrong(&format!("list is length {}", items.len())))?;
    Ok(list(part.to_vec()))
}

fn sort(items: &Arc<Vec<Value>>, keys: &[Value], budget: &mut Budget) -> Result<Value, Failure> {
    let Some(first) = keys.first() else {
        return Ok(Value::List(items.clone()));
    };
    if !is_ordered(first) {
        return Err(Failure::new("list elements must be comparable"));
    }
    if keys.iter().any(|key| type_name(key) != type_name(first)) {
        return Err(Failure::new("list elements must have the same type"));
    }
    for _ in 0..=keys.len().ilog2() {
        keys.iter().try_for_each(|key| budget.spend_value(key))?;
    }
    let mut pairs: Vec<(&Value, &Value)> = keys.iter().zip(items.iter()).collect();
    pairs.sort_by(|(left, _), (right, _)| compare(left, right).unwrap_or(Ordering::Equal));
    Ok(list(pairs.into_iter().map(|(_, item)| item.clone()).collect()))
}

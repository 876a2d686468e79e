//! Lists as sets (cel-go ext/sets.go).

use kube::core::cel::cel::Value;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::equal;

pub(super) const NAMES: &[&str] = &["sets.contains", "sets.equivalent", "sets.intersects"];

pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    let [Value::List(left), Value::List(right)] = arguments else {
        return Ok(None);
    };
    budget.spend((left.len() as u64).saturating_mul(right.len() as u64))?;
    let contains = |all: &[Value], some: &[Value]| some.iter().all(|item| has(all, item));
    Ok(Some(Value::Bool(match name {
        "sets.contains" => contains(left, right),
        "sets.equivalent" => contains(left, right) && contains(right, left),
        _ => left.iter().any(|item| has(right, item)),
    })))
}

fn has(list: &[Value], item: &Value) -> bool {
    list.iter().any(|other| equal(other, item))
}

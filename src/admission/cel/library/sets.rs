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
    let mut contains = |all: &[Value], some: &[Value]| -> Result<bool, Failure> {
        for item in some {
            if !has(all, item, budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(Some(Value::Bool(match name {
        "sets.contains" => contains(left, right)?,
        "sets.equivalent" => contains(left, right)? && contains(right, left)?,
        _ => {
            let mut found = false;
            for item in left.iter() {
                found = found || has(right, item, budget)?;
            }
            found
        }
    })))
}

fn has(list: &[Value], item: &Value, budget: &mut Budget) -> Result<bool, Failure> {
    for other in list {
        budget.spend_value(other)?;
        if equal(other, item) {
            return Ok(true);
        }
    }
    Ok(false)
}

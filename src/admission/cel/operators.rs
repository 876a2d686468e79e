//! What operators mean.

use std::cmp::Ordering;
use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::KeyRef;

use super::budget::Budget;
use super::error::Failure;
use super::node::Operator;

pub(super) fn negate(value: Value) -> Result<Value, Failure> {
    match value {
        Value::Int(value) => value
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| Failure::new("integer overflow")),
        Value::Float(value) => Ok(Value::Float(-value)),
        Value::Duration(value) => Ok(Value::Duration(-value)),
        _ => Err(Failure::overload()),
    }
}

pub(super) fn binary(operator: Operator, left: Value, right: Value, budget: &mut Budget) -> Result<Value, Failure> {
    match operator {
        Operator::Add => add(left, right, budget),
        Operator::Subtract => Ok((left - right)?),
        Operator::Multiply => Ok((left * right)?),
        Operator::Divide => Ok((left / right)?),
        Operator::Modulo => Ok((left % right)?),
        Operator::Equal | Operator::NotEqual => {
            budget.spend_value(&left)?;
            budget.spend_value(&right)?;
            Ok(Value::Bool((left == right) == (operator == Operator::Equal)))
        }
        Operator::In => contains(&left, &right, budget),
        Operator::Less => compare(&left, &right, budget, Ordering::is_lt),
        Operator::LessOrEqual => compare(&left, &right, budget, Ordering::is_le),
        Operator::Greater => compare(&left, &right, budget, Ordering::is_gt),
        Operator::GreaterOrEqual => compare(&left, &right, budget, Ordering::is_ge),
    }
}

fn add(left: Value, right: Value, budget: &mut Budget) -> Result<Value, Failure> {
    match (&left, &right) {
        (Value::String(left), Value::String(right)) => budget.spend_bytes(left.len() + right.len())?,
        (Value::List(left), Value::List(right)) => budget.spend((left.len() + right.len()) as u64)?,
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.spend_bytes(left.len() + right.len())?;
            return Ok(Value::Bytes(Arc::new([left.as_slice(), right.as_slice()].concat())));
        }
        _ => {}
    }
    Ok((left + right)?)
}

fn contains(item: &Value, container: &Value, budget: &mut Budget) -> Result<Value, Failure> {
    let found = match container {
        Value::Map(map) => {
            let Ok(key) = KeyRef::try_from(item) else {
                return Err(Failure::overload());
            };
            map.get(&key).is_some()
        }
        Value::List(list) => {
            let mut found = false;
            for element in list.iter() {
                budget.spend_value(element)?;
                if element == item {
                    found = true;
                    break;
                }
            }
            found
        }
        _ => return Err(Failure::overload()),
    };
    Ok(Value::Bool(found))
}

fn compare(left: &Value, right: &Value, budget: &mut Budget, holds: fn(Ordering) -> bool) -> Result<Value, Failure> {
    let number = |value: &Value| matches!(value, Value::Int(_) | Value::UInt(_) | Value::Float(_));
    let ordering = match (left, right) {
        (Value::Null, _) => None,
        (Value::String(left), Value::String(right)) => {
            budget.spend_bytes(left.len().min(right.len()))?;
            Some(left.cmp(right))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.spend_bytes(left.len().min(right.len()))?;
            Some(left.cmp(right))
        }
        _ => left.partial_cmp(right),
    };
    match ordering {
        Some(ordering) => Ok(Value::Bool(holds(ordering))),
        // Nothing is less than, equal to or greater than what is no number.
        None if number(left) && number(right) => Ok(Value::Bool(false)),
        None => Err(Failure::overload()),
    }
}

/// `container[key]`
pub(super) fn at(container: &Value, key: &Value) -> Result<Value, Failure> {
    match container {
        Value::Map(map) => {
            let Ok(key) = KeyRef::try_from(key) else {
                return Err(Failure::overload());
            };
            let found = map.get(&key).cloned();
            found.ok_or_else(|| match key {
                KeyRef::Int(key) => Failure::key(&key.to_string()),
                KeyRef::Uint(key) => Failure::key(&key.to_string()),
                KeyRef::Bool(key) => Failure::key(&key.to_string()),
                KeyRef::String(key) => Failure::key(key),
            })
        }
        Value::List(list) => {
            let index = match key {
                Value::Int(index) => usize::try_from(*index).ok(),
                Value::UInt(index) => usize::try_from(*index).ok(),
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number, not below zero"
                )]
                Value::Float(index) if index.fract() == 0.0 && *index >= 0.0 => Some(*index as usize),
                _ => {
                    return Err(Failure::new(format!(
                        "unsupported index type '{}' in list",
                        super::value::type_name(key)
                    )));
                }
            };
            let found = index.and_then(|index| list.get(index)).cloned();
            found.ok_or_else(|| match key {
                Value::Int(index) => Failure::new(format!("index out of bounds: {index}")),
                _ => Failure::new("index out of bounds"),
            })
        }
        _ => Err(Failure::overload()),
    }
}

//! What operators mean (cel-go common/types, and common/stdlib for who is asked).

use std::cmp::Ordering;
use std::sync::Arc;

use kube::core::cel::cel::Value;

use super::budget::Budget;
use super::error::Failure;
use super::library::times::{self, Duration, Timestamp};
use super::node::Operator;
use super::value::{as_opaque, compare, entry, equal, is_ordered, opaque, type_name};

const INTEGER: &str = "integer overflow";
const UNSIGNED: &str = "unsigned integer overflow";

pub(super) fn negate(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::Int(value) => checked(value.checked_neg(), Value::Int, INTEGER),
        Value::Float(value) => Ok(Value::Float(-value)),
        Value::Bool(_) => Err(Failure::overload()),
        _ => match as_opaque::<Duration>(value) {
            Some(duration) => Ok(opaque(duration.negated()?)),
            None => Err(Failure::operator("-_", value)),
        },
    }
}

pub(super) fn binary(operator: Operator, left: Value, right: Value, budget: &mut Budget) -> Result<Value, Failure> {
    match operator {
        Operator::Add => add(left, right, budget),
        Operator::Subtract => subtract(&left, &right),
        Operator::Multiply => match (&left, &right) {
            (Value::Int(left), Value::Int(right)) => checked(left.checked_mul(*right), Value::Int, INTEGER),
            (Value::UInt(left), Value::UInt(right)) => checked(left.checked_mul(*right), Value::UInt, UNSIGNED),
            (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left * right)),
            (Value::Int(_) | Value::UInt(_) | Value::Float(_), _) => Err(Failure::overload()),
            _ => Err(Failure::operator("_*_", &left)),
        },
        Operator::Divide => match (&left, &right) {
            (Value::Int(_), Value::Int(0)) | (Value::UInt(_), Value::UInt(0)) => Err(Failure::new("division by zero")),
            (Value::Int(left), Value::Int(right)) => checked(left.checked_div(*right), Value::Int, INTEGER),
            (Value::UInt(left), Value::UInt(right)) => checked(left.checked_div(*right), Value::UInt, UNSIGNED),
            (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left / right)),
            (Value::Int(_) | Value::UInt(_) | Value::Float(_), _) => Err(Failure::overload()),
            _ => Err(Failure::operator("_/_", &left)),
        },
        Operator::Modulo => match (&left, &right) {
            (Value::Int(_), Value::Int(0)) | (Value::UInt(_), Value::UInt(0)) => Err(Failure::new("modulus by zero")),
            (Value::Int(left), Value::Int(right)) => checked(left.checked_rem(*right), Value::Int, INTEGER),
            (Value::UInt(left), Value::UInt(right)) => checked(left.checked_rem(*right), Value::UInt, UNSIGNED),
            (Value::Int(_) | Value::UInt(_), _) => Err(Failure::overload()),
            _ => Err(Failure::operator("_%_", &left)),
        },
        Operator::Equal | Operator::NotEqual => {
            budget.spend_value(&left)?;
            budget.spend_value(&right)?;
            Ok(Value::Bool(equal(&left, &right) == (operator == Operator::Equal)))
        }
        Operator::In => contains(&left, &right, budget),
        Operator::Less => ordered("_<_", &left, &right, budget, Ordering::is_lt),
        Operator::LessOrEqual => ordered("_<=_", &left, &right, budget, Ordering::is_le),
        Operator::Greater => ordered("_>_", &left, &right, budget, Ordering::is_gt),
        Operator::GreaterOrEqual => ordered("_>=_", &left, &right, budget, Ordering::is_ge),
    }
}

fn checked<T>(value: Option<T>, make: fn(T) -> Value, overflow: &str) -> Result<Value, Failure> {
    value.map(make).ok_or_else(|| Failure::new(overflow))
}

/// `left + right`
pub(super) fn add(left: Value, right: Value, budget: &mut Budget) -> Result<Value, Failure> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => checked(left.checked_add(right), Value::Int, INTEGER),
        (Value::UInt(left), Value::UInt(right)) => checked(left.checked_add(right), Value::UInt, UNSIGNED),
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left + right)),
        (Value::String(mut left), Value::String(right)) => {
            budget.spend_bytes(left.len() + right.len())?;
            Arc::make_mut(&mut left).push_str(&right);
            Ok(Value::String(left))
        }
        (Value::Bytes(mut left), Value::Bytes(right)) => {
            budget.spend_bytes(left.len() + right.len())?;
            Arc::make_mut(&mut left).extend_from_slice(&right);
            Ok(Value::Bytes(left))
        }
        (Value::List(mut left), Value::List(right)) => {
            budget.spend((left.len() + right.len()) as u64)?;
            Arc::make_mut(&mut left).extend(right.iter().cloned());
            Ok(Value::List(left))
        }
        (left, right) => times::add(&left, &right)?.ok_or_else(|| match left {
            Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::String(_) | Value::Bytes(_) | Value::List(_) => {
                Failure::overload()
            }
            left => Failure::operator("_+_", &left),
        }),
    }
}

fn subtract(left: &Value, right: &Value) -> Result<Value, Failure> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => checked(left.checked_sub(*right), Value::Int, INTEGER),
        (Value::UInt(left), Value::UInt(right)) => checked(left.checked_sub(*right), Value::UInt, UNSIGNED),
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left - right)),
        (Value::Int(_) | Value::UInt(_) | Value::Float(_), _) => Err(Failure::overload()),
        _ => times::subtract(left, right)?.ok_or_else(|| Failure::operator("_-_", left)),
    }
}

fn contains(item: &Value, container: &Value, budget: &mut Budget) -> Result<Value, Failure> {
    let found = match container {
        Value::Map(map) => entry(map, item).is_some(),
        Value::List(list) => {
            let mut found = false;
            for element in list.iter() {
                budget.spend_value(element)?;
                if equal(element, item) {
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

fn ordered(
    operator: &str,
    left: &Value,
    right: &Value,
    budget: &mut Budget,
    holds: fn(Ordering) -> bool,
) -> Result<Value, Failure> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => budget.spend_bytes(left.len().min(right.len()))?,
        (Value::Bytes(left), Value::Bytes(right)) => budget.spend_bytes(left.len().min(right.len()))?,
        _ if !is_ordered(left) => return Err(Failure::operator(operator, left)),
        _ => {}
    }
    compare(left, right).map(|ordering| Value::Bool(holds(ordering)))
}

/// `container[key]`
pub(super) fn at(container: &Value, key: &Value) -> Result<Value, Failure> {
    match container {
        Value::Map(map) => entry(map, key).cloned().ok_or_else(|| missing(key)),
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
                Value::Float(_) => {
                    return Err(Failure::new(format!("unsupported index value {} in list", shown(key))));
                }
                _ => {
                    return Err(Failure::new(format!(
                        "unsupported index type '{}' in list",
                        type_name(key)
                    )));
                }
            };
            let found = index.and_then(|index| list.get(index)).cloned();
            found.ok_or_else(|| Failure::new(format!("index out of bounds: {}", shown(key))))
        }
        _ => Err(missing(key)),
    }
}

fn missing(key: &Value) -> Failure {
    Failure::key(&shown(key))
}

fn shown(key: &Value) -> String {
    match key {
        Value::Int(key) => key.to_string(),
        Value::UInt(key) => key.to_string(),
        Value::Bool(key) => key.to_string(),
        Value::Float(key) => super::library::conversions::go_double(*key),
        Value::String(key) => key.to_string(),
        key => as_opaque::<Timestamp>(key).map_or_else(|| type_name(key).to_owned(), ToString::to_string),
    }
}

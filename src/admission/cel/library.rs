//! Functions: the few that every policy uses, here; all others are those of the cel crate and of kube-cel, behind guards
//! for what could grow without bounds.

use std::sync::{Arc, LazyLock};

use kube::core::cel::KubeCelExt;
use kube::core::cel::cel::{Context, Value};

use super::budget::Budget;
use super::error::Failure;
use super::lower::{TARGET, argument};
use super::node::Call;
use super::quantity;
use super::value::{TypeName, type_name};

static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// Digits after the point that `format` may be asked for.
const PRECISION: usize = 3;

pub(super) fn call(
    call: &Call,
    target: Option<Value>,
    arguments: Vec<Value>,
    budget: &mut Budget,
) -> Result<Value, Failure> {
    if let Some(value) = own(&call.name, target.as_ref(), &arguments, budget)? {
        return Ok(value);
    }
    for value in target.iter().chain(&arguments) {
        budget.spend_value(value)?;
    }
    guard(&call.name, target.as_ref(), &arguments, budget)?;
    let mut context = FUNCTIONS.new_inner_scope();
    if let Some(target) = target {
        context.add_variable_from_value(TARGET, target);
    }
    for (at, value) in arguments.into_iter().enumerate() {
        context.add_variable_from_value(argument(at), value);
    }
    Ok(Value::resolve(&call.template, &context)?)
}

fn own(name: &str, target: Option<&Value>, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    let value = match (name, target, arguments) {
        ("size", Some(value), []) | ("size", None, [value]) => match value {
            Value::String(text) => {
                budget.spend_bytes(text.len())?;
                Value::Int(text.chars().count() as i64)
            }
            Value::Bytes(bytes) => Value::Int(bytes.len() as i64),
            Value::List(list) => Value::Int(list.len() as i64),
            Value::Map(map) => Value::Int(map.map.len() as i64),
            _ => return Err(Failure::overload()),
        },
        ("startsWith" | "endsWith" | "contains", Some(Value::String(text)), [Value::String(part)]) => {
            budget.spend_bytes(text.len())?;
            Value::Bool(match name {
                "startsWith" => text.starts_with(part.as_str()),
                "endsWith" => text.ends_with(part.as_str()),
                _ => text.contains(part.as_str()),
            })
        }
        // A function of the same name knows more types than Kubernetes has.
        ("startsWith" | "endsWith" | "contains" | "matches", Some(value), [_])
            if !matches!(value, Value::String(_)) =>
        {
            return Err(Failure::overload());
        }
        ("dyn", None, [value]) => value.clone(),
        ("type", None, [value]) => Value::Opaque(Arc::new(TypeName(type_name(value)))),
        ("bool", None, [Value::Bool(value)]) => Value::Bool(*value),
        ("bool", None, [Value::String(text)]) => match text.as_str() {
            "1" | "t" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => return Err(Failure::new("type conversion error from 'string' to 'bool'")),
        },
        ("string", None, [Value::Bool(value)]) => Value::String(Arc::new(value.to_string())),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Pays for what the functions that can answer with more than they are given will answer.
fn guard(name: &str, target: Option<&Value>, arguments: &[Value], budget: &mut Budget) -> Result<(), Failure> {
    match (name, target, arguments) {
        ("replace", Some(Value::String(text)), [Value::String(from), Value::String(to), ..]) => {
            let times = if from.is_empty() {
                text.len() + 1
            } else {
                text.matches(from.as_str()).count()
            };
            budget.spend_bytes(times.saturating_mul(to.len()))
        }
        ("join", Some(Value::List(list)), [Value::String(separator)]) => {
            budget.spend_bytes(list.len().saturating_mul(separator.len()))
        }
        ("quantity" | "isQuantity", None, [Value::String(text)]) if !quantity::fits(text) => {
            Err(Failure::new("quantity is out of range"))
        }
        ("lists.range", None, [Value::Int(count)]) => budget.spend(u64::try_from(*count).unwrap_or(0)),
        ("format", Some(Value::String(template)), _) => {
            let precise = template
                .split("%.")
                .skip(1)
                .any(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() > PRECISION);
            if precise {
                Err(Failure::new("precision too large"))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

//! Why an expression has no value.

use kube::core::cel::cel::Value;

use super::library::times::{Duration, Timestamp};
use super::value::as_opaque;

/// Why an evaluation ended without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The expression itself went wrong; `||` and `&&` may make up for it.
    #[error("{0}")]
    Expression(String),
    /// One expression has spent what one may spend.
    #[error("operation cancelled: actual cost limit exceeded")]
    Cancelled,
    /// A policy, or the conditions of a webhook, have spent what all their expressions may spend together.
    #[error("validation failed due to running out of cost budget, no further validation rules will be run")]
    OutOfBudget,
    /// The time is up.
    #[error("validation failed due to running out of time, no further validation rules will be run")]
    OutOfTime,
}

impl Failure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::Expression(text.into())
    }

    /// An operator or a function does not know such values.
    pub(super) fn overload() -> Self {
        Self::new("no such overload")
    }

    /// An operator does not know its first operand. Those that have methods say so in fewer words (cel-go traits.Receiver).
    pub(super) fn operator(operator: &str, operand: &Value) -> Self {
        let receives = matches!(operand, Value::String(_))
            || as_opaque::<Duration>(operand).is_some()
            || as_opaque::<Timestamp>(operand).is_some();
        if receives {
            Self::overload()
        } else {
            Self::new(format!("no such overload: {operator}"))
        }
    }

    pub(super) fn key(key: &str) -> Self {
        Self::Expression(format!("no such key: {key}"))
    }

    /// Whether nothing else of the same policy is evaluated.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::OutOfBudget | Self::OutOfTime)
    }

    /// Whether another operand of `||` or `&&` may decide alone.
    pub(super) fn is_absorbed(&self) -> bool {
        matches!(self, Self::Expression(_))
    }
}

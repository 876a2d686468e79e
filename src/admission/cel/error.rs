//! Why an expression has no value.

use kube::core::cel::cel::ExecutionError;

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

/// The words of cel-go (common/types) where they are known; the values themselves are not shown.
impl From<ExecutionError> for Failure {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::NoSuchKey(key) => Self::key(&key),
            ExecutionError::FunctionError { message, .. } => Self::Expression(message),
            ExecutionError::UndeclaredReference(name) => Self::Expression(format!("undeclared reference to '{name}'")),
            ExecutionError::DivisionByZero(_) => Self::new("division by zero"),
            ExecutionError::RemainderByZero(_) => Self::new("modulus by zero"),
            ExecutionError::Overflow(..) => Self::new("integer overflow"),
            _ => Self::overload(),
        }
    }
}

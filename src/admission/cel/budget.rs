//! What an evaluation may spend. Kubernetes counts costs as cel-go does; here a step of the evaluation is one, and what
//! is copied or searched is one for every ten bytes. The sums are Kubernetes' own (k8s.io/apiserver pkg/apis/cel/config.go).

use std::time::Duration;

use kube::core::cel::cel::Value;
use tokio::time::Instant;

use super::error::Failure;

/// What all validations of a policy may spend for one binding and parameter.
pub(crate) const POLICY: u64 = 10_000_000;
/// What the match conditions of a policy or a webhook may spend.
pub(crate) const CONDITIONS: u64 = 2_500_000;
/// What one expression may spend.
const EXPRESSION: u64 = 1_000_000;
/// How long all of it may take, checks of an authorizer included. Far above what the sums allow on an idle machine.
const TIME: Duration = Duration::from_secs(10);
/// Steps between two looks at the clock.
const STRIDE: u64 = 256;

/// What is left.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    expression: u64,
    until_look: u64,
    deadline: Instant,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Self {
        Self {
            total,
            expression: EXPRESSION,
            until_look: STRIDE,
            deadline: Instant::now() + TIME,
        }
    }

    /// Begins an expression; returns what the one around it has left, for [`Budget::leave`].
    pub(super) fn enter(&mut self) -> u64 {
        std::mem::replace(&mut self.expression, EXPRESSION)
    }

    /// Goes on with the expression around.
    pub(super) fn leave(&mut self, left: u64) {
        self.expression = left;
    }

    /// Spends.
    pub(super) fn spend(&mut self, cost: u64) -> Result<(), Failure> {
        self.total = self.total.checked_sub(cost).ok_or(Failure::OutOfBudget)?;
        self.expression = self.expression.checked_sub(cost).ok_or(Failure::Cancelled)?;
        match self.until_look.checked_sub(cost) {
            Some(left) => self.until_look = left,
            None => {
                self.until_look = STRIDE;
                self.time_left()?;
            }
        }
        Ok(())
    }

    /// Spends what reading so many bytes costs.
    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.spend(bytes as u64 / 10 + 1)
    }

    /// Spends what reading all of a value costs. Values share their parts, so that a small one can be huge to read: no
    /// more of it is looked at than can be paid.
    pub(super) fn spend_value(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => self.spend_bytes(text.len()),
            Value::Bytes(bytes) => self.spend_bytes(bytes.len()),
            Value::List(items) => {
                self.spend(1)?;
                items.iter().try_for_each(|item| self.spend_value(item))
            }
            Value::Map(map) => {
                self.spend(map.map.len() as u64 + 1)?;
                map.map.values().try_for_each(|item| self.spend_value(item))
            }
            _ => self.spend(1),
        }
    }

    /// The time that is left.
    pub(super) fn time_left(&self) -> Result<Duration, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(Failure::OutOfTime)
        } else {
            Ok(left)
        }
    }
}

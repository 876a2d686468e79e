//! What roles may grant: RBAC's rules, which of them cover which, and what two sets of them have in common.
//!
//! Pure functions on rules; nothing here knows Organizations or a cluster.

mod cut;
mod intersect;
mod rule;
mod tidy;

pub use self::cut::{Cut, Fit, Groups, cut, fit};
pub use self::intersect::intersect;
pub use self::rule::validate;
pub use crate::wire::rbac::{Rule, covers, uncovered};

#[cfg(test)]
mod tests;

//! What roles may grant: RBAC's rules, which of them cover which, and what two sets of them have in common.
//!
//! Pure functions on rules; nothing here knows Organizations or a cluster.

mod covers;
mod cut;
mod intersect;
mod rule;
mod tidy;

pub use self::covers::{covers, uncovered};
pub use self::cut::{Cut, Fit, Groups, cut, fit};
pub use self::intersect::intersect;
pub use self::rule::{Rule, validate};

#[cfg(test)]
mod tests;

//! The rules of RBAC's roles, and which of them cover which.

mod covers;
mod rule;

pub use self::covers::{covers, covers_rule, size, uncovered};
pub use self::rule::{ALL, Rule};
pub(crate) use self::rule::{covers_path, has, has_or_all};

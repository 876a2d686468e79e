//! Label and field selectors as query parameters spell them.

mod field;
mod label;
mod lexer;

pub use field::{FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement};

#[cfg(test)]
mod tests;

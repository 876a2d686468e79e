//! Admission as the main cluster configures it.

pub mod cel;
pub mod policy;
